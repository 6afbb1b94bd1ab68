//! A keep-alive connection that is made again when it breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Error, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use super::Outcome;
use super::arguments::HttpVersion;
use super::ask::{Ask, Fault};
use super::dial;
use super::target::Target;

/// One connection to the server, or the place for one.
pub(crate) struct Line {
    target: Arc<Target>,
    wire: Mutex<Option<Wire>>,
    /// How often one was opened, by all lines together.
    opened: Arc<AtomicU64>,
}

enum Wire {
    Http1 {
        sender: http1::SendRequest<Full<Bytes>>,
        _driver: JoinSet<()>,
    },
    // Several requests are under way on it, and each keeps it.
    Http2 {
        sender: http2::SendRequest<Full<Bytes>>,
        driver: Arc<JoinSet<()>>,
    },
}

impl Line {
    /// A line to `target` that is not opened.
    pub(crate) fn new(target: &Arc<Target>, opened: &Arc<AtomicU64>) -> Self {
        Self {
            target: Arc::clone(target),
            wire: Mutex::new(None),
            opened: Arc::clone(opened),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// What TCP, TLS or HTTP says.
    pub(crate) async fn open(&self) -> Outcome<()> {
        let wire = Wire::open(&self.target).await?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        *self.wire.lock().await = Some(wire);
        Ok(())
    }

    /// Sends a request and reads its answer to the end. When this is dropped before, a connection
    /// of HTTP/1.1 is closed.
    ///
    /// # Errors
    /// No answer, or none that is HTTP.
    pub(crate) async fn exchange(&self, ask: &Ask) -> Result<(StatusCode, Bytes), Fault> {
        let mut is_repeated = false;
        loop {
            let mut wire = self.wire().await?;
            match wire.send(ask.request(&self.target)).await {
                Ok(answer) => {
                    self.keep(wire).await;
                    return Ok(answer);
                }
                // The server closed it between two requests, and nothing was sent.
                Err(error) if error.is_canceled() && !is_repeated => is_repeated = true,
                Err(error) if error.is_parse() => return Err(Fault::Malformed),
                Err(_) => return Err(Fault::Broken),
            }
        }
    }

    /// The connection, open.
    async fn wire(&self) -> Result<Wire, Fault> {
        // Whoever comes while it is opened waits for the same one.
        let mut place = self.wire.lock().await;
        let usable = match place.take() {
            Some(mut wire) => wire.is_ready().await.then_some(wire),
            None => None,
        };
        let wire = if let Some(wire) = usable {
            wire
        } else {
            let opened = Wire::open(&self.target).await;
            let opened = opened.map_err(|_| Fault::Connect)?;
            self.opened.fetch_add(1, Ordering::Relaxed);
            opened
        };
        *place = wire.shared();
        Ok(wire)
    }

    async fn keep(&self, wire: Wire) {
        if let Wire::Http1 { .. } = wire {
            *self.wire.lock().await = Some(wire);
        }
    }
}

impl Wire {
    async fn open(target: &Target) -> Outcome<Self> {
        let stream = dial::tcp(target.address).await?;
        let Some((config, name)) = &target.tls else {
            return Self::speak(target.http, stream).await;
        };
        let stream = dial::tls(stream, name.clone(), Arc::clone(config)).await?;
        let chosen = stream.get_ref().1.alpn_protocol();
        if target.http == HttpVersion::Two && chosen != Some(b"h2") {
            return Err("the server does not speak HTTP/2".into());
        }
        Self::speak(target.http, stream).await
    }

    async fn speak<S>(version: HttpVersion, stream: S) -> Outcome<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match version {
            HttpVersion::One => {
                let (sender, driver) = dial::http1(stream).await?;
                Ok(Self::Http1 {
                    sender,
                    _driver: driver,
                })
            }
            HttpVersion::Two => {
                let io = TokioIo::new(stream);
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                let mut driver = JoinSet::new();
                driver.spawn(async move {
                    // Its error is that of the requests under way as well.
                    let _ = connection.await;
                });
                Ok(Self::Http2 {
                    sender,
                    driver: Arc::new(driver),
                })
            }
        }
    }

    async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1 { sender, .. } => sender.ready().await.is_ok(),
            Self::Http2 { sender, .. } => sender.ready().await.is_ok(),
        }
    }

    /// What others may use at the same time.
    fn shared(&self) -> Option<Self> {
        match self {
            Self::Http1 { .. } => None,
            Self::Http2 { sender, driver } => Some(Self::Http2 {
                sender: sender.clone(),
                driver: Arc::clone(driver),
            }),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Error> {
        let response: Response<Incoming> = match self {
            Self::Http1 { sender, .. } => sender.send_request(request).await?,
            Self::Http2 { sender, .. } => sender.send_request(request).await?,
        };
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}
