use std::process::Command;

use codemode_tests::codemode;
use serde_json::Value;

/// The program itself, from its command line to its hidden one.
#[test]
fn the_doctor_finds_every_way_out_closed() {
    let output = Command::new(codemode()).args(["doctor", "--json"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(found["holds"], true);
    assert_eq!(found["crossed"].as_array().map(Vec::len), Some(0), "{text}");
    // It did try, and not only those of one kind.
    assert!(found["tried"].as_u64().unwrap() > 40, "{text}");
    let layers = found["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 12, "{text}");
    for layer in layers.iter().filter(|layer| layer["status"] == "active") {
        assert!(layer["tried"].as_u64().unwrap() > 0, "{layer}");
    }
}
