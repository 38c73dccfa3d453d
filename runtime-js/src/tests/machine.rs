//! What a cell needs of the machine, in its own process or behind the layers of a worker's.

use super::{Outcome, Trial, spec};

fn shows(source: &str, expected: &[&str]) {
    let report = Trial::start(spec(source)).finish();
    assert_eq!(report.end.outcome, Outcome::Completed, "{source}");
    assert_eq!(report.shown, expected, "{source}");
}

#[test]
fn time_is_that_of_the_host_s_zone() {
    let zone = std::env::var("TZ").unwrap_or_else(|_| iana_time_zone::get_timezone().unwrap());
    let source = "text(Intl.DateTimeFormat().resolvedOptions().timeZone)";
    let zone = if zone == "Etc/UTC" { "UTC" } else { &zone };
    shows(source, &[zone]);
    if zone == "Asia/Tokyo" {
        shows("text(new Date(0).getHours())", &["9"]);
        shows(
            "text(String(new Date(0)))",
            &["Thu Jan 01 1970 09:00:00 GMT+0900 (Japan Standard Time)"],
        );
    }
}

#[test]
fn languages_are_there() {
    shows("text(new Intl.NumberFormat('de-DE').format(1234567.5))", &["1.234.567,5"]);
    shows("text(['ä', 'z', 'a'].sort(new Intl.Collator('de').compare).join(''))", &["aäz"]);
    shows("text([...new Intl.Segmenter('th').segment('สวัสดี')].length)", &["4"]);
    shows("text(new Intl.PluralRules('ar').select(3))", &["few"]);
    shows("text(new Intl.DisplayNames('fr', {type: 'region'}).of('DE'))", &["Allemagne"]);
}

#[test]
fn code_becomes_hot() {
    let source = "function hot(n) { let sum = 0; for (let i = 0; i < n; i++) sum = (sum * 31 + i) | 0; return sum }
        let all = 0; for (let i = 0; i < 3000; i++) all ^= hot(1000);
        text(all)";
    shows(source, &["0"]);
    shows(
        "let n = 0; for (let i = 0; i < 2000; i++) n += /(\\w+)-(\\d+)$/.exec('abc-' + i)[2].length; text(n)",
        &["6890"],
    );
}

#[test]
fn memory_comes_and_goes() {
    shows(
        "let last; for (let i = 0; i < 300; i++) last = new Array(100000).fill(i + 0.5); text(last[7])",
        &["299.5"],
    );
    shows(
        "let last; for (let i = 0; i < 300; i++) last = new Uint8Array(5e6).fill(i); text(last[7])",
        &["43"],
    );
    shows(
        "let s = 'x'.repeat(1 << 20); for (let i = 0; i < 100; i++) JSON.parse(JSON.stringify([s, i])); text(s.length)",
        &["1048576"],
    );
}

#[test]
fn a_stack_ends_with_an_error() {
    shows(
        "const f = () => f() + 1; try { f() } catch (error) { text(error.name) }",
        &["RangeError"],
    );
}

#[test]
fn thirty_cells_run_at_once() {
    let source = "await new Promise((done) => setTimeout(done, 20)); text((await tools.echo('x')))";
    let trials: Vec<_> = (0..30).map(|_| Trial::start(spec(source))).collect();
    for trial in trials {
        assert_eq!(trial.finish().shown, ["x"]);
    }
}
