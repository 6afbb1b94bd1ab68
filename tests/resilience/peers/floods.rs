//! HTTP/2 abuse: what the advisories of its implementations name, and what they do not.

use std::fmt::Write;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::scaled;
use crate::alone::serial;
use crate::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, NONE, PING, PRIORITY, SETTINGS,
    WINDOW_UPDATE, field, frame, head, preface, read, reset, stream,
};
use crate::probe::{Watch, watch_for};
use crate::target::Target;
use crate::vitals::{KIB, MIB};

/// What a server under HTTP/2 abuse may grow by.
const GROWTH: usize = 100 * MIB;

/// How long a connection that only costs may last: far less than any deadline of a peer.
const DROPPED_WITHIN: Duration = Duration::from_secs(5);

/// What each attack sends in a short run, and at most over one connection.
const PIECES: usize = 40_000;

/// Pieces in one write.
const BATCH: usize = 50;

/// An attack over one connection.
struct Flood {
    name: &'static str,
    /// What is sent first, behind the preface.
    opening: Vec<u8>,
    /// The piece of this number.
    piece: Box<dyn Fn(usize) -> Vec<u8> + Sync>,
    /// Whether the attacker takes what the server sends.
    is_reading: bool,
}

/// How an attack ended that came back as often as it was dropped.
#[derive(Default)]
struct Outcome {
    connections: usize,
    pieces: usize,
    /// Connections that were still open at the end.
    open: usize,
    goaway: Option<u32>,
    took: Duration,
    processor: Duration,
    growth: usize,
}

fn flood(name: &'static str, piece: impl Fn(usize) -> Vec<u8> + Sync + 'static) -> Flood {
    Flood {
        name,
        opening: Vec::new(),
        piece: Box::new(piece),
        is_reading: true,
    }
}

/// The head of a request whose body is to follow.
fn open_request() -> Vec<u8> {
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let block = head("POST", "/oauth/token", &form);
    frame(HEADERS, END_HEADERS, 1, &block)
}

fn get(number: usize) -> Vec<u8> {
    let block = head("GET", "/oauth/verify", &[]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &block)
}

/// A request whose body is to follow.
fn open_stream(number: usize) -> Vec<u8> {
    let block = head("POST", "/oauth/token", &[("content-type", "text/plain")]);
    frame(HEADERS, END_HEADERS, stream(number), &block)
}

/// Streams and heads that are never what they seem.
fn stream_floods() -> Vec<Flood> {
    let endless = || frame(HEADERS, END_STREAM, 1, &head("GET", "/oauth/verify", &[]));
    let line = field("x", &"y".repeat(100));
    // A field of 4,000 bytes goes into the table of HPACK, and is named again 8,000 times.
    let entry = [&[0x40, 1, b'b', 127, 0xa1, 0x1e][..], &[b'x'; 4_000]].concat();
    let bomb = [head("GET", "/", &[]), entry, vec![0xbe; 8_000]].concat();
    vec![
        flood("streams reset at once (CVE-2023-44487)", |number| {
            [get(number), reset(stream(number))].concat()
        }),
        flood("streams that the server resets (CVE-2025-8671)", |number| {
            let zero = frame(WINDOW_UPDATE, NONE, stream(number), &[0; 4]);
            [open_stream(number), zero].concat()
        }),
        flood("more streams than allowed", open_stream),
        Flood {
            opening: endless(),
            ..flood("a head without end (VU#421644)", move |_| {
                frame(CONTINUATION, NONE, 1, &line)
            })
        },
        Flood {
            opening: endless(),
            ..flood("a head without end in empty pieces", |_| {
                frame(CONTINUATION, NONE, 1, &[])
            })
        },
        flood("a head that unpacks to 32 MB", move |number| {
            frame(HEADERS, END_HEADERS | END_STREAM, stream(number), &bomb)
        }),
    ]
}

