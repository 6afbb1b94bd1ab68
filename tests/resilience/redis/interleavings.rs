//! Ended means ended, whatever happens at the same time: generated interleavings of ends on two
//! servers with look-ups, flushes, lost connections, a cut network and old dumps.
//!
//! `SENTINEL_TEST_INTERLEAVINGS` sets their number, `SENTINEL_TEST_SEED` repeats those of a run.

use futures_util::future::join_all;

use super::*;
use crate::alone::serial;
use crate::figures::spread;
use crate::proxy::Proxy;
use crate::random::Random;
use crate::support::app::{Answer, AsConsole, USER, answer};
use crate::support::length::{Rounds, number};

/// How long they may take where their number is not set.
const AT_MOST: Duration = Duration::from_secs(20);
/// Ends in a row of one interleaving.
const ENDS: usize = 3;
/// How long another server may go on accepting an ended token: the promised quarter of a second, in
/// which each server looks once for what the others could not carry out, and as much for a debug
/// build.
const HEARD_WITHIN: Duration = Duration::from_millis(250 + 250);

/// What ends a token.
#[derive(Clone, Copy, Debug)]
enum End {
    Refresh,
    Revocation,
    Login,
    /// All tokens of the client.
    SignOut,
}

/// What happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Flush,
    Killed,
    Cut,
    OldDump,
}

/// One end and what goes with it.
#[derive(Clone, Copy, Debug)]
struct Step {
    end: End,
    /// Which of the two servers is asked for it.
    by: usize,
    end_after: Duration,
    fault: Fault,
    fault_after: Duration,
    /// When each of two look-ups per server begins.
    looks: [Duration; 4],
}

impl Step {
    fn choose(choices: &mut Random) -> Self {
        let ends = [End::Refresh, End::Revocation, End::Login, End::SignOut];
        let end = ends[choices.index(ends.len())];
        let fault = match choices.below(200) {
            0..80 => Fault::None,
            80..130 => Fault::Flush,
            130..180 => Fault::Killed,
            180..198 => Fault::Cut,
            _ => Fault::OldDump,
        };
        Self {
            end,
            by: choices.index(2),
            end_after: delay(choices),
            fault,
            fault_after: delay(choices),
            looks: std::array::from_fn(|_| delay(choices)),
        }
    }
}

fn delay(choices: &mut Random) -> Duration {
    Duration::from_micros(choices.below(4_000))
}

/// Two servers on one Redis, the first of them through a proxy.
struct Two {
    servers: [TestApp; 2],
    proxy: Proxy,
    redis: Server,
    link: MultiplexedConnection,
    heard: Vec<Duration>,
    acknowledged: usize,
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_means_ended_whatever_happens_at_the_same_time() {
    let _alone = serial().await;
    let seed = number("SENTINEL_TEST_SEED", 1_u64);
    let mut two = two().await;
    let mut count = 0;
    for done in Rounds::lasting(AT_MOST, "SENTINEL_TEST_INTERLEAVINGS") {
        let mut choices = Random::of(seed.wrapping_add(done));
        let steps: [Step; ENDS] = std::array::from_fn(|_| Step::choose(&mut choices));
        let repeat = format!("SENTINEL_TEST_SEED={} {steps:?}", seed + done);
        two.interleave(&steps, &repeat).await;
        count += 1;
    }
    tell(
        "interleavings and acknowledged ends",
        (count, two.acknowledged),
    );
    assert!(two.acknowledged > ENDS, "hardly anything ended");
    tell("ends obeyed by the other server", spread(&mut two.heard));
}

async fn two() -> Two {
    let redis = start_redis(&[]).await;
    let proxy = Proxy::before(redis.address()).await;
    let first = app_at(proxy.address()).await;
    let direct = url(redis.address());
    let second = first.sibling_with(&[("SENTINEL_REDIS_URL", &direct)]).await;
    becomes(&second, "ready", PATIENCE).await;
    let link = raw(redis.address()).await;
    Two {
        servers: [first, second],
        proxy,
        redis,
        link,
        heard: Vec::new(),
        acknowledged: 0,
    }
}

impl Two {
    async fn interleave(&mut self, steps: &[Step], repeat: &str) {
        let mut live = self.login().await;
        for step in steps {
            if step.fault == Fault::OldDump {
                say(&mut self.link, "SAVE").await;
            }
            let (next, answered) = self.step(step, &live, repeat).await;
            if let Some(answered) = answered {
                self.acknowledged += 1;
                self.check_heard(1 - step.by, &live.access, answered, repeat)
                    .await;
            }
            self.settle().await;
            if answered.is_some() {
                self.check_gone(&live.access, repeat).await;
            }
            live = match next {
                Some(next) => {
                    // What was acknowledged lives, on both.
                    for server in &self.servers {
                        let status = server.verify(&next.access).await.status;
                        assert_eq!(status, 204, "a live token is refused: {repeat}");
                    }
                    next
                }
                None => self.login().await,
            };
        }
    }

