//! One thing after another, and how long each takes.

use std::time::{Duration, Instant};

use crate::{
    error::Error,
    frames,
    host::{Host, Kind, Line, YIELD_NEVER_MS},
    rows::Scale,
    stats::percentile,
    subject::Subject,
};

/// p50 and p99.
pub(super) fn trivial(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let mut samples = one_by_one(Line::Pipes, subject, scale.of(500), Duration::ZERO)?;
    Ok(vec![percentile(&mut samples, 0.5), percentile(&mut samples, 0.99)])
}

/// p50.
pub(super) fn over_sockets(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let mut samples = one_by_one(Line::Sockets, subject, scale.of(500), Duration::ZERO)?;
    Ok(vec![percentile(&mut samples, 0.5)])
}

/// p50.
pub(super) fn paced(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let mut samples = one_by_one(Line::Pipes, subject, scale.of(100), Duration::from_millis(5))?;
    Ok(vec![percentile(&mut samples, 0.5)])
}

/// p50 and p99.
pub(super) fn attacked(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s")?;
    host.warm_up("s", 20)?;
    for (number, attack) in ATTACKS.iter().enumerate() {
        let session = format!("attack {number}");
        host.open(&session)?;
        host.execute(&session, &format!("yield_control(); {attack}"), YIELD_NEVER_MS)?;
        host.until(Kind::Initial)?;
    }
    let mut samples = one_after_the_other(&mut host, scale.of(100), Duration::ZERO)?;
    Ok(vec![percentile(&mut samples, 0.5), percentile(&mut samples, 0.99)])
}

fn one_by_one(
    line: Line,
    subject: &Subject,
    cells: usize,
    pause: Duration,
) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start_over(line, subject)?;
    host.open("s")?;
    host.warm_up("s", 20)?;
    one_after_the_other(&mut host, cells, pause)
}

fn one_after_the_other(host: &mut Host, cells: usize, pause: Duration) -> Result<Vec<f64>, Error> {
    let mut samples = Vec::new();
    for _ in 0..cells {
        let frame = frames::execute(host.id(), "s", "text('hi')", YIELD_NEVER_MS);
        std::thread::sleep(pause);
        samples.push(host.time_cell(&frame)?);
    }
    Ok(samples)
}

/// p50.
pub(super) fn first_of_session(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("warm")?;
    host.warm_up("warm", 5)?;
    let mut samples = Vec::new();
    for n in 0..scale.of(100) {
        let session = format!("s{n}");
        let mut request = frames::open(host.id(), &session);
        request.extend(frames::execute(host.id(), &session, "text('hi')", YIELD_NEVER_MS));
        samples.push(host.time_cell(&request)?);
        let shutdown = frames::shutdown(host.id(), &session);
        host.send(&shutdown)?;
        host.until(Kind::Response)?;
    }
    Ok(vec![percentile(&mut samples, 0.5)])
}

/// p50.
pub(super) fn nested(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s")?;
    host.warm_up("s", 5)?;
    let calls = scale.of(1000);
    host.execute("s", &frames::nested_source(calls), YIELD_NEVER_MS)?;
    let mut samples = Vec::new();
    let mut answered: Option<Instant> = None;
    let mut answer = Vec::new();
    loop {
        let message = host.next()?;
        match message.kind {
            Kind::ToolCall => {
                samples.extend(answered.map(millis_since));
                answer.clear();
                frames::tool_result(message.id, r#"{"i":1,"text":"hello"}"#, &mut answer);
                answered = Some(Instant::now());
                host.send(&answer)?;
            }
            Kind::Initial => break,
            _ => {}
        }
    }
    Ok(vec![percentile(&mut samples, 0.5)])
}

/// The median of whole cells.
pub(super) fn promise_all(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s")?;
    host.warm_up("s", 5)?;
    let source = "await Promise.all(Array.from({ length: 100 }, (_, i) => tools.echo({ i, text: 'hello' })));";
    let mut samples = Vec::new();
    for _ in 0..scale.of(50) {
        let frame = frames::execute(host.id(), "s", source, YIELD_NEVER_MS);
        let began = Instant::now();
        host.send(&frame)?;
        answer_all(&mut host, r#"{"i":1,"text":"hello"}"#)?;
        samples.push(millis_since(began));
        host.until(Kind::Closed)?;
    }
    Ok(vec![percentile(&mut samples, 0.5)])
}

/// Answers the tool calls of the one cell that runs, until its result is there. Calls that were read together are
/// answered together.
pub(super) fn answer_all(host: &mut Host, result: &str) -> Result<(), Error> {
    let mut answers = Vec::new();
    loop {
        let mut next = Some(host.next()?);
        while let Some(message) = next {
            match message.kind {
                Kind::ToolCall => frames::tool_result(message.id, result, &mut answers),
                Kind::Initial => return Ok(()),
                _ => {}
            }
            next = host.buffered()?;
        }
        host.send(&answers)?;
        answers.clear();
    }
}

pub(crate) fn millis_since(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1000.0
}

/// None of them comes to an end: a loop, garbage, microtasks, and built-ins that V8 does not interrupt.
const ATTACKS: [&str; 4] = [
    "for (;;);",
    "for (;;) new Array(1e4).fill({});",
    "const again = () => Promise.resolve().then(again); await again();",
    "const a = new Array(1e5).fill({ b: 1 }); for (;;) JSON.stringify(a);",
];