/// Frames that are no request.
fn frame_floods() -> Vec<Flood> {
    let ping = |_| frame(PING, NONE, 0, &[7; 8]);
    let settings = |_| frame(SETTINGS, NONE, 0, &[]);
    vec![
        Flood {
            opening: open_request(),
            ..flood("empty DATA (CVE-2019-9518)", |_| frame(DATA, NONE, 1, &[]))
        },
        flood("PING (CVE-2019-9512)", ping),
        Flood {
            is_reading: false,
            ..flood("PING, and no answer read", ping)
        },
        flood("SETTINGS (CVE-2019-9515)", settings),
        Flood {
            is_reading: false,
            ..flood("SETTINGS, and no answer read", settings)
        },
        flood("PRIORITY (CVE-2019-9513)", |number| {
            frame(PRIORITY, NONE, stream(number), &[0, 0, 0, 0, 1])
        }),
        flood("frames of no kind", |_| frame(0xbe, NONE, 0, &[1; 32])),
        Flood {
            opening: open_request(),
            ..flood("a WINDOW_UPDATE for each byte", |_| {
                frame(WINDOW_UPDATE, NONE, 0, &1_u32.to_be_bytes())
            })
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_abuse_ends_its_connection_and_harms_nobody_else() {
    let _alone = serial().await;
    let target = Target::start(&[("SENTINEL_BCRYPT_COST", "4")], None).await;
    let before = watch_for(&target, Duration::from_secs(1)).await;
    let watch = Watch::begin(&target);
    let mut outcomes = Vec::new();
    for flood in stream_floods().into_iter().chain(frame_floods()) {
        outcomes.push((flood.name, attack(&target, &flood).await));
    }
    let during = watch.end().await;
    println!("before: {}\nduring: {}", before.line(), during.line());
    let mut faults = String::new();
    for (name, outcome) in outcomes {
        let line = outcome.line(name);
        println!("{line}");
        if outcome.open > 0 || outcome.growth > GROWTH {
            writeln!(faults, "{line}").unwrap();
        }
    }
    assert!(faults.is_empty(), "floods that cost too much:\n{faults}");
    during.check_unharmed(&before);
    target.check_sound();
}

/// Attacks, and comes back as soon as it has been dropped.
async fn attack(target: &Target, flood: &Flood) -> Outcome {
    let vitals = target.vitals();
    let (memory, processor) = (vitals.memory(), vitals.processor());
    let began = Instant::now();
    let mut outcome = Outcome::default();
    while outcome.pieces < scaled(PIECES) && began.elapsed() < Duration::from_secs(scaled(1) as u64)
    {
        attack_once(target, flood, &mut outcome).await;
        outcome.growth = outcome.growth.max(vitals.memory().saturating_sub(memory));
    }
    outcome.took = began.elapsed();
    outcome.processor = vitals.processor().saturating_sub(processor);
    outcome
}

/// Attacks over one connection until it is closed, or far beyond what any may take.
async fn attack_once(target: &Target, flood: &Flood, outcome: &mut Outcome) {
    let connection = target.connect_for("h2").await.unwrap();
    let (mut from_server, mut to_server) = tokio::io::split(connection);
    let mut sent = 0;
    let writing = async {
        to_server.write_all(&preface(&[])).await?;
        to_server.write_all(&flood.opening).await?;
        while sent < PIECES {
            let some: Vec<u8> = (sent..sent + BATCH).flat_map(&flood.piece).collect();
            to_server.write_all(&some).await?;
            to_server.flush().await?;
            sent += BATCH;
        }
        Ok::<_, std::io::Error>(())
    };
    let reading = async {
        let mut goaway = None;
        while let Ok(frame) = read(&mut from_server).await {
            if frame.kind == GOAWAY {
                goaway = Some(u32::from_be_bytes(frame.payload[4..8].try_into().unwrap()));
            }
        }
        goaway
    };
    let whole = async {
        tokio::pin!(reading);
        tokio::select! {
            biased;
            // Who cannot write any more has been dropped; what is under way has to be taken first.
            written = writing => if written.is_ok() { reading.await } else { None },
            goaway = &mut reading, if flood.is_reading => goaway,
        }
    };
    match timeout(DROPPED_WITHIN, whole).await {
        Ok(goaway) => outcome.goaway = outcome.goaway.or(goaway),
        Err(_) => outcome.open += 1,
    }
    outcome.connections += 1;
    outcome.pieces += sent;
}

impl Outcome {
    fn line(&self, name: &str) -> String {
        format!(
            "{name}: {} pieces, {} connections, {} stay open, GOAWAY {:?}, {:.1?}, processor {:.1?}, \
             memory + {} KiB",
            self.pieces,
            self.connections,
            self.open,
            self.goaway,
            self.took,
            self.processor,
            self.growth / KIB
        )
    }
}
