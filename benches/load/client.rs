//! HTTP/1.1 over TLS, one request at a time on a connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use tokio::task::JoinSet;
use tokio::time::sleep;
use warp_sentinel::sentinel::dev;

use super::Outcome;
use super::dial;
use super::process::Process;

/// How often one asks again who is told that the stores are too slow, and after what pause.
const ATTEMPTS: usize = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// A client of one server, which remembers its TLS sessions.
#[derive(Clone)]
pub(crate) struct Dialer {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

/// A connection to a server. Dropping it closes it.
pub(crate) struct Connection {
    /// Whether it goes on with the session of an earlier one.
    pub(crate) is_resumed: bool,
    sender: SendRequest<Full<Bytes>>,
    driver: JoinSet<()>,
}

impl Dialer {
    /// A client of `process`.
    ///
    /// # Errors
    /// As [`Dialer::with_versions`].
    pub(crate) fn new(process: &Process) -> Outcome<Self> {
        let certificate = process.certificate();
        Self::with_versions(process.address, &certificate, rustls::DEFAULT_VERSIONS)
    }

    /// A client that trusts this certificate alone, and speaks these versions of TLS.
    ///
    /// # Errors
    /// When the certificate is not readable.
    pub(crate) fn with_versions(
        address: SocketAddr,
        certificate: &Path,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Outcome<Self> {
        let config = dial::trusting(certificate, versions)?.with_no_client_auth();
        let config = Arc::new(config);
        Ok(Self { address, config })
    }

    /// The same client without memory: each of its handshakes is a full one.
    pub(crate) fn forgetful(mut self) -> Self {
        Arc::make_mut(&mut self.config).resumption = Resumption::disabled();
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// What TCP, TLS or HTTP says.
    pub(crate) async fn dial(&self) -> Outcome<Connection> {
        let name = ServerName::try_from("localhost")?;
        let stream = dial::tcp(self.address).await?;
        let stream = dial::tls(stream, name, Arc::clone(&self.config)).await?;
        let kind = stream.get_ref().1.handshake_kind();
        let (sender, driver) = dial::http1(stream).await?;
        Ok(Connection {
            is_resumed: kind == Some(HandshakeKind::Resumed),
            sender,
            driver,
        })
    }
}

impl Connection {
    /// Connects to `process` and trusts its certificate alone.
    ///
    /// # Errors
    /// What TCP, TLS or HTTP says.
    pub(crate) async fn open(process: &Process) -> Outcome<Self> {
        Dialer::new(process)?.dial().await
    }

    /// Opens `count` connections.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub(crate) async fn open_many(process: &Process, count: usize) -> Outcome<Vec<Self>> {
        let mut connections = Vec::with_capacity(count);
        for _ in 0..count {
            connections.push(Self::open(process).await?);
        }
        Ok(connections)
    }

    /// Whether the server has not closed it.
    pub(crate) fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// `GET /oauth/verify`, answered with 204.
    ///
    /// # Errors
    /// Another answer, or none.
    pub(crate) async fn verify(&mut self, authorization: &str) -> Outcome<()> {
        let answer = self.ask_for_verification(authorization).await?;
        check(answer, StatusCode::NO_CONTENT)?;
        Ok(())
    }

    /// As [`Connection::verify`]; where the server says that its stores are too slow, it is asked
    /// again.
    ///
    /// # Errors
    /// As [`Connection::verify`].
    pub(crate) async fn verify_patiently(&mut self, authorization: &str) -> Outcome<()> {
        for _ in 0..ATTEMPTS {
            let answer = self.ask_for_verification(authorization).await?;
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                check(answer, StatusCode::NO_CONTENT)?;
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err("the server could not verify a token for too long".into())
    }

    /// A password grant of `client_id`; its access token.
    ///
    /// # Errors
    /// Another answer than a token, or none.
    pub(crate) async fn grant(&mut self, client_id: &str) -> Outcome<String> {
        let form = password_grant(client_id, (dev::USERNAME, dev::PASSWORD));
        let answer = self.token(&form).await?;
        text_of(&answer, "access_token")
    }

    /// A password grant of another user, whose password is the same; its refresh token.
    ///
    /// # Errors
    /// Another answer than a token, or none.
    pub(crate) async fn log_in(&mut self, client_id: &str, username: &str) -> Outcome<String> {
        let form = password_grant(client_id, (username, dev::PASSWORD));
        let answer = self.token(&form).await?;
        text_of(&answer, "refresh_token")
    }

    /// A password grant with any password; how it was answered.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn try_grant(
        &mut self,
        client_id: &str,
        password: &str,
    ) -> Outcome<StatusCode> {
        let form = password_grant(client_id, (dev::USERNAME, password));
        let request = token_request(&form)?;
        Ok(self.exchange(request).await?.status())
    }

    /// A refresh grant of `client_id`; the next refresh token.
    ///
    /// # Errors
    /// Another answer than a token, or none.
    pub(crate) async fn refresh(&mut self, client_id: &str, token: &str) -> Outcome<String> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", token),
        ];
        let answer = self.token(&form).await?;
        text_of(&answer, "refresh_token")
    }

    /// A `GET`, and the whole answer to it.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn get(&mut self, path: &str) -> Outcome<Response<Bytes>> {
        let request = Request::get(path).header(HOST, "localhost");
        self.exchange(request.body(Full::default())?).await
    }

    /// A `GET` as the last request, and the whole answer to it. The server closes the connection.
    ///
    /// # Errors
    /// When there is no answer.
    pub(crate) async fn get_and_close(mut self, path: &str) -> Outcome<Response<Bytes>> {
        let request = Request::get(path)
            .header(HOST, "localhost")
            .header(CONNECTION, "close")
            .body(Full::default())?;
        let answer = self.exchange(request).await?;
        self.driver.join_next().await;
        Ok(answer)
    }

    async fn ask_for_verification(&mut self, authorization: &str) -> Outcome<Response<Bytes>> {
        let request = Request::get("/oauth/verify")
            .header(HOST, "localhost")
            .header(AUTHORIZATION, authorization)
            .body(Full::default())?;
        self.exchange(request).await
    }

    async fn token(&mut self, form: &[(&str, &str)]) -> Outcome<serde_json::Value> {
        let answer = self.exchange(token_request(form)?).await?;
        let body = check(answer, StatusCode::OK)?;
        Ok(serde_json::from_slice(&body)?)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Outcome<Response<Bytes>> {
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

fn password_grant<'a>(
    client_id: &'a str,
    (username, password): (&'a str, &'a str),
) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "password"),
        ("client_id", client_id),
        ("username", username),
        ("password", password),
    ]
}

fn token_request(form: &[(&str, &str)]) -> Outcome<Request<Full<Bytes>>> {
    let form = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    Ok(Request::post("/oauth/token")
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form.into())?)
}

fn check(answer: Response<Bytes>, wanted: StatusCode) -> Outcome<Bytes> {
    let status = answer.status();
    if status == wanted {
        Ok(answer.into_body())
    } else {
        Err(format!("the server answered {status} in place of {wanted}").into())
    }
}

fn text_of(answer: &serde_json::Value, key: &str) -> Outcome<String> {
    let text = answer[key].as_str();
    Ok(text.ok_or("an answer without a token")?.to_owned())
}
