//! A message that its actor cannot survive: it is answered once with "not now" and never delivered
//! again; if clients insist, the process ends with one clear line.

use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use warp_sentinel::actors::supervisor::faults::Moment;

use super::deed::Deed;
use super::ward::Ward;
use crate::support::app::{FORM, TestApp};

/// The time in which a storm ends the process.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_poison_message_is_never_delivered_twice() {
    let rows = [
        (
            "user_registry",
            Moment::Before("find_client"),
            Deed::StrangerLogin,
        ),
        (
            "user_registry",
            Moment::InFlight("PagesLanded", 1),
            Deed::List,
        ),
        ("password_pool", Moment::Before("verify"), Deed::Login),
        (
            "token_cache.0",
            Moment::Before("look_up"),
            Deed::VerifyUnknown,
        ),
        (
            "token_cache.0",
            Moment::InFlight("RedisLanded", 1),
            Deed::VerifyUnknown,
        ),
        (
            "token_cache.0",
            Moment::InFlight("TruthLanded", 1),
            Deed::VerifyUnknown,
        ),
        ("token_issuer", Moment::Before("rotate"), Deed::Refresh),
        ("token_issuer", Moment::InFlight("Landed", 1), Deed::Refresh),
        ("management", Moment::Before("is_verified"), Deed::List),
    ];
    for (actor, moment, deed) in rows {
        let ward = Ward::new().await;
        assert!(ward.does(Deed::Refresh).await);
        ward.trusts_redis().await;
        let plan = ward.app.sentinel.plan_panic(actor, moment, usize::MAX);
        let plan = plan.await.unwrap();
        assert!(!ward.does(deed).await, "{moment:?}: survived");
        assert_eq!(plan.happened(), 1, "{actor} {moment:?}");
        drop(plan);
        let deadline = Instant::now() + ENDS_WITHIN;
        while !ward.does(deed).await {
            assert!(Instant::now() < deadline, "{actor} {moment:?}: not back");
        }
        ward.verifies_steadily(1).await;
        assert_eq!(ward.picture(actor).restarts, 1, "{actor} {moment:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_panics_ends_the_server_with_one_line_that_names_the_actor() {
    let token = "x".repeat(30);
    let refresh = |app: &TestApp| {
        let client = &app.client_id;
        let form = format!("grant_type=refresh_token&client_id={client}&refresh_token={token}");
        app.post("/oauth/token")
            .header("content-type", FORM)
            .body(form)
    };
    let verify = |app: &TestApp| app.get("/oauth/verify").bearer_auth(&token);
    storm("token_issuer", "rotate", refresh).await;
    storm("token_cache.0", "look_up", verify).await;
    storm("user_registry", "ping", |app| app.get("/readyz")).await;
}

async fn storm(actor: &str, kind: &'static str, request: impl Fn(&TestApp) -> RequestBuilder) {
    let ward = Ward::new().await;
    let moment = Moment::Before(kind);
    ward.verifies_steadily(1).await;
    let plan = ward.app.sentinel.plan_panic(actor, moment, usize::MAX);
    let _plan = plan.await.unwrap();
    let request = request(&ward.app);
    let insist = async {
        loop {
            // At the end there is no server.
            let _answer = request.try_clone().unwrap().send().await;
        }
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(ENDS_WITHIN, ward.app.ended()) => ended.unwrap(),
        () = insist => unreachable!(),
    };
    let error = ended.unwrap_err();
    assert_eq!(error.exit_code(), 70);
    let text = error.to_string();
    assert!(text.contains(actor), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
