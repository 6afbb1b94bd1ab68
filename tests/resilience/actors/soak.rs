//! A long run under mixed load with occasional panics and lost connections: memory and open files
//! stay as they were. `SENTINEL_TEST_SOAK_SECONDS` says how long.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;
use warp_sentinel::actors::supervisor::faults::Moment;

use super::deed::Deed;
use super::usage::{open_files, resident_mib};
use super::ward::{PASSWORD, Ward};
use crate::alone::serial;
use crate::figures::tell;
use crate::history::live;
use crate::support::length::number;

/// Between two faults: less than half of any budget of restarts.
const PAUSE: Duration = Duration::from_secs(5);
/// What a debug build may still grow after its first third, on top of one percent an hour.
const GROWTH_MIB: u64 = 20;
/// Connections that come and go with their clients, the stores' and this test's.
const FILES: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_with_faults_keeps_memory_and_files_flat() {
    let _alone = serial().await;
    let length = Duration::from_secs(number("SENTINEL_TEST_SOAK_SECONDS", 9));
    let mut ward = Ward::new().await;
    // A new connection is trusted once all ends of the last hour were carried out again.
    ward.trusted_within += length / 20;
    let names: Vec<String> = (0..4).map(|index| format!("soaked{index}")).collect();
    for name in &names {
        ward.app.add_user(name, PASSWORD).await;
    }
    let (done, is_done) = watch::channel(false);
    let clients = join_all(
        names
            .iter()
            .map(|name| live(&ward.app, name, is_done.clone())),
    );
    let faults = async {
        let samples = disturb(&ward, length).await;
        done.send_replace(true);
        samples
    };
    let (histories, samples) = tokio::join!(clients, faults);
    let issued: usize = histories.iter().map(|history| history.issued).sum();
    let (third, last) = (samples[samples.len() / 3], samples[samples.len() - 1]);
    tell(format!(
        "soak: {} s, {issued} pairs, {} faults; MiB and files after a third {third:?}, at the end \
         {last:?}",
        length.as_secs(),
        samples.len() - 1
    ));
    assert!(last.0 <= third.0 + GROWTH_MIB, "{samples:?}");
    assert!(last.1 <= third.1 + FILES, "{samples:?}");
    ward.has_lost_nothing().await;
}

/// A fault now and then; memory and files before and after each.
async fn disturb(ward: &Ward, length: Duration) -> Vec<(u64, usize)> {
    let faults = [
        ("token_issuer", Moment::InFlight("Landed", 3), Deed::Refresh),
        (
            "token_cache.0",
            Moment::After("look_up"),
            Deed::VerifyUnknown,
        ),
        ("user_registry", Moment::Before("landed"), Deed::Login),
        ("password_pool", Moment::Before("verify"), Deed::Login),
        (
            "token_cache.0",
            Moment::Before("connected"),
            Deed::Reconnect,
        ),
    ];
    let end = Instant::now() + length;
    let mut samples = vec![(resident_mib(), open_files())];
    for (actor, moment, deed) in faults.into_iter().cycle() {
        let plan = ward.app.sentinel.plan_panic(actor, moment, 1);
        let plan = plan.await.unwrap();
        let next = Instant::now() + PAUSE;
        while plan.happened() == 0 || Instant::now() < next.min(end) {
            ward.does(deed).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        samples.push((resident_mib(), open_files()));
        if Instant::now() >= end {
            break;
        }
    }
    ward.trusts_redis().await;
    samples
}
