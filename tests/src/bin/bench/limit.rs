//! What the machine and V8 allow: figures that no host can beat by much.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use codemode_runtime_js::{CellSpec, Engine, EngineOptions, Event};

use crate::{
    error::Error,
    frames,
    host::{Host, Kind, YIELD_NEVER_MS},
    memory, ourselves,
    rows::Scale,
    stats::{median, percentile},
    subject::Subject,
};

/// p50 and p99 of a trivial cell's frames through a process that only answers.
pub(crate) fn pipe(scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(&Subject::echo()?)?;
    let mut samples = Vec::new();
    for _ in 0..scale.of(500) {
        let frame = frames::execute(host.id(), "s", "text('hi')", YIELD_NEVER_MS);
        let began = Instant::now();
        host.send(&frame)?;
        host.until(Kind::Initial)?;
        samples.push(millis(began.elapsed()));
        host.until(Kind::Closed)?;
    }
    Ok(vec![percentile(&mut samples, 0.5), percentile(&mut samples, 0.99)])
}

pub(crate) fn pipe_p50(scale: Scale) -> Result<Vec<f64>, Error> {
    let mut figures = pipe(scale)?;
    figures.truncate(1);
    Ok(figures)
}

pub(crate) fn start(scale: Scale) -> Result<Vec<f64>, Error> {
    crate::rows::start(&Subject::echo()?, scale)
}

pub(crate) fn isolate(scale: Scale) -> Result<Vec<f64>, Error> {
    start_v8()?;
    let mut samples = Vec::new();
    for _ in 0..scale.of(50) {
        let began = Instant::now();
        let mut isolate = v8::Isolate::new(v8::CreateParams::default());
        run_script(&mut isolate, "1 + 1")?;
        drop(isolate);
        samples.push(millis(began.elapsed()));
    }
    Ok(vec![median(&samples)])
}

