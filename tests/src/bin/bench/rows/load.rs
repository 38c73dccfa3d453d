//! Hosts that have a lot to do, or to hold.

use std::{
    collections::HashMap,
    thread,
    time::{Duration, Instant},
};

use super::latency::{answer_all, millis_since};
use crate::{
    error::Error,
    frames,
    host::{Host, Kind, YIELD_NEVER_MS},
    limit::Payload,
    memory,
    rows::Scale,
    stats::percentile,
    subject::Subject,
};

pub(super) fn one_session(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    rate(subject, 1, scale)
}

pub(super) fn sixteen_sessions(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    rate(subject, 16, scale)
}

fn rate(subject: &Subject, sessions: usize, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    let sessions: Vec<String> = (0..sessions).map(|n| format!("s{n}")).collect();
    for session in &sessions {
        host.open(session)?;
        host.warm_up(session, 2)?;
    }
    let cells = scale.of(800);
    let mut run_in: HashMap<i64, &str> = HashMap::new();
    let mut asked = 0;
    let mut ask = |host: &mut Host, session| {
        if asked == cells {
            return Ok(None);
        }
        asked += 1;
        let id = host.id();
        host.send(&frames::execute(id, session, "text('hi')", YIELD_NEVER_MS))?;
        Ok::<_, Error>(Some((id, session)))
    };
    let began = Instant::now();
    for session in sessions.iter().cycle().take(UNDER_WAY) {
        run_in.extend(ask(&mut host, session)?);
    }
    for _ in 0..cells {
        let done = host.until(Kind::Initial)?;
        if let Some(session) = run_in.remove(&done.id) {
            run_in.extend(ask(&mut host, session)?);
        }
    }
    Ok(vec![cells as f64 / began.elapsed().as_secs_f64()])
}

pub(super) fn large_value(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let payload = Payload::new();
    large(subject, scale, &payload.value(), "const { items } = await tools.echo();")
}

pub(super) fn large_text(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let payload = Payload::new();
    let parse = "const { items } = JSON.parse((await tools.echo()).output);";
    large(subject, scale, &payload.text(), parse)
}

fn large(subject: &Subject, scale: Scale, result: &str, taking: &str) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s")?;
    host.warm_up("s", 2)?;
    let source = format!(
        "{taking} text(items.filter((item) => item.score > 0.99 && item.name.endsWith('7')).length);"
    );
    let mut samples = Vec::new();
    for _ in 0..scale.of(10) {
        let frame = frames::execute(host.id(), "s", &source, YIELD_NEVER_MS);
        let began = Instant::now();
        host.send(&frame)?;
        answer_all(&mut host, result)?;
        samples.push(millis_since(began));
        host.until(Kind::Closed)?;
    }
    Ok(vec![percentile(&mut samples, 0.5)])
}

/// Cells are started in batches that the reference survives.
pub(super) fn waiting_cells(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    let sessions: Vec<String> = (0..10).map(|n| format!("s{n}")).collect();
    for session in &sessions {
        host.open(session)?;
    }
    host.warm_up("s0", 5)?;
    let before = memory::pss_kib(host.pid())?;
    let cells = scale.of(1000);
    for batch in 0..cells.div_ceil(BATCH) {
        for session in sessions.iter().cycle().skip(batch).take(BATCH) {
            let id = host.id();
            let source = "const result = await tools.wait({}); text(result);";
            host.send(&frames::execute(id, session, source, YIELD_NEVER_MS))?;
        }
        for _ in 0..BATCH {
            host.until(Kind::ToolCall)?;
        }
    }
    let started = cells.div_ceil(BATCH) * BATCH;
    Ok(vec![(memory::pss_kib(host.pid())? - before) / started as f64])
}

/// What is left is looked at once the host had time to give back what it may.
pub(super) fn quiet_sessions(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("before")?;
    host.warm_up("before", 5)?;
    thread::sleep(QUIET);
    let before = memory::pss_kib(host.pid())?;
    let sessions = scale.of(10);
    for number in 0..sessions {
        let session = format!("s{number}");
        host.open(&session)?;
        host.warm_up(&session, 60)?;
    }
    thread::sleep(QUIET);
    Ok(vec![(memory::pss_kib(host.pid())? - before) / sessions as f64])
}

/// p50 and p99.
pub(super) fn terminate(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s")?;
    host.warm_up("s", 5)?;
    let mut samples = Vec::new();
    for _ in 0..scale.of(200) {
        let cell = host.execute("s", "yield_control(); while (true) {}", YIELD_NEVER_MS)?;
        host.until(Kind::Initial)?;
        let frame = frames::terminate(host.id(), "s", &cell);
        let began = Instant::now();
        host.send(&frame)?;
        host.until(Kind::Response)?;
        samples.push(millis_since(began));
        host.until(Kind::Closed)?;
    }
    Ok(vec![percentile(&mut samples, 0.5), percentile(&mut samples, 0.99)])
}

/// p50, p99 and maximum.
pub(super) fn yield_lateness(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let (mut host, _) = Host::start(subject)?;
    host.open("s")?;
    host.warm_up("s", 5)?;
    let mut cells = Vec::new();
    for _ in 0..BUSY_CELLS {
        cells.push(host.execute("s", "yield_control(); while (true) {}", YIELD_NEVER_MS)?);
        host.until(Kind::Initial)?;
    }
    let mut under_way: HashMap<i64, (Instant, &str)> = HashMap::new();
    let wait = |host: &mut Host, cell| {
        let id = host.id();
        let began = Instant::now();
        host.send(&frames::wait(id, "s", cell, YIELD.as_millis() as u64))?;
        Ok::<_, Error>((id, (began, cell)))
    };
    for cell in &cells {
        under_way.extend([wait(&mut host, cell)?]);
    }
    let mut samples = Vec::new();
    while samples.len() < scale.of(240) {
        let yielded = host.until(Kind::Response)?;
        if let Some((began, cell)) = under_way.remove(&yielded.id) {
            samples.push(millis_since(began) - YIELD.as_secs_f64() * 1000.0);
            under_way.extend([wait(&mut host, cell)?]);
        }
    }
    let figures = [0.5, 0.99, 1.0];
    Ok(figures.map(|share| percentile(&mut samples, share)).to_vec())
}

const UNDER_WAY: usize = 16;

/// The reference has died of 200 calls at once.
const BATCH: usize = 20;

pub(crate) const BUSY_CELLS: usize = 8;

pub(crate) const YIELD: Duration = Duration::from_millis(50);

/// Longer than a host takes to see that nothing more comes.
const QUIET: Duration = Duration::from_secs(2);
