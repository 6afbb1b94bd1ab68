//! Everything too large: refused early, at once and at little cost.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::scaled;
use crate::alone::serial;
use crate::target::Target;
use crate::vitals::{KIB, MIB};

/// Far less than any deadline of a peer, with slack for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Attempts at one time.
const AT_A_TIME: usize = 50;
/// What one attempt may cost, whatever its size.
const COST: usize = MIB;

const FORM: &str = "POST /oauth/token HTTP/1.1\r\nHost: a\r\n\
                    Content-Type: application/x-www-form-urlencoded\r\n";

/// Name, what is sent before the answer has to come, and the status of the answer. Nothing more is
/// sent, so the answer shows how much the server wants to read.
fn attempts() -> Vec<(&'static str, String, &'static str)> {
    let limit = 16 * KIB;
    let chunk = format!("{:x}\r\n{}\r\n", limit + 1, "a".repeat(limit + 1));
    let parameters = "a&".repeat(limit / 2);
    vec![
        (
            "10 MB declared",
            format!("{FORM}Content-Length: 10000000\r\n\r\n"),
            "413",
        ),
        (
            "a byte over 16 KiB declared",
            format!("{FORM}Content-Length: {}\r\n\r\n", limit + 1),
            "413",
        ),
        (
            "a byte over 16 KiB in a body without end",
            format!("{FORM}Transfer-Encoding: chunked\r\n\r\n{chunk}"),
            "413",
        ),
        (
            "a compressed body",
            format!("{FORM}Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n"),
            "415",
        ),
        (
            "8,192 parameters",
            format!("{FORM}Content-Length: {limit}\r\n\r\n{parameters}"),
            "400",
        ),
        (
            "a head over 16 KiB",
            format!("{FORM}X: {}", "a".repeat(limit)),
            "431",
        ),
        (
            "101 header lines",
            format!("{FORM}{}\r\n", "X: 1\r\n".repeat(101)),
            "431",
        ),
        (
            "a target over 8 KiB",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8 * KIB)),
            "414",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_at_once_and_costs_little() {
    let _alone = serial().await;
    let target = Target::start(&[("SENTINEL_TLS", "off")], None).await;
    let memory = target.vitals().memory();
    for (name, request, status) in attempts() {
        let request = Arc::new(request);
        for _ in 0..scaled(1) {
            let mut peers = JoinSet::new();
            for _ in 0..AT_A_TIME {
                peers.spawn(refusal(Arc::clone(&target), Arc::clone(&request)));
            }
            for answer in peers.join_all().await {
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{name}: {answer:?}"
                );
            }
        }
        let growth = target.vitals().memory().saturating_sub(memory);
        println!(
            "{name}: memory + {} KiB for {AT_A_TIME} at a time",
            growth / KIB
        );
        assert!(growth <= AT_A_TIME * COST, "{name}: {growth} bytes");
    }
    target.check_sound();
}

/// What the server says to the beginning of a request.
async fn refusal(target: Arc<Target>, request: Arc<String>) -> String {
    let mut stream = target.tcp().await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut room = [0; 512];
    let read = timeout(AT_ONCE, stream.read(&mut room)).await;
    let length = read.expect("it is refused at once").unwrap();
    String::from_utf8_lossy(&room[..length]).into_owned()
}
