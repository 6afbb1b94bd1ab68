//! A client under the balancer that lives through restarts: it logs in, refreshes and verifies, and
//! takes nothing but the right answer.

use std::sync::Arc;
use std::time::Duration;

use form_urlencoded::Serializer;
use hyper::Request;
use rustls::ClientConfig;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::support::app::FORM;
use crate::support::process::{PATIENCE, PAUSE};
use crate::wire::{Body, Lost, Told, Wire, slow, whole};

/// How a client sends its forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// At once.
    Brisk,
    /// In pieces over two to three seconds, far from the deadline of 10 s.
    Slow,
}

/// Who a client is and how it connects.
#[derive(Clone)]
pub(super) struct Who {
    pub(super) port: u16,
    pub(super) config: Arc<ClientConfig>,
    pub(super) pace: Pace,
    pub(super) client_id: String,
    pub(super) username: String,
    pub(super) password: String,
}

/// A client and what it has lived through.
pub(super) struct Session {
    who: Who,
    wire: Option<Wire>,
    /// The access and refresh tokens acknowledged last.
    pub(super) tokens: Option<(String, String)>,
    /// From the first byte of each answered request to the last of its answer.
    pub(super) answered: Vec<(Instant, Instant)>,
    /// Connections that had ended before a request was sent on them.
    pub(super) unsent: usize,
    /// Answers of 503, after which the request was repeated: a deadline that was missed.
    pub(super) unavailable: usize,
    /// Requests that were cut, connections that were refused, answers that are wrong.
    pub(super) failures: Vec<String>,
}

impl Session {
    pub(super) fn new(who: Who) -> Self {
        Self {
            who,
            wire: None,
            tokens: None,
            answered: Vec::new(),
            unsent: 0,
            unavailable: 0,
            failures: Vec::new(),
        }
    }

    /// Goes on until `done`.
    pub(super) async fn live(mut self, done: watch::Receiver<bool>) -> Self {
        let mut round = 0_usize;
        while !*done.borrow() {
            round += 1;
            let form = match &self.tokens {
                Some((_, refresh)) if !round.is_multiple_of(5) => self.refresh_form(refresh),
                _ => self.login_form(),
            };
            self.ask_for_tokens(&form).await;
            for _ in 0..3 {
                self.verify().await;
            }
        }
        self
    }

    /// Presents what was acknowledged last: it must be there.
    pub(super) async fn present(&mut self) {
        self.verify().await;
        if let Some((_, refresh)) = &self.tokens {
            let form = self.refresh_form(refresh);
            self.ask_for_tokens(&form).await;
        }
    }

    async fn ask_for_tokens(&mut self, form: &str) {
        let pace = self.who.pace;
        let body = || match pace {
            Pace::Brisk => whole(form.to_owned()),
            Pace::Slow => slow(form, 5, Duration::from_millis(500)),
        };
        let request = || {
            Request::post("https://localhost/oauth/token")
                .header("host", "localhost")
                .header("content-type", FORM)
                .body(body())
                .unwrap()
        };
        let Some(told) = self.ask(request).await else {
            return;
        };
        let json: Value = serde_json::from_str(&told.body).unwrap_or_default();
        match (
            json["access_token"].as_str(),
            json["refresh_token"].as_str(),
        ) {
            (Some(access), Some(refresh)) if told.status == 200 => {
                self.tokens = Some((access.to_owned(), refresh.to_owned()));
            }
            _ => self.failures.push(format!("a token request: {told:?}")),
        }
    }

    async fn verify(&mut self) {
        let Some((access, _)) = self.tokens.clone() else {
            return;
        };
        let request = || {
            Request::get("https://localhost/oauth/verify")
                .header("host", "localhost")
                .header("authorization", format!("Bearer {access}"))
                .body(whole(String::new()))
                .unwrap()
        };
        if let Some(told) = self.ask(request).await
            && told.status != 204
        {
            self.failures.push(format!("a verification: {told:?}"));
        }
    }

    /// Sends a request once; again only where nothing of it was sent, or where the server has said
    /// that it may be repeated.
    async fn ask(&mut self, request: impl Fn() -> Request<Body>) -> Option<Told> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut wire = match self.wire.take().filter(Wire::is_open) {
                Some(wire) => wire,
                None => match Wire::open(self.who.port, Arc::clone(&self.who.config)).await {
                    Ok(wire) => wire,
                    Err(error) => {
                        self.failures.push(format!("no connection: {error}"));
                        return None;
                    }
                },
            };
            let began = Instant::now();
            match wire.send(request()).await {
                Ok(told) => {
                    self.answered.push((began, Instant::now()));
                    self.wire = Some(wire);
                    if told.status != 503 || Instant::now() > deadline {
                        return Some(told);
                    }
                    self.unavailable += 1;
                    sleep(PAUSE).await;
                }
                Err(Lost::Unsent) => self.unsent += 1,
                Err(Lost::Cut(why)) => {
                    self.failures.push(format!("cut: {why}"));
                    return None;
                }
            }
        }
    }

    fn login_form(&self) -> String {
        let who = &self.who;
        Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", &who.client_id)
            .append_pair("username", &who.username)
            .append_pair("password", &who.password)
            .finish()
    }

    fn refresh_form(&self, refresh: &str) -> String {
        Serializer::new(String::new())
            .append_pair("grant_type", "refresh_token")
            .append_pair("client_id", &self.who.client_id)
            .append_pair("refresh_token", refresh)
            .finish()
    }
}
