//! Who says secrets to the program wherever it takes any, and hears what it answers.

use std::sync::Arc;

use futures_util::future::join_all;
use hyper::{Request, StatusCode};
use rustls::ClientConfig;
use serde_json::Value;

use super::ADMINISTRATOR;
use super::requests::{basic, bearer};
use super::spellings::Secret;
use crate::wire::{Body, Told, Wire, get};

/// The client, with all that it said in confidence.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) port: u16,
    configs: [Arc<ClientConfig>; 2],
    pub(super) console: String,
    /// Never told at all, but to whom they are given.
    pub(super) secrets: Vec<Secret>,
    /// Never told to the log.
    pub(super) names: Vec<Secret>,
    /// Answers that give nothing, and whatever else people may see.
    heard: String,
    /// So that a user is new each time.
    pub(super) turns: usize,
    /// The last that were given: to a client, and to its user.
    pub(super) credentials: String,
    pub(super) access: String,
    pub(super) refresh: String,
}

/// What came of a round.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) unavailable: usize,
}

impl Caller {
    pub(super) fn new(port: u16, configs: [Arc<ClientConfig>; 2], console: Secret) -> Self {
        let basic = basic(ADMINISTRATOR, &console.value);
        let canaries = [
            "wrong password",
            "wrong secret",
            "unknown token",
            "user password",
            "form token",
            "in vain",
        ];
        Self {
            port,
            configs,
            console: basic,
            secrets: canaries
                .into_iter()
                .map(Secret::canary)
                .chain([console])
                .collect(),
            names: vec![Secret::canary("user"), Secret::canary("stranger")],
            heard: String::new(),
            turns: 0,
            credentials: String::new(),
            access: String::new(),
            refresh: String::new(),
        }
    }

    /// Remembers what must not be told.
    pub(super) fn keep(&mut self, secret: Secret) {
        self.secrets.push(secret);
    }

    /// Remembers what was told.
    pub(super) fn hear(&mut self, told: &str) {
        self.heard += told;
        self.heard.push('\n');
    }

    /// # Panics
    /// When a secret was told, or also a name in this log.
    pub(super) fn check_kept(&self, log: &str) {
        for secret in &self.secrets {
            let told = secret.told_in(&self.heard).or_else(|| secret.told_in(log));
            assert_eq!(told, None, "{} was told", secret.name);
        }
        assert!(!log.contains("$2b$"), "a hash of a password was told");
        for name in &self.names {
            assert_eq!(name.told_in(log), None, "a {} was named", name.name);
        }
    }

    pub(super) async fn readiness(&self) -> String {
        let config = Arc::clone(&self.configs[0]);
        let Ok(mut wire) = Wire::open(self.port, config).await else {
            return String::new();
        };
        let told = wire.send(get("/readyz")).await;
        told.map_or_else(|_lost| String::new(), |told| told.body)
    }

    /// Says all secrets wherever there is room for one, over both protocols at once.
    pub(super) async fn ask_for_everything(&mut self) -> Outcome {
        let rounds = self.configs.clone().map(|config| {
            self.turns += 1;
            self.clone().ask_over(config)
        });
        let (known, heard) = (self.secrets.len(), self.heard.len());
        let mut all = Outcome::default();
        for (caller, outcome) in join_all(rounds).await {
            self.secrets.extend_from_slice(&caller.secrets[known..]);
            self.heard += &caller.heard[heard..];
            (self.credentials, self.access) = (caller.credentials, caller.access);
            self.refresh = caller.refresh;
            all.unavailable += outcome.unavailable;
        }
        all
    }

    /// The same where MongoDB does not answer: nothing is given, so all can go at once.
    pub(super) async fn ask_in_vain(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        for config in self.configs.clone() {
            let mut requests = self.misuses();
            requests.extend([
                self.new_user(),
                self.new_client(),
                self.login(),
                self.refresh(),
            ]);
            requests.extend([
                self.introspection(),
                self.revocation(),
                bearer(&self.access),
            ]);
            self.be_refused(config, requests, &mut outcome).await;
        }
        outcome
    }

