//! Whole processes.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    error::Error,
    host::{Host, Kind, YIELD_NEVER_MS},
    ourselves,
    rows::Scale,
    stats::median,
    subject::Subject,
};

/// The median.
pub(crate) fn start(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let mut samples = Vec::new();
    for _ in 0..scale.of(30) {
        let (_host, took) = Host::start(subject)?;
        samples.push(took.as_secs_f64() * 1000.0);
    }
    Ok(vec![median(&samples)])
}

/// The median.
pub(super) fn first_cell(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let mut samples = Vec::new();
    for _ in 0..scale.of(30) {
        let began = Instant::now();
        let (mut host, _) = Host::start(subject)?;
        host.open("s")?;
        host.execute("s", "text('hi')", YIELD_NEVER_MS)?;
        host.until(Kind::Initial)?;
        samples.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(vec![median(&samples)])
}

/// The medians of time and of peak memory.
pub(super) fn run(subject: &Subject, scale: Scale) -> Result<Vec<f64>, Error> {
    let mut cell = tempfile::Builder::new().suffix(".js").tempfile()?;
    cell.write_all(b"\n")?;
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for _ in 0..scale.of(20) {
        let output = Command::new(ourselves()?)
            .args(["once", "--"])
            .arg(&subject.program)
            .arg("run")
            .arg(cell.path())
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut figures = text.split_whitespace().filter_map(|figure| figure.parse().ok());
        let (Some(time), Some(peak)) = (figures.next(), figures.next()) else {
            return Err(Error::new("`codemode run` failed"));
        };
        times.push(time);
        peaks.push(peak);
    }
    Ok(vec![median(&times), median(&peaks)])
}
