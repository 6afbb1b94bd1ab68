//! `sentinel user`, `client` and `token` against a running `sentinel dev`, whose credentials and
//! certificate they find by themselves in its folder.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::support::app::{Answer, FORM, answer};
use crate::support::process::{Ended, PATIENCE, Place, Running, https};

/// A user's password; it is in no argument and no output.
const PASSWORD: &str = "canary pass 1";

/// `sentinel dev` in a folder of its own.
pub(super) struct Dev {
    place: Place,
    server: Running,
    origin: String,
}

impl Dev {
    pub(super) async fn start() -> Self {
        let place = Place::new();
        let mut server = place.start("dev --listen 127.0.0.1:0");
        let origin = format!("https://localhost:{}", server.port(true).await);
        Self {
            place,
            server,
            origin,
        }
    }

    /// Runs a command against it.
    pub(super) async fn run(&self, arguments: &str) -> Ended {
        self.run_with_input(arguments, "").await
    }

    pub(super) async fn run_with_input(&self, arguments: &str, input: &str) -> Ended {
        let line = format!("{arguments} --url {}", self.origin);
        self.place.run_with_input(&line, input).await
    }

    /// Runs a command that has to work, and reads what it prints for programs.
    pub(super) async fn json(&self, arguments: &str, input: &str) -> Value {
        let line = format!("{arguments} --json");
        let ended = self.run_with_input(&line, input).await;
        assert_eq!(ended.code, Some(0), "{arguments}: {ended:?}");
        assert_eq!(ended.err, "", "{arguments}");
        serde_json::from_str(&ended.out).expect(&ended.out)
    }

    pub(super) async fn token(
        &self,
        form: &[(&str, &str)],
        client: (&str, Option<&str>),
    ) -> Answer {
        let request = self.token_request(form);
        answer(request.basic_auth(client.0, client.1)).await
    }

    /// As [`Dev::token`], for a client that the form names.
    pub(super) async fn token_of(&self, form: &[(&str, &str)]) -> Answer {
        answer(self.token_request(form)).await
    }

    fn token_request(&self, form: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let url = format!("{}/oauth/token", self.origin);
        https().post(url).header("content-type", FORM).body(body)
    }

    pub(super) async fn endpoint(&self, token: &str) -> StatusCode {
        let url = format!("{}/endpoint", self.origin);
        answer(https().get(url).bearer_auth(token)).await.status
    }
}

#[tokio::test]
async fn a_user_is_added_listed_and_can_log_in() {
    let dev = Dev::start().await;
    let input = format!("{PASSWORD}\n");
    let ended = dev
        .run_with_input("user add anna --password-stdin", &input)
        .await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended.out.lines().nth(1).unwrap().starts_with("anna "),
        "{ended:?}"
    );
    let eve = dev.json("user add eve --password-stdin", &input).await;
    assert_eq!(eve["username"], "eve");
    assert_eq!(eve["id"].as_str().unwrap().len(), 24);
    let users = dev.json("user list", "").await;
    let names: Vec<_> = users
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["username"])
        .collect();
    assert_eq!(names.len(), 3, "{users}");
    for name in ["jonas", "anna", "eve"] {
        assert!(names.iter().any(|own| *own == name), "{users}");
    }
    let table = dev.run("user list").await.out;
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(!table.contains('$') && !table.contains(PASSWORD), "{table}");

    let client = dev.json("client list", "").await[0]["client_id"].clone();
    let form = [
        ("grant_type", "password"),
        ("username", "anna"),
        ("password", PASSWORD),
    ];
    let answer = dev.token(&form, (client.as_str().unwrap(), None)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}

