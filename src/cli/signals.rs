//! What signals do to a running server: SIGTERM drains it with notice to balancers, SIGINT without,
//! the second of them ends it at once, SIGHUP has it read certificate and templates again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::sentinel::serving::Stop;

/// The signals of this process; from now on they do not end it by themselves.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Stop(Stop),
    Reload,
}

/// A second signal came before the drain was over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CutShort;

impl Signals {
    /// Listens for signals.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a start, or for the first signal to stop, which ends it. A SIGHUP is kept until
    /// there is a server that may have read what was replaced since.
    pub(super) async fn attend_start<T>(&mut self, start: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            _signal = self.terminate.recv() => {}
            _signal = self.interrupt.recv() => {}
            started = start => return Some(started),
        }
        tracing::info!("told to stop before the start was over");
        None
    }

    /// Runs a server until it ends: `server` is given the future that tells it to drain.
    ///
    /// # Errors
    /// [`CutShort`].
    pub(super) async fn attend<R: Future>(
        mut self,
        reload: impl AsyncFn(),
        server: impl FnOnce(ShutdownTold) -> R,
    ) -> Result<R::Output, CutShort> {
        attend(async || self.next().await, reload, server).await
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop(Stop::WithNotice),
            _ = self.interrupt.recv() => Told::Stop(Stop::WithoutNotice),
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Ready when the server is to drain, and how.
pub(super) type ShutdownTold = std::pin::Pin<Box<dyn Future<Output = Stop> + Send>>;

async fn attend<R: Future>(
    next: impl AsyncFnMut() -> Told,
    reload: impl AsyncFn(),
    server: impl FnOnce(ShutdownTold) -> R,
) -> Result<R::Output, CutShort> {
    let (drain, told) = oneshot::channel();
    let running = server(Box::pin(async {
        // A sender that is gone is as good an end as one that was used.
        told.await.unwrap_or(Stop::WithoutNotice)
    }));
    tokio::select! {
        // A server that has drained ends well even if a second signal comes at that moment.
        biased;
        ended = running => Ok(ended),
        () = obey(next, reload, drain) => Err(CutShort),
    }
}

/// Does what signals ask for; returns at the second one to stop.
async fn obey(
    mut next: impl AsyncFnMut() -> Told,
    reload: impl AsyncFn(),
    drain: oneshot::Sender<Stop>,
) {
    let mut drain = Some(drain);
    loop {
        match next().await {
            Told::Reload => {
                tracing::info!("SIGHUP: reading certificate and templates again");
                reload().await;
            }
            Told::Stop(stop) => {
                let Some(drain) = drain.take() else {
                    return;
                };
                tracing::info!("told to stop: draining, a second signal ends at once");
                // It fails if the server ends already, which is what was asked for.
                let _ = drain.send(stop);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::mpsc;

    use super::*;

    /// Attends a server with these signals, then none; counts the reloads.
    async fn attended<R: Future>(
        signals: &[Told],
        server: impl FnOnce(ShutdownTold) -> R,
    ) -> (Result<R::Output, CutShort>, u32) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        for told in signals {
            sender.send(*told).unwrap();
        }
        let reloads = Cell::new(0);
        let reload = async || reloads.set(reloads.get() + 1);
        let next = async || receiver.recv().await.unwrap();
        let ended = attend(next, reload, server).await;
        drop(sender);
        (ended, reloads.get())
    }

    #[tokio::test]
    async fn a_signal_to_stop_drains() {
        let drained = async |told: ShutdownTold| {
            let stop = told.await;
            ("drained", stop)
        };
        for stop in [Stop::WithNotice, Stop::WithoutNotice] {
            let signals = [Told::Reload, Told::Reload, Told::Stop(stop)];
            let (ended, reloads) = attended(&signals, drained).await;
            assert_eq!((ended, reloads), (Ok(("drained", stop)), 2));
        }
    }

    #[tokio::test]
    async fn a_second_signal_to_stop_cuts_the_drain_short() {
        let stuck = |_| std::future::pending::<()>();
        let stop = Told::Stop(Stop::WithNotice);
        let (ended, _) = attended(&[stop, Told::Reload, stop], stuck).await;
        assert_eq!(ended, Err(CutShort));
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_not_waited_for() {
        let (ended, _) = attended(&[], async |_| 70).await;
        assert_eq!(ended, Ok(70));
    }
}
