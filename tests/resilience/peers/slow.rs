//! Peers that let the server wait: for heads, bodies, handshakes, and for room to write to.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::scaled;
use crate::alone::serial;
use crate::h2_frames::{END_HEADERS, END_STREAM, HEADERS, NONE, PING, frame, head, preface};
use crate::probe::{Watch, watch_for};
use crate::target::{Stream, Target, ask};
use crate::vitals::KIB;

/// The longest that any of these may stay: 10 s is each limit, the rest is for a busy machine.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);
/// No peer is given up before its limit; a second is for the clock of the test, which starts later.
const NOT_BEFORE: Duration = Duration::from_secs(9);
/// Between two signs of life of a slow peer.
const PAUSE: Duration = Duration::from_secs(1);
/// Peers that connect at one time: more would only fill the system's queue.
const CONNECTING: usize = 64;
/// What a connection may cost that is idle or slow.
const CONNECTION_COST: usize = 64 * KIB;

/// How a peer is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slow {
    Head,
    Body,
    Reader,
    Handshake,
    Http2Reader,
    Http2Silence,
}

impl Slow {
    /// Is slow until the server closes.
    async fn be(self, target: &Target, connecting: &Semaphore) -> io::Result<()> {
        let permit = connecting.acquire().await.unwrap();
        match self {
            Self::Head => {
                let stream = Box::new(target.tcp().await?);
                drop(permit);
                drip(
                    stream,
                    "GET /oauth/verify HTTP/1.1\r\nHost: a\r\n",
                    "X-Y: z\r\n",
                )
                .await
            }
            Self::Body => {
                let stream = Box::new(target.tcp().await?);
                drop(permit);
                let head = "POST /oauth/token HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\n";
                drip(stream, head, "a").await
            }
            Self::Reader => {
                let socket = TcpSocket::new_v4()?;
                socket.set_recv_buffer_size(4_096)?;
                let stream = socket.connect(([127, 0, 0, 1], target.port).into()).await?;
                drop(permit);
                sip(Box::new(stream)).await
            }
            Self::Handshake => {
                let stream = Box::new(target.tcp().await?);
                drop(permit);
                drip(stream, "\x16", "").await
            }
            Self::Http2Reader => {
                let mut stream = target.connect_for("h2").await?;
                drop(permit);
                // It grants no byte of any response, and asks for an answer to a PING all the time.
                stream.write_all(&preface(&[(4, 0)])).await?;
                let block = head("POST", "/oauth/token", &[]);
                let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
                stream.write_all(&request).await?;
                drip(stream, "", frame(PING, NONE, 0, &[7; 8])).await
            }
            Self::Http2Silence => {
                let mut stream = target.connect_for("h2").await?;
                drop(permit);
                stream.write_all(&preface(&[])).await?;
                drip(stream, "", frame(PING, NONE, 0, &[7; 8])).await
            }
        }
    }
}

/// Sends a beginning, and then a piece now and then; reads what comes.
async fn drip(
    mut stream: Box<dyn Stream>,
    begin: impl AsRef<[u8]>,
    piece: impl AsRef<[u8]>,
) -> io::Result<()> {
    stream.write_all(begin.as_ref()).await?;
    stream.flush().await?;
    let mut room = [0; 1_024];
    loop {
        match timeout(PAUSE, stream.read(&mut room)).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_elapsed) => {
                stream.write_all(piece.as_ref()).await?;
                stream.flush().await?;
            }
        }
    }
}

/// Asks for more and more, and reads so little of it that the server has to wait.
async fn sip(stream: Box<dyn Stream>) -> io::Result<()> {
    // A page of some kilobytes, so that few of them fill all buffers.
    let requests = "GET /oauth/errors HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
    let (mut from_server, mut to_server) = tokio::io::split(stream);
    let asking = async {
        loop {
            to_server.write_all(requests.as_bytes()).await?;
        }
    };
    let sipping = async {
        loop {
            sleep(PAUSE).await;
            if from_server.read(&mut [0; 1_000]).await? == 0 {
                return Ok(());
            }
        }
    };
    tokio::select! {
        ended = asking => ended,
        ended = sipping => ended,
    }
}

