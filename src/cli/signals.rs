//! What signals do to a running server: SIGTERM and SIGINT drain it, the second of them ends it at
//! once, SIGHUP has it read certificate and templates again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// The signals of this process; from now on they do not end it by themselves.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Stop,
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
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hangup.recv() => Told::Reload,
        }
    }
}

/// Ready when the server is to drain.
pub(super) type ShutdownTold = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

async fn attend<R: Future>(
    next: impl AsyncFnMut() -> Told,
    reload: impl AsyncFn(),
    server: impl FnOnce(ShutdownTold) -> R,
) -> Result<R::Output, CutShort> {
    let (drain, told) = oneshot::channel();
    let running = server(Box::pin(async {
        // A sender that is gone is as good an end as one that was used.
        let _ = told.await;
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
    drain: oneshot::Sender<()>,
) {
    let mut drain = Some(drain);
    loop {
        match next().await {
            Told::Reload => {
                tracing::info!("SIGHUP: reading certificate and templates again");
                reload().await;
            }
            Told::Stop => {
                let Some(drain) = drain.take() else {
                    return;
                };
                tracing::info!("told to stop: draining, a second signal ends at once");
                // It fails if the server ends already, which is what was asked for.
                let _ = drain.send(());
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
            told.await;
            "drained"
        };
        let (ended, reloads) = attended(&[Told::Reload, Told::Reload, Told::Stop], drained).await;
        assert_eq!((ended, reloads), (Ok("drained"), 2));
    }

    #[tokio::test]
    async fn a_second_signal_to_stop_cuts_the_drain_short() {
        let stuck = |_| std::future::pending::<()>();
        let (ended, _) = attended(&[Told::Stop, Told::Reload, Told::Stop], stuck).await;
        assert_eq!(ended, Err(CutShort));
    }

    #[tokio::test]
    async fn a_server_that_ends_by_itself_is_not_waited_for() {
        let (ended, _) = attended(&[], async |_| 70).await;
        assert_eq!(ended, Ok(70));
    }
}
