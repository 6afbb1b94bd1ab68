//! SIGHUP under a load of handshakes (P19): none fails, and what is bad never replaces what is good.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use warp_sentinel::clock::Clock;

use super::place_of;
use crate::alone::serial;
use crate::support::app::answer;
use crate::support::length;
use crate::support::process::{PATIENCE, PAUSE, Place, Running, https};
use crate::support::server::free_port;
use crate::support::tls::{Pair, client_config, make_pair, make_pair_valid, write_pair};
use crate::wire::{Wire, get};

/// Tasks that do nothing but connect, half of them over HTTP/2.
const CALLERS: usize = 4;
/// Pairs that take turns; the clients trust them and no other.
const GOOD_PAIRS: usize = 3;

/// The certificates that may be shown: the one in use, and during a reload also the next.
type Allowed = Vec<CertificateDer<'static>>;

/// What the callers saw.
#[derive(Default)]
struct Seen {
    handshakes: AtomicUsize,
    failures: std::sync::Mutex<Vec<String>>,
}

/// A server whose files are replaced.
struct Reloaded {
    place: Place,
    running: Running,
    port: u16,
    operations: u16,
    good: Vec<Pair>,
    reloads: usize,
}

impl Reloaded {
    async fn start() -> Self {
        let operations = free_port();
        let (place, first) = place_of(&[
            (
                "SENTINEL_METRICS_LISTEN",
                &format!("127.0.0.1:{operations}"),
            ),
            ("SENTINEL_TEMPLATES", "pages"),
        ])
        .await;
        place.write("pages/errors.html", "<p>page 0</p>");
        let mut running = place.start("serve --listen 127.0.0.1:0");
        let port = running.port(false).await;
        let mut good = vec![Arc::into_inner(first).unwrap()];
        good.extend((1..GOOD_PAIRS).map(|_| make_pair()));
        Self {
            place,
            running,
            port,
            operations,
            good,
            reloads: 0,
        }
    }

    /// Sends SIGHUP and waits until it has been obeyed.
    async fn reload(&mut self) {
        self.reloads += 1;
        self.running.signal("HUP");
        let deadline = Instant::now() + PATIENCE;
        let is_obeyed = |log: &str| {
            let ends = ["the templates were read again", "the old templates stay"];
            ends.map(|end| log.matches(end).count())
                .iter()
                .sum::<usize>()
        };
        while is_obeyed(&self.running.read("err")) < self.reloads {
            assert!(Instant::now() < deadline, "SIGHUP was not obeyed");
            sleep(PAUSE).await;
        }
    }

    /// What a failed reload was counted as.
    async fn failures(&self, what: &str) -> usize {
        let url = format!("http://127.0.0.1:{}/metrics", self.operations);
        let text = answer(https().get(url)).await.body;
        let line = format!("reload_failures_total{{what=\"{what}\"}} ");
        let count = text.lines().find_map(|it| it.strip_prefix(&line));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Writes a pair that must not serve: one of the ways in which files are bad.
    fn write_bad(&self, number: usize) {
        let now = Clock::default().now();
        let bad = make_pair();
        let (certificate, key) = (bad.cert.pem(), bad.signing_key.serialize_pem());
        // Not so near the end that only the closing line break is missing.
        let cut = |text: &str| text[..(number * 37) % (text.len() - 10)].to_owned();
        write_pair(&self.place, &bad, &bad);
        match number % 8 {
            0 | 1 => self.place.write("certs/cert.pem", cut(&certificate)),
            2 | 3 => self.place.write("certs/key.pem", cut(&key)),
            4 => write_pair(&self.place, &bad, &self.good[0]),
            5 => std::fs::remove_file(self.place.path("certs/key.pem")).unwrap(),
            6 => self.write_valid(now - Duration::days(2), now - Duration::days(1)),
            _ => self.write_valid(now + Duration::days(1), now + Duration::days(2)),
        }
    }

    fn write_valid(&self, from: OffsetDateTime, until: OffsetDateTime) {
        let pair = make_pair_valid(from, until);
        write_pair(&self.place, &pair, &pair);
    }

    fn config(&self, protocol: &str) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&client_config(&self.good, protocol));
        // A resumed session shows the certificate of its first handshake.
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }

    fn certificate(&self, number: usize) -> CertificateDer<'static> {
        self.good[number % GOOD_PAIRS].cert.der().clone()
    }
}

