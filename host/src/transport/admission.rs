//! Who is let in over WebSocket.

use std::hint::black_box;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tokio_tungstenite::tungstenite::{
    handshake::server::{ErrorResponse, Request, Response},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, ORIGIN, SEC_WEBSOCKET_PROTOCOL, WWW_AUTHENTICATE},
    },
};

use crate::{ServeError, WebSocketOptions};

/// Decides, by what a client's opening request says, whether it is let in.
///
/// A program shows its token as `Authorization: Bearer TOKEN`. A web page cannot set that header: it offers the
/// subprotocols `codemode.v1` and `codemode.bearer.` with the token in unpadded base64url. Every web page says
/// where it comes from, and is let in only from an origin that is allowed; otherwise any page that a user of this
/// machine looks at could run cells.
pub(crate) struct Admission {
    /// The token's hash. Comparing hashes takes a time that says nothing of the token.
    token: Option<[u8; 32]>,
    origins: Vec<String>,
}

impl Admission {
    pub(crate) fn new(options: WebSocketOptions) -> Result<Admission, ServeError> {
        let WebSocketOptions { token, allowed_origins } = options;
        if token.as_ref().is_some_and(|token| !is_usable(token)) {
            return Err(ServeError::UnusableToken);
        }
        Ok(Admission { token: token.map(|token| hash(token.as_bytes())), origins: allowed_origins })
    }

    /// Lets the client in, or says why not.
    #[expect(clippy::result_large_err, reason = "tungstenite asks for this type")]
    pub(crate) fn check(
        &self,
        request: &Request,
        mut response: Response,
    ) -> Result<Response, ErrorResponse> {
        let headers = request.headers();
        if let Some(origin) = headers.get_all(ORIGIN).iter().find(|origin| !self.allows(origin)) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let reason = format!(
                "pages of {origin} may not connect; start the host with --allow-origin {origin} if they should"
            );
            return Err(refusal(StatusCode::FORBIDDEN, reason));
        }
        self.check_token(headers)?;
        if subprotocols(headers).any(|name| name == SUBPROTOCOL) {
            let name = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        Ok(response)
    }

    /// Lets in who shows the token, if there is one.
    #[expect(clippy::result_large_err, reason = "tungstenite asks for this type")]
    pub(crate) fn check_token(&self, headers: &HeaderMap) -> Result<(), ErrorResponse> {
        let Some(expected) = &self.token else { return Ok(()) };
        let shown = shown_token(headers).ok_or_else(|| {
            unauthorized("this host wants a token: send `Authorization: Bearer TOKEN`")
        })?;
        match equal(&hash(&shown), expected) {
            true => Ok(()),
            false => Err(unauthorized("the token is not this host's")),
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        self.origins.iter().any(|allowed| {
            let allowed = allowed.strip_suffix('/').unwrap_or(allowed);
            allowed.as_bytes().eq_ignore_ascii_case(origin.as_bytes())
        })
    }
}

fn shown_token(headers: &HeaderMap) -> Option<Vec<u8>> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().as_bytes().to_vec());
    }
    let encoded = subprotocols(headers).find_map(|name| name.strip_prefix(BEARER_SUBPROTOCOL))?;
    BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()
}

fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn is_usable(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

fn hash(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Compares in a time that does not depend on where two hashes differ.
fn equal(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differences, (a, b)| black_box(differences | (a ^ b))) == 0
}

/// What a client is told that comes when there are as many as there may be.
pub(crate) fn full(most: usize) -> ErrorResponse {
    let reason = format!(
        "ConnectionLimitExceeded: this host has its {most} connections; try again when one has ended, or start it with \
         a larger --budget host.connections"
    );
    refusal(StatusCode::SERVICE_UNAVAILABLE, reason)
}

fn unauthorized(reason: &str) -> ErrorResponse {
    let mut response = refusal(StatusCode::UNAUTHORIZED, reason.to_owned());
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn refusal(status: StatusCode, reason: String) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(reason));
    *response.status_mut() = status;
    response
}

/// The subprotocol that the host speaks.
const SUBPROTOCOL: &str = "codemode.v1";

/// What stands before the token where it comes as a subprotocol.
const BEARER_SUBPROTOCOL: &str = "codemode.bearer.";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn programs_need_the_token_and_pages_an_origin_too() {
        let bearer = "sec-websocket-protocol: codemode.v1, codemode.bearer.czNjcmV0";
        check(&[], "401 this host wants a token: send `Authorization: Bearer TOKEN`");
        check(&["authorization: Bearer s3cret"], "ok");
        check(&["authorization: bearer  s3cret "], "ok");
        check(&["authorization: Bearer s3cre"], "401 the token is not this host's");
        check(&["authorization: Bearer s3crets"], "401 the token is not this host's");
        check(&["authorization: Bearer "], "401 the token is not this host's");
        check(
            &["authorization: Basic s3cret"],
            "401 this host wants a token: send `Authorization: Bearer TOKEN`",
        );
        check(&[bearer], "ok codemode.v1");
        check(&["sec-websocket-protocol: codemode.bearer.czNjcmV0"], "ok");
        check(
            &["sec-websocket-protocol: codemode.bearer.***"],
            "401 this host wants a token: send `Authorization: Bearer TOKEN`",
        );
        check(&["origin: https://good.example", bearer], "ok codemode.v1");
        check(&["origin: HTTPS://Good.example", bearer], "ok codemode.v1");
        for origin in ["https://good.example.org", "http://good.example", "null", ""] {
            let expected = format!(
                "403 pages of {origin} may not connect; start the host with --allow-origin {origin} if they should"
            );
            check(&[&format!("origin: {origin}"), bearer], &expected);
        }
    }

    #[test]
    fn tokens_that_no_client_can_send_are_refused() {
        for token in ["", " ", "a b", "ä", "a\n"] {
            let options = WebSocketOptions { token: Some(token.to_owned()), ..Default::default() };
            assert!(matches!(Admission::new(options), Err(ServeError::UnusableToken)), "{token:?}");
        }
    }

    fn check(headers: &[&str], expected: &str) {
        let admission = Admission::new(WebSocketOptions {
            token: Some("s3cret".to_owned()),
            allowed_origins: vec!["https://good.example/".to_owned()],
        })
        .unwrap();
        let mut request = Request::builder();
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let found = match admission.check(&request.body(()).unwrap(), Response::default()) {
            Ok(response) => match response.headers().get(SEC_WEBSOCKET_PROTOCOL) {
                Some(name) => format!("ok {}", name.to_str().unwrap()),
                None => "ok".to_owned(),
            },
            Err(response) => {
                let reason = response.body().as_deref().unwrap_or_default();
                format!("{} {reason}", response.status().as_u16())
            }
        };
        assert_eq!(found, expected, "{headers:?}");
    }
}
