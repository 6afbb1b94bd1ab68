//! A client connection that hides nothing: no request is sent twice, and each end is told apart.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request, Response, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::tls::connect;

/// A request's body.
pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// An open connection.
pub(crate) struct Wire {
    sender: Sender,
    /// What the server showed in the handshake.
    pub(crate) certificate: CertificateDer<'static>,
    /// Whether the server has said that there is no next request.
    is_last: bool,
    _driver: JoinSet<()>,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The connection had ended before anything was sent: the request may go another way.
    Unsent,
    /// The request was cut.
    Cut(String),
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Wire {
    /// Connects to a port of this machine; speaks the protocol that the configuration offers.
    pub(crate) async fn open(port: u16, config: Arc<ClientConfig>) -> std::io::Result<Self> {
        let stream = connect(port, config).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        let certificate = shown[0].clone().into_owned();
        let io = TokioIo::new(stream);
        let mut driver = JoinSet::new();
        // How a connection ends is seen by its requests.
        let sender = if is_http2 {
            let opened = http2::handshake(TokioExecutor::new(), io).await;
            let (sender, connection) = opened.map_err(std::io::Error::other)?;
            driver.spawn(async { drop(connection.await) });
            Sender::Http2(sender)
        } else {
            let opened = http1::handshake(io).await;
            let (sender, connection) = opened.map_err(std::io::Error::other)?;
            driver.spawn(async { drop(connection.await) });
            Sender::Http1(sender)
        };
        Ok(Self {
            sender,
            certificate,
            is_last: false,
            _driver: driver,
        })
    }

    /// Whether a next request may be sent.
    pub(crate) fn is_open(&self) -> bool {
        let is_closed = match &self.sender {
            Sender::Http1(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        };
        !is_closed && !self.is_last
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Result<Told, Lost> {
        let answer = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await.map_err(|_closed| Lost::Unsent)?;
                sender.send_request(request).await
            }
            Sender::Http2(sender) => {
                *request.version_mut() = Version::HTTP_2;
                request.headers_mut().remove("host");
                sender.ready().await.map_err(|_closed| Lost::Unsent)?;
                sender.send_request(request).await
            }
        };
        let answer = answer.map_err(|error| lost(&error))?;
        self.is_last = answer
            .headers()
            .get("connection")
            .is_some_and(|value| value == "close");
        read(answer).await
    }
}

fn lost(error: &hyper::Error) -> Lost {
    let told = format!("{error:?}");
    // The good-bye of the server says which requests it will answer, and this error is that of the
    // others alone (RFC 9113 §6.8); one that it had taken on would end by a broken pipe.
    if error.is_canceled() || told.contains("GoAway(b\"\", NO_ERROR, Remote)") {
        return Lost::Unsent;
    }
    Lost::Cut(told)
}

async fn read(answer: Response<Incoming>) -> Result<Told, Lost> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = answer.into_body().collect().await;
    let body = body.map_err(|error| Lost::Cut(format!("{error:?}")))?;
    Ok(Told {
        status,
        headers,
        body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
    })
}

/// `GET` of a path.
pub(crate) fn get(path: &str) -> Request<Body> {
    let request = Request::get(format!("https://localhost{path}")).header("host", "localhost");
    request.body(whole(String::new())).unwrap()
}

/// A body that is there at once.
pub(crate) fn whole(text: String) -> Body {
    Full::new(Bytes::from(text)).boxed_unsync()
}

/// A body that comes in `pieces`, with this pause before each.
pub(crate) fn slow(text: &str, pieces: usize, pause: Duration) -> Body {
    let length = text.len().div_ceil(pieces);
    let pieces: Vec<Bytes> = text
        .as_bytes()
        .chunks(length)
        .map(Bytes::copy_from_slice)
        .collect();
    let stream = futures_util::stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        let piece = pieces.next()?;
        sleep(pause).await;
        Some((Ok(Frame::data(piece)), pieces))
    });
    StreamBody::new(stream).boxed_unsync()
}
