//! Which functions `codemode` runs when it starts and serves its first cells, for the linker to put side by side.
//!
//! The kernel maps a program's code 64 KiB at a time, when it is first run. What a start needs is one hundredth of the code, and
//! was all over it.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    error::Error,
    frames,
    host::{Host, Kind, YIELD_NEVER_MS},
    subject::{Subject, Subjects},
    valgrind::{callgrind, cannot_run},
};

/// The functions of each part of a program's life that no part before it has run, by the names that the linker knows them by.
pub(crate) struct Order {
    parts: Vec<(&'static str, BTreeSet<String>)>,
    program: Symbols,
}

/// Where functions are in a program, and how long they are, by name.
struct Symbols(HashMap<String, (u64, u64)>);

/// Runs `codemode` under valgrind.
///
/// # Errors
/// When valgrind or `nm` does not run here, or `codemode` does not under valgrind.
pub(crate) fn record(subjects: &Subjects, said: fn(&str)) -> Result<Order, Error> {
    let program = Symbols::of(&subjects.isolated.program)?;
    let folder = tempfile::tempdir()?;
    let mut known = BTreeSet::new();
    let mut parts = Vec::new();
    for (what, scene) in SCENES {
        let mut ran = scene(subjects, &program, &folder.path().join("functions"))?;
        ran.retain(|name| program.is_placed_by_linker(name) && !known.contains(name));
        known.extend(ran.iter().cloned());
        said(&format!("{what}: {} functions more", ran.len()));
        parts.push((what, ran));
    }
    Ok(Order { parts, program })
}

type Scene = fn(&Subjects, &Symbols, &Path) -> Result<BTreeSet<String>, Error>;

const SCENES: [(&str, Scene); 5] = [
    ("a host starts", |subjects, _, out| play(&subjects.isolated, out, |_| Ok(()))),
    ("a worker process starts", |_, program, _| Ok(program.of_workers())),
    ("the first cell", |subjects, _, out| play(&subjects.in_process, out, first_cell)),
    ("`codemode run`", |subjects, _, out| run(subjects, out)),
    ("what cells usually do", |subjects, _, out| play(&subjects.in_process, out, usual_cells)),
];

fn first_cell(host: &mut Host) -> Result<(), Error> {
    host.open("s")?;
    host.warm_up("s", 1)
}

fn usual_cells(host: &mut Host) -> Result<(), Error> {
    host.open("s")?;
    host.warm_up("s", 100)?;
    host.execute("s", USUAL, YIELD_NEVER_MS)?;
    loop {
        let message = host.next()?;
        match message.kind {
            Kind::ToolCall => {
                let mut answer = Vec::new();
                frames::tool_result(message.id, r#"{"items":[1,"two",null]}"#, &mut answer);
                host.send(&answer)?;
            }
            Kind::Closed => break,
            _ => {}
        }
    }
    let id = host.id();
    host.send(&frames::shutdown(id, "s"))?;
    host.until(Kind::Response).map(drop)
}

const USUAL: &str = r#"
    const one = await tools.echo({ text: "one" });
    const many = await Promise.all([1, 2, 3].map((n) => tools.echo({ n })));
    store("seen", { one, many });
    await new Promise((done) => setTimeout(done, 1));
    text(JSON.stringify(load("seen")));
    text({ names: many.map((each) => each.items.length), at: new Date(0), found: /t(w)o/.exec("two") });
    try { null.length } catch (error) { text(error.stack) }
    throw new Error("the end");
"#;

fn run(subjects: &Subjects, out: &Path) -> Result<BTreeSet<String>, Error> {
    let cell = out.with_extension("js");
    fs::write(&cell, "text('hi')")?;
    let program = &subjects.in_process.program;
    let ended =
        under_valgrind(program, out).args(["run", "--isolation", "none"]).arg(&cell).output();
    let ended = ended.map_err(cannot_run)?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        return Err(Error::new(format!("`codemode run` under valgrind: {}: {said}", ended.status)));
    }
    functions(out)
}

/// The functions that a host runs from its start until it has ended.
fn play(
    subject: &Subject,
    out: &Path,
    scene: fn(&mut Host) -> Result<(), Error>,
) -> Result<BTreeSet<String>, Error> {
    let mut host = Host::start(&subject.under(&under_valgrind(&subject.program, out)))?.0;
    scene(&mut host)?;
    // It writes what it has counted at its end.
    host.end()?;
    functions(out)
}

fn under_valgrind(program: &Path, out: &Path) -> Command {
    let mut command = callgrind(out);
    // What V8 compiles is written anew; that is not seen otherwise.
    command.args(["--demangle=no", "--smc-check=all-non-file", "--quiet"]).arg(program);
    command
}

/// The names in what valgrind wrote. A name comes with a number in brackets where it comes first, and as that alone later.
fn functions(written: &Path) -> Result<BTreeSet<String>, Error> {
    let text = fs::read_to_string(written)?;
    let named = text.lines().filter_map(|line| {
        let (_, name) =
            line.strip_prefix('c').unwrap_or(line).strip_prefix("fn=(")?.split_once(") ")?;
        // `'2` is the same function when it has called itself.
        Some(name.split('\'').next()?.to_owned())
    });
    Ok(named.collect())
}

impl Symbols {
    fn of(program: &Path) -> Result<Symbols, Error> {
        let listed =
            Command::new("nm").args(["--defined-only", "--print-size"]).arg(program).output();
        let listed = listed.map_err(|error| Error::new(format!("cannot run nm: {error}")))?;
        let symbol = |line: &str| {
            let mut fields = line.split(' ');
            let place = u64::from_str_radix(fields.next()?, 16).ok()?;
            let bytes = u64::from_str_radix(fields.next()?, 16).ok()?;
            let is_code = ["t", "T", "w", "W"].contains(&fields.next()?);
            is_code.then_some((fields.next()?.to_owned(), (place, bytes)))
        };
        Ok(Symbols(String::from_utf8_lossy(&listed.stdout).lines().filter_map(symbol).collect()))
    }

