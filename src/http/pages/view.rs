//! What the templates are given. The names `users`, `clients` and `request`, with their members,
//! are those of Flask-Sentinel's page, so that its overrides need few changes.

use serde::Serialize;

use crate::http::wire::actor::ActorRecord;
use crate::http::wire::client::{ClientRecord, SecretRecord};
use crate::http::wire::user::UserRecord;

/// The request that a page answers.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RequestView {
    /// Its path, where the console's forms go.
    pub path: String,
}

/// `management.html`: the console.
#[derive(Default, Serialize)]
pub struct ManagementPage {
    /// The request.
    pub request: RequestView,
    /// What went wrong with the last form; empty when nothing did.
    pub message: &'static str,
    /// A new confidential client with its secret, which is shown this once.
    pub new_client: Option<NewClientView>,
    /// Users on this page.
    pub users: Vec<UserView>,
    /// Users in all.
    pub users_total: u64,
    /// Query of the page with the next users; empty on the last one.
    pub users_next: String,
    /// Query of the page with the first users; empty on that page.
    pub users_first: String,
    /// Clients on this page.
    pub clients: Vec<ClientView>,
    /// Clients in all.
    pub clients_total: u64,
    /// Query of the page with the next clients; empty on the last one.
    pub clients_next: String,
    /// Query of the page with the first clients; empty on that page.
    pub clients_first: String,
    /// The supervision tree.
    pub actors: Vec<ActorRecord>,
    /// What each form must send as `csrf_token`.
    pub csrf_token: String,
}

/// A user in the console.
#[derive(Serialize)]
pub struct UserView {
    /// What the JSON API tells too.
    #[serde(flatten)]
    pub record: UserRecord,
    /// Always empty: no password hash is shown, but Flask-Sentinel's page names it.
    pub hashpw: &'static str,
}

/// A client in the console.
#[derive(Serialize)]
pub struct ClientView {
    /// What the JSON API tells too.
    #[serde(flatten)]
    pub record: ClientRecord,
    /// The path of its page.
    pub link: String,
}

/// `user.html`: one user.
#[derive(Serialize)]
pub struct UserPage {
    /// The request.
    pub request: RequestView,
    /// The path of the console.
    pub console: String,
    /// What went wrong with the last form; empty when nothing did.
    pub message: &'static str,
    /// The user.
    pub user: UserRecord,
    /// What each form must send as `csrf_token`.
    pub csrf_token: String,
}

/// `client.html`: one client.
#[derive(Serialize)]
pub struct ClientPage {
    /// The request.
    pub request: RequestView,
    /// The path of the console.
    pub console: String,
    /// What went wrong with the last form; empty when nothing did.
    pub message: &'static str,
    /// The client.
    pub client: ClientRecord,
    /// A new secret, which is shown this once; empty when there is none.
    pub new_secret: String,
    /// What each form must send as `csrf_token`.
    pub csrf_token: String,
}

/// A new confidential client.
#[derive(Serialize)]
pub struct NewClientView {
    /// Its identifier.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// `errors.html`, or the page that stands in for it.
#[derive(Clone, Copy, Default, Serialize)]
pub struct ErrorPage {
    /// A registered error code; empty when there was none.
    pub error: &'static str,
    /// What it means; empty without a code.
    pub meaning: &'static str,
}

/// `problem.html`: why the console does not open.
#[derive(Clone, Copy, Default, Serialize)]
pub struct ProblemPage {
    /// The status code.
    pub status: u16,
    /// The status in words.
    pub title: &'static str,
    /// What is wrong and how to mend it.
    pub detail: &'static str,
}

impl From<UserRecord> for UserView {
    fn from(record: UserRecord) -> Self {
        Self { record, hashpw: "" }
    }
}

impl ManagementPage {
    /// A page with one of everything, to try a template out.
    pub(super) fn sample() -> Self {
        let text = || "sample".to_owned();
        let user = sample_user();
        let client = ClientView {
            record: sample_client(),
            link: text(),
        };
        let actor = ActorRecord {
            name: text(),
            state: "running".into(),
            restarts: 0,
            in_flight: 0,
            bound: 1,
        };
        Self {
            message: "sample",
            users: vec![user.into()],
            clients: vec![client],
            actors: vec![actor],
            new_client: Some(NewClientView {
                client_id: text(),
                client_secret: text(),
            }),
            ..Self::default()
        }
    }
}

impl ErrorPage {
    /// A page with a code, to try a template out.
    pub(super) fn sample() -> Self {
        Self {
            error: "server_error",
            meaning: "sample",
        }
    }
}

impl UserPage {
    /// A page to try a template out.
    pub(super) fn sample() -> Self {
        Self {
            request: RequestView::default(),
            console: "sample".to_owned(),
            message: "sample",
            user: sample_user(),
            csrf_token: "sample".to_owned(),
        }
    }
}

impl ClientPage {
    /// A page to try a template out.
    pub(super) fn sample() -> Self {
        Self {
            request: RequestView::default(),
            console: "sample".to_owned(),
            message: "sample",
            client: sample_client(),
            new_secret: "sample".to_owned(),
            csrf_token: "sample".to_owned(),
        }
    }
}

fn sample_user() -> UserRecord {
    let text = || "sample".to_owned();
    UserRecord {
        id: text(),
        username: text(),
        disabled: false,
        created_at: text(),
    }
}

fn sample_client() -> ClientRecord {
    let text = || "sample".to_owned();
    let secret = SecretRecord {
        id: text(),
        created_at: text(),
        last_used_at: Some(text()),
        client_secret: None,
    };
    ClientRecord {
        client_id: text(),
        client_type: "confidential".to_owned(),
        name: text(),
        allowed_grant_types: vec![text()],
        scopes: vec![text()],
        default_scopes: vec![text()],
        access_token_lifetime: Some(1),
        refresh_token_lifetime: Some(1),
        sessions: text(),
        introspection: text(),
        disabled: false,
        created_at: text(),
        secrets: vec![secret],
        client_secret: None,
    }
}
