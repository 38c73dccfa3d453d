//! What is measured.

mod latency;
mod load;
mod process;

use crate::{error::Error, limit, subject::Subject};

pub(crate) use latency::millis_since;
pub(crate) use load::{BUSY_CELLS, YIELD};
pub(crate) use process::start;

/// One scenario, run in a host of its own. It gives one or more figures.
pub(crate) struct Row {
    /// For `--rows`.
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) figures: &'static [Figure],
    pub(crate) measure: Measure,
    /// What the machine or V8 allows: as many figures.
    pub(crate) limit: Option<Limit>,
    pub(crate) limit_is: &'static str,
}

/// How a row's figures come about.
#[derive(Clone, Copy)]
pub(crate) enum Measure {
    /// Of any host.
    Host(Scenario),
    /// Of `codemode` alone: the reference has no such thing.
    Ours(Scenario),
}

pub(crate) type Scenario = fn(&Subject, Scale) -> Result<Vec<f64>, Error>;

pub(crate) type Limit = fn(Scale) -> Result<Vec<f64>, Error>;

pub(crate) struct Figure {
    pub(crate) title: &'static str,
    pub(crate) unit: Unit,
    pub(crate) target: Target,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Millis,
    PerSecond,
    Kib,
}

/// What we want to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Ours divided by the reference's, at most.
    RatioAtMost(f64),
    /// Ours divided by the reference's, at least.
    RatioAtLeast(f64),
    /// At most, in the figure's unit, whatever the reference does.
    AtMost(f64),
    /// Below the reference, or nothing to compare with.
    Open,
}

impl Target {
    /// What is asked of cells in worker processes: the same, but for twice the cost, and never worse than the reference.
    pub(crate) fn isolated(self) -> Target {
        match self {
            Target::RatioAtMost(most) => Target::RatioAtMost((2.0 * most).min(1.0)),
            Target::RatioAtLeast(least) => Target::RatioAtLeast((least / 2.0).max(1.0)),
            Target::AtMost(most) => Target::AtMost(2.0 * most),
            Target::Open => Target::Open,
        }
    }
}

/// How much work a row does.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) divisor: usize,
}

impl Scale {
    pub(crate) fn of(self, full: usize) -> usize {
        (full / self.divisor).max(1)
    }
}

