//! `notify`: delivered as it happens, bounded, and not lost at the end.

use std::time::Duration;

use codemode_cells::CodeModeSession;
use codemode_host_protocol::CellId;

use crate::support::{Lab, now, show, show_outcome};

#[tokio::test]
async fn a_cell_ends_when_its_notifications_are_delivered() {
    let lab = Lab::new();
    lab.desk.hold_notifications();
    let cell = lab.start("notify('a'); notify('b'); text('shown'); store('k', 1)");
    lab.until_idle().await;
    lab.session.yield_now(&CellId::new("1"));
    // Its code is over, but it goes on.
    assert_eq!(show(&now(cell.response).unwrap()), r#"yielded["shown"]"#);
    assert!(lab.session.stored_values().is_empty());
    let wait = lab.session.wait(&CellId::new("1"), Duration::from_secs(60), None);
    assert!(lab.desk.take_notification("b"));
    assert!(lab.desk.take_notification("a"));
    assert_eq!(show_outcome(wait.await), "result[]");
    assert!(lab.session.stored_values().contains_key("k"));
}

#[tokio::test]
async fn who_ends_a_cell_does_not_wait_for_its_notifications() {
    let lab = Lab::new();
    lab.desk.hold_notifications();
    drop(lab.start("notify('a'); store('k', 1)"));
    lab.until_idle().await;
    assert_eq!(lab.terminate("1").await, "terminated[]");
    lab.desk.until("closed 1").await;
    assert_eq!(lab.desk.log(), ["notify 1 call a", "cancel 1 a", "closed 1"]);
    assert!(lab.session.stored_values().is_empty());
    assert!(!lab.desk.take_notification("a"));
}

#[tokio::test]
async fn a_delegate_that_never_takes_a_notification_does_not_keep_a_cell_alive() {
    let lab = Lab::with(|options| options.limits.notification_grace = Duration::from_millis(1));
    lab.desk.hold_notifications();
    assert_eq!(lab.run("notify('a'); text('b')").await, r#"result["b"]"#);
    lab.desk.until("closed 1").await;
    assert_eq!(lab.desk.log(), ["notify 1 call a", "cancel 1 a", "closed 1"]);
}

#[tokio::test]
async fn a_flood_is_slowed_down_to_what_is_taken() {
    let lab = Lab::with(|options| options.limits.open_notifications = 10);
    lab.desk.hold_notifications();
    let cell = lab.start("for (let i = 0; i < 100; i++) notify('n' + i); text('through')");
    let other = lab.run("text('others go on')").await;
    assert_eq!(other, r#"result["others go on"]"#);
    for i in 0..100 {
        lab.desk.until(&format!("notify 1 call n{i}")).await;
        let sent = lab.desk.log();
        assert!(!sent.contains(&format!("notify 1 call n{}", i + 10)), "{sent:?}");
        sent.into_iter().for_each(|line| lab.desk.write(line));
        assert!(lab.desk.take_notification(&format!("n{i}")));
    }
    assert_eq!(show(&cell.response.await.unwrap()), r#"result["through"]"#);
}

#[tokio::test]
async fn a_flood_that_nobody_takes_yields_and_can_be_ended() {
    let lab = Lab::with(|options| options.limits.open_notifications = 2);
    lab.desk.hold_notifications();
    let cell = lab.start("text('a'); for (let i = 0; ; i++) notify('n' + i)");
    lab.desk.until("notify 1 call n1").await;
    lab.session.yield_now(&CellId::new("1"));
    assert_eq!(show(&cell.response.await.unwrap()), r#"yielded["a"]"#);
    assert_eq!(lab.terminate("1").await, "terminated[]");
    lab.until_idle().await;
}

#[tokio::test]
async fn a_flood_that_nobody_takes_ends_at_a_limit() {
    let lab = Lab::with(|options| {
        options.limits.open_notifications = 2;
        options.limits.notification_grace = Duration::from_millis(1);
    });
    lab.desk.hold_notifications();
    let shown = lab.run("text('a'); for (let i = 0; ; i++) notify('n' + i)").await;
    assert!(shown.starts_with(r#"result["a"] error: NotificationLimitExceeded: 2 "#), "{shown}");
    lab.until_idle().await;
}

#[tokio::test]
async fn notifications_count_with_their_bytes() {
    let lab = Lab::with(|options| {
        options.limits.open_bytes = 100;
        options.limits.notification_grace = Duration::from_millis(1);
    });
    lab.desk.hold_notifications();
    // The first one goes, however long it is.
    let shown = lab.run("notify('x'.repeat(200)); notify('y')").await;
    assert!(shown.contains("NotificationLimitExceeded: 1 "), "{shown}");
}
