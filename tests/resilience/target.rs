//! The program in a process of its own, whose memory, threads and files can be counted, and raw
//! connections to it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::process::{Place, Running};
use crate::vitals::Vitals;

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// `sentinel dev` on the embedded store, and what a test needs to talk to it.
pub(crate) struct Target {
    pub(crate) running: Running,
    pub(crate) port: u16,
    /// A token that is good for as long as the test.
    pub(crate) token: String,
    client_id: String,
    /// Where its metrics are.
    pub(crate) metrics_port: u16,
    tls: Option<Arc<ClientConfig>>,
    _place: Place,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) took: Duration,
}

impl Target {
    /// A server with these settings that may open so many files; `None` is as many as we may.
    pub(crate) async fn start(settings: &[(&str, &str)], files: Option<u32>) -> Arc<Self> {
        let mut place = Place::with(settings);
        place.set("SENTINEL_METRICS_LISTEN", "127.0.0.1:0");
        // Floods are to reach what they are meant for.
        place.set("SENTINEL_THROTTLE_USER", "0");
        place.set("SENTINEL_THROTTLE_NETWORK", "0");
        let arguments = "dev --listen 127.0.0.1:0 --data-dir data";
        let mut running = match files {
            Some(files) => place.start_with_files(files, arguments),
            None => place.start(arguments),
        };
        let port = running.port(true).await;
        let metrics = running.line("listening for metrics").await;
        let form = running.line("grant_type=password").await;
        let (_, id) = form.split_once("client_id=").unwrap();
        let is_tls = !settings.contains(&("SENTINEL_TLS", "off"));
        let mut target = Self {
            running,
            port,
            token: String::new(),
            client_id: id.split_once('&').unwrap().0.to_owned(),
            metrics_port: metrics.rsplit_once(':').unwrap().1.parse().unwrap(),
            tls: is_tls.then(|| client_config(&place)),
            _place: place,
        };
        let answer = target.ask(&target.login("jonas", "pass")).await.unwrap();
        let (_, token) = answer.text.split_once("\"access_token\":\"").unwrap();
        token[..30].clone_into(&mut target.token);
        Arc::new(target)
    }

    /// The process.
    pub(crate) fn vitals(&self) -> Vitals {
        Vitals::of(self.running.pid())
    }

    /// A connection without a handshake.
    pub(crate) async fn tcp(&self) -> io::Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).await
    }

    /// A connection on which HTTP/1.1 can be spoken.
    pub(crate) async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        self.connect_for("http/1.1").await
    }

    /// A connection on which a protocol can be spoken.
    pub(crate) async fn connect_for(&self, protocol: &str) -> io::Result<Box<dyn Stream>> {
        let stream = self.tcp().await?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Box::new(connector.connect(name, stream).await?))
    }

    /// Sends a request over a new connection and reads its answer.
    pub(crate) async fn ask(&self, request: &str) -> io::Result<Reply> {
        let began = Instant::now();
        let mut stream = self.connect().await?;
        let reply = ask(&mut *stream, request).await?;
        let took = began.elapsed();
        Ok(Reply { took, ..reply })
    }

    /// The body of a password grant.
    pub(crate) fn form(&self, username: &str, password: &str) -> String {
        let id = &self.client_id;
        format!("client_id={id}&grant_type=password&username={username}&password={password}")
    }

    /// A password grant as a request.
    pub(crate) fn login(&self, username: &str, password: &str) -> String {
        post(&self.form(username, password))
    }

    /// The verification of the token as a request.
    pub(crate) fn verification(&self) -> String {
        let token = &self.token;
        format!("GET /oauth/verify HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n")
    }

    /// A counter without labels; zero before its first event.
    pub(crate) async fn counter(&self, name: &str) -> u64 {
        let address = ("127.0.0.1", self.metrics_port);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let mut figures = text.lines().filter_map(|line| line.strip_prefix(name));
        figures
            .find_map(|rest| rest.trim().parse().ok())
            .unwrap_or_default()
    }

    /// Whether it is alive and has logged no panic.
    #[track_caller]
    pub(crate) fn check_sound(self: Arc<Self>) {
        let mut target = Arc::into_inner(self).expect("every task of the test has ended");
        assert!(target.running.runs(), "it has ended");
        let log = target.running.read("err") + &target.running.read("out");
        assert!(!log.contains("panic"), "{log}");
    }
}

/// A form for the token endpoint.
pub(crate) fn post(form: &str) -> String {
    let length = form.len();
    format!(
        "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}"
    )
}

/// Sends a request over a connection and reads its answer, which tells its length.
pub(crate) async fn ask(stream: &mut dyn Stream, request: &str) -> io::Result<Reply> {
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    // TLS may keep the end of it back, which reading does not send.
    stream.flush().await?;
    let mut text = String::new();
    while !is_whole(&text) {
        let mut room = [0; 4_096];
        let length = stream.read(&mut room).await?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(&String::from_utf8_lossy(&room[..length]));
    }
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    Ok(Reply {
        status: status.unwrap(),
        text,
        took: began.elapsed(),
    })
}

fn is_whole(text: &str) -> bool {
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    length.is_none_or(|length| body.len() >= length.parse().unwrap())
}

fn client_config(place: &Place) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let file = place.path("data/adhoc-cert.pem");
    roots
        .add(CertificateDer::from_pem_file(file).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