    async fn login(&self) -> Tokens {
        let answer = self.servers[1].login_as(USER.0, USER.1).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.tokens()
    }

    /// Ends a token while something else happens. Tells the pair in its place, and when the end
    /// was acknowledged.
    async fn step(
        &mut self,
        step: &Step,
        live: &Tokens,
        repeat: &str,
    ) -> (Option<Tokens>, Option<Instant>) {
        let [first, second] = &self.servers;
        let (link, proxy, redis) = (&mut self.link, &self.proxy, &mut self.redis);
        let looks = step
            .looks
            .iter()
            .enumerate()
            .map(|(index, after)| async move {
                tokio::time::sleep(*after).await;
                let server = if index % 2 == 0 { first } else { second };
                server.verify(&live.access).await;
            });
        let fault = async move {
            tokio::time::sleep(step.fault_after).await;
            match step.fault {
                Fault::None => {}
                Fault::Flush => drop(say(link, "FLUSHDB").await),
                Fault::Killed => drop(say(link, "CLIENT KILL TYPE normal SKIPME yes").await),
                Fault::Cut => proxy.cut(),
                Fault::OldDump => {
                    redis.kill();
                    redis.restart().await;
                    *link = raw(redis.address()).await;
                }
            }
        };
        let by = if step.by == 0 { first } else { second };
        let end = async {
            tokio::time::sleep(step.end_after).await;
            let answer = match step.end {
                End::Refresh => by.refresh(&live.refresh).await,
                End::Revocation => by.revoke(&live.access).await,
                End::Login => by.login_as(USER.0, USER.1).await,
                End::SignOut => sign_out(by).await,
            };
            let answered = Instant::now();
            if !answer.status.is_success() {
                assert_eq!(answer.status, 503, "{}: {repeat}", answer.body);
                return (None, None);
            }
            let status = by.verify(&live.access).await.status;
            assert_ne!(status, 204, "accepted where it was ended: {repeat}");
            let next = (answer.status == 200).then(|| answer.tokens());
            (next, Some(answered))
        };
        let (ended, (), _) = tokio::join!(end, fault, join_all(looks));
        ended
    }

    /// Waits until the other server refuses what has ended; from then on it has to.
    async fn check_heard(&mut self, other: usize, token: &str, answered: Instant, repeat: &str) {
        let server = &self.servers[other];
        while server.verify(token).await.status == 204 {
            let late = answered.elapsed();
            assert!(late < HEARD_WITHIN, "never heard of it: {repeat}");
        }
        self.heard.push(answered.elapsed());
    }

    /// Mends what was broken, and waits until both servers trust Redis.
    async fn settle(&self) {
        self.proxy.open();
        for server in &self.servers {
            becomes(server, "ready", PATIENCE).await;
        }
    }

    /// Checks that a token is neither accepted nor in Redis.
    async fn check_gone(&mut self, token: &str, repeat: &str) {
        for server in &self.servers {
            let status = server.verify(token).await.status;
            assert_ne!(status, 204, "accepted after its end: {repeat}");
        }
        let left = keys_of(&mut self.link, &[token]).await;
        assert_eq!(left, 0, "in Redis after its end: {repeat}");
    }
}

async fn sign_out(server: &TestApp) -> Answer {
    let request = server.post("/oauth/management/api/v1/tokens/revoke-all");
    let body = serde_json::json!({ "client_id": server.client_id });
    answer(request.with_console_credentials().json(&body)).await
}
