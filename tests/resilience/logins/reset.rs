//! Logins that are given up at once, as HTTP/2 lets its clients do.

use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use super::LANES;
use crate::alone::serial;
use crate::h2_frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, NONE, PING, frame, head, preface, read, reset, stream,
};
use crate::peers::scaled;
use crate::support::process::PAUSE;
use crate::target::{Stream, Target};
use crate::vitals::{KIB, MIB};

/// Logins in flight on one connection: fewer than it may have, more than the queue takes.
const STREAMS: usize = 100;
/// The default queue. As many as the lanes of all workers are being hashed.
const QUEUE: usize = 64;
/// Connections of a short run, one after the other.
const CONNECTIONS: usize = 10;
/// How long anything may take that has no limit of its own, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the server may grow by.
const GROWTH: usize = 50 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_stream_was_reset_before_its_turn_is_not_hashed() {
    let _alone = serial().await;
    // A hash takes some 200 ms, so hardly any begins before its stream is reset.
    let target = Target::start(&[("SENTINEL_BCRYPT_COST", "12")], None).await;
    let vitals = target.vitals();
    let memory = vitals.memory();
    let lanes = (vitals.threads("bcrypt-").len() * LANES) as u64;
    let first = target.counter("password_hashes_total").await;
    let count = scaled(CONNECTIONS);
    let mut dropped = 0;
    for _ in 0..count {
        let outcome = timeout(PATIENCE, log_in_and_reset(&target)).await;
        dropped += usize::from(outcome.unwrap().is_err());
    }
    let begun = target.counter("password_hashes_total").await;
    // What was given up leaves the queue when a worker comes to it, and a lane within a moment.
    let login = login_within(&target, PATIENCE).await;
    let all = target.counter("password_hashes_total").await;
    println!(
        "{} logins reset, {dropped} of {count} connections dropped: {} hashes begun by then, {} \
         after it; a right login worked within {login:.1?}; memory + {} KiB",
        count * STREAMS,
        begun - first,
        all - begun,
        vitals.memory().saturating_sub(memory) / KIB
    );
    assert!(dropped < count, "no connection got as far as the queue");
    // Its own, and those that had been taken from the queue before they were given up.
    assert!(
        all - begun <= 1 + lanes,
        "{} hashes after the last reset",
        all - begun
    );
    assert!(vitals.memory().saturating_sub(memory) < GROWTH);
    target.check_sound();
}

/// Tries a right login until it works; tells how long that took.
async fn login_within(target: &Target, limit: Duration) -> Duration {
    let began = Instant::now();
    let login = target.login("jonas", "pass");
    while target.ask(&login).await.unwrap().status != 200 {
        assert!(began.elapsed() < limit, "no login within {limit:?}");
        sleep(PAUSE).await;
    }
    began.elapsed()
}

/// Sends as many logins as a connection may have in flight, and resets them all as soon as those
/// have been refused that the queue has no room for. It fails where the server drops the connection,
/// which it may if it sees the resets before it looks at the logins.
async fn log_in_and_reset(target: &Target) -> std::io::Result<()> {
    let mut connection = target.connect_for("h2").await?;
    let form = target.form("jonas", "wrong");
    let media_type = ("content-type", "application/x-www-form-urlencoded");
    let block = head("POST", "/oauth/token", &[media_type]);
    let mut logins = preface(&[]);
    let mut resets = Vec::new();
    for number in 0..STREAMS {
        let stream = stream(number);
        logins.extend(frame(HEADERS, END_HEADERS, stream, &block));
        logins.extend(frame(DATA, END_STREAM, stream, form.as_bytes()));
        resets.extend(reset(stream));
    }
    connection.write_all(&logins).await?;
    connection.flush().await?;
    let lanes = available_parallelism()?.get() * LANES;
    for _ in 0..STREAMS.saturating_sub(QUEUE + lanes) {
        wait_for(&mut *connection, HEADERS).await?;
    }
    // The answer to the PING shows that the resets before it were taken.
    connection.write_all(&resets).await?;
    connection.write_all(&frame(PING, NONE, 0, &[7; 8])).await?;
    connection.flush().await?;
    wait_for(&mut *connection, PING).await
}

async fn wait_for(mut connection: &mut dyn Stream, kind: u8) -> std::io::Result<()> {
    while read(&mut connection).await?.kind != kind {}
    Ok(())
}
