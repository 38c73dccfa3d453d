//! The official conformance suite, held against `tests/mcp/conformance.txt`.

use std::collections::BTreeMap;

use super::support::{HttpServer, modules, printed, program_of, script};
use crate::mcp::support::peers;

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_passes_where_it_applies() {
    let Some(peers) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = HttpServer::start(&["--workspace", folder.path().to_str().unwrap()]).await;
    let main = modules(&peers).join("@modelcontextprotocol/conformance/dist/index.js");
    let mut suite = program_of(&peers);
    suite.arg(main).args(["server", "--suite", "all", "--url", &server.url]);
    let printed = printed(suite.current_dir(folder.path())).await;
    let (_, summary) = printed.split_once("=== SUMMARY ===").unwrap_or_else(|| panic!("{printed}"));
    let found: BTreeMap<&str, bool> = summary
        .lines()
        .filter_map(|line| {
            let (mark, rest) = line.split_once(' ')?;
            let passed = [("✓", true), ("✗", false)].into_iter().find(|(m, _)| *m == mark)?.1;
            Some((rest.split_once(':')?.0, passed))
        })
        .collect();
    let list = std::fs::read_to_string(script("conformance.txt")).unwrap();
    let listed: BTreeMap<&str, bool> = list
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (name, verdict) = line.split_once(' ').unwrap();
            let verdict = verdict.trim();
            let reason = verdict.strip_prefix("does not apply: ");
            assert!(verdict == "passes" || reason.is_some_and(|r| !r.is_empty()), "{line}");
            (name, verdict == "passes")
        })
        .collect();
    assert_eq!(found, listed, "{summary}");
}
