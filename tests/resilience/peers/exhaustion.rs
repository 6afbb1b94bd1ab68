//! More connections than files.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::alone::serial;
use crate::probe::watch_for;
use crate::target::{Stream, Target, ask};

/// Files that the server may open, and more connections than that.
const FILES: u32 = 256;
const CONNECTIONS: usize = 400;
/// What is left to the stores, the log and the certificate; the server keeps twice as many.
const LEFT: usize = 64;
/// How long the shortage lasts.
const SHORTAGE: Duration = Duration::from_secs(2);
/// How soon all is well again.
const RECOVERED_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_shortage_of_files_ends_nothing_and_heals() {
    let _alone = serial().await;
    let target = Target::start(&[("SENTINEL_TLS", "off")], Some(FILES)).await;
    let (mut silent, mut idle) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        silent.push(target.tcp().await.unwrap());
        silent.push(
            TcpStream::connect(("127.0.0.1", target.metrics_port))
                .await
                .unwrap(),
        );
    }
    // Once with peers that say nothing, once with peers that asked for something before.
    let beside_silence = shortage(&target).await;
    for _ in 0..CONNECTIONS {
        idle.push(one_request(&target).await);
    }
    let beside_idleness = shortage(&target).await;
    println!("{beside_silence}\n{beside_idleness}");
    drop((silent, idle));
    let relief = Instant::now();
    let login = timeout(RECOVERED_WITHIN, target.ask(&target.login("jonas", "pass"))).await;
    let login = login.expect("it recovers in time").unwrap();
    println!("a login {:?} after the relief", relief.elapsed());
    assert_eq!(login.status, 200, "{}", login.text);
    target.check_sound();
}

/// Looks at the server for a while: it serves who comes, keeps files free, and does not spin.
async fn shortage(target: &std::sync::Arc<Target>) -> String {
    let vitals = target.vitals();
    // Connections wait in the system's queue first.
    sleep(Duration::from_millis(200)).await;
    let processor = vitals.processor();
    sleep(SHORTAGE).await;
    let spent = vitals.processor().saturating_sub(processor);
    assert!(spent < SHORTAGE / 4, "it spins: {spent:?} in {SHORTAGE:?}");
    let free = FILES as usize - vitals.files();
    assert!(free >= LEFT, "{free} files are free");
    let health = watch_for(target, SHORTAGE).await;
    // The kept connection of an honest client may be cut between two requests, and is made anew.
    assert!(health.answers() > 50, "{}", health.line());
    format!(
        "{free} files free, {spent:.1?} of processor in {SHORTAGE:?}; {}",
        health.line()
    )
}

async fn one_request(target: &Target) -> Box<dyn Stream> {
    let began = Instant::now();
    let mut stream = target.connect().await.unwrap();
    let reply = ask(&mut *stream, &target.verification()).await.unwrap();
    assert_eq!(reply.status, 204);
    assert!(
        began.elapsed() < RECOVERED_WITHIN,
        "let waiting {:?}",
        began.elapsed()
    );
    stream
}
