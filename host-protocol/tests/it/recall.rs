//! A decoder that knows lists of tools reads every message as one that knows none.

use codemode_host_protocol::{ClientToHost, Envelope as _, Operation, RequestDecoder, ToolList};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{select, subsequence},
};

use crate::properties::{body, client_to_host, damage, damaged};

proptest! {
    #[test]
    fn what_came_before_plays_no_part(
        messages in vec(client_to_host(), 1..4),
        turns in vec((any::<prop::sample::Index>(), vec(damage(), 0..3)), 1..12),
    ) {
        let bodies: Vec<Vec<u8>> = messages.iter().map(body).collect();
        let turns = turns.iter().map(|(which, damages)| damaged(which.get(&bodies).clone(), damages));
        reads_as_one_that_knows_nothing(turns)?;
    }

    #[test]
    fn no_frame_gets_another_list_than_it_says(frames in vec(crafted(), 1..12)) {
        reads_as_one_that_knows_nothing(frames.into_iter().map(String::into_bytes))?;
    }

    #[test]
    fn damage_beside_a_known_list_is_seen(
        frame in crafted(),
        damages in vec(vec(damage(), 1..3), 1..8),
    ) {
        let whole = [frame.clone().into_bytes(), frame.clone().into_bytes()];
        let broken = damages.iter().map(|damages| damaged(frame.clone().into_bytes(), damages));
        reads_as_one_that_knows_nothing(whole.into_iter().chain(broken))?;
    }
}

fn reads_as_one_that_knows_nothing(
    bodies: impl Iterator<Item = Vec<u8>>,
) -> Result<(), TestCaseError> {
    let mut decoder = RequestDecoder::new();
    for body in bodies {
        let expected = ClientToHost::decode(&body);
        // Twice, so that it knows the list the second time.
        for _ in 0..2 {
            prop_assert_eq!(
                &decoder.decode(&body),
                &expected,
                "{}",
                String::from_utf8_lossy(&body)
            );
        }
    }
    Ok(())
}

/// Messages with lists of tools where they belong and where they do not.
fn crafted() -> impl Strategy<Value = String> {
    let result = list().prop_map(|list| {
        format!(
            r#"{{"type":"delegate/response","id":1,"result":{{"status":"ok","value":{{"type":"tool/result","result":{{"enabled_tools":{list}}}}}}}}}"#
        )
    });
    prop_oneof![8 => request(), 1 => result]
}

