//! Servers to drive: ours, and one that does what a test tells it to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use warp_sentinel::Sentinel;
use warp_sentinel::sentinel::serving::Stop;
use warp_sentinel::settings::sources::{ConfigSource, Mode, Sources};
use warp_sentinel::settings::{ListenAddress, Settings};

/// Users beside the one that `dev` makes.
const USERS: [&str; 5] = ["anna", "bert", "carl", "dora", "emil"];

/// Our server on the embedded store, with fast hashes, until it is dropped.
pub(crate) struct Served {
    url: String,
    client_id: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    folder: TempDir,
}

impl Served {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("sentinel-drive-").unwrap();
        let settings = settings(folder.path().to_str().unwrap());
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let (sentinel, facts) = Sentinel::start_dev(settings).await.unwrap();
                let listening = sentinel.listen().await.unwrap();
                let ListenAddress::Tcp(address) = listening.address else {
                    panic!("it listens on TCP");
                };
                let url = format!("https://localhost:{}", address.port());
                let console = (facts.console_username, facts.console_password);
                tell.send((url, facts.client_id, console)).unwrap();
                let routes = sentinel.routes();
                let ended = async {
                    let _ = stopped.await;
                    Stop::WithoutNotice
                };
                sentinel.run(listening, routes, ended).await.unwrap();
            });
        });
        let (url, client_id, console) = told.recv().unwrap();
        let served = Self {
            url,
            client_id,
            stop: Some(stop),
            thread: Some(thread),
            folder,
        };
        served.add_users(&console.0, console.1.expose());
        served
    }

    /// The certificate that it serves with.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("adhoc-cert.pem")
    }

    /// A file of its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The options that name it, its client and all its users.
    pub(crate) fn options(&self) -> String {
        let users = USERS.map(|name| format!("--user {name}:{name}-password"));
        format!(
            "--url {} --client-id {} --user jonas:pass {}",
            self.url,
            self.client_id,
            users.join(" ")
        )
    }

    fn add_users(&self, console: &str, password: &str) {
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .unwrap();
        Runtime::new().unwrap().block_on(async {
            for name in USERS {
                let user = serde_json::json!({
                    "username": name,
                    "password": format!("{name}-password"),
                });
                let answer = client
                    .post(format!("{}/oauth/management/api/v1/users", self.url))
                    .basic_auth(console, Some(password))
                    .json(&user)
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), 201);
            }
        });
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()) || thread::panicking());
    }
}

/// A server of plain HTTP/1.1 that answers each request as `answer` says, by its path and how many
/// of that path the connection has sent before. It lasts as long as the test.
pub(crate) fn serve(answer: fn(&str, u32) -> String) -> String {
    listen(move |stream| {
        thread::spawn(move || speak(stream, answer));
    })
}

/// The same, but it serves a connection to its end before it takes the next one.
pub(crate) fn serve_in_turns(answer: fn(&str, u32) -> String) -> String {
    listen(move |stream| {
        speak(stream, answer);
    })
}

fn listen(take: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().flatten().for_each(take));
    format!("--url {url} --client-id id --user jonas:pass --connections 1")
}

fn speak(mut stream: TcpStream, answer: fn(&str, u32) -> String) -> Option<()> {
    let mut input = BufReader::new(stream.try_clone().ok()?);
    let mut before = std::collections::HashMap::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            input.read_line(&mut line).ok()?;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        input.read_exact(&mut vec![0; length]).ok()?;
        let count = before.entry(path.clone()).or_insert(0);
        stream.write_all(answer(&path, *count).as_bytes()).ok()?;
        *count += 1;
    }
}

fn settings(folder: &str) -> Settings {
    let flags = [
        ("SENTINEL_LISTEN", "127.0.0.1:0"),
        ("SENTINEL_DATA_DIR", folder),
        ("SENTINEL_BCRYPT_COST", "4"),
        ("SENTINEL_THROTTLE_USER", "0"),
        ("SENTINEL_THROTTLE_NETWORK", "0"),
    ];
    let sources = Sources {
        mode: Mode::Dev,
        flags: flags
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect(),
        environment: Vec::new(),
        config: ConfigSource::Optional("no such file.toml".into()),
    };
    Settings::load(&sources).unwrap().settings
}
