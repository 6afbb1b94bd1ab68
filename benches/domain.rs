//! What do the pieces of a request cost in this process, without a network?
#![allow(
    clippy::expect_used,
    reason = "a bench that cannot be set up has nothing to measure"
)]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower_service::Service;
use warp::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use warp::http::{Request, StatusCode};
use warp_sentinel::crypto::random;
use warp_sentinel::domain::scope::Scope;
use warp_sentinel::http::extract::bearer;
use warp_sentinel::http::extract::form::Form;
use warp_sentinel::sentinel::dev::{self, DevFacts};
use warp_sentinel::settings::sources::{ConfigSource, Mode, Sources};
use warp_sentinel::{Sentinel, Settings};

const FORM: &[u8] = b"grant_type=password&client_id=0123456789abcdefghijABCDEFGHIJ0123456789\
                      &username=jonas&password=correct+horse%20battery&scope=read+write";

fn tokens(criterion: &mut Criterion) {
    criterion.bench_function("token_value/mint", |bencher| {
        bencher.iter(random::token_value);
    });
    let mut headers = HeaderMap::new();
    let value = "Bearer sx2Rz0vVFVRQBCFVCTwXINPjSswq1W".parse();
    headers.insert(AUTHORIZATION, value.expect("a header value"));
    criterion.bench_function("bearer/read", |bencher| {
        bencher.iter(|| bearer::read(black_box(&headers)));
    });
}

fn forms(criterion: &mut Criterion) {
    criterion.bench_function("form/password_grant", |bencher| {
        bencher.iter(|| Form::parse_pairs(black_box(FORM)));
    });
}

fn scopes(criterion: &mut Criterion) {
    criterion.bench_function("scope/parse_4", |bencher| {
        bencher.iter(|| Scope::parse(black_box("read write admin profile")));
    });
    let granted = Scope::parse("read write admin profile").expect("a scope");
    let wanted = Scope::parse("admin read").expect("a scope");
    criterion.bench_function("scope/2_of_4", |bencher| {
        bencher.iter(|| black_box(&wanted).is_subset_of(black_box(&granted)));
    });
}

// Through all filters, as a request comes from the server.
fn verification(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let (_folder, sentinel, facts) = runtime.block_on(start());
    let mut service = warp::service(sentinel.routes());
    let token = runtime.block_on(token(&sentinel, &facts));
    let authorization = format!("Bearer {token}");
    criterion.bench_function("verify/local_copy", |bencher| {
        bencher.iter(|| {
            let request = Request::get("/oauth/verify")
                .header("host", "localhost")
                .header(AUTHORIZATION, &authorization)
                .body(Full::<Bytes>::default())
                .expect("a request");
            let response = runtime.block_on(service.call(request));
            let status = response.map(|response| response.status());
            assert_eq!(status, Ok(StatusCode::NO_CONTENT));
        });
    });
    runtime.block_on(sentinel.shutdown());
}

async fn start() -> (TempDir, Sentinel, DevFacts) {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = Sources {
        mode: Mode::Dev,
        flags: vec![
            ("SENTINEL_DATA_DIR", folder.path().display().to_string()),
            ("SENTINEL_BCRYPT_COST", "4".to_owned()),
        ],
        environment: Vec::new(),
        config: ConfigSource::Optional(folder.path().join("sentinel.toml")),
    };
    let settings = Settings::load(&sources).expect("good settings").settings;
    let (sentinel, facts) = Sentinel::start_dev(settings).await.expect("a start");
    (folder, sentinel, facts)
}

async fn token(sentinel: &Sentinel, facts: &DevFacts) -> String {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "password")
        .append_pair("client_id", &facts.client_id)
        .append_pair("username", dev::USERNAME)
        .append_pair("password", dev::PASSWORD)
        .finish();
    let request = Request::post("/oauth/token")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::<Bytes>::from(form))
        .expect("a request");
    let response = warp::service(sentinel.routes())
        .call(request)
        .await
        .expect("an answer");
    let body = response.into_body().collect().await.expect("a whole body");
    let answer: serde_json::Value = serde_json::from_slice(&body.to_bytes()).expect("JSON");
    answer["access_token"].as_str().expect("a token").to_owned()
}

criterion_group!(domain, tokens, forms, scopes, verification);
criterion_main!(domain);
