//! What settings of `sentinel serve` change for those who call it.

use redis::AsyncCommands;
use reqwest::{Client, StatusCode};

use super::{START, place_with, serve, serve_in};
use crate::support::app::{AsConsole, CONSOLE, answer};
use crate::support::process::{PATIENCE, Place, https, install_tls};
use crate::support::stores::start_redis;

#[tokio::test]
async fn prefix_lifetime_pages_and_metrics_are_as_set() {
    let place = place_with(&[
        ("SENTINEL_ROUTE_PREFIX", "/id"),
        ("OAUTH2_PROVIDER_TOKEN_EXPIRES_IN", "120"),
        ("OAUTH2_PROVIDER_ERROR_ENDPOINT", "oops"),
        ("SENTINEL_TEMPLATES", "pages"),
        ("SENTINEL_METRICS_LISTEN", "127.0.0.1:0"),
    ])
    .await;
    place.write("pages/oops.html", "<p>Our page: {{ error }}</p>");
    place.write("pages/management.html", "<p>Our console</p>");
    let mut served = serve_in(&place, "/id").await;

    let tokens = served.login().await;
    assert_eq!(tokens.expires_in, 120);
    assert_eq!(served.verify(&tokens).await, StatusCode::NO_CONTENT);
    let elsewhere = served.http.post(format!("{}/oauth/token", served.origin));
    assert_eq!(answer(elsewhere).await.status, StatusCode::NOT_FOUND);
    let page = served.get("/errors?error=access_denied").await;
    assert_eq!(page.body, "<p>Our page: access_denied</p>");
    let console = served.http.get(served.url("/management"));
    let console = answer(console.with_console_credentials()).await;
    assert_eq!(console.body, "<p>Our console</p>");

    let line = served.running.line("listening for metrics").await;
    let address = line.rsplit_once("address=").unwrap().1;
    for (path, words) in [
        ("metrics", "tls_certificate"),
        ("healthz", ""),
        ("readyz", "\""),
    ] {
        let answer = answer(served.http.get(format!("http://{address}/{path}"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(answer.body.contains(words), "{path}: {}", answer.body);
    }
    let token = served.http.post(format!("http://{address}/id/token"));
    assert_eq!(answer(token).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_turned_off_is_not_found() {
    let place = place_with(&[
        ("SENTINEL_TOKEN_URL", "false"),
        ("SENTINEL_MANAGEMENT_URL", "False"),
    ])
    .await;
    let mut running = place.start(START);
    let origin = format!("https://localhost:{}", running.port(false).await);
    for path in [
        "/oauth/token",
        "/oauth/management",
        "/oauth/management/api/v1/users",
    ] {
        let request = https().post(format!("{origin}{path}"));
        let answer = answer(request.with_console_credentials()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let ready = answer(https().get(format!("{origin}/readyz"))).await;
    assert_eq!(ready.status, StatusCode::OK, "{}", ready.body);
}

#[tokio::test]
async fn a_console_without_credentials_says_what_to_set() {
    let place = Place::with(&[("SENTINEL_STORE", "embedded"), ("SENTINEL_TLS", "adhoc")]);
    let mut running = place.start(START);
    let url = format!(
        "https://localhost:{}/oauth/management",
        running.port(false).await
    );
    for request in [
        https().get(&url),
        https().get(&url).with_console_credentials(),
    ] {
        let page = answer(request).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN);
        for name in [
            "SENTINEL_MANAGEMENT_USERNAME",
            "SENTINEL_MANAGEMENT_PASSWORD",
        ] {
            assert!(page.body.contains(name), "{}", page.body);
        }
    }
}

#[tokio::test]
async fn the_embedded_store_serves_over_a_socket_behind_a_proxy() {
    let mut place = Place::with(&[
        ("SENTINEL_STORE", "embedded"),
        ("SENTINEL_TLS", "off"),
        ("SENTINEL_BCRYPT_COST", "4"),
        ("SENTINEL_MANAGEMENT_USERNAME", CONSOLE.0),
        ("SENTINEL_MANAGEMENT_PASSWORD", CONSOLE.1),
    ]);
    let socket = place.path("s.sock");
    place.set("SENTINEL_LISTEN", &format!("unix:{}", socket.display()));
    install_tls();
    let http = Client::builder()
        .unix_socket(socket.clone())
        .build()
        .unwrap();
    for round in 0..2 {
        let mut running = place.start("serve");
        running.line(" listening address=unix:").await;
        let ready = answer(http.get("http://localhost/readyz")).await;
        assert_eq!(ready.status, StatusCode::OK, "{}", ready.body);
        let verify = http.get("http://localhost/oauth/verify").bearer_auth("x");
        assert_eq!(answer(verify).await.status, StatusCode::UNAUTHORIZED);
        // A kill leaves the socket behind; the next start takes its place.
        running.signal(if round == 0 { "KILL" } else { "TERM" });
        let ended = running.ended(PATIENCE).await;
        assert_eq!(ended.code.is_none(), round == 0, "{ended:?}");
        assert_eq!(socket.exists(), round == 0);
    }
    assert!(place.path("data/sentinel.redb").exists());
}

#[tokio::test]
async fn each_token_is_on_the_redis_of_its_slot() {
    let (first, second) = tokio::join!(start_redis(&[]), start_redis(&[]));
    let urls = [&first, &second].map(|server| format!("redis://{}", server.address()));
    let served = serve(&[("SENTINEL_REDIS_URL", &urls.join(","))]).await;
    let mut connections = Vec::new();
    for url in urls {
        let client = redis::Client::open(url).unwrap();
        let connection = client.get_multiplexed_async_connection().await;
        connections.push(connection.unwrap());
    }
    let mut used = [false; 2];
    let mut tokens = served.login().await;
    for _ in 0..20 {
        let slot = crc16::State::<crc16::XMODEM>::calculate(tokens.access.as_bytes()) % 16_384;
        let own = usize::from(slot >= 8_192);
        used[own] = true;
        for (index, connection) in connections.iter_mut().enumerate() {
            let found: Option<String> = connection.get(&tokens.access).await.unwrap();
            assert_eq!(
                found.is_some(),
                index == own,
                "slot {slot}, endpoint {index}"
            );
        }
        tokens = served.refresh(&tokens).await;
    }
    assert_eq!(used, [true, true]);
}

#[tokio::test]
async fn it_starts_without_redis_and_says_so() {
    // Port 1 of the loopback is not listened on.
    let mut served = serve(&[("SENTINEL_REDIS_URL", "redis://:canary-Zq8@127.0.0.1:1/0")]).await;
    let tokens = served.login().await;
    assert_eq!(served.verify(&tokens).await, StatusCode::NO_CONTENT);
    let ready = answer(served.http.get(format!("{}/readyz", served.origin))).await;
    assert_eq!(ready.status, StatusCode::OK, "{}", ready.body);
    assert!(ready.body.contains("redis"), "{}", ready.body);
    let line = served.running.line("Redis cannot be reached").await;
    assert!(line.contains(" WARN "), "{line}");
    served.running.signal("TERM");
    let ended = served.running.ended(PATIENCE).await;
    assert_eq!(ended.code, Some(0));
    assert!(!ended.err.contains("canary"), "{}", ended.err);
}