#[tokio::test]
async fn what_the_server_refuses_is_1_and_told_in_one_line() {
    let dev = Dev::start().await;
    let client = dev.json("client list", "").await[0]["client_id"].clone();
    let client = client.as_str().unwrap();
    for (arguments, input, words) in [
        (
            "user add jonas --password-stdin",
            "pass word 1\n",
            "choose another name",
        ),
        (
            "user add anna --password-stdin",
            "short\n",
            "SENTINEL_PASSWORD_MIN_LENGTH",
        ),
        (
            "user add anna --password-stdin",
            "password1\n",
            "most common",
        ),
        (
            &format!("client rotate-secret {client}"),
            "",
            "A public client has no secret\n",
        ),
    ] {
        let ended = dev.run_with_input(arguments, input).await;
        assert_eq!(ended.code, Some(1), "{arguments}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{arguments}: {ended:?}");
        assert!(
            ended.err.starts_with("sentinel: the server refused: "),
            "{ended:?}"
        );
        assert!(ended.err.contains(words), "{arguments}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments}");
    }
    let nobody = dev.run("user add anna --password-stdin").await;
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    let wrong = "user list --username admin --management-password-stdin";
    let wrong = dev.run_with_input(wrong, "no such password\n").await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        wrong.err.contains("SENTINEL_MANAGEMENT_PASSWORD"),
        "{wrong:?}"
    );
    assert_eq!(dev.json("user list", "").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_opens_the_token_endpoint() {
    let dev = Dev::start().await;
    let add = "client add --type confidential --name shop --scope read write --default-scope read";
    let client = dev.json(add, "").await;
    let id = client["client_id"].as_str().unwrap();
    let secret = client["client_secret"].as_str().unwrap();
    let table = dev.run("client add --type confidential").await;
    assert_eq!(table.code, Some(0), "{table:?}");
    assert!(table.out.contains("client_secret: "), "{table:?}");
    assert!(table.out.contains("not shown again"), "{table:?}");

    let list = dev.json("client list", "").await;
    assert_eq!(list.as_array().unwrap().len(), 3, "{list}");
    let shop = list
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["client_id"] == id)
        .unwrap();
    assert_eq!(shop["name"], "shop");
    assert_eq!(shop["scopes"], serde_json::json!(["read", "write"]));
    for text in [list.to_string(), dev.run("client list").await.out] {
        assert!(
            !text.contains(secret) && !text.contains("client_secret"),
            "{text}"
        );
    }

    let form = [
        ("grant_type", "password"),
        ("username", "jonas"),
        ("password", "pass"),
    ];
    let answer = dev.token(&form, (id, Some(secret))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.tokens().scope, "read");
    let wrong = dev.token(&form, (id, Some("wrong"))).await;
    assert_eq!(
        (wrong.status, wrong.error().as_str()),
        (StatusCode::UNAUTHORIZED, "invalid_client")
    );
}

#[tokio::test]
async fn a_revoked_token_opens_nothing_more() {
    let dev = Dev::start().await;
    let client = dev.json("client list", "").await[0]["client_id"].clone();
    let client = (client.as_str().unwrap(), None);
    let form = [
        ("grant_type", "password"),
        ("username", "jonas"),
        ("password", "pass"),
    ];
    let mut tokens = dev.token(&form, client).await.tokens();
    for is_on_stdin in [false, true] {
        assert_eq!(dev.endpoint(&tokens.access).await, StatusCode::OK);
        let ended = if is_on_stdin {
            let input = format!("{}\n", tokens.access);
            dev.run_with_input("token revoke --stdin", &input).await
        } else {
            dev.run(&format!("token revoke {}", tokens.access)).await
        };
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(!ended.out.contains(&tokens.access), "{ended:?}");
        assert_eq!(dev.endpoint(&tokens.access).await, StatusCode::UNAUTHORIZED);
        tokens = dev.token(&form, client).await.tokens();
    }
    // The server does not tell whether there was one (RFC 7009 §2.2).
    assert_eq!(
        dev.json("token revoke nosuch", "").await,
        serde_json::json!({})
    );
    let log = dev.server.read("err");
    assert!(!log.contains(&tokens.access), "{log}");
}

#[tokio::test]
async fn a_server_that_is_away_is_69() {
    let dev = Dev::start().await;
    let Dev {
        place,
        server,
        origin,
    } = dev;
    server.signal("TERM");
    assert_eq!(server.ended(PATIENCE).await.code, Some(0));
    for command in ["user list", "client list", "token revoke x"] {
        let ended = place.run(&format!("{command} --url {origin}")).await;
        assert_eq!(ended.code, Some(69), "{command}: {ended:?}");
        assert_eq!(ended.err.lines().count(), 1, "{command}: {ended:?}");
        assert!(ended.err.contains(&origin), "{command}: {ended:?}");
    }
}

#[tokio::test]
async fn without_credentials_or_the_right_certificate_nothing_is_sent() {
    let dev = Dev::start().await;
    let stranger = Place::new();
    let line = format!("user list --url {}", dev.origin);
    let ended = stranger.run(&line).await;
    assert_eq!(ended.code, Some(78), "{ended:?}");
    assert!(
        ended.err.contains("SENTINEL_MANAGEMENT_USERNAME"),
        "{ended:?}"
    );
    // Another server's certificate is trusted there, not this one's.
    let mut other = stranger.start("dev --listen 127.0.0.1:0");
    other.port(true).await;
    let ended = stranger.run(&line).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.err.contains("is not trusted"), "{ended:?}");
}
