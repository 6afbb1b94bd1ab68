//! A panic in an actor stays one panic: who does not need the actor notices nothing, who does is
//! told at once, it is back at once, and nothing acknowledged is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::history::{History, check_unavailable, live};
use crate::support::app::{TestApp, spawn_app, spawn_app_with};

/// How long an actor may be away.
const BACK_WITHIN: Duration = Duration::from_millis(200);
/// As many as the budget of restarts allows in ten seconds.
const PANICS: u32 = 5;
/// Between two panics of one actor.
const PAUSE: Duration = Duration::from_millis(250);
/// Unknown tokens that were asked for.
static ASKED: AtomicU64 = AtomicU64::new(0);
/// Clients that log in, refresh and verify meanwhile.
const CLIENTS: usize = 6;

/// What goes on while an actor fails.
struct Outcome {
    histories: Vec<History>,
    /// How long each panic kept callers from their answers.
    away: Vec<Duration>,
}

#[tokio::test(flavor = "multi_thread")]
async fn verifications_and_refreshes_go_on_while_the_user_registry_fails() {
    let app = spawn_app().await;
    let outcome = fail_under_load(&app, "user_registry").await;
    outcome.check_verifications_undisturbed();
    outcome.check_back();
    check_nothing_lost(app, outcome.histories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifications_and_refreshes_go_on_while_the_password_pool_fails() {
    let app = spawn_app().await;
    let outcome = fail_under_load(&app, "password_pool").await;
    outcome.check_verifications_undisturbed();
    outcome.check_back();
    check_nothing_lost(app, outcome.histories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_verifications_go_on_while_a_shard_of_the_cache_fails() {
    let app = spawn_app_with(&[("SENTINEL_CACHE_SHARDS", "1")]).await;
    let outcome = fail_under_load(&app, "token_cache.0").await;
    // A verification is asked again within its deadline, and a login does not need the cache.
    outcome.check_verifications_undisturbed();
    outcome.check_logins_undisturbed();
    outcome.check_back();
    check_nothing_lost(app, outcome.histories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn verifications_go_on_while_the_token_issuer_fails_and_its_callers_are_told() {
    let app = spawn_app().await;
    let outcome = fail_under_load(&app, "token_issuer").await;
    outcome.check_verifications_undisturbed();
    outcome.check_back();
    let told: usize = outcome.histories.iter().map(|h| h.unavailable).sum();
    assert!(told > 0, "no panic met a request");
    check_nothing_lost(app, outcome.histories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_on_while_the_management_actor_fails() {
    let app = spawn_app().await;
    let outcome = fail_under_load(&app, "management").await;
    outcome.check_verifications_undisturbed();
    outcome.check_logins_undisturbed();
    outcome.check_back();
    check_nothing_lost(app, outcome.histories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_panics_ends_the_server_with_one_line_that_names_the_actor() {
    let app = spawn_app().await;
    let tokens = app.login().await;
    let sentinel = app.sentinel.clone();
    let storm = async {
        loop {
            sentinel.panic_actor("token_issuer").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert_eq!(app.verify(&tokens.access).await.status, 204);
    let ended = tokio::select! {
        ended = tokio::time::timeout(Duration::from_secs(10), app.ended()) => ended.unwrap(),
        () = storm => unreachable!(),
    };
    let error = ended.unwrap_err();
    assert_eq!(error.exit_code(), 70);
    let text = error.to_string();
    assert!(text.contains("token_issuer"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// Lets an actor panic repeatedly under a mixed load.
async fn fail_under_load(app: &TestApp, actor: &str) -> Outcome {
    let names: Vec<String> = (0..CLIENTS).map(|index| format!("user{index}")).collect();
    for name in &names {
        app.add_user(name, "pass word 1").await;
    }
    let (done, is_done) = watch::channel(false);
    let clients = join_all(names.iter().map(|name| live(app, name, is_done.clone())));
    let faults = async {
        let mut away = Vec::new();
        for _ in 0..PANICS {
            tokio::time::sleep(PAUSE).await;
            app.sentinel.panic_actor(actor).await;
            away.push(until_back(app).await);
        }
        tokio::time::sleep(PAUSE).await;
        done.send_replace(true);
        away
    };
    let picture = |app: &TestApp| {
        app.sentinel
            .actors()
            .into_iter()
            .find(|own| own.name == actor)
    };
    let (histories, away) = tokio::join!(clients, faults);
    let after = picture(app).unwrap();
    assert!(after.is_running, "{after:?}");
    assert_eq!(after.restarts, u64::from(PANICS), "{after:?}");
    Outcome { histories, away }
}

/// How long until whoever needs the registry, the pool, the issuer or the cache is answered.
async fn until_back(app: &TestApp) -> Duration {
    let failed = Instant::now();
    loop {
        // Each time another, which no server remembers as unknown.
        let unknown = format!("x{:029}", ASKED.fetch_add(1, Ordering::Relaxed));
        let asked = Instant::now();
        let answers = tokio::join!(
            app.login_as("nobody", "pass word 1"),
            app.refresh(&unknown),
            app.verify(&unknown)
        );
        let answers = [answers.0, answers.1, answers.2];
        let statuses: Vec<u16> = answers.iter().map(|a| a.status.as_u16()).collect();
        if statuses == [400, 400, 401] {
            return failed.elapsed();
        }
        for answer in answers
            .iter()
            .filter(|answer| answer.status.is_server_error())
        {
            check_unavailable(answer, asked.elapsed());
        }
    }
}

impl Outcome {
    #[track_caller]
    fn check_verifications_undisturbed(&self) {
        self.check_few(|history| history.unverified);
    }

    #[track_caller]
    fn check_logins_undisturbed(&self) {
        self.check_few(|history| history.unavailable);
    }

    // A machine that is busy elsewhere may make one in a hundred miss its deadline.
    #[track_caller]
    fn check_few(&self, refused: impl Fn(&History) -> usize) {
        let refused: usize = self.histories.iter().map(refused).sum();
        let issued: usize = self.histories.iter().map(|history| history.issued).sum();
        assert!(
            refused * 100 <= issued,
            "{refused} of {issued}: {:?}",
            self.histories
        );
    }

    #[track_caller]
    fn check_back(&self) {
        let mut away = self.away.clone();
        away.sort();
        // One of them may have met a busy machine.
        assert!(away[away.len() / 2] < BACK_WITHIN, "{away:?}");
        assert!(away[away.len() - 1] < 5 * BACK_WITHIN, "{away:?}");
    }
}

/// Each pair that was acknowledged last lives, here and after a restart of the server.
async fn check_nothing_lost(app: TestApp, histories: Vec<History>) {
    let restarted = app.sibling_with(&[]).await;
    app.stop().await;
    for history in histories {
        assert!(history.issued > 0);
        let last = history.last.unwrap();
        assert_eq!(restarted.verify(&last.access).await.status, 204);
        let next = restarted.refresh(&last.refresh).await;
        assert_eq!(next.status, 200, "{}", next.body);
        assert_eq!(restarted.verify(&last.access).await.status, 401);
    }
}