/// Lets so many peers be slow; tells when the first and the last was closed.
async fn crowd(target: Arc<Target>, slow: Slow, count: usize) -> (Slow, Duration, Duration) {
    let connecting = Arc::new(Semaphore::new(CONNECTING));
    let mut peers = JoinSet::new();
    for _ in 0..count {
        let (target, connecting) = (Arc::clone(&target), Arc::clone(&connecting));
        peers.spawn(async move {
            let began = Instant::now();
            // A reset is an end as well.
            let _ = slow.be(&target, &connecting).await;
            began.elapsed()
        });
    }
    let times = peers.join_all().await;
    let first = times.iter().min().unwrap();
    (slow, *first, *times.iter().max().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_silent_peers_are_closed_in_time_and_harm_nobody_else() {
    let _alone = serial().await;
    let plain = Target::start(&[("SENTINEL_TLS", "off")], None).await;
    let tls = Target::start(&[], None).await;
    let before = [
        watch_for(&plain, Duration::from_secs(1)).await,
        watch_for(&tls, Duration::from_secs(1)).await,
    ];
    let memory = [plain.vitals().memory(), tls.vitals().memory()];
    let watches = [Watch::begin(&plain), Watch::begin(&tls)];
    let mut crowds = JoinSet::new();
    for (target, slow, count) in [
        (&plain, Slow::Head, 400),
        (&plain, Slow::Body, 80),
        // Each lets the server fill megabytes of the system's buffers first, page by page.
        (&plain, Slow::Reader, 4),
        (&tls, Slow::Handshake, 200),
        (&tls, Slow::Http2Reader, 10),
        (&tls, Slow::Http2Silence, 10),
    ] {
        crowds.spawn(crowd(Arc::clone(target), slow, scaled(count)));
    }
    let outcomes = crowds.join_all().await;
    let peers = [scaled(400 + 80 + 4), scaled(200 + 10 + 10)];
    for ((target, memory), peers) in [&plain, &tls].into_iter().zip(memory).zip(peers) {
        let growth = target.vitals().memory().saturating_sub(memory);
        println!("memory + {} KiB for {peers} peers", growth / KIB);
        assert!(growth < peers * CONNECTION_COST, "{growth} bytes");
    }
    for (watch, before) in watches.into_iter().zip(before) {
        let during = watch.end().await;
        println!("before: {}\nduring: {}", before.line(), during.line());
        during.check_unharmed(&before);
    }
    println!("{outcomes:#?}");
    for (slow, first, last) in outcomes {
        assert!(last < CLOSED_WITHIN, "{slow:?} closed after {last:?}");
        // With more peers than connections some are cut to make room.
        assert!(
            first > NOT_BEFORE || scaled(1) > 1,
            "{slow:?} closed after {first:?}"
        );
    }
    plain.check_sound();
    tls.check_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_costs_little() {
    let _alone = serial().await;
    let target = Target::start(&[], None).await;
    // The first ones pay for what all of them share.
    let mut idle = idle_connections(&target, 100).await;
    let memory = target.vitals().memory();
    let count = scaled(400);
    idle.extend(idle_connections(&target, count).await);
    let each = target.vitals().memory().saturating_sub(memory) / count;
    println!("an idle connection costs {} KiB", each / KIB);
    assert!(each <= CONNECTION_COST, "{each} bytes");
    drop(idle);
    target.check_sound();
}

async fn idle_connections(target: &Target, count: usize) -> Vec<Box<dyn Stream>> {
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut stream = target.connect().await.unwrap();
        let reply = ask(&mut *stream, &target.verification()).await.unwrap();
        assert_eq!(reply.status, 204);
        idle.push(stream);
    }
    idle
}
