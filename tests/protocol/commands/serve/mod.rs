//! `sentinel serve`: settings that show outside. What signals do to it is in `signals`, TLS in
//! `tls`, what it notes of refused token requests in `refusals`.

mod refusals;
mod settings;
mod signals;
mod tls;

use reqwest::{Client, StatusCode};

use crate::support::app::{Answer, AsConsole, FORM, Tokens, USER, answer};
use crate::support::process::{Place, Running, https};
use crate::support::served::{place_of, shared_settings};

const START: &str = "serve --listen 127.0.0.1:0";

/// A server that runs, with a user and a public client.
struct Served {
    running: Running,
    http: Client,
    /// `https://localhost:port`.
    origin: String,
    prefix: &'static str,
    client_id: String,
}

/// A place with stores of its own, console credentials and an ad-hoc certificate.
async fn place_with(settings: &[(&str, &str)]) -> Place {
    let mut place = place_of(&shared_settings().await);
    for (name, value) in settings {
        place.set(name, value);
    }
    place
}

/// A server on stores of its own.
async fn serve(settings: &[(&str, &str)]) -> Served {
    serve_in(&place_with(settings).await, "/oauth").await
}

/// A server with these settings, and a user and a client.
async fn serve_in(place: &Place, prefix: &'static str) -> Served {
    let mut running = place.start(START);
    let port = running.port(false).await;
    let mut served = Served {
        running,
        http: https(),
        origin: format!("https://localhost:{port}"),
        prefix,
        client_id: String::new(),
    };
    let user = serde_json::json!({"username": USER.0, "password": USER.1});
    served.add("users", user).await;
    let client = serde_json::json!({"client_type": "public"});
    let client = served.add("clients", client).await;
    client["client_id"]
        .as_str()
        .unwrap()
        .clone_into(&mut served.client_id);
    served
}

impl Served {
    /// Adds a record through the management API.
    async fn add(&self, kind: &str, record: serde_json::Value) -> serde_json::Value {
        let url = self.url(&format!("/management/api/v1/{kind}"));
        let request = self.http.post(url).with_console_credentials();
        let answer = answer(request.json(&record)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.json()
    }

    fn port(&self) -> u16 {
        self.origin.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// An address below the prefix.
    fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.origin, self.prefix)
    }

    async fn get(&self, path: &str) -> Answer {
        answer(self.http.get(self.url(path))).await
    }

    async fn token(&self, form: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("client_id", &self.client_id)
            .extend_pairs(form)
            .finish();
        let request = self.http.post(self.url("/token"));
        answer(request.header("content-type", FORM).body(body)).await
    }

    async fn login(&self) -> Tokens {
        let form = [
            ("grant_type", "password"),
            ("username", USER.0),
            ("password", USER.1),
        ];
        self.token(&form).await.tokens()
    }

    async fn refresh(&self, tokens: &Tokens) -> Tokens {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh.as_str()),
        ];
        self.token(&form).await.tokens()
    }

    async fn verify(&self, tokens: &Tokens) -> StatusCode {
        let request = self.http.get(self.url("/verify"));
        answer(request.bearer_auth(&tokens.access)).await.status
    }
}