pub(crate) fn contexts_per_second(scale: Scale) -> Result<Vec<f64>, Error> {
    start_v8()?;
    let each = scale.of(500);
    let cores = thread::available_parallelism()?.get();
    let began = Instant::now();
    let threads: Vec<_> = (0..cores)
        .map(|_| {
            thread::spawn(move || {
                let mut isolate = v8::Isolate::new(v8::CreateParams::default());
                (0..each).try_for_each(|_| run_script(&mut isolate, "1 + 1"))
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| Error::new("a thread of the benchmark panicked"))??;
    }
    Ok(vec![(cores * each) as f64 / began.elapsed().as_secs_f64()])
}

pub(crate) fn json_parse(scale: Scale) -> Result<Vec<f64>, Error> {
    start_v8()?;
    let text = Payload::new().value();
    let mut isolate = v8::Isolate::new(v8::CreateParams::default());
    let mut samples = Vec::new();
    for _ in 0..scale.of(10) {
        v8::scope!(let scope, &mut isolate);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        let scope = &mut v8::ContextScope::new(scope, context);
        let began = Instant::now();
        let parsed = v8::String::new(scope, &text).and_then(|text| v8::json::parse(scope, text));
        samples.push(millis(began.elapsed()));
        parsed.ok_or_else(|| Error::new("V8 does not parse the payload"))?;
    }
    Ok(vec![median(&samples)])
}

/// KiB for each isolate that waits on a thread, in a process that has nothing else.
pub(crate) fn waiting_isolates(scale: Scale) -> Result<Vec<f64>, Error> {
    let output = std::process::Command::new(ourselves()?)
        .args(["waiting-isolates", &scale.of(1000).to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let figure = text.trim().parse().map_err(|_| Error::new("the isolates could not be made"))?;
    Ok(vec![figure])
}

/// The other side of [`waiting_isolates`].
pub(crate) fn hold_isolates(count: usize) -> Result<(), Error> {
    start_v8()?;
    let pid = std::process::id();
    run_script(&mut v8::Isolate::new(v8::CreateParams::default()), "1 + 1")?;
    let before = memory::pss_kib(pid)?;
    let (ready, waiting) = mpsc::channel();
    for _ in 0..count {
        let ready = ready.clone();
        thread::spawn(move || {
            let mut isolate = v8::Isolate::new(v8::CreateParams::default());
            v8::scope!(let scope, &mut isolate);
            let context = v8::Context::new(scope, v8::ContextOptions::default());
            let _scope = &mut v8::ContextScope::new(scope, context);
            let _ = ready.send(());
            loop {
                thread::park();
            }
        });
        waiting.recv().map_err(|_| Error::new("a thread of the benchmark panicked"))?;
    }
    crate::say(&format!("{}", (memory::pss_kib(pid)? - before) / count as f64));
    std::process::exit(0)
}

/// p50 and p99.
pub(crate) fn terminate(scale: Scale) -> Result<Vec<f64>, Error> {
    start_v8()?;
    let (send_handle, handles) = mpsc::channel();
    let (send_end, ends) = mpsc::channel();
    let times = scale.of(200);
    let thread = thread::spawn(move || {
        let mut isolate = v8::Isolate::new(v8::CreateParams::default());
        for _ in 0..times {
            let _ = send_handle.send(isolate.thread_safe_handle());
            let _ = run_script(&mut isolate, "while (true) {}");
            let _ = send_end.send(());
            isolate.cancel_terminate_execution();
        }
    });
    let mut samples = Vec::new();
    for handle in handles {
        // Long enough for the script to be in its loop.
        thread::sleep(Duration::from_millis(3));
        let began = Instant::now();
        handle.terminate_execution();
        ends.recv().map_err(|_| Error::new("a thread of the benchmark panicked"))?;
        samples.push(millis(began.elapsed()));
    }
    thread.join().map_err(|_| Error::new("a thread of the benchmark panicked"))?;
    Ok(vec![percentile(&mut samples, 0.5), percentile(&mut samples, 0.99)])
}

/// p50, p99 and maximum.
pub(crate) fn sleep_lateness(scale: Scale) -> Result<Vec<f64>, Error> {
    let over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..crate::rows::BUSY_CELLS)
        .map(|_| {
            let over = Arc::clone(&over);
            thread::spawn(move || while !over.load(Ordering::Relaxed) {})
        })
        .collect();
    let sleepers: Vec<_> = (0..crate::rows::BUSY_CELLS)
        .map(|_| {
            let times = scale.of(240).div_ceil(crate::rows::BUSY_CELLS);
            thread::spawn(move || {
                let sleep = |_| {
                    let began = Instant::now();
                    thread::sleep(crate::rows::YIELD);
                    millis(began.elapsed().saturating_sub(crate::rows::YIELD))
                };
                (0..times).map(sleep).collect::<Vec<f64>>()
            })
        })
        .collect();
    let mut samples = Vec::new();
    for sleeper in sleepers {
        samples.extend(sleeper.join().unwrap_or_default());
    }
    over.store(true, Ordering::Relaxed);
    for thread in busy {
        let _ = thread.join();
    }
    Ok([0.5, 0.99, 1.0].map(|share| percentile(&mut samples, share)).to_vec())
}

/// About 5 MB of JSON, as a tool gives it.
pub(crate) struct Payload(String);

impl Payload {
    pub(crate) fn new() -> Payload {
        let mut seed = 1_u64;
        let items = (0..42_000).map(|id| {
            // Any generator will do, as long as each run draws the same.
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let score = (seed >> 40) as f64 / f64::from(1 << 24);
            format!(
                r#"{{"id":{id},"name":"item-{id}","score":{score:.6},"tags":["a","b"],"note":"a line of plain text about the item"}}"#
            )
        });
        Payload(items.collect::<Vec<_>>().join(","))
    }

    /// The items in an object.
    pub(crate) fn value(&self) -> String {
        format!(r#"{{"items":[{}]}}"#, self.0)
    }

    /// An object with the same as a string in `output`.
    pub(crate) fn text(&self) -> String {
        serde_json::json!({ "output": self.value() }).to_string()
    }
}

/// The set-up is that of our own engine, flags included. It is done when a cell of its has run.
fn start_v8() -> Result<(), Error> {
    let engine =
        Engine::with_options(EngineOptions { warm_isolates: 0, ..EngineOptions::default() });
    let (ended, end) = mpsc::channel();
    let sink = move |event| {
        if let Event::End(_) = event {
            let _ = ended.send(());
        }
    };
    let _cell = engine
        .tenant()
        .start(CellSpec::new(""), sink)
        .map_err(|error| Error::new(error.to_string()))?;
    end.recv().map_err(|_| Error::new("a cell did not end"))
}

/// In a context of its own.
fn run_script(isolate: &mut v8::OwnedIsolate, source: &str) -> Result<(), Error> {
    v8::scope!(let scope, isolate);
    let context = v8::Context::new(scope, v8::ContextOptions::default());
    let scope = &mut v8::ContextScope::new(scope, context);
    let ran = v8::String::new(scope, source)
        .and_then(|source| v8::Script::compile(scope, source, None))
        .and_then(|script| script.run(scope));
    ran.map(drop).ok_or_else(|| Error::new("V8 does not run the script"))
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
