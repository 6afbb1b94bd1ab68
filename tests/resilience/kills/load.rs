//! The mixed load: workers that log in, refresh, verify and revoke, and repeat what was not
//! answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;

use crate::history::entry::{Asked, Pair, Told};
use crate::history::recorder::Recorder;
use crate::random::Random;
use crate::support::process::PATIENCE;

/// Between two requests of a worker: ten of them make some 200 requests a second.
const PACE: Duration = Duration::from_millis(20);
/// Before a request is repeated.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
/// How many ended access tokens a worker presents again.
const REMEMBERED: usize = 20;

/// A client of one session, which another worker may share.
pub(crate) struct Worker {
    session: usize,
    recorder: Arc<Recorder>,
    random: Random,
    pair: Option<Pair>,
    ended: Vec<String>,
}

impl Worker {
    pub(crate) fn new(session: usize, recorder: Arc<Recorder>, random: Random) -> Self {
        Self {
            session,
            recorder,
            random,
            pair: None,
            ended: Vec::new(),
        }
    }

    /// Asks until `done`; then every server for what should live and what should not.
    pub(crate) async fn run(mut self, done: watch::Receiver<bool>) {
        while !*done.borrow() {
            self.step().await;
            sleep(PACE).await;
        }
        self.take_stock().await;
    }

    async fn step(&mut self) {
        match (self.pair.clone(), self.random.below(100)) {
            (None, _) | (_, 0..6) => self.login().await,
            (Some(pair), 6..32) => self.refresh(pair).await,
            (Some(pair), 32..38) => self.revoke(pair).await,
            (Some(_), 38..55) if !self.ended.is_empty() => {
                let index = self.random.index(self.ended.len());
                self.ask(Asked::Verify(self.ended[index].clone())).await;
            }
            (Some(pair), _) => {
                // Who shares the session may have ended it.
                if self.ask(Asked::Verify(pair.access)).await == Told::No {
                    self.replace(None);
                }
            }
        }
    }

    // Some give up when they hear nothing, and go on with what they have.
    async fn login(&mut self) {
        loop {
            if let Told::Pair(pair) = self.ask(Asked::Login).await {
                return self.replace(Some(pair));
            }
            if self.random.below(4) == 0 {
                return;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    // Until there is an answer, however long that takes.
    async fn refresh(&mut self, pair: Pair) {
        match self.answered(Asked::Refresh(pair.refresh)).await {
            Told::Pair(pair) => self.replace(Some(pair)),
            _ => self.replace(None),
        }
    }

    async fn revoke(&mut self, pair: Pair) {
        let is_access = self.random.below(2) == 0;
        let token = if is_access { pair.access } else { pair.refresh };
        loop {
            if self.ask(Asked::Revoke(token.clone())).await == Told::Yes {
                return self.replace(None);
            }
            if self.random.below(4) == 0 {
                return;
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn take_stock(&mut self) {
        for token in self.ended.clone() {
            self.answered_everywhere(Asked::Verify(token)).await;
        }
        let Some(pair) = self.pair.clone() else {
            return;
        };
        self.answered_everywhere(Asked::Verify(pair.access.clone()))
            .await;
        let Told::Pair(next) = self.answered(Asked::Refresh(pair.refresh)).await else {
            return;
        };
        self.answered_everywhere(Asked::Verify(next.access)).await;
        self.answered_everywhere(Asked::Verify(pair.access)).await;
    }

    fn replace(&mut self, next: Option<Pair>) {
        if let Some(pair) = std::mem::replace(&mut self.pair, next) {
            if self.ended.len() == REMEMBERED {
                let index = self.random.index(REMEMBERED);
                self.ended.swap_remove(index);
            }
            self.ended.push(pair.access);
        }
    }

    async fn ask(&mut self, asked: Asked) -> Told {
        let server = self.random.index(self.recorder.servers());
        self.recorder.ask(server, self.session, asked).await
    }

    async fn answered(&mut self, asked: Asked) -> Told {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.ask(asked.clone()).await;
            if told != Told::Unknown {
                return told;
            }
            assert!(Instant::now() < deadline, "never answered");
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn answered_everywhere(&mut self, asked: Asked) {
        for server in 0..self.recorder.servers() {
            let deadline = Instant::now() + PATIENCE;
            let ask = || self.recorder.ask(server, self.session, asked.clone());
            while ask().await == Told::Unknown {
                assert!(Instant::now() < deadline, "server {server} never answered");
                sleep(AGAIN_AFTER).await;
            }
        }
    }
}
