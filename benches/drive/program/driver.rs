//! Sends a request, judges its answer and keeps what comes with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::time::{sleep, timeout};

use super::Outcome;
use super::arguments::Arguments;
use super::ask::Fault;
use super::kind::{Content, Kind};
use super::line::Line;
use super::pool::Pool;
use super::session::{Pair, Session};
use super::sessions::Sessions;
use super::tally::{Entry, Tally};
use super::target::Target;

/// Logins at a time before the load begins: a server has a bound for those that wait.
const LOGINS_AT_ONCE: usize = 8;
/// How often such a login is repeated when the server is busy.
const PATIENCE: u32 = 20;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(500);

/// Everything that a request needs.
pub(crate) struct Driver {
    target: Arc<Target>,
    slots: Pool<Line>,
    sessions: Sessions,
    timeout: Duration,
    /// Connections that were opened.
    pub(crate) opened: Arc<AtomicU64>,
    /// Logins that are no part of the load: its sessions have to be begun, and those that the
    /// server has forgotten to be begun again.
    pub(crate) logins_beside: AtomicU64,
}

impl Driver {
    /// Opens all connections, unless that is for later, and logs in all users whose tokens are
    /// needed.
    ///
    /// # Errors
    /// A server that does not answer as it has to.
    pub(crate) async fn prepare(arguments: &Arguments) -> Outcome<Self> {
        let target = Arc::new(Target::find(arguments).await?);
        let opened = Arc::new(AtomicU64::new(0));
        let lines: Vec<Arc<Line>> = (0..arguments.connections)
            .map(|_| Arc::new(Line::new(&target, &opened)))
            .collect();
        let early = if arguments.open_late { 0 } else { lines.len() };
        for line in &lines[..early] {
            let opened = timeout(arguments.timeout(), line.open()).await;
            let opened = opened.unwrap_or_else(|_| Err("no answer".into()));
            opened.map_err(|error| format!("{}: {error}", target.address))?;
        }
        let sessions: Vec<Arc<Session>> = arguments
            .users()?
            .into_iter()
            .map(|user| Arc::new(Session::new(user, &target)))
            .collect();
        let slots = lines.iter().cycle().take(arguments.slots()).map(Arc::clone);
        let driver = Self {
            slots: Pool::new(slots),
            sessions: Sessions::deal(&sessions, &arguments.mix),
            timeout: arguments.timeout(),
            target,
            opened,
            logins_beside: AtomicU64::new(0),
        };
        if driver.sessions.is_shared {
            eprintln!(
                "fewer users than kinds of requests: they share sessions, and some requests will \
                 meet tokens that have just ended"
            );
        }
        if arguments.mix.kinds().any(|kind| kind != Kind::Login) {
            driver.begin(&sessions).await?;
        }
        Ok(driver)
    }

    async fn begin(&self, sessions: &[Arc<Session>]) -> Outcome<()> {
        eprintln!("logging in for {} sessions", sessions.len());
        stream::iter(sessions)
            .map(|session| self.begin_one(session))
            .buffer_unordered(LOGINS_AT_ONCE)
            .try_collect::<()>()
            .await
    }

    async fn begin_one(&self, session: &Session) -> Outcome<()> {
        let mut tries = 0;
        loop {
            let line = self.slots.take().await;
            self.logins_beside.fetch_add(1, Ordering::Relaxed);
            match self.exchange(Kind::Login, session, &line).await {
                Ok(()) => return Ok(()),
                Err(Fault::Status(503)) if tries < PATIENCE => tries += 1,
                Err(fault) => {
                    return Err(format!("the login of {}: {fault}", session.username).into());
                }
            }
            drop(line);
            sleep(PAUSE).await;
        }
    }

    /// Sends a request of this kind, as soon as a session and a connection are free for it.
    ///
    /// # Errors
    /// Why it has no good answer; the tally has it, too.
    pub(crate) async fn perform(
        &self,
        kind: Kind,
        due: Instant,
        tally: &Arc<Tally>,
    ) -> Result<(), Fault> {
        let mut entry = Entry::begin(tally, kind, due);
        let session = self.sessions.take(kind).await;
        let line = self.slots.take().await;
        entry.mark_sent();
        let outcome = self.exchange(kind, &session, &line).await;
        entry.end(outcome);
        let is_lost = outcome.is_err_and(Fault::is_of_token) && self.sessions.may_repair(kind);
        if is_lost && session.is_repair_due() {
            self.logins_beside.fetch_add(1, Ordering::Relaxed);
            // If it is refused as well, the next request shows it.
            let _ = self.exchange(Kind::Login, &session, &line).await;
        }
        outcome
    }

    async fn exchange(&self, kind: Kind, session: &Session, line: &Line) -> Result<(), Fault> {
        let ask = kind.ask(&self.target, session);
        let answer = timeout(self.timeout, line.exchange(&ask)).await;
        let (status, body) = answer.map_err(|_| Fault::Timeout)??;
        if status != ask.wanted {
            return Err(Fault::Status(status.as_u16()));
        }
        if ask.content == Content::Pair {
            let pair = Pair::parse(&body, &self.target).ok_or(Fault::Malformed)?;
            session.replace(pair);
        }
        Ok(())
    }
}
