//! The composition root: start, routes, serve, reload, shutdown. The only room that knows every
//! other.

pub mod check;
pub mod dev;
pub mod error;
pub mod runtime;
pub mod serving;

mod compose;
mod lookout;
mod service;
mod surface;
mod testing;
mod token_storage;

use std::sync::Arc;

use tokio::sync::{Mutex, watch};
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::actors::supervisor::Tree;
use crate::clock::Clock;
use crate::domain::scope::Scope;
use crate::domain::token::Grant;
use crate::http::protect::Needed;
use crate::http::{self, Handles, Surface, protect};
use crate::server::tls::Certificates;
use crate::settings::Settings;
use crate::telemetry::chain::Chain;
use crate::telemetry::metrics::RELOAD_FAILURES;
use error::StartError;
use serving::ACTORS_STOP_WITHIN;

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
        self.require(Needed::Scope(Scope::default()))
    }

    /// As [`Sentinel::require_oauth`], for tokens of users: one that a client got for itself
    /// (RFC 6749 §4.4) is refused with 403, and the user of the grant is always there.
    pub fn require_oauth_user(&self) -> BoxedFilter<(Grant,)> {
        self.require(Needed::User)
    }

    /// As [`Sentinel::require_oauth`], for tokens that have each of `scopes`: one scope token each, or
    /// several with single spaces between them. What cannot be a scope (RFC 6749 §3.3), such as an
    /// empty text, is told in the log and lets nobody in.
    pub fn require_oauth_scopes<S: Into<String>>(
        &self,
        scopes: impl IntoIterator<Item = S>,
    ) -> BoxedFilter<(Grant,)> {
        self.require(Needed::scopes(scopes))
    }

    fn require(&self, needed: Needed) -> BoxedFilter<(Grant,)> {
        protect::require(self.0.handles.caches.clone(), needed)
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
                Err(error) => {
                    note_failed_reload("certificate");
                    tracing::error!(error = %Chain(&error), "the old certificate stays");
                }
            }
        }
        match handles.pages.reload() {
            Ok(()) => tracing::info!("the templates were read again"),
            Err(error) => {
                note_failed_reload("templates");
                tracing::error!(error = %Chain(&error), "the old templates stay");
            }
        }
    }

    /// Has `/readyz` say 503 `draining` from now on, so that balancers send requests elsewhere. All
    /// else goes on. For programs that run the routes on a server of their own.
    pub fn leave(&self) {
        self.0.handles.leaving.begin();
    }

    /// Ends [`Sentinel::serve`] without notice and waits until it has drained; then stops the
    /// actors. Where another server runs the routes, end that one first.
    pub async fn shutdown(&self) {
        self.leave();
        self.0.stop.send_replace(true);
        let mut serving = self.0.serving.subscribe();
        let _never_closed = serving.wait_for(|count| *count == 0).await;
        self.stop_actors(ACTORS_STOP_WITHIN).await;
    }
}

fn note_failed_reload(what: &'static str) {
    ::metrics::counter!(RELOAD_FAILURES, "what" => what).increment(1);
}
