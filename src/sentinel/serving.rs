//! Serving: the listeners, the wait for the end, and the order in which things stop.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use warp::{Filter, Rejection, Reply};

use super::Sentinel;
use super::error::{RunError, StartError};
use super::lookout;
use super::service::{Noted, ended_by_signal};
use crate::actors::supervisor::Tree;
use crate::http;
use crate::http::error::recovery::recover;
use crate::server::accept::{Drained, Server};
use crate::server::limits::Limits;
use crate::server::listener::Listener;
use crate::settings::{ListenAddress, Settings};
use crate::stores;

/// How long a server that was told to stop still takes connections while `/readyz` says that it
/// will not: balancers look every second or so.
const NOTICE: Duration = Duration::from_secs(2);
/// From the word to stop until everything has stopped. The rest of the 10 s that are promised is for
/// the process to end in.
const STOPPED_WITHIN: Duration = Duration::from_millis(9_750);
/// How long the actors have to finish what they are at where nothing else takes time.
pub(super) const ACTORS_STOP_WITHIN: Duration = Duration::from_secs(5);

/// How a server is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `/readyz` says so for 2 s before the listener closes, so that a balancer never sends a
    /// request to a closed one.
    WithNotice,
    /// The listener closes at once.
    WithoutNotice,
}

/// A listener that is bound and not served yet.
pub struct Listening {
    listener: Listener,
    metrics: Option<Listener>,
    /// The address, with the real port.
    pub address: ListenAddress,
    /// The address for metrics, likewise.
    pub metrics_address: Option<ListenAddress>,
}

/// One [`Sentinel::run`], counted until it ends or is dropped.
struct Serving<'a>(&'a watch::Sender<usize>);

