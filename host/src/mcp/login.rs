//! Getting a token for a server, from the person at the browser: OAuth 2.1 with PKCE.

use std::time::Duration;

use rmcp::transport::{AuthorizationManager, AuthorizationRequest, auth::AuthorizationSession};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    HttpConfig,
    http::{chain, has_own_authorization},
    tokens::Tokens,
};

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The configuration itself says how requests are authorized.
    #[error(
        "its configuration has a token or an Authorization header already, which is what is sent"
    )]
    NotNeeded,
    /// There is nowhere to keep a token.
    #[error("there is no folder to keep a token in: set HOME or XDG_DATA_HOME")]
    NoFolder,
    /// The server, or the one that gives tokens for it, does not play its part.
    #[error("{0}")]
    Refused(String),
    /// Nobody listens where the browser is to be sent.
    #[error("no local port can be opened for the browser to come back to: {0}")]
    Listen(String),
    /// Nobody came back.
    #[error("nobody came back from the browser in time")]
    TimedOut,
}

/// Logs in at a server: `show` gets the address that a person has to open in a browser. The token is kept, and
/// renewed as long as the server allows, for all that connect to the server later.
///
/// # Errors
/// When the server wants no login or refuses it, or the person does.
///
/// Cancel safety: nothing is kept unless the future comes to its end.
pub async fn log_in(config: &HttpConfig, show: impl FnOnce(&str)) -> Result<(), LoginError> {
    if has_own_authorization(config) {
        return Err(LoginError::NotNeeded);
    }
    let tokens = Tokens::of(config).ok_or(LoginError::NoFolder)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(listen)?;
    let port = listener.local_addr().map_err(listen)?.port();
    let redirect = format!("http://127.0.0.1:{port}{CALLBACK}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let refused = |error: &(dyn std::error::Error + 'static)| LoginError::Refused(chain(error));
    let mut manager =
        AuthorizationManager::new(config.url.as_str()).await.map_err(|error| refused(&error))?;
    manager.set_credential_store(tokens);
    let metadata = manager.resolve_metadata().await.map_err(|error| refused(&error))?.metadata;
    manager.set_metadata(metadata);
    let mut request = AuthorizationRequest::new(redirect.as_str())
        .with_client_name("codemode")
        .with_application_type("native")
        .with_scopes(config.oauth.scopes.iter().map(String::as_str))
        .with_initial_scope_selection();
    if let Some(id) = &config.oauth.client_id {
        request = request.with_preregistered_client(id);
    }
    let session =
        AuthorizationSession::new(manager, request).await.map_err(|(_, error)| refused(&error))?;
    show(session.get_authorization_url());
    let came_back = async {
        loop {
            let (stream, _) = listener.accept().await.map_err(listen)?;
            // Others may knock: a browser that asks for an icon, a scanner.
            let Some((stream, target)) = request_of(stream).await else { continue };
            if !target.starts_with(CALLBACK) {
                answer(stream, "404 Not Found", "codemode waits for its login elsewhere.").await;
                continue;
            }
            let url = format!("http://127.0.0.1:{port}{target}");
            match session.handle_callback_url(&url).await {
                Ok(_) => {
                    answer(stream, "200 OK", "codemode has its token. You can close this page.")
                        .await;
                    return Ok(());
                }
                Err(error) => {
                    answer(stream, "400 Bad Request", "The login failed; codemode says why.").await;
                    return Err(refused(&error));
                }
            }
        }
    };
    tokio::time::timeout(LOGIN_TIME, came_back).await.map_err(|_| LoginError::TimedOut)?
}

fn listen(error: std::io::Error) -> LoginError {
    LoginError::Listen(error.to_string())
}

/// The target of the request that comes in on `stream`.
async fn request_of(mut stream: TcpStream) -> Option<(TcpStream, String)> {
    let mut head = Vec::new();
    let read = async {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut bytes = [0; 2048];
            match stream.read(&mut bytes).await {
                Ok(count @ 1..) if head.len() < MAX_HEAD_BYTES => {
                    head.extend_from_slice(&bytes[..count])
                }
                _ => return None,
            }
        }
        Some(())
    };
    tokio::time::timeout(HEAD_TIME, read).await.ok()??;
    let head = String::from_utf8(head).ok()?;
    let target = head.strip_prefix("GET ")?.split(' ').next()?.to_owned();
    Some((stream, target))
}

async fn answer(mut stream: TcpStream, status: &str, text: &str) {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        text.len()
    );
    // A browser that has gone needs no page.
    let _ = stream.write_all((head + text).as_bytes()).await;
    let _ = stream.shutdown().await;
}

const CALLBACK: &str = "/callback";

/// How long a person has to log in.
const LOGIN_TIME: Duration = Duration::from_secs(600);

const HEAD_TIME: Duration = Duration::from_secs(5);
const MAX_HEAD_BYTES: usize = 16 << 10;