/// Messages that may or may not be requests to execute.
fn request() -> impl Strategy<Value = String> {
    let fields = vec(field(), 0..2).prop_flat_map(|strange| {
        let name = prop_oneof![4 => Just("enabled_tools"), 1 => Just("enabled_tool\\u0073")];
        (name, list(), space()).prop_flat_map(move |(name, list, space)| {
            let mut fields = vec![
                format!(r#""{name}"{space}:{space}{list}"#),
                r#""tool_call_id":"call-1""#.to_owned(),
                r#""source":"text('hi')""#.to_owned(),
                r#""yield_time_ms":1"#.to_owned(),
            ];
            fields.extend(strange.clone());
            let all = fields.len();
            // Now and then one is missing.
            let some = prop_oneof![3 => Just(all), 1 => 0..=all];
            some.prop_flat_map(move |some| subsequence(fields.clone(), some)).prop_shuffle()
        })
    });
    let around = prop_oneof![
        4 => Just(String::new()),
        1 => field().prop_map(|field| format!("{field},")),
    ];
    let method = select(vec!["session/execute", "session/wait", "session/open"]);
    let start = prop_oneof![6 => Just(""), 1 => select(vec![" ", "\n", "\u{feff}", "["])];
    (fields, around.clone(), around, method, space(), start).prop_map(
        |(fields, outer, inner, method, space, start)| {
            let fields = fields.join(&format!(",{space}"));
            format!(
                r#"{start}{{{outer}"type":"operation/request","id":1,"request":{{{inner}"method":"{method}","sessionId":"s","request":{{{space}{fields}{space}}}}}}}"#
            )
        },
    )
}

/// A field with a list that is not the message's, or is so by another spelling, or makes two of them.
fn field() -> impl Strategy<Value = String> {
    (list(), space(), 0..8_u8).prop_map(|(list, space, kind)| match kind {
        0 => format!(r#""enabled_tools"{space}:{list}"#),
        1 => format!(r#""enabled_tool\u0073":{list}"#),
        2 => format!(r#""x\"enabled_tools":{list}"#),
        3 => format!(r#""source":{{"enabled_tools":{list}}}"#),
        4 => format!(r#""source":"{}""#, format!(r#""enabled_tools":{list}"#).replace('"', "\\\"")),
        5 => format!(r#""source":"\\","enabled_tools":{list}"#),
        6 => format!(r#""":[{{"enabled_tools":{list}}}]"#),
        _ => format!(r#""max_output_tokens"{space}:{list}"#),
    })
}

/// Lists of which some begin as others do, some are no lists of tools, and one is in another.
fn list() -> impl Strategy<Value = String> {
    let tool = |name: &str, schema: &str| {
        format!(
            r#"{{"name":"{name}","tool_name":{{"name":"{name}"}},"description":"\"]","kind":"function","input_schema":{schema}}}"#
        )
    };
    let (one, two) = (tool("one", "null"), tool("two", "[[]]"));
    let list = format!("[{one}]");
    let nested = tool("three", &format!(r#"{{"enabled_tools":{list}}}"#));
    select(vec![
        list.clone(),
        format!("[{one},{two}]"),
        format!("[{two},{one}]"),
        format!("[{one} ]"),
        format!("[{nested}]"),
        format!("[{nested},{one}]"),
        format!("[{}]", tool("one", &format!("{}{}", "[".repeat(122), "]".repeat(122)))),
        format!("[{}]", tool("one", &format!("{}{}", "[".repeat(123), "]".repeat(123)))),
        format!("[{}]", tool("\u{e9}\\u00e9", "1.0")),
        String::from("[]"),
        String::from("null"),
        String::from("7"),
        String::from("[{}]"),
        format!("{list}]"),
        format!("{list}[]"),
        format!("[{one}"),
        format!(r#""{}""#, list.replace('\\', "\\\\").replace('"', "\\\"")),
    ])
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => select(vec![" ", "\n\t\r ", "\u{c}", "\u{a0}"])]
}

#[test]
fn a_known_list_in_another_place_is_not_the_tools() {
    let list = r#"[{"name":"a","tool_name":{"name":"a"},"description":"","kind":"function"}]"#;
    let elsewhere = format!(
        r#"[{{"name":"b","tool_name":{{"name":"b"}},"description":"","kind":"function","input_schema":{{"enabled_tools":{list}}}}}]"#
    );
    let request = |fields: &str| {
        let frame = format!(
            r#"{{"type":"operation/request","id":1,"request":{{"method":"session/execute","sessionId":"s","request":{{"tool_call_id":"c","source":"",{fields}}}}}}}"#
        );
        frame.into_bytes()
    };
    let frames = [
        request(&format!(r#""enabled_tools":{list}"#)),
        request(&format!(r#""enabled_tool\u0073":{elsewhere}"#)),
        request(&format!(r#""enabled_tool\u0073":[],"enabled_tools":{list}"#)),
        request(&format!(r#""enabled_tools":{list},"enabled_tools":[]"#)),
        request(&format!(r#""enabled_tools":{list}]"#)),
    ];
    assert!(ClientToHost::decode(&frames[1]).is_ok());
    reads_as_one_that_knows_nothing(frames.into_iter()).unwrap();
}

#[test]
fn an_unchanged_list_is_read_once() {
    let mut decoder = RequestDecoder::new();
    let first = tools(&mut decoder, 3, "text(1)");
    assert!(tools(&mut decoder, 3, "text('another cell')").is(&first));
    let other = tools(&mut decoder, 4, "text(1)");
    assert!(!other.is(&first));
    assert!(tools(&mut decoder, 3, "text(1)").is(&first), "a few are kept");
    assert!(tools(&mut decoder, 4, "text(1)").is(&other));

    decoder.forget();
    assert!(!tools(&mut decoder, 3, "text(1)").is(&first));
    assert_eq!(first.holders(), 1);
}

#[test]
fn few_lists_are_kept() {
    let mut decoder = RequestDecoder::new();
    let lists: Vec<ToolList> = (1..20).map(|count| tools(&mut decoder, count, "")).collect();
    let kept = lists.iter().filter(|list| list.holders() > 1).count();
    assert_eq!(kept, 4);
    assert!(tools(&mut decoder, 19, "").is(&lists[18]), "the last ones");

    let many = tools(&mut decoder, 40_000, "");
    assert_eq!(many.holders(), 2, "there is room for it");
    let most = tools(&mut decoder, 70_000, "");
    assert_eq!(most.holders(), 1, "its text has more than 8 MiB");
    assert_eq!(many.holders(), 2);
    let more = tools(&mut decoder, 41_000, "");
    assert_eq!((many.holders(), more.holders()), (1, 2), "there is no room for both");
}

/// The tools that a request was read to have.
fn tools(decoder: &mut RequestDecoder, count: usize, source: &str) -> ToolList {
    let tool = r#"{"name":"a tool","tool_name":{"name":"a tool","namespace":"here"},"description":"What it does, in some words.","kind":"function"}"#;
    let tools = vec![tool; count].join(",");
    let frame = format!(
        r#"{{"type":"operation/request","id":1,"request":{{"method":"session/execute","sessionId":"s","request":{{"tool_call_id":"c","enabled_tools":[{tools}],"source":"{source}"}}}}}}"#
    );
    match decoder.decode(frame.as_bytes()) {
        Ok(ClientToHost::OperationRequest {
            request: Operation::Execute { request, .. }, ..
        }) => request.enabled_tools,
        other => panic!("{other:?}"),
    }
}
