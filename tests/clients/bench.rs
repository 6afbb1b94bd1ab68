//! A server for one library, its clients, and what the library has to know of them.

use serde_json::{Value, json};
use warp_sentinel::domain::client::policy::Introspection;
use warp_sentinel::domain::client::{Client, ClientType, GrantType};

use crate::authority::{Certificates, make_certificates};
use crate::support::app::{CONSOLE, TestApp, USER, spawn_app_with};
use crate::support::process::Place;
use crate::support::server::free_port;
use crate::support::stores::stores;

/// A running server that clients dial as its issuer says.
pub(crate) struct Bench {
    pub(crate) app: TestApp,
    /// The certificates, and the folder that scripts run in.
    pub(crate) place: Place,
    pub(crate) certificates: Certificates,
    /// The identifier and secret of a client that may use all grants, and introspect any token.
    pub(crate) confidential: (String, String),
}

impl Bench {
    /// Starts the server.
    pub(crate) async fn start() -> Self {
        let place = Place::new();
        let certificates = make_certificates();
        place.write("cert.pem", &certificates.server);
        place.write("key.pem", &certificates.server_key);
        place.write("ca.pem", &certificates.authority);
        let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
        // The issuer is what clients dial: the port has to be known before the start.
        let port = free_port();
        let app = spawn_app_with(&[
            ("SENTINEL_LISTEN", &format!("127.0.0.1:{port}")),
            ("SENTINEL_ISSUER", &format!("https://localhost:{port}")),
            ("SENTINEL_TLS", "on"),
            ("SENTINEL_TLS_CERT", &path("cert.pem")),
            ("SENTINEL_TLS_KEY", &path("key.pem")),
        ])
        .await;
        let all_grants = |client: &mut Client| {
            client.allowed_grant_types = GrantType::ALL.to_vec();
            client.policy.introspection = Introspection::Any;
        };
        let confidential = app
            .add_client_with(ClientType::Confidential, all_grants)
            .await;
        Self {
            app,
            place,
            certificates,
            confidential,
        }
    }

    /// What the scripts are told.
    pub(crate) async fn describe(&self) -> Value {
        let stores = stores().await;
        json!({
            "issuer": self.app.url,
            "public": self.app.client_id,
            "confidential": self.confidential.0,
            "secret": self.confidential.1,
            "username": USER.0,
            "password": USER.1,
            "console": [CONSOLE.0, CONSOLE.1],
            "redis": self.app.redis_url,
            // A database of its own, for a program that the tokens protect.
            "mongo": format!("{}/{}", stores.mongo_uri(), stores.fresh_database()),
        })
    }
}
