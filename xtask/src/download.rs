use std::{
    fmt, fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    apt::{self, Need},
    error::Error,
    say,
};

/// Fetches `url` with the machine's own `curl`, which knows its proxies and certificates.
///
/// Gives up on a page that does not connect within seconds or that stops sending, so that the next way can be tried.
pub(crate) fn download(url: &str, destination: &Path) -> Result<(), DownloadError> {
    apt::provide(&[Need::program("curl", "curl")]).map_err(DownloadError::NoCurl)?;
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--location", "--proto-redir", "=https", "--retry", "1"])
        .args(["--connect-timeout", CONNECT_S, "--speed-limit", SLOW_BYTES, "--speed-time", SLOW_S])
        .arg("--output")
        .arg(destination)
        .arg(url)
        .stdin(Stdio::null());
    if say::is_terminal() {
        curl.arg("--progress-bar");
    } else {
        curl.args(["--silent", "--show-error"]);
    }
    let ended = curl.status();
    if ended.as_ref().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let _ = fs::remove_file(destination);
    Err(DownloadError::Unreachable(match ended {
        Ok(status) => format!("curl: {status}"),
        Err(error) => error.to_string(),
    }))
}

#[derive(Debug)]
pub(crate) enum DownloadError {
    /// Nothing is known about the page: the next way may be needless work.
    NoCurl(Error),
    Unreachable(String),
}

impl DownloadError {
    /// Whether the person should act, rather than another way be tried.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self, Self::NoCurl(_))
    }
}

impl From<DownloadError> for Error {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::NoCurl(error) => error,
            DownloadError::Unreachable(_) => Self::new(error.to_string()),
        }
    }
}

impl fmt::Display for DownloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCurl(error) => error.fmt(f),
            Self::Unreachable(why) => write!(f, "the archive could not be downloaded ({why})"),
        }
    }
}

const CONNECT_S: &str = "15";

/// A transfer that is slower than this for `SLOW_S` seconds is given up: at that rate it would take an hour.
const SLOW_BYTES: &str = "10000";
const SLOW_S: &str = "30";
