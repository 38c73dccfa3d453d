//! Servers at a URL, by Streamable HTTP.

use std::{collections::HashMap, error::Error, time::Duration};

use http::{HeaderName, HeaderValue};
use reqwest::{
    StatusCode,
    redirect::{Action, Attempt, Policy},
};
use rmcp::transport::{
    AuthClient, AuthorizationManager, StreamableHttpClientTransport,
    streamable_http_client::{StreamableHttpClientTransportConfig, StreamableHttpError},
};

use super::{HttpConfig, stdio::MAX_MESSAGE_BYTES, tokens::Tokens};

/// A connection to be begun.
pub(super) type HttpTransport = StreamableHttpClientTransport<AuthClient<reqwest::Client>>;

/// What speaks to the server of `config`, with the token that the last login gave, if there was one.
pub(super) async fn transport(config: &HttpConfig) -> Result<HttpTransport, String> {
    let client = client()?;
    let mut settings = StreamableHttpClientTransportConfig::with_uri(config.url.as_str())
        .custom_headers(headers(config)?)
        .max_sse_event_size(MAX_MESSAGE_BYTES)
        .max_json_response_size(MAX_MESSAGE_BYTES)
        .max_concurrent_requests(MAX_REQUESTS);
    settings.auth_header.clone_from(&config.bearer_token);
    let mut manager = AuthorizationManager::new(config.url.as_str())
        .await
        .map_err(|error| format!("its address cannot be used: {error}"))?;
    if let Some(tokens) = Tokens::of(config).filter(|_| !has_own_authorization(config)) {
        manager.set_credential_store(tokens);
        manager
            .initialize_from_store()
            .await
            .map_err(|error| format!("the token of the last login cannot be used: {error}"))?;
    }
    Ok(StreamableHttpClientTransport::with_client(AuthClient::new(client, manager), settings))
}

/// Whether the configuration itself says how requests are authorized.
pub(super) fn has_own_authorization(config: &HttpConfig) -> bool {
    config.bearer_token.is_some()
        || config.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
}

fn client() -> Result<reqwest::Client, String> {
    // Without this there is no TLS. It fails where somebody has chosen another: then that one does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIME)
        .user_agent(concat!("codemode/", env!("CARGO_PKG_VERSION")))
        // A connection that was left half read stalls the next request on it.
        .pool_max_idle_per_host(0)
        .redirect(Policy::custom(redirect))
        .build()
        .map_err(|error| format!("no HTTP client can be made: {}", chain(&error)))
}

/// Follows where the whole message goes along, and stays with the same server: elsewhere the headers, which are secrets,
/// would be shown to another.
fn redirect(attempt: Attempt<'_>) -> Action {
    let keeps_message =
        matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let first = attempt.previous().first();
    let same_server = first.is_some_and(|first| first.origin() == attempt.url().origin());
    if keeps_message && same_server && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn headers(config: &HttpConfig) -> Result<HashMap<HeaderName, HeaderValue>, String> {
    let mut headers = HashMap::new();
    for (name, value) in &config.headers {
        let (Ok(key), Ok(mut value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
        else {
            return Err(format!("its header {name} is none"));
        };
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

/// Whether an error says that nobody is there any more.
pub(super) fn is_gone(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| error.downcast_ref().is_some_and(reqwest::Error::is_connect))
}

/// An error with its causes.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in causes(error) {
        let cause = error.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref() {
            // It tells the text of its cause, and not the cause.
            Some(StreamableHttpError::<reqwest::Error>::Client(error)) => Some(error),
            _ => error.source(),
        }
    })
}

const MAX_REDIRECTS: usize = 10;
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Requests that are on their way to one server. A cell's calls beyond it wait.
const MAX_REQUESTS: usize = 64;
