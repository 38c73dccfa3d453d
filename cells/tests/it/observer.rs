//! Watching a cell live.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use codemode_cells::{CellObserver, Ending, ExecuteOptions};
use codemode_host_protocol::{ContentItem, Json, ToolFailure, ToolInvocation};
use codemode_runtime_js::Usage;
use expect_test::expect;

use crate::support::{Lab, MINUTE, request};

#[tokio::test]
async fn an_observer_sees_what_happens_as_it_happens() {
    let lab = Lab::new();
    let seen = Arc::new(Seen::default());
    let source = "text('a'); await tools.echo(1); notify('n'); yield_control();
                  try { await tools.fail() } catch {} tools.ask(2); throw new Error('boom')";
    let options = ExecuteOptions {
        observer: Some(seen.clone()),
        file: Some("mine.ts".to_owned()),
        ..ExecuteOptions::default()
    };
    let cell = lab.session.start(lab.step.clone(), request(source, MINUTE), options).unwrap();
    cell.response.await.unwrap();
    assert!(lab.wait("1").await.contains("Error: boom"));
    expect![[r#"
        [
            "output a",
            "tool-1 echo begins",
            "tool-1 ends: 1",
            "notified n",
            "yielded",
            "tool-2 fail begins",
            "tool-2 ends: denied",
            "tool-3 ask begins",
            "tool-3 cancelled",
            "failed in mine.ts, 3 calls",
        ]
    "#]]
    .assert_debug_eq(&seen.0.lock().unwrap());
}

#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

impl Seen {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl CellObserver for Seen {
    fn output(&self, item: &ContentItem) {
        let ContentItem::InputText { text } = item else { panic!("{item:?}") };
        self.push(format!("output {text}"));
    }

    fn call_started(&self, call: &ToolInvocation) {
        self.push(format!("{} {} begins", call.runtime_tool_call_id, call.tool_name));
    }

    fn call_finished(&self, id: &str, _: Duration, result: Option<&Result<Json, ToolFailure>>) {
        self.push(match result {
            Some(Ok(value)) => format!("{id} ends: {}", value.text()),
            Some(Err(failure)) => format!("{id} ends: {failure}"),
            None => format!("{id} cancelled"),
        });
    }

    fn notified(&self, text: &str) {
        self.push(format!("notified {text}"));
    }

    fn yielded(&self) {
        self.push("yielded".to_owned());
    }

    fn ended(&self, ending: &Ending, usage: Option<&Usage>) {
        let Ending::Failed(error) = ending else { panic!("{ending:?}") };
        let file = &error.position.as_ref().unwrap().file;
        self.push(format!("failed in {file}, {} calls", usage.unwrap().tool_calls));
    }
}
