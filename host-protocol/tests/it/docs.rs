//! What `docs/protocol.md` shows and lists.

use std::{fs, path::Path};

use codemode_host_protocol::{ClientToHost, Envelope, HEADER_LEN, HostToClient, encode_frame};

#[test]
fn every_message_of_the_page_is_one() {
    let page = read("docs/protocol.md");
    let mut count = 0;
    for line in page.lines() {
        if let Some(message) = line.strip_prefix("C {") {
            check::<ClientToHost>(&format!("{{{message}"));
            count += 1;
        }
        if let Some(message) = line.strip_prefix("H {") {
            check::<HostToClient>(&format!("{{{message}"));
            count += 1;
        }
    }
    assert!(count > 40, "only {count} messages found");
}

#[test]
fn the_page_lists_every_rule_that_a_vector_breaks() {
    let page = read("docs/protocol.md");
    for file in ["client-to-host", "host-to-client"] {
        let vectors = read(&format!("tests/vectors/{file}.invalid.json"));
        let rules = vectors.split("\"rule\": \"").skip(1).map(|rest| rest.split('"').next());
        for rule in rules.flatten() {
            assert!(page.contains(&format!("`{rule}`")), "{rule}");
        }
    }
}

fn check<E: Envelope>(text: &str) {
    let message = E::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    let mut frame = Vec::new();
    encode_frame(&message, &mut frame).unwrap();
    assert_eq!(str::from_utf8(&frame[HEADER_LEN..]).unwrap(), text);
}

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
