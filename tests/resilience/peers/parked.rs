//! Requests by the thousand whose bodies never come: each holds its head in the server's memory.

use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::io::AsyncWriteExt;

use super::scaled;
use crate::alone::serial;
use crate::h2_frames::{END_HEADERS, HEADERS, frame, head, preface, read, stream};
use crate::target::{Stream, Target};
use crate::vitals::{KIB, MIB};

/// What the server may grow by for the requests, however many there are.
const GROWTH: usize = 150 * MIB;
/// And for each connection.
const CONNECTION_COST: usize = 40 * KIB;

/// Streams that a connection may have.
const STREAMS: usize = 128;

/// Connections in a short run: five times as many requests as are let in.
const CONNECTIONS: usize = 160;

/// How long the heads are left to be read.
const READ_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_come_cost_a_bounded_memory_and_harm_nobody_else() {
    let _alone = serial().await;
    let settings = [("SENTINEL_BCRYPT_COST", "4")];
    let target = Target::start(&settings, None).await;
    let memory = target.vitals().memory();
    let count = scaled(CONNECTIONS);
    let opened = try_join_all((0..count).map(|_| open(&target)));
    let opened = opened.await.unwrap();
    let taken = try_join_all(opened.into_iter().map(take));
    let honest = async {
        tokio::time::sleep(READ_WITHIN).await;
        let growth = target.vitals().memory().saturating_sub(memory);
        let verified = target.ask(&target.verification()).await.unwrap();
        let login = target.login("jonas", "pass");
        (growth, verified.status, target.ask(&login).await.unwrap())
    };
    let (growth, verified, login) = tokio::select! {
        honest = honest => honest,
        broken = taken => panic!("a connection ended: {broken:?}"),
    };
    let requests = count * STREAMS;
    println!("{requests} requests that wait cost {} MiB", growth / MIB);
    let allowed = GROWTH + count * CONNECTION_COST;
    assert!(growth <= allowed, "{} MiB", growth / MIB);
    assert_eq!((verified, login.status), (204, 200), "{}", login.text);
    target.check_sound();
}

/// A connection with as many requests as it may have, each with as many fields, and no body.
async fn open(target: &Target) -> std::io::Result<Box<dyn Stream>> {
    let names: Vec<String> = (0..90).map(|number| format!("x{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let block = head("POST", "/oauth/token", &[&[form], &fields[..]].concat());
    let mut connection = target.connect_for("h2").await?;
    connection.write_all(&preface(&[])).await?;
    for number in 0..STREAMS {
        let request = frame(HEADERS, END_HEADERS, stream(number), &block);
        connection.write_all(&request).await?;
    }
    connection.flush().await?;
    Ok(connection)
}

/// Takes what the server sends, for ever.
async fn take(mut connection: Box<dyn Stream>) -> std::io::Result<()> {
    loop {
        read(&mut connection).await?;
    }
}