/// Connects anew until `done`, asks for one answer, and looks at the certificate.
async fn call(
    (port, config): (u16, Arc<ClientConfig>),
    seen: Arc<Seen>,
    (allowed, done): (watch::Receiver<Allowed>, watch::Receiver<bool>),
) {
    while !*done.borrow() {
        let before = allowed.borrow().clone();
        let outcome = async {
            let mut wire = Wire::open(port, Arc::clone(&config)).await;
            let wire = wire.as_mut().map_err(|error| error.to_string())?;
            let told = wire.send(get("/healthz")).await;
            let told = told.map_err(|error| format!("{error:?}"))?;
            let is_allowed =
                before.contains(&wire.certificate) || allowed.borrow().contains(&wire.certificate);
            match (told.status.as_u16(), is_allowed) {
                (200, true) => Ok(()),
                (status, _) => Err(format!("status {status}, certificate good: {is_allowed}")),
            }
        };
        if let Err(why) = outcome.await {
            seen.failures.lock().unwrap().push(why);
        }
        seen.handshakes.fetch_add(1, Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_handshake_fails_while_good_and_bad_pairs_are_loaded() {
    let _serial = serial().await;
    let reloads = length::number("SENTINEL_TEST_RELOADS", 48);
    let handshakes = length::number("SENTINEL_TEST_HANDSHAKES", 500);
    let mut server = Reloaded::start().await;
    let (allow, allowed) = watch::channel(vec![server.certificate(0)]);
    let (end, done) = watch::channel(false);
    let seen = Arc::new(Seen::default());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let config = server.config(["http/1.1", "h2"][caller % 2]);
        let watched = (allowed.clone(), done.clone());
        callers.spawn(call((server.port, config), Arc::clone(&seen), watched));
    }

    let (mut in_use, mut bad) = (0, 0);
    while server.reloads < reloads || seen.handshakes.load(Relaxed) < handshakes {
        if server.reloads % 3 == 2 {
            allow.send_replace(vec![
                server.certificate(in_use),
                server.certificate(in_use + 1),
            ]);
            in_use += 1;
            let pair = &server.good[in_use % GOOD_PAIRS];
            write_pair(&server.place, pair, pair);
        } else {
            bad += 1;
            server.write_bad(bad);
        }
        server.reload().await;
        allow.send_replace(vec![server.certificate(in_use)]);
        let shown = Wire::open(server.port, server.config("h2")).await.unwrap();
        assert_eq!(
            shown.certificate,
            server.certificate(in_use),
            "{}",
            server.reloads
        );
    }
    end.send_replace(true);
    callers.join_all().await;

    let failures = std::mem::take(&mut *seen.failures.lock().unwrap());
    println!(
        "{} handshakes during {} reloads, {bad} of them of bad pairs: {} failures",
        seen.handshakes.load(Relaxed),
        server.reloads,
        failures.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(server.failures("certificate").await, bad);
    let told = server.running.read("err");
    assert_eq!(told.matches("the old certificate stays").count(), bad);
}

#[tokio::test]
async fn a_broken_template_never_replaces_a_good_one() {
    let mut server = Reloaded::start().await;
    let url = format!("https://localhost:{}/oauth/errors", server.port);
    let http = https();
    let mut shown = "<p>page 0</p>".to_owned();
    let mut bad = 0;
    for number in 1..12 {
        let page = format!("<p>page {number}</p>");
        let (is_good, text) = match number % 4 {
            0 => (true, page.clone()),
            1 => (false, format!("{page}{{{{ nobody_knows_it }}}}")),
            2 => (false, format!("{page}{{% if error %}}")),
            _ => (false, format!("{page}{{{{ error")),
        };
        server.place.write("pages/errors.html", text);
        server.reload().await;
        if is_good {
            shown = page;
        } else {
            bad += 1;
        }
        assert_eq!(answer(http.get(&url)).await.body, shown, "page {number}");
    }
    assert_eq!(server.failures("templates").await, bad);
    assert_eq!(server.failures("certificate").await, 0);
}
