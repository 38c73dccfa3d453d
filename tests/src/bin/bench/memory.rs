//! How much memory processes have.

use std::{
    fs,
    io::{self, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use nix::sys::resource::{UsageWho, getrusage};

use crate::error::Error;

/// What a process and its children have: each page counted once, shared ones by their share (PSS). In KiB.
pub(crate) fn pss_kib(pid: u32) -> Result<f64, Error> {
    let mut sum = 0.0;
    for pid in family(pid)? {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(|e| Error::new(format!("{path}: {e}")))?;
        sum += field_kib(&text, "Pss:")
            .ok_or_else(|| Error::new(format!("{path} does not say how much memory there is")))?;
    }
    Ok(sum)
}

/// Runs a command, and prints milliseconds from its start to its end and KiB of its peak memory.
pub(crate) fn once(command: &[String]) -> Result<(), Error> {
    let [program, arguments @ ..] = command else {
        return Err(Error::new("there is no command to run"));
    };
    let began = Instant::now();
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).status()?;
    let took = began.elapsed();
    if !status.success() {
        return Err(Error::new(format!("{program} ended with {status}")));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| Error::new(e.to_string()))?;
    writeln!(io::stdout(), "{} {}", took.as_secs_f64() * 1000.0, usage.max_rss())?;
    Ok(())
}

/// A process and all below it.
fn family(pid: u32) -> Result<Vec<u32>, Error> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let children = fs::read_to_string(task?.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        next += 1;
    }
    Ok(family)
}

fn field_kib(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory() {
        assert!(pss_kib(std::process::id()).is_ok_and(|kib| kib > 100.0));
    }

    #[test]
    fn fields_are_found() {
        let text = "Rss:     10 kB\nPss:            12345 kB\nPss_Dirty:  1 kB\n";
        assert_eq!(field_kib(text, "Pss:"), Some(12345.0));
        assert_eq!(field_kib(text, "Swap:"), None);
    }
}