    async fn ask_over(mut self, config: Arc<ClientConfig>) -> (Self, Outcome) {
        let mut outcome = Outcome::default();
        let mut wire = Wire::open(self.port, Arc::clone(&config)).await.unwrap();
        self.use_all(&mut wire, &mut outcome).await;
        let mut requests = self.misuses();
        // It has ended.
        requests.push(bearer(&self.access));
        self.be_refused(config, requests, &mut outcome).await;
        (self, outcome)
    }

    /// Does what each endpoint is for.
    async fn use_all(&mut self, wire: &mut Wire, outcome: &mut Outcome) {
        self.give(wire, self.new_user(), outcome).await;
        let made = self.give(wire, self.new_client(), outcome).await;
        let [id, secret] = ["client_id", "client_secret"].map(|field| text(&made, field).unwrap());
        self.keep_given("client secret", &secret);
        self.credentials = basic(&id, &secret);
        let more = self.order(&format!("clients/{id}/secrets"), &Value::Null);
        let second = self.give(wire, more, outcome).await;
        self.keep_given("second secret", &text(&second, "client_secret").unwrap());
        let pair = self.give(wire, self.login(), outcome).await;
        self.refresh = text(&pair, "refresh_token").unwrap();
        let pair = self.give(wire, self.refresh(), outcome).await;
        self.refresh = text(&pair, "refresh_token").unwrap();
        self.access = text(&pair, "access_token").unwrap();
        let verification = bearer(&self.access);
        for request in [verification, self.introspection(), self.revocation()] {
            self.give(wire, request, outcome).await;
        }
    }

    /// Sends requests at once, each over a connection of its own; all have to be refused.
    async fn be_refused(
        &mut self,
        config: Arc<ClientConfig>,
        requests: Vec<Request<Body>>,
        outcome: &mut Outcome,
    ) {
        let port = self.port;
        let requests = requests.into_iter();
        let refused = requests.map(|request| refused(port, Arc::clone(&config), request));
        for told in join_all(refused).await {
            outcome.note(&told);
            self.hear_refusal(&told);
        }
    }

    fn hear_refusal(&mut self, told: &Told) {
        self.hear(&format!("{:?}", told.headers));
        self.hear(&told.body);
    }

    /// Sends a request whose answer may give secrets to the one who asks.
    async fn give(
        &mut self,
        wire: &mut Wire,
        request: Request<Body>,
        outcome: &mut Outcome,
    ) -> Value {
        let told = wire.send(request).await.unwrap();
        // Without Redis nothing can be revoked.
        if !told.status.is_success() {
            assert_eq!(told.status, StatusCode::SERVICE_UNAVAILABLE, "{told:?}");
            outcome.note(&told);
            self.hear_refusal(&told);
        }
        let given: Value = serde_json::from_str(&told.body).unwrap_or_default();
        for (field, name) in [
            ("access_token", "access token"),
            ("refresh_token", "refresh token"),
        ] {
            if let Some(token) = text(&given, field) {
                self.keep_given(name, &token);
            }
        }
        given
    }

    fn keep_given(&mut self, name: &'static str, value: &str) {
        let value = value.to_owned();
        self.keep(Secret { name, value });
    }
}

impl Outcome {
    fn note(&mut self, told: &Told) {
        self.unavailable += usize::from(told.status == StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// Sends a request over a connection of its own; it has to be refused.
async fn refused(port: u16, config: Arc<ClientConfig>, request: Request<Body>) -> Told {
    let asked = format!("{request:?}");
    let mut wire = Wire::open(port, config).await.unwrap();
    let told = wire.send(request).await.unwrap();
    assert!(told.status.as_u16() >= 400, "{} to {asked}", told.status);
    // Only the one that asks for a path of letters is nowhere at home.
    let is_lost = told.status == StatusCode::NOT_FOUND;
    assert_eq!(
        is_lost,
        asked.contains("/oauth/canary"),
        "{} to {asked}",
        told.status
    );
    told
}

fn text(answer: &Value, field: &str) -> Option<String> {
    answer[field].as_str().map(str::to_owned)
}
