//! Streamable HTTP.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use ::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::{
    StreamableHttpServerConfig, StreamableHttpService,
    streamable_http_server::session::local::LocalSessionManager,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

use super::handler::{Handler, Server};
use crate::{ServeError, WebSocketOptions, transport::admission::Admission};

/// Where and for whom MCP clients are served over HTTP.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// Where to listen. Port 0 takes a free one.
    pub address: SocketAddr,
    /// What clients must show as `Authorization: Bearer TOKEN`. Needed on every address but loopback.
    pub token: Option<String>,
    /// The origins whose web pages may connect, beside the server's own. Programs have none.
    pub allowed_origins: Vec<String>,
}

/// A socket that clients can connect to.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    admission: Admission,
    origins: Vec<String>,
    needs_token: bool,
}

impl Listener {
    pub(super) async fn bind(options: HttpOptions) -> Result<Listener, ServeError> {
        let HttpOptions { address, token, allowed_origins } = options;
        let needs_token = token.is_some();
        if !needs_token && !address.ip().is_loopback() {
            return Err(ServeError::TokenNeeded(address));
        }
        let admission = Admission::new(WebSocketOptions { token, allowed_origins: Vec::new() })?;
        let bound = TcpListener::bind(address).await;
        let socket = bound.map_err(|error| ServeError::Bind { address, error })?;
        let address = socket.local_addr().unwrap_or(address);
        Ok(Listener { socket, address, admission, origins: allowed_origins, needs_token })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }

    /// Serves those who come, until `told` is ready.
    pub(super) async fn serve(self, server: Arc<Server>, told: impl Future<Output = ()>) {
        let most = server.host.max_connections();
        let config = self.config();
        let end = config.cancellation_token.clone();
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(SESSION_IDLE);
        let service = {
            let server = Arc::clone(&server);
            move || Ok(Handler::new(Arc::clone(&server)))
        };
        let service = Service {
            mcp: StreamableHttpService::new(service, Arc::new(sessions), config),
            admission: Arc::new(self.admission),
        };
        let mut connections = JoinSet::new();
        let mut told = std::pin::pin!(told);
        let look_after = async {
            match &server.stateless {
                Some(stateless) => stateless.sessions.look_after().await,
                None => std::future::pending().await,
            }
        };
        let mut look_after = std::pin::pin!(look_after);
        loop {
            tokio::select! {
                () = &mut told => break,
                () = &mut look_after => {}
                accepted = self.socket.accept() => match accepted {
                    // One that is turned away without a word tries again later.
                    Ok((_, peer)) if connections.len() >= most => {
                        tracing::warn!(%peer, most, "a client was not let in: there are too many");
                    }
                    Ok((stream, _)) => {
                        connections.spawn(service.clone().connection(stream));
                    }
                    // Of a lack of descriptors, most likely: trying at once again would only spin.
                    Err(error) => {
                        tracing::error!(%error, "a connection was not accepted");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        end.cancel();
        connections.shutdown().await;
    }

    fn config(&self) -> StreamableHttpServerConfig {
        let port = self.address.port();
        let own = ["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}"));
        let origins = self.origins.iter().map(|origin| origin.trim_end_matches('/').to_owned());
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(super::MAX_MESSAGE)
            .with_allowed_origins(origins.chain(own));
        // A page that has another name resolve to this machine does not know the token.
        if self.needs_token && !self.address.ip().is_loopback() {
            config.disable_allowed_hosts()
        } else {
            config.with_allowed_hosts(["localhost", "127.0.0.1", "::1"])
        }
    }
}

#[derive(Clone)]
struct Service {
    mcp: StreamableHttpService<Handler, LocalSessionManager>,
    admission: Arc<Admission>,
}

impl Service {
    async fn connection(self, stream: TcpStream) {
        // Messages are small and somebody waits for each of them.
        let _ = stream.set_nodelay(true);
        let serve = service_fn(move |request| {
            let service = self.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIME)
            .serve_connection(TokioIo::new(stream), serve);
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        if request.uri().path() != PATH {
            return plain(StatusCode::NOT_FOUND, format!("MCP is spoken at {PATH}"));
        }
        if request.method() == Method::OPTIONS {
            // No page of another origin is told that it may.
            return plain(StatusCode::NO_CONTENT, String::new());
        }
        if let Err(refusal) = self.admission.check_token(request.headers()) {
            let (parts, reason) = refusal.into_parts();
            let mut response = plain(parts.status, reason.unwrap_or_default());
            response.headers_mut().extend(parts.headers);
            return response;
        }
        self.mcp.handle(request).await
    }
}

fn plain(status: StatusCode, text: String) -> Response<BoxBody<Bytes, Infallible>> {
    let mut response = Response::new(Full::from(text).boxed());
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

/// Where clients send their requests.
const PATH: &str = "/mcp";

/// How long a session lives that nobody uses: over HTTP, nothing tells that a client has gone.
pub(super) const SESSION_IDLE: Duration = Duration::from_secs(15 * 60);

/// How long a client may take to send a request's head.
const HEADER_TIME: Duration = Duration::from_secs(30);

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
