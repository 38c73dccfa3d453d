//! `--budget NAME=LIMIT`, and the table of budgets that help and documents show.

use std::str::FromStr;

use clap::Args;
use codemode_cells::SessionLimits;
use codemode_host_protocol::{Budget, Budgets, Scope, Unit};

use super::units;
use crate::{HostOptions, SessionCeilings};

/// What cells may use.
#[derive(Clone, Debug, Args)]
pub(super) struct BudgetArguments {
    /// Set a budget, such as heap=64MiB or session.cpu=10m; may be repeated. --help lists them
    #[arg(long = "budget", value_name = "NAME=LIMIT", help_heading = "Limits")]
    budgets: Vec<Setting>,
}

impl BudgetArguments {
    /// No settings.
    pub(super) fn none() -> BudgetArguments {
        BudgetArguments { budgets: Vec::new() }
    }

    /// Sets the limits of the sessions of a host, the ceilings of what their clients may ask for, and the limits of the
    /// host.
    pub(super) fn apply_to_host(&self, options: &mut HostOptions) {
        for &Setting { scope, budget, limit, ceiling } in &self.budgets {
            match scope {
                Scope::Host => options.limits.set(budget, limit),
                scope => options.session.limits.set(scope, budget, limit),
            }
            if let Some(ceiling) = ceiling {
                options.ceilings.set(scope, budget, ceiling);
            }
        }
    }

    /// Sets the limits of a session without clients.
    ///
    /// # Errors
    /// When one of them has a ceiling, or is of a host.
    pub(super) fn apply_to_session(&self, limits: &mut SessionLimits) -> Result<(), String> {
        for &Setting { scope, budget, limit, ceiling } in &self.budgets {
            if scope == Scope::Host {
                return Err(format!("host.{budget} is a budget of hosts, and this runs one cell"));
            }
            if ceiling.is_some() {
                return Err(format!(
                    "the ceiling of {budget} would be for clients, and there are none; give one limit"
                ));
            }
            limits.set(scope, budget, limit);
        }
        Ok(())
    }
}

/// One budget, and what it is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    scope: Scope,
    budget: Budget,
    /// In the budget's unit; `None` for no limit.
    limit: Option<u64>,
    /// Up to what clients may ask for more, if that was given.
    ceiling: Option<Option<u64>>,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (name, amounts) = text
            .split_once('=')
            .ok_or_else(|| format!("`{text}` is not NAME=LIMIT; write it like heap=64MiB"))?;
        let (scope, budget) = named(name)?;
        let (limit, ceiling) = match amounts.split_once("..") {
            Some((limit, ceiling)) => (limit, Some(amount(budget, ceiling)?)),
            None => (amounts, None),
        };
        let limit = amount(budget, limit)?;
        if let Some(Some(ceiling)) = ceiling
            && limit.is_none_or(|limit| limit > ceiling)
        {
            return Err(format!("the limit of {name} is above its ceiling"));
        }
        if ceiling.is_some() && scope == Scope::Host {
            return Err(format!("{name} has no ceiling: clients cannot ask for it"));
        }
        Ok(Setting { scope, budget, limit, ceiling })
    }
}

/// `heap` is a cell's, `session.heap` a session's, `host.connections` a host's.
fn named(name: &str) -> Result<(Scope, Budget), String> {
    let (scope, word) = match name.split_once('.') {
        Some(("cell", word)) => (Scope::Cell, word),
        Some(("session", word)) => (Scope::Session, word),
        Some(("host", word)) => (Scope::Host, word),
        Some((scope, _)) => {
            return Err(format!("`{scope}` has no budgets; cell, session and host have"));
        }
        None => (Scope::Cell, name),
    };
    let all = Budget::ALL.into_iter().filter(|budget| budget.is_of(scope));
    match Budget::named(word).filter(|budget| budget.is_of(scope)) {
        Some(budget) => Ok((scope, budget)),
        None => {
            let names: Vec<_> = all.map(Budget::name).collect();
            let whose = scope.name();
            Err(format!("a {whose} has no budget `{word}`; it has {}", names.join(", ")))
        }
    }
}

fn amount(budget: Budget, text: &str) -> Result<Option<u64>, String> {
    if text == "none" {
        return match budget {
            Budget::Heap => Err(String::from("a heap has a limit; give one")),
            _ => Ok(None),
        };
    }
    match (budget, budget.unit()) {
        (Budget::Heap, _) => units::heap_bytes(text).map(|bytes| Some(bytes as u64)),
        (_, Unit::Bytes) => units::bytes(text).map(Some),
        (_, Unit::Milliseconds) => {
            let time = units::duration(text)?;
            Ok(Some(u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)))
        }
        (_, Unit::Count) => text
            .parse()
            .map(Some)
            .map_err(|_| format!("`{text}` is no number; write it like 100, or none")),
    }
}

/// What `codemode host --help` says of budgets.
pub(super) fn host_help() -> String {
    let intro = "\
Budgets, for --budget NAME=LIMIT. A plain name is the budget of each cell, session.NAME that of all cells
of a session together, host.NAME that of all sessions. Clients may ask for less; for more only up to a
ceiling, given as NAME=LIMIT..CEILING. `none` is no limit.";
    help(intro, &[Scope::Cell, Scope::Session, Scope::Host])
}

/// What `codemode run --help` says of budgets.
pub(super) fn run_help() -> String {
    help("Budgets, for --budget NAME=LIMIT; `none` is no limit:", &[Scope::Cell])
}