/// All rows, as they stand in the table.
pub(crate) const ALL: &[Row] = &[
    Row {
        name: "trivial",
        what: "one cell after another, `text('hi')`: from the request to its result",
        figures: &[
            Figure {
                title: "trivial cell, p50",
                unit: Unit::Millis,
                target: Target::RatioAtMost(0.125),
            },
            Figure {
                title: "trivial cell, p99",
                unit: Unit::Millis,
                target: Target::RatioAtMost(0.25),
            },
        ],
        measure: Measure::Host(latency::trivial),
        limit: Some(limit::pipe),
        limit_is: "the same frames through a process that only answers",
    },
    Row {
        name: "sockets",
        what: "the same, over sockets instead of pipes: what Node.js gives its child processes",
        figures: &[Figure {
            title: "trivial cell over sockets, p50",
            unit: Unit::Millis,
            target: Target::Open,
        }],
        measure: Measure::Host(latency::over_sockets),
        limit: None,
        limit_is: "",
    },
    Row {
        name: "paced",
        what: "a trivial cell 5 ms after the last one was closed",
        figures: &[Figure {
            title: "trivial cell after a pause of 5 ms, p50",
            unit: Unit::Millis,
            target: Target::Open,
        }],
        measure: Measure::Host(latency::paced),
        limit: None,
        limit_is: "",
    },
    Row {
        name: "attacked",
        what: "a trivial cell, while four other sessions have a cell each that never ends: a loop, garbage, microtasks, long built-ins",
        figures: &[
            Figure {
                title: "trivial cell beside four attacks, p50",
                unit: Unit::Millis,
                target: Target::Open,
            },
            Figure {
                title: "trivial cell beside four attacks, p99",
                unit: Unit::Millis,
                target: Target::Open,
            },
        ],
        measure: Measure::Host(latency::attacked),
        limit: None,
        limit_is: "",
    },
    Row {
        name: "session",
        what: "a new session and a trivial cell in it, asked for in one write",
        figures: &[Figure {
            title: "first cell of a new session, p50",
            unit: Unit::Millis,
            target: Target::Open,
        }],
        measure: Measure::Host(latency::first_of_session),
        limit: Some(limit::isolate),
        limit_is: "V8: isolate, context, script, and their end",
    },
    Row {
        name: "nested",
        what: "`await tools.echo(…)` in a loop: from the answer to the next call",
        figures: &[Figure {
            title: "nested tool call, p50",
            unit: Unit::Millis,
            target: Target::RatioAtMost(0.5),
        }],
        measure: Measure::Host(latency::nested),
        limit: Some(limit::pipe_p50),
        limit_is: "a pipe round trip",
    },
    Row {
        name: "all",
        what: "a cell that awaits 100 tool calls in one `Promise.all`",
        figures: &[Figure {
            title: "100 nested calls in one `Promise.all`",
            unit: Unit::Millis,
            target: Target::RatioAtMost(0.5),
        }],
        measure: Measure::Host(latency::promise_all),
        limit: None,
        limit_is: "",
    },
    Row {
        name: "rate1",
        what: "cells per second with 16 always under way, all in one session",
        figures: &[Figure {
            title: "cells per second, 1 session",
            unit: Unit::PerSecond,
            target: Target::RatioAtLeast(4.0),
        }],
        measure: Measure::Host(load::one_session),
        limit: Some(limit::contexts_per_second),
        limit_is: "V8: context and script, a thread on each core",
    },
    Row {
        name: "rate16",
        what: "cells per second with 16 always under way, each in a session of its own",
        figures: &[Figure {
            title: "cells per second, 16 sessions",
            unit: Unit::PerSecond,
            target: Target::RatioAtLeast(4.0),
        }],
        measure: Measure::Host(load::sixteen_sessions),
        limit: Some(limit::contexts_per_second),
        limit_is: "V8: context and script, a thread on each core",
    },
    Row {
        name: "value",
        what: "a tool gives a 5 MB JSON value, the cell filters its items",
        figures: &[Figure {
            title: "5 MB tool result, filtered",
            unit: Unit::Millis,
            target: Target::RatioAtMost(1.0),
        }],
        measure: Measure::Host(load::large_value),
        limit: Some(limit::json_parse),
        limit_is: "V8: `JSON.parse` of the same bytes",
    },
    Row {
        name: "text",
        what: "a tool gives 5 MB of JSON as a string, the cell parses it and filters its items",
        figures: &[Figure {
            title: "5 MB tool result, parsed and filtered",
            unit: Unit::Millis,
            target: Target::RatioAtMost(1.0),
        }],
        measure: Measure::Host(load::large_text),
        limit: Some(limit::json_parse),
        limit_is: "V8: `JSON.parse` of the same bytes",
    },
    Row {
        name: "memory",
        what: "1,000 cells in 10 sessions wait for a tool: what the host grew by (PSS), for each",
        figures: &[Figure {
            title: "memory of a waiting cell",
            unit: Unit::Kib,
            target: Target::RatioAtMost(0.5),
        }],
        measure: Measure::Host(load::waiting_cells),
        limit: Some(limit::waiting_isolates),
        limit_is: "V8: isolate and context on a thread that waits",
    },
    Row {
        name: "quiet",
        what: "sessions that have each run 60 cells, two seconds after the last: what the host grew by (PSS), for each",
        figures: &[Figure {
            title: "memory of a quiet session",
            unit: Unit::Kib,
            target: Target::Open,
        }],
        measure: Measure::Host(load::quiet_sessions),
        limit: None,
        limit_is: "",
    },
    Row {
        name: "start",
        what: "from starting the host to its `connection/ready`",
        figures: &[Figure {
            title: "host start to `connection/ready`",
            unit: Unit::Millis,
            target: Target::RatioAtMost(1.0),
        }],
        measure: Measure::Host(start),
        limit: Some(limit::start),
        limit_is: "a process that only answers",
    },
    Row {
        name: "first",
        what: "from starting the host to the result of its first cell",
        figures: &[Figure {
            title: "host start to the first cell's result",
            unit: Unit::Millis,
            target: Target::Open,
        }],
        measure: Measure::Host(process::first_cell),
        limit: None,
        limit_is: "",
    },
    Row {
        name: "terminate",
        what: "`while (true) {}`: from the terminate request to its outcome",
        figures: &[
            Figure {
                title: "`while(true){}` to terminated, p50",
                unit: Unit::Millis,
                target: Target::Open,
            },
            Figure {
                title: "`while(true){}` to terminated, p99",
                unit: Unit::Millis,
                target: Target::AtMost(10.0),
            },
        ],
        measure: Measure::Host(load::terminate),
        limit: Some(limit::terminate),
        limit_is: "V8: from `TerminateExecution` to the end of the script",
    },
    Row {
        name: "yield",
        what: "8 cells in `while (true) {}`, each waited for with a yield time of 50 ms: how much later it yields",
        figures: &[
            Figure {
                title: "lateness of a 50 ms yield, 8 busy cells, p50",
                unit: Unit::Millis,
                target: Target::Open,
            },
            Figure {
                title: "lateness of a 50 ms yield, 8 busy cells, p99",
                unit: Unit::Millis,
                target: Target::AtMost(20.0),
            },
            Figure {
                title: "lateness of a 50 ms yield, 8 busy cells, max",
                unit: Unit::Millis,
                target: Target::Open,
            },
        ],
        measure: Measure::Host(load::yield_lateness),
        limit: Some(limit::sleep_lateness),
        limit_is: "sleeping threads beside 8 busy ones",
    },
    Row {
        name: "run",
        what: "`codemode run` of an empty cell: from its start to its exit, and its peak memory (RSS)",
        figures: &[
            Figure {
                title: "`codemode run`, empty cell",
                unit: Unit::Millis,
                target: Target::Open,
            },
            Figure {
                title: "`codemode run`, empty cell, peak memory",
                unit: Unit::Kib,
                target: Target::Open,
            },
        ],
        measure: Measure::Ours(process::run),
        limit: None,
        limit_is: "",
    },
];