    /// V8's own built-in functions are one piece.
    fn is_placed_by_linker(&self, name: &str) -> bool {
        self.0.contains_key(name) && !name.starts_with("Builtins_")
    }

    /// What only workers run, which cannot be made under valgrind: their system calls are not let through.
    fn of_workers(&self) -> BTreeSet<String> {
        let crates = ["19codemode_runtime_js7process", "11seccompiler", "8landlock"];
        let is_one = |name: &&String| crates.iter().any(|part| name.contains(part));
        self.0.keys().filter(is_one).cloned().collect()
    }

    /// In how many of the pieces that the kernel maps at a time these functions are.
    fn pieces<'a>(&self, names: impl Iterator<Item = &'a String>) -> usize {
        let places = names.filter_map(|name| self.0.get(name));
        let pieces = places.flat_map(|&(place, bytes)| place / PIECE..=(place + bytes) / PIECE);
        pieces.collect::<BTreeSet<_>>().len()
    }
}

impl Order {
    /// How the program at hand has them.
    pub(crate) fn summary(&self, listed: &str) -> String {
        let all = || self.parts.iter().flat_map(|(_, names)| names);
        let listed = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let listed: BTreeSet<&str> = listed.collect();
        let there = listed.iter().filter(|name| self.program.0.contains_key(**name)).count();
        let bytes: u64 = all().filter_map(|name| self.program.0.get(name)).map(|at| at.1).sum();
        let mut text = format!(
            "{} functions of {} KiB, in {} pieces of 64 KiB. Of {} names in the list {there} are in this program, and {} of those functions.\n",
            all().count(),
            bytes >> 10,
            self.program.pieces(all()),
            listed.len(),
            all().filter(|name| listed.contains(name.as_str())).count(),
        );
        for (what, names) in &self.parts {
            let _ = writeln!(text, "{what}: {} pieces", self.program.pieces(names.iter()));
        }
        text
    }

    /// As the linker reads it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from(HEAD);
        for (what, names) in &self.parts {
            let _ = writeln!(text, "\n# {what}");
            for name in names {
                let _ = writeln!(text, "{name}");
            }
        }
        text
    }
}

/// The list in this checkout.
pub(crate) fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/link-order.txt")
}

const HEAD: &str = "# The functions that a start and the first cells need, side by side in the program: see `docs/performance.md`.
# Written by `cargo xtask bench --order --save`.
";

/// `fault_around_bytes` of Linux.
const PIECE: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_read_as_valgrind_writes_them() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = "fl=(1) a.c\nfn=(1) main\n1 2\ncfn=(2) _ZN1a1bE'2\ncalls=1 0\n1 3\nfn=(2)\nfn=(3) main\n";
        fs::write(file.path(), text).expect("written");
        let names = functions(file.path()).expect("read");
        assert_eq!(names.iter().collect::<Vec<_>>(), ["_ZN1a1bE", "main"]);
    }

    #[test]
    fn pieces_are_counted_once() {
        let at = |name: &str, place, bytes| (name.to_owned(), (place, bytes));
        let symbols =
            Symbols(HashMap::from([at("a", 0, 10), at("b", 20, PIECE), at("c", 9 * PIECE, 1)]));
        let names: Vec<String> = symbols.0.keys().cloned().collect();
        assert_eq!(symbols.pieces(names.iter()), 3);
    }
}
