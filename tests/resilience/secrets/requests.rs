//! The requests that say secrets.

use base64::prelude::{BASE64_STANDARD, Engine};
use form_urlencoded::Serializer;
use hyper::Request;
use serde_json::{Value, json};

use super::ADMINISTRATOR;
use super::caller::Caller;
use crate::support::app::FORM;
use crate::wire::{Body, get, whole};

const JSON: &str = "application/json";
const TOKEN: &str = "/oauth/token";
const VERIFY: &str = "/oauth/verify";
const CONSOLE: &str = "/oauth/management";
const API: &str = "/oauth/management/api/v1";

impl Caller {
    /// Requests that are refused, each with a secret in some place.
    pub(super) fn misuses(&self) -> Vec<Request<Body>> {
        let mut all = self.bad_forms();
        all.extend(self.mixed_up());
        all.extend(self.bad_requests());
        all.extend(self.bad_orders());
        all
    }

    fn bad_forms(&self) -> Vec<Request<Body>> {
        let (password, vain) = (&self.value("wrong password"), &self.value("in vain"));
        let (secret, token) = (&self.value("wrong secret"), &self.value("unknown token"));
        let (user, stranger) = (&self.name("user"), &self.name("stranger"));
        let (with_nul, long) = (
            &format!("{password}\0"),
            &(vain.clone() + &"x".repeat(20_000)),
        );
        let (shop, grant) = (basic("shop", secret), ("grant_type", "password"));
        let mut all = Vec::new();
        for (user, password) in [
            (user, password),
            (stranger, password),
            (stranger, with_nul),
            (long, password),
            (user, long),
        ] {
            let login = [grant, ("username", user), ("password", password)];
            all.push(form(TOKEN, &login, &self.credentials));
            all.push(form(
                TOKEN,
                &[&login[..], &[("client_id", "shop")]].concat(),
                "",
            ));
        }
        let unknown = [("grant_type", "refresh_token"), ("refresh_token", token)];
        all.push(form(TOKEN, &unknown, &self.credentials));
        let by_form = [grant, ("client_secret", secret), ("client_id", "shop")];
        all.push(form(TOKEN, &by_form, ""));
        for fields in [
            &[grant, ("password", password), ("password", vain)],
            &[
                ("grant_type", vain),
                ("password", password),
                ("scope", vain),
            ],
            &[("code", token), (vain, vain), ("code_verifier", vain)],
        ] {
            all.push(form(TOKEN, fields, &shop));
            all.push(form(TOKEN, fields, &self.credentials));
        }
        let hinted = [("token", token.as_str()), ("token_type_hint", vain)];
        for path in ["/oauth/introspect", "/oauth/revoke"] {
            all.push(form(path, &hinted, &shop));
            all.push(form(path, &hinted, ""));
        }
        all
    }

    /// Secrets and names in the place of the client's: of who mixes them up.
    fn mixed_up(&self) -> Vec<Request<Body>> {
        let (password, secret) = (&self.value("wrong password"), &self.value("wrong secret"));
        let (user, token) = (&self.name("user"), &self.value("unknown token"));
        let mut all = Vec::new();
        for invented in [secret, user, password] {
            let login = [
                ("grant_type", "password"),
                ("username", user),
                ("password", password),
                ("client_id", invented),
            ];
            all.push(form(TOKEN, &login, ""));
            all.push(form(TOKEN, &login[..3], &basic(invented, "x")));
            let revocation = [("token", token.as_str())];
            all.push(form("/oauth/revoke", &revocation, &basic(invented, secret)));
        }
        all
    }

