//! Where a host listens.

use std::{net::SocketAddr, str::FromStr};

/// Where a host listens: `stdio`, or `ws://ADDRESS:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// One client, at standard input and output.
    Stdio,
    /// Any number of clients, over WebSocket. Port 0 takes a free one.
    WebSocket(SocketAddr),
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Listen, ListenError> {
        if text == "stdio" {
            return Ok(Listen::Stdio);
        }
        if text.starts_with("wss://") {
            return Err(ListenError::Tls);
        }
        let address =
            text.strip_prefix("ws://").ok_or_else(|| ListenError::Unknown(text.into()))?;
        let address = address.strip_suffix('/').unwrap_or(address);
        let address = match address.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => address.to_owned(),
        };
        address.parse().map(Listen::WebSocket).map_err(|_| ListenError::Address(address))
    }
}

/// Why a text says nowhere to listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Neither form.
    #[error(
        "`{0}` is no place to listen; use stdio, or ws://ADDRESS:PORT such as ws://127.0.0.1:7070"
    )]
    Unknown(String),
    /// The address is none.
    #[error(
        "`{0}` is not ADDRESS:PORT; use an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070"
    )]
    Address(String),
    /// TLS is somebody else's.
    #[error(
        "the host does not speak TLS itself; listen on ws:// and put a proxy in front that does"
    )]
    Tls,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_to_listen() {
        for (text, expected) in [
            ("stdio", "Ok(Stdio)"),
            ("ws://127.0.0.1:7070", "Ok(WebSocket(127.0.0.1:7070))"),
            ("ws://localhost:0/", "Ok(WebSocket(127.0.0.1:0))"),
            ("ws://[::1]:80", "Ok(WebSocket([::1]:80))"),
            ("wss://127.0.0.1:1", "Err(Tls)"),
            ("ws://127.0.0.1", "Err(Address(\"127.0.0.1\"))"),
            ("tcp://127.0.0.1:1", "Err(Unknown(\"tcp://127.0.0.1:1\"))"),
            ("", "Err(Unknown(\"\"))"),
        ] {
            assert_eq!(format!("{:?}", text.parse::<Listen>()), expected, "{text}");
        }
    }
}