impl<'a> Serving<'a> {
    fn begin(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Sentinel {
    /// Binds the configured listener, and the one for metrics if there is one.
    ///
    /// # Errors
    /// [`StartError::Bind`], [`StartError::Address`].
    pub async fn listen(&self) -> Result<Listening, StartError> {
        let settings = &self.0.settings;
        let (listener, address) = bind("SENTINEL_LISTEN", &settings.server.listen).await?;
        let (metrics, metrics_address) = match settings.metrics_listen.map(ListenAddress::Tcp) {
            Some(wanted) => {
                let (listener, address) = bind("SENTINEL_METRICS_LISTEN", &wanted).await?;
                (Some(listener), Some(address))
            }
            None => (None, None),
        };
        Ok(Listening {
            listener,
            metrics,
            address,
            metrics_address,
        })
    }

    /// Serves `routes` over the configured listener until SIGTERM, SIGINT or
    /// [`Sentinel::shutdown`]; then lets requests in flight finish. SIGTERM gives balancers notice.
    ///
    /// # Errors
    /// [`RunError`]: the listener could not be bound, or an actor failed too often.
    pub async fn serve<F, R>(&self, routes: F) -> Result<(), RunError>
    where
        F: Filter<Extract = (R,), Error = Rejection> + Clone + Send + Sync + 'static,
        F::Future: Send,
        R: Reply + Send + 'static,
    {
        let listening = self.listen().await?;
        self.run(listening, routes, ended_by_signal()).await
    }

    /// Serves `routes` over a bound listener until `shutdown` or [`Sentinel::shutdown`]. Ends
    /// within 10 s of either: after readiness the listener goes, then the connections, then the
    /// actors, and with them what they still write; then the stores.
    ///
    /// # Errors
    /// [`RunError::Actor`] when an actor failed too often.
    pub async fn run<F, R>(
        &self,
        listening: Listening,
        routes: F,
        shutdown: impl Future<Output = Stop> + Send,
    ) -> Result<(), RunError>
    where
        F: Filter<Extract = (R,), Error = Rejection> + Clone + Send + Sync + 'static,
        F::Future: Send,
        R: Reply + Send + 'static,
    {
        let routes = routes
            .map(Reply::into_response)
            .recover(recover)
            .unify()
            .boxed();
        let service = warp::service(routes);
        let per_connection = move |peer| Noted::new(service.clone(), peer);
        let server = Server {
            listener: listening.listener,
            tls: self.0.certificates.clone(),
            limits: Limits::of_this_process(reserved_files(&self.0.settings)),
        };
        let told_at = OnceLock::new();
        let end = async {
            let stop = tokio::select! {
                stop = shutdown => stop,
                () = self.stopped() => Stop::WithoutNotice,
            };
            self.leave();
            let _first = told_at.set(Instant::now());
            match stop {
                Stop::WithNotice => NOTICE,
                Stop::WithoutNotice => Duration::ZERO,
            }
        };
        let serving = Serving::begin(&self.0.serving);
        let ended = tokio::select! {
            drained = server.serve(per_connection, end) => {
                note_drained(drained);
                Ok(())
            }
            () = self.serve_metrics(listening.metrics) => Ok(()),
            () = lookout::look_out(&self.0.clock, self.0.certificates.as_deref()) => Ok(()),
            reason = self.failed() => Err(RunError::Actor(reason)),
        };
        drop(serving);
        let used = told_at.get().map_or(Duration::ZERO, Instant::elapsed);
        let left = STOPPED_WITHIN.saturating_sub(used);
        self.stop_actors(left.min(ACTORS_STOP_WITHIN)).await;
        ended
    }

    // Serves until it is dropped; without a listener it waits for ever.
    async fn serve_metrics(&self, listener: Option<Listener>) {
        let Some(listener) = listener else {
            return std::future::pending().await;
        };
        let routes = http::operations(&self.0.handles)
            .recover(recover)
            .unify()
            .boxed();
        let server = Server {
            listener,
            tls: None,
            limits: Limits::of_a_side_door(),
        };
        let service = warp::service(routes);
        let per_connection = move |peer| Noted::new(service.clone(), peer);
        server.serve(per_connection, std::future::pending()).await;
    }

    async fn failed(&self) -> String {
        let failed = self.0.tree.lock().await.as_ref().map(Tree::failed);
        match failed {
            Some(failed) => failed.await,
            None => "the actors were stopped".to_owned(),
        }
    }

    async fn stopped(&self) {
        let mut stop = self.0.stop.subscribe();
        let _never_closed = stop.wait_for(|stop| *stop).await;
    }

    pub(super) async fn stop_actors(&self, within: Duration) {
        if let Some(tree) = self.0.tree.lock().await.take() {
            tree.stop(within).await;
        }
    }
}

/// What the stores and the listener for metrics need whatever connections want.
fn reserved_files(settings: &Settings) -> usize {
    let metrics = settings.metrics_listen.map(|_| Limits::of_a_side_door());
    stores::files::most(&settings.store) + metrics.map_or(0, |limits| limits.connections)
}

fn note_drained(drained: Drained) {
    match drained {
        Drained::Whole => tracing::info!("drained: every request in flight was answered"),
        Drained::Cut(connections) => {
            tracing::warn!(connections, "the drain took too long; connections were cut");
        }
    }
}

/// Binds the address of a setting; tells the address that it got.
async fn bind(
    setting: &'static str,
    address: &ListenAddress,
) -> Result<(Listener, ListenAddress), StartError> {
    let bound = Listener::bind(address).await;
    let listener = bound.map_err(|source| StartError::Bind { setting, source })?;
    let address = listener.local_address().map_err(StartError::Address)?;
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;
    use crate::settings::sources::{ConfigSource, Mode, Sources};

    const UNIT: &str = include_str!("../../deploy/sentinel.service");

    #[test]
    fn the_unit_leaves_all_connections_to_a_large_machine_and_a_replica_set() {
        let pairs = [
            (
                "SENTINEL_MONGO_URI",
                "mongodb://a:b@h/?tls=true&replicaSet=rs0",
            ),
            ("SENTINEL_METRICS_LISTEN", "127.0.0.1:9090"),
            ("SENTINEL_CACHE_SHARDS", "96"),
        ];
        let sources = Sources {
            mode: Mode::Serve,
            flags: Vec::new(),
            environment: pairs
                .map(|(name, value)| (OsString::from(name), OsString::from(value)))
                .into(),
            config: ConfigSource::Optional(PathBuf::from("/nonexistent/sentinel.toml")),
        };
        let reserved = reserved_files(&Settings::load(&sources).unwrap().settings);
        assert_eq!(reserved, 134 + 16 + 2 * 96);
        let line = UNIT
            .lines()
            .find_map(|line| line.strip_prefix("LimitNOFILE="));
        let files = line.unwrap().parse().unwrap();
        assert_eq!(Limits::within(files, reserved).connections, 10_000);
    }
}