    fn bad_requests(&self) -> Vec<Request<Body>> {
        let (password, vain) = (self.value("wrong password"), self.value("in vain"));
        let token = self.value("unknown token");
        let json = json!({"password": password, "token": token}).to_string();
        let in_query = format!("{TOKEN}?password={password}");
        vec![
            post(TOKEN, JSON, json),
            post(TOKEN, &vain, format!("password={password}")),
            post(TOKEN, FORM, format!("password={password}%zz&{vain}")),
            post(&in_query, FORM, format!("token={token}")),
            get(&in_query),
            get(&format!("/oauth/verify?access_token={token}")),
            get(&format!("/oauth/{vain}?token={token}")),
            bearer(&token),
            bearer(&format!("{token} {vain}")),
            bearer(&format!("{token}!")),
            with(get(VERIFY), "authorization", &format!("Basic {vain}")),
            with(get(VERIFY), "authorization", &vain),
            with(get(VERIFY), "cookie", &format!("session={vain}")),
            with(bearer(&token), "x-forwarded-for", &vain),
            with(bearer(&token), "user-agent", &vain),
            with(bearer(&token), "dpop", &token),
        ]
    }

    /// For the console, of a stranger and of its user.
    fn bad_orders(&self) -> Vec<Request<Body>> {
        let (password, vain) = (self.value("wrong password"), self.value("in vain"));
        let csrf = self.value("form token");
        let fields = [("csrf_token", csrf.as_str()), ("password", &vain)];
        let stranger = basic(ADMINISTRATOR, &password);
        let (user, long) = (self.name("user"), "x".repeat(73) + &vain);
        vec![
            with(get(CONSOLE), "authorization", &stranger),
            form(CONSOLE, &fields, &self.console),
            self.order("users", &json!({"username": user, "password": long})),
            self.order("users", &json!({"username": user, "password": [vain]})),
            self.order("users", &json!({ vain.as_str(): password })),
            self.order(
                "tokens/revoke",
                &json!({"token": [self.value("unknown token")]}),
            ),
            self.order(
                "clients",
                &json!({"client_type": vain, "client_secret": password}),
            ),
        ]
    }

    pub(super) fn new_user(&self) -> Request<Body> {
        let (user, password) = (self.user(), self.value("user password"));
        self.order("users", &json!({"username": user, "password": password}))
    }

    pub(super) fn new_client(&self) -> Request<Body> {
        let client = json!({"client_type": "confidential", "scopes": "read",
            "default_scopes": "read", "introspection": "any"});
        self.order("clients", &client)
    }

    pub(super) fn login(&self) -> Request<Body> {
        let (user, password) = (self.user(), self.value("user password"));
        let fields = [
            ("grant_type", "password"),
            ("username", &user),
            ("password", &password),
        ];
        form(TOKEN, &fields, &self.credentials)
    }

    pub(super) fn refresh(&self) -> Request<Body> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh.as_str()),
        ];
        form(TOKEN, &fields, &self.credentials)
    }

    pub(super) fn introspection(&self) -> Request<Body> {
        form(
            "/oauth/introspect",
            &[("token", &self.access)],
            &self.credentials,
        )
    }

    pub(super) fn revocation(&self) -> Request<Body> {
        form(
            "/oauth/revoke",
            &[("token", &self.access)],
            &self.credentials,
        )
    }

    fn user(&self) -> String {
        format!("{}{}", self.name("user"), self.turns)
    }

    /// An order to the management API.
    pub(super) fn order(&self, path: &str, body: &Value) -> Request<Body> {
        let request = post(&format!("{API}/{path}"), JSON, body.to_string());
        with(request, "authorization", &self.console)
    }

    pub(super) fn value(&self, name: &str) -> String {
        let found = self.secrets.iter().find(|secret| secret.name == name);
        found.unwrap().value.clone()
    }

    fn name(&self, name: &str) -> String {
        let found = self.names.iter().find(|secret| secret.name == name);
        found.unwrap().value.clone()
    }
}

pub(super) fn basic(name: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{name}:{password}"))
    )
}

pub(super) fn bearer(token: &str) -> Request<Body> {
    with(get(VERIFY), "authorization", &format!("Bearer {token}"))
}

/// A form, with these credentials if there are any.
fn form(path: &str, fields: &[(&str, &str)], credentials: &str) -> Request<Body> {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = post(path, FORM, body);
    if credentials.is_empty() {
        return request;
    }
    with(request, "authorization", credentials)
}

fn post(path: &str, kind: &str, body: String) -> Request<Body> {
    let request = Request::post(format!("https://localhost{path}")).header("host", "localhost");
    request
        .header("content-type", kind)
        .body(whole(body))
        .unwrap()
}

fn with(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}
