//! SIGTERM behind a balancer and under load (P27): nobody notices.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::session::{Pace, Session, Who};
use super::{Pairing, place_of};
use crate::alone::serial;
use crate::support::app::{AsConsole, CONSOLE, answer};
use crate::support::balancer::Balancer;
use crate::support::length;
use crate::support::process::{PATIENCE, Place, Running, https};
use crate::support::server::free_port;
use crate::support::tls::client_config;
use crate::wire::Wire;

/// How long the end may take, whatever clients do.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Clients of each kind: brisk and slow, over HTTP/1.1 and HTTP/2.
const CLIENTS: usize = 3;
/// Connections to the server that stops on which nothing happens.
const IDLE: usize = 5;
const PASSWORD: &str = "pass word 1";

/// Two servers on the same stores behind a balancer.
struct Pool {
    place: Place,
    pair: Pairing,
    ports: [u16; 2],
    running: [Option<Running>; 2],
    balancer: Balancer,
    client_id: String,
}

impl Pool {
    async fn start() -> Self {
        let (place, pair) = place_of(&[]).await;
        let ports = [free_port(), free_port()];
        let running = ports.map(|port| Some(place.start(&line(port))));
        let balancer = Balancer::before(&ports).await;
        balancer.all_ready().await;
        let mut pool = Self {
            place,
            pair,
            ports,
            running,
            balancer,
            client_id: String::new(),
        };
        let client = serde_json::json!({"client_type": "public"});
        let client = pool.add("clients", &client).await;
        client["client_id"]
            .as_str()
            .unwrap()
            .clone_into(&mut pool.client_id);
        pool
    }

    async fn add(&self, kind: &str, record: &serde_json::Value) -> serde_json::Value {
        let port = self.ports[0];
        let url = format!("https://localhost:{port}/oauth/management/api/v1/{kind}");
        let request = https().post(url).with_console_credentials();
        let answer = answer(request.json(record)).await;
        assert_eq!(answer.status, 201, "{}, by {}", answer.body, CONSOLE.0);
        answer.json()
    }

    /// A client of its own user for each protocol and pace.
    async fn sessions(&self) -> Vec<Session> {
        let mut sessions = Vec::new();
        for protocol in ["http/1.1", "h2"] {
            for pace in [Pace::Brisk, Pace::Slow] {
                for number in 0..CLIENTS {
                    let username = format!("{protocol} {pace:?} {number}");
                    let user = serde_json::json!({"username": username, "password": PASSWORD});
                    self.add("users", &user).await;
                    sessions.push(Session::new(Who {
                        port: self.balancer.port,
                        config: client_config([&*self.pair], protocol),
                        pace,
                        client_id: self.client_id.clone(),
                        username,
                        password: PASSWORD.to_owned(),
                    }));
                }
            }
        }
        sessions
    }

    /// Stops one server and starts it again; tells when the signal came and how long the end took.
    async fn stop(&mut self, index: usize) -> (Instant, Duration) {
        let port = self.ports[index];
        let config = client_config([&*self.pair], "http/1.1");
        let mut idle = Vec::new();
        for _ in 0..IDLE {
            idle.push(Wire::open(port, Arc::clone(&config)).await.unwrap());
        }
        let running = self.running[index].take().unwrap();
        running.signal("TERM");
        let told = Instant::now();
        // It may last longer than it should: then the figure says so.
        let ended = running.ended(2 * END_WITHIN).await;
        let took = told.elapsed();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.err.contains("every request in flight"), "{ended:?}");
        self.running[index] = Some(self.place.start(&line(port)));
        self.balancer.all_ready().await;
        (told, took)
    }
}

fn line(port: u16) -> String {
    format!("serve --listen 127.0.0.1:{port}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_stop_by_turns_behind_a_balancer_are_noticed_by_nobody() {
    let _serial = serial().await;
    let stops = length::number("SENTINEL_TEST_STOPS", 6);
    let mut pool = Pool::start().await;
    let (done, watched) = watch::channel(false);
    let mut clients = JoinSet::new();
    for session in pool.sessions().await {
        clients.spawn(session.live(watched.clone()));
    }
    let mut ends = Vec::new();
    for stop in 0..stops {
        ends.push(pool.stop(stop % 2).await);
    }
    done.send_replace(true);
    let mut sessions = clients.join_all().await;

    // Whoever answers now was started after the last stop, or has lived through it.
    for session in &mut sessions {
        session.present().await;
    }
    let failures: Vec<&String> = sessions.iter().flat_map(|it| &it.failures).collect();
    let requests: usize = sessions.iter().map(|it| it.answered.len()).sum();
    let unsent: usize = sessions.iter().map(|it| it.unsent).sum();
    let unavailable: usize = sessions.iter().map(|it| it.unavailable).sum();
    let in_flight: usize = sessions.iter().map(|it| spanning(it, &ends)).sum();
    let mut times: Vec<Duration> = ends.iter().map(|(_, took)| *took).collect();
    times.sort();
    println!(
        "{stops} stops, {requests} requests, {in_flight} in flight at a signal, \
         {unsent} connections ended unused, {unavailable} answers of 503, {} failures; ends: median {:?}, longest {:?}",
        failures.len(),
        times[times.len() / 2],
        times[times.len() - 1],
    );
    assert!(
        failures.is_empty(),
        "{} of {requests}: {failures:#?}",
        failures.len()
    );
    assert_eq!(pool.balancer.refused(), 0);
    // None on a machine that is not busy: then a verification takes far less than its 250 ms.
    assert!(unavailable * 10 <= requests, "{unavailable} of {requests}");
    assert!(
        in_flight >= stops,
        "{in_flight} in flight at {stops} signals"
    );
    assert!(times.iter().all(|took| *took <= END_WITHIN), "{times:?}");
    for running in pool.running.into_iter().flatten() {
        running.signal("INT");
        assert_eq!(running.ended(PATIENCE).await.code, Some(0));
    }
}

/// Answered requests that were on their way when a server was told to stop.
fn spanning(session: &Session, ends: &[(Instant, Duration)]) -> usize {
    let is_cut = |(began, ended): &&(Instant, Instant)| {
        ends.iter().any(|(told, _)| began < told && told < ended)
    };
    session.answered.iter().filter(is_cut).count()
}