/// Empty where nobody asks: clap wants it for every command at every start, and the tables take a twentieth of that.
fn help(intro: &str, scopes: &[Scope]) -> String {
    if !std::env::args_os().any(|argument| argument == "--help" || argument == "help") {
        return String::new();
    }
    let options = HostOptions::default();
    let mut text = format!("{intro}\n");
    for &scope in scopes {
        text.push('\n');
        for budget in Budget::ALL.into_iter().filter(|budget| budget.is_of(scope)) {
            let name = match scope {
                Scope::Cell => budget.name().to_owned(),
                scope => format!("{}.{budget}", scope.name()),
            };
            let default = shown(budget, default(&options, scope, budget));
            text.push_str(&format!("  {name:<24} {default:>10}  {}\n", budget.bounds(scope)));
        }
    }
    text
}

fn default(options: &HostOptions, scope: Scope, budget: Budget) -> Option<u64> {
    match scope {
        Scope::Host => options.limits.of(budget),
        scope => options.session.limits.of(scope, budget),
    }
}

/// An amount as it can be given, too.
fn shown(budget: Budget, amount: Option<u64>) -> String {
    let Some(amount) = amount else { return String::from("none") };
    match budget.unit() {
        Unit::Count => amount.to_string(),
        Unit::Milliseconds => {
            humantime::format_duration(std::time::Duration::from_millis(amount)).to_string()
        }
        Unit::Bytes => {
            let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
            let fits = units.into_iter().find(|(shift, _)| {
                let unit = 1_u64 << shift;
                amount >= unit && amount.is_multiple_of(unit)
            });
            fits.map_or(amount.to_string(), |(shift, unit)| format!("{}{unit}", amount >> shift))
        }
    }
}

impl SessionCeilings {
    fn set(&mut self, scope: Scope, budget: Budget, ceiling: Option<u64>) {
        let ceilings: &mut Budgets = match scope {
            Scope::Cell => &mut self.cell,
            _ => &mut self.session,
        };
        ceilings.set(budget, Some(ceiling.unwrap_or(u64::MAX)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{env, fs, path::Path};

    use super::*;

    #[test]
    fn settings_are_read_as_people_write_them() {
        for (text, expected) in [
            ("heap=64MiB", "Cell heap Some(67108864) None"),
            ("cell.heap=64MiB..1GiB", "Cell heap Some(67108864) Some(Some(1073741824))"),
            ("session.cpu=10m", "Session cpu Some(600000) None"),
            ("wall=1.5..none", "Cell wall Some(1500) Some(None)"),
            ("session.toolCalls=none", "Session toolCalls None None"),
            ("host.connections=5", "Host connections Some(5) None"),
            ("outputBytes=0", "Cell outputBytes Some(0) None"),
            ("heap", "`heap` is not NAME=LIMIT; write it like heap=64MiB"),
            ("heap=none", "a heap has a limit; give one"),
            ("heap=1KiB", "must be from 8MiB to 64GiB"),
            ("toolCalls=-1", "`-1` is no number; write it like 100, or none"),
            ("timers=5..4", "the limit of timers is above its ceiling"),
            ("timers=none..4", "the limit of timers is above its ceiling"),
            ("host.connections=5..6", "host.connections has no ceiling: clients cannot ask for it"),
            ("process.heap=1", "`process` has no budgets; cell, session and host have"),
            (
                "host.gold=1",
                "a host has no budget `gold`; it has liveCells, unreadBytes, connections",
            ),
        ] {
            let read = match text.parse::<Setting>() {
                Ok(Setting { scope, budget, limit, ceiling }) => {
                    format!("{scope:?} {budget} {limit:?} {ceiling:?}")
                }
                Err(error) => error,
            };
            assert_eq!(read, expected, "{text}");
        }
    }

    /// What is shown as a default can be given as one.
    #[test]
    fn every_default_can_be_written() {
        let options = HostOptions::default();
        for scope in [Scope::Cell, Scope::Session, Scope::Host] {
            for budget in Budget::ALL.into_iter().filter(|budget| budget.is_of(scope)) {
                let amount = default(&options, scope, budget);
                let text = format!("{}.{budget}={}", scope.name(), shown(budget, amount));
                assert_eq!(text.parse::<Setting>().unwrap().limit, amount, "{text}");
            }
        }
    }

    /// The table in `docs/budgets.md` is this one; `UPDATE_EXPECT=1` writes it.
    #[test]
    fn the_documents_show_the_budgets_that_there_are() {
        const BEGIN: &str = "<!-- budgets: made by a test -->\n";
        const END: &str = "<!-- end of budgets -->";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/budgets.md");
        let page = fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let fresh = format!("{before}{BEGIN}{}{END}{after}", table());
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&path, &fresh).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), fresh);
    }

    fn table() -> String {
        let options = HostOptions::default();
        let mut text = String::new();
        for scope in [Scope::Cell, Scope::Session, Scope::Host] {
            let whose = scope.name();
            text.push_str(&format!(
                "\n| of a {whose} | default | bounds | code |\n| --- | --- | --- | --- |\n"
            ));
            for budget in Budget::ALL.into_iter().filter(|budget| budget.is_of(scope)) {
                let code =
                    codemode_host_protocol::LimitExceeded { scope, budget, limit: 0, used: 0 }
                        .code();
                text.push_str(&format!(
                    "| `{budget}` | {} | {} | `{code}` |\n",
                    shown(budget, default(&options, scope, budget)),
                    budget.bounds(scope),
                ));
            }
        }
        text.push('\n');
        text
    }
}
