//! HTTP on one thread that nobody can keep busy.
//!
//! hyper on a single-threaded tokio runtime: a slow client costs a socket and a timer, not a thread. Each connection answers one
//! request and has [`CONNECTION_LIMIT`] for it; of more than [`CONNECTIONS`] at once the oldest is closed,
//! so that a new client gets in however many old ones sit there; and after each [`BURST`] of accepted
//! connections there is a pause, so that those who come again and again take a few percent of one core at most, and wait in
//! the system's queue.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::MetricsError;
use super::page::{Page, Pages};

/// Connections that are open at once.
const CONNECTIONS: usize = 256;
/// Connections that may wait to be accepted; the system may allow fewer.
const WAITING: u32 = 1024;
/// Connections that are accepted without a pause.
const BURST: u32 = 4;
/// The pause. The timer makes it 1 to 2 ms.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a client may take to send its request.
const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// How long a client may take for everything.
const CONNECTION_LIMIT: Duration = Duration::from_secs(5);
/// The most bytes that a request may have. hyper takes no less.
const REQUEST_BYTES: usize = 8192;
/// How long to wait when the system has no socket left.
const AFTER_ERROR: Duration = Duration::from_millis(100);

pub(super) struct Server {
    address: SocketAddr,
    /// Ends the thread when it is dropped.
    _alive: oneshot::Sender<()>,
}

impl Server {
    pub(super) fn start(address: SocketAddr, pages: Pages) -> Result<Self, MetricsError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(MetricsError::Thread)?;
        let listening = listen(&runtime, address).and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = listening.map_err(|source| MetricsError::Listen { address, source })?;
        let (alive, dropped) = oneshot::channel();
        let work = move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(listener, Arc::new(pages)) => {}
                    _ = dropped => {}
                }
            });
        };
        thread::Builder::new().name("puvae-metrics".into()).spawn(work).map_err(MetricsError::Thread)?;
        Ok(Self { address, _alive: alive })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn listen(runtime: &Runtime, address: SocketAddr) -> io::Result<TcpListener> {
    let _inside = runtime.enter();
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose last connections are not quite over is free; one that somebody listens at is not.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

async fn serve(listener: TcpListener, pages: Arc<Pages>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::with_capacity(CONNECTIONS);
    for accepted in (0..BURST).cycle() {
        if accepted == 0 {
            sleep(PAUSE).await;
        }
        let Ok((stream, _)) = listener.accept().await else {
            sleep(AFTER_ERROR).await;
            continue;
        };
        open.retain(|connection| !connection.is_finished());
        if open.len() == CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tokio::spawn(connection(stream, Arc::clone(&pages))).abort_handle());
    }
}

async fn connection(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(|request| std::future::ready(Ok::<_, Infallible>(answer(&request, &pages))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_LIMIT)
        .max_buf_size(REQUEST_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off, is too slow or speaks no HTTP has only itself to blame.
    let _ = timeout(CONNECTION_LIMIT, connection).await;
}

fn answer(request: &Request<Incoming>, pages: &Pages) -> Response<Full<Bytes>> {
    let page = match *request.method() {
        Method::GET | Method::HEAD => pages.get(request.uri().path()),
        _ => Page::NOT_ALLOWED,
    };
    let Page { status, content_type, body } = page;
    let status = StatusCode::from_u16(status).expect("a page's status is one of HTTP's");
    let mut response = Response::new(Full::from(body.into_owned()));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
