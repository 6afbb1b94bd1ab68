//! The composition root: start, routes, serve, reload, shutdown. The only room that knows every
//! other.

pub mod check;
pub mod dev;
pub mod error;

mod compose;
mod service;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use crate::actors::supervisor::Tree;
use crate::actors::supervisor::picture::ActorPicture;
use crate::clock::Clock;
use crate::domain::scope::Scope;
use crate::domain::token::Grant;
use crate::http::error::recovery::recover;
use crate::http::{self, Handles, Surface, protect};
use crate::server::accept::Server;
use crate::server::limits::Limits;
use crate::server::listener::Listener;
use crate::server::tls::Certificates;
use crate::settings::{ListenAddress, Settings};
use error::{RunError, StartError};
use service::{Noted, ended_by_signal};

/// How long the actors have to finish what they are at.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A running token server: the actors over their stores. Clones share it.
///
/// [`Sentinel::serve`] runs it over its own listener; [`Sentinel::routes`] and
/// [`Sentinel::require_oauth`] are filters for any warp program.
#[derive(Clone)]
pub struct Sentinel(Arc<Inner>);

struct Inner {
    settings: Settings,
    clock: Clock,
    handles: Handles,
    surface: Surface,
    certificates: Option<Arc<Certificates>>,
    tree: Mutex<Option<Tree>>,
    /// Whether [`Sentinel::shutdown`] was called.
    stop: watch::Sender<bool>,
    /// How many [`Sentinel::run`] there are.
    serving: watch::Sender<usize>,
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

/// A listener that is bound and not served yet.
pub struct Listening {
    listener: Listener,
    metrics: Option<Listener>,
    /// The address, with the real port.
    pub address: ListenAddress,
    /// The address for metrics, likewise.
    pub metrics_address: Option<ListenAddress>,
}

impl Sentinel {
    /// Opens the stores and starts the actors.
    ///
    /// # Errors
    /// [`StartError`]: what is wrong, and the exit code that says so.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_with_clock(settings, Clock::default()).await
    }

    /// As [`Sentinel::start`], with a clock that the caller can move.
    ///
    /// # Errors
    /// [`StartError`].
    #[doc(hidden)]
    pub async fn start_with_clock(settings: Settings, clock: Clock) -> Result<Self, StartError> {
        Ok(Self(Arc::new(compose::compose(settings, clock).await?)))
    }

    /// The filter of all endpoints. What is none of ours is rejected, for other routes to take;
    /// [`Sentinel::serve`] answers what is left.
    pub fn routes(&self) -> BoxedFilter<(Response,)> {
        http::routes(&self.0.handles, &self.0.surface)
    }

    /// A filter that extracts the grant of a live access token, or rejects with an answer of
    /// RFC 6750.
    pub fn require_oauth(&self) -> BoxedFilter<(Grant,)> {
        protect::require(self.0.handles.caches.clone(), Scope::default())
    }

    /// As [`Sentinel::require_oauth`], for tokens that have each of `scopes`.
    pub fn require_oauth_scopes<S: Into<String>>(
        &self,
        scopes: impl IntoIterator<Item = S>,
    ) -> BoxedFilter<(Grant,)> {
        let scope = scopes.into_iter().map(Into::into).collect();
        protect::require(self.0.handles.caches.clone(), scope)
    }

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
    /// [`Sentinel::shutdown`]; then lets requests in flight finish.
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

    /// Serves `routes` over a bound listener until `shutdown` or [`Sentinel::shutdown`].
    ///
    /// # Errors
    /// [`RunError::Actor`] when an actor failed too often.
    pub async fn run<F, R>(
        &self,
        listening: Listening,
        routes: F,
        shutdown: impl Future<Output = ()> + Send,
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
            limits: Limits::of_this_process(),
        };
        let end = async {
            tokio::select! {
                () = shutdown => {}
                () = self.stopped() => {}
            }
        };
        let serving = Serving::begin(&self.0.serving);
        let ended = tokio::select! {
            _drained = server.serve(per_connection, end) => Ok(()),
            () = self.serve_metrics(listening.metrics) => Ok(()),
            reason = self.failed() => Err(RunError::Actor(reason)),
        };
        drop(serving);
        self.stop_actors().await;
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
            limits: Limits::of_this_process(),
        };
        let service = warp::service(routes);
        let per_connection = move |peer| Noted::new(service.clone(), peer);
        server.serve(per_connection, std::future::pending()).await;
    }

    /// Reads the certificate and the templates again. What is bad does not replace what is good.
    pub fn reload(&self) {
        let Inner {
            certificates,
            handles,
            ..
        } = &*self.0;
        if let Some(certificates) = certificates {
            match certificates.reload() {
                Ok(warnings) => compose::note_certificate(certificates, &warnings),
                Err(error) => tracing::error!(error = %error, "the old certificate stays"),
            }
        }
        match handles.pages.reload() {
            Ok(()) => tracing::info!("the templates were read again"),
            Err(error) => tracing::error!(error = %error, "the old templates stay"),
        }
    }

    /// Ends [`Sentinel::serve`] and waits until it has drained; then stops the actors. Where
    /// another server runs the routes, end that one first.
    pub async fn shutdown(&self) {
        self.0.stop.send_replace(true);
        let mut serving = self.0.serving.subscribe();
        let _never_closed = serving.wait_for(|count| *count == 0).await;
        self.stop_actors().await;
    }

    /// Makes an actor panic at its next message. For tests of supervision.
    #[doc(hidden)]
    pub async fn panic_actor(&self, name: &str) {
        if let Some(tree) = self.0.tree.lock().await.as_ref() {
            tree.panic_actor(name);
        }
    }

    /// The live picture of the actors, for tests.
    #[doc(hidden)]
    pub fn actors(&self) -> Vec<ActorPicture> {
        self.0.handles.management.actors()
    }

    /// The clock of this server, for tests.
    #[doc(hidden)]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
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

    async fn stop_actors(&self) {
        if let Some(tree) = self.0.tree.lock().await.take() {
            tree.stop(STOP_LIMIT).await;
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
