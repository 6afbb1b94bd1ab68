//! `GET /.well-known/oauth-authorization-server` (RFC 8414).

use serde_json::json;

use crate::support::app::{answer, spawn_app, spawn_app_with};

const NGINX: &str = include_str!("../../deploy/nginx.conf");
const PATH: &str = "/.well-known/oauth-authorization-server";

/// RFC 8414 §2, §3.
#[tokio::test]
async fn it_names_the_endpoints_below_the_issuer_and_what_they_can_do() {
    let issuer = "https://sentinel.example";
    let settings = [
        ("SENTINEL_ISSUER", issuer),
        ("SENTINEL_ROUTE_PREFIX", "/auth"),
    ];
    let app = spawn_app_with(&settings).await;
    let found = answer(app.get(PATH)).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.header("content-type"), "application/json");
    let both = ["client_secret_basic", "client_secret_post"];
    let all = ["client_secret_basic", "client_secret_post", "none"];
    let expected = json!({
        "issuer": issuer,
        "token_endpoint": "https://sentinel.example/auth/token",
        "response_types_supported": [],
        "grant_types_supported": ["password", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": all,
        "introspection_endpoint": "https://sentinel.example/auth/introspect",
        "introspection_endpoint_auth_methods_supported": both,
        "revocation_endpoint": "https://sentinel.example/auth/revoke",
        "revocation_endpoint_auth_methods_supported": all,
    });
    assert_eq!(found.json(), expected);
    let posted = answer(app.post(PATH)).await;
    assert_eq!(
        (posted.status.as_u16(), posted.header("allow")),
        (405, "GET, HEAD")
    );
    let head = answer(app.http.head(format!("{}{PATH}", app.url))).await;
    assert_eq!(head.status, 200);
}

/// The document, and each endpoint that it names, is behind a location of the example for NGINX.
#[tokio::test]
async fn nginx_passes_on_what_it_names() {
    let issuer = "https://api.example.com";
    assert!(NGINX.contains(&format!("SENTINEL_ISSUER={issuer}\n")));
    let app = spawn_app_with(&[("SENTINEL_ISSUER", issuer)]).await;
    let document = answer(app.get(PATH)).await.json();
    let named = document.as_object().unwrap().values();
    let named = named.filter_map(|value| value.as_str()?.strip_prefix(issuer));
    let paths: Vec<&str> = named.filter(|path| !path.is_empty()).collect();
    assert_eq!(paths.len(), 3, "{document}");
    let locations = NGINX.lines().filter_map(|line| {
        let location = line.trim().strip_prefix("location ")?;
        location.strip_suffix(" {")
    });
    let locations: Vec<&str> = locations.collect();
    for path in paths.into_iter().chain([PATH]) {
        let is_for = |location: &&str| match location.strip_prefix("= ") {
            Some(whole) => path == whole,
            None => path.starts_with(location),
        };
        assert!(locations.iter().any(is_for), "{path}: {locations:?}");
    }
}

/// RFC 8414 §2: an endpoint that is not there is not told of, nor what it could do.
#[tokio::test]
async fn what_is_turned_off_is_not_listed() {
    let settings = [
        ("SENTINEL_ISSUER", "https://sentinel.example"),
        ("SENTINEL_TOKEN_URL", "false"),
    ];
    let app = spawn_app_with(&settings).await;
    let body = answer(app.get(PATH)).await.json();
    assert!(body.get("token_endpoint").is_none(), "{body}");
    assert!(body.get("grant_types_supported").is_none(), "{body}");
    let methods = body.get("token_endpoint_auth_methods_supported");
    assert!(methods.is_none(), "{body}");
    assert!(body.get("introspection_endpoint").is_some(), "{body}");
}

/// RFC 8414 §3.1: the well-known path goes between host and path of the issuer.
#[tokio::test]
async fn the_path_of_an_issuer_follows_the_well_known_one() {
    let app = spawn_app_with(&[("SENTINEL_ISSUER", "https://sentinel.example/tenant")]).await;
    let found = answer(app.get(&format!("{PATH}/tenant"))).await;
    assert_eq!(found.json()["issuer"], "https://sentinel.example/tenant");
    assert_eq!(answer(app.get(PATH)).await.status, 404);
}

/// With a port that the system chooses, nobody can say how clients call the server.
#[tokio::test]
async fn without_a_known_issuer_there_is_no_metadata() {
    let app = spawn_app().await;
    assert_eq!(answer(app.get(PATH)).await.status, 404);
}
