//! Users and clients are disabled, deleted and given new passwords and secrets by `sentinel user`,
//! `client` and `token`, over the embedded store of a running `sentinel dev`.

use reqwest::StatusCode;

use super::administration::Dev;
use crate::support::app::Answer;

const PASSWORD: &str = "canary pass 1";
const NEW_PASSWORD: &str = "canary pass 2";

/// A user and two clients.
struct Records {
    dev: Dev,
    public: String,
    confidential: (String, String),
}

impl Records {
    async fn start() -> Self {
        let dev = Dev::start().await;
        let input = format!("{PASSWORD}\n");
        dev.json("user add anna --password-stdin", &input).await;
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        let public = dev.json("client add", "").await;
        let shop = dev.json("client add --type confidential", "").await;
        Self {
            public: text(&public["client_id"]),
            confidential: (text(&shop["client_id"]), text(&shop["client_secret"])),
            dev,
        }
    }

    async fn login(&self, password: &str) -> Answer {
        let form = form(password);
        let client_id = ("client_id", self.public.as_str());
        let form = [form[0], form[1], form[2], client_id];
        self.dev.token_of(&form).await
    }

    async fn login_as_shop(&self, secret: &str) -> StatusCode {
        let client = (self.confidential.0.as_str(), Some(secret));
        self.dev.token(&form(PASSWORD), client).await.status
    }

    /// Runs a command that has to work.
    async fn run(&self, line: &str, input: &str) -> String {
        let ended = self.dev.run_with_input(line, input).await;
        assert_eq!(ended.code, Some(0), "{line}: {ended:?}");
        ended.out
    }

    /// Runs a command that has to end all tokens of the user.
    async fn ends(&self, line: &str, input: &str) {
        let tokens = self.login(PASSWORD).await.tokens();
        assert_eq!(self.dev.endpoint(&tokens.access).await, StatusCode::OK);
        self.run(line, input).await;
        let dead = self.dev.endpoint(&tokens.access).await;
        assert_eq!(dead, StatusCode::UNAUTHORIZED, "{line}");
    }
}

fn form(password: &str) -> [(&str, &str); 3] {
    [
        ("grant_type", "password"),
        ("username", "anna"),
        ("password", password),
    ]
}

#[tokio::test]
async fn a_user_is_disabled_enabled_renewed_and_deleted() {
    let own = Records::start().await;
    own.ends("user disable anna", "").await;
    assert_eq!(own.login(PASSWORD).await.error(), "invalid_grant");
    let listed = own.run("user list", "").await;
    let of_anna = listed.lines().find(|line| line.starts_with("anna "));
    assert!(of_anna.unwrap().contains(" disabled "), "{listed}");
    let enabled = own.dev.json("user enable anna", "").await;
    assert_eq!(enabled["disabled"], false);
    for (whose, name) in [("--user", "anna"), ("--client", &own.public)] {
        own.ends(&format!("token revoke-all {whose} {name}"), "")
            .await;
    }
    own.ends("token revoke-all --everyone", "").await;
    let input = format!("{NEW_PASSWORD}\n");
    own.ends("user set-password anna --password-stdin", &input)
        .await;
    assert_eq!(own.login(PASSWORD).await.error(), "invalid_grant");
    let tokens = own.login(NEW_PASSWORD).await.tokens();
    own.run("user delete anna", "").await;
    let dead = own.dev.endpoint(&tokens.access).await;
    assert_eq!(dead, StatusCode::UNAUTHORIZED);
    for line in [
        "user delete anna",
        "user disable anna",
        "token revoke-all --user anna",
    ] {
        let ended = own.dev.run(line).await;
        assert_eq!(ended.code, Some(1), "{line}: {ended:?}");
        assert!(ended.err.contains("no user of this name"), "{ended:?}");
    }
    for line in ["token revoke-all", "token revoke-all --everyone --client x"] {
        assert_eq!(own.dev.run(line).await.code, Some(2), "{line}");
    }
}

#[tokio::test]
async fn a_client_is_disabled_enabled_given_a_new_secret_and_deleted() {
    let own = Records::start().await;
    let client = own.public.clone();
    own.ends(&format!("client disable {client}"), "").await;
    assert_eq!(own.login(PASSWORD).await.error(), "invalid_client");
    own.run(&format!("client enable {client}"), "").await;
    own.ends(&format!("client delete {client}"), "").await;
    let ended = own.dev.run(&format!("client delete {client}")).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("no such user or client"), "{ended:?}");

    let (shop, first) = &own.confidential;
    let told = own.run(&format!("client rotate-secret {shop}"), "").await;
    let second = told.lines().next().unwrap().strip_prefix("client_secret: ");
    for secret in [first.as_str(), second.unwrap()] {
        assert_eq!(own.login_as_shop(secret).await, StatusCode::OK);
    }
    let clients = own.dev.json("client list", "").await;
    let clients = clients.as_array().unwrap();
    let listed = clients.iter().find(|one| one["client_id"] == **shop);
    let old = listed.unwrap()["secrets"][0]["id"].as_str().unwrap();
    let delete = format!("client delete-secret {shop} {old}");
    own.run(&delete, "").await;
    assert_eq!(own.login_as_shop(first).await, StatusCode::UNAUTHORIZED);
    assert_eq!(own.login_as_shop(second.unwrap()).await, StatusCode::OK);
    assert_eq!(own.dev.run(&delete).await.code, Some(1));
}
