//! Redis is emptied under load: the truth is asked once for each token, and not by a crowd.

use ::mongodb::bson::{Bson, Document, doc};
use ::mongodb::options::ClientOptions;
use ::mongodb::{Client, Database};
use futures_util::TryStreamExt;
use futures_util::future::join_all;

use super::*;
use crate::alone::serial;
use crate::support::stores::stores;

/// Requests for one token at once.
const CROWD: usize = 10_000;
/// Tokens of the emptied Redis.
const HOT: usize = 300;
/// Most look-ups of one token in the truth, those after it was put back included.
const FEW: usize = 8;
/// How many verifications go on at once.
const CLIENTS: usize = 32;
/// How long it may take until Redis answers again what it answered before.
const REFILLED_WITHIN: Duration = Duration::from_secs(5);
/// Notes each command to the database of a test.
pub(super) struct Profile(Database);

impl Profile {
    pub(super) async fn of(app: &TestApp) -> Self {
        let options = ClientOptions::parse(stores().await.mongo_uri())
            .await
            .unwrap();
        let client = Client::with_options(options).unwrap();
        let database = client.database(&app.database);
        let size = 64 * 1_024 * 1_024;
        let create = doc! { "create": "system.profile", "capped": true, "size": size };
        database.run_command(create).await.unwrap();
        database.run_command(doc! { "profile": 2 }).await.unwrap();
        Self(database)
    }

    /// The access tokens of each look-up of access tokens so far.
    pub(super) async fn look_ups(&self) -> Vec<Vec<String>> {
        let entries = self.0.collection::<Document>("system.profile");
        let found = entries
            .find(doc! { "command.find": "tokens" })
            .await
            .unwrap();
        let entries: Vec<Document> = found.try_collect().await.unwrap();
        let named = entries.iter().filter_map(|entry| {
            let filter = entry
                .get_document("command")
                .ok()?
                .get_document("filter")
                .ok()?;
            named_tokens(filter)
        });
        named.collect()
    }
}

/// The access tokens that a filter asks for.
fn named_tokens(filter: &Document) -> Option<Vec<String>> {
    let text = |value: &Bson| value.as_str().map(str::to_owned);
    match filter.get("access_token")? {
        Bson::Document(any) => Some(any.get_array("$in").ok()?.iter().filter_map(text).collect()),
        one => Some(vec![text(one)?]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_for_one_token_asks_the_truth_once() {
    let _alone = serial().await;
    let bench = bench(&[]).await;
    let pair = bench.app.login().await;
    check_live(&bench.app, &[&pair.access]).await;
    let profile = Profile::of(&bench.app).await;
    let mut link = raw(bench.redis.address()).await;
    let routes = bench.app.sentinel.routes();
    let bearer = format!("Bearer {}", pair.access);
    say(&mut link, "FLUSHDB").await;
    let crowd = (0..CROWD).map(|_| {
        let request = warp::test::request().path("/oauth/verify");
        let request = request.header("authorization", &bearer);
        request.reply(&routes)
    });
    let answers = join_all(crowd).await;
    let with = |status: u16| {
        answers
            .iter()
            .filter(|answer| answer.status() == status)
            .count()
    };
    tell("a crowd for one token: 204, 503", (with(204), with(503)));
    assert_eq!(with(204) + with(503), CROWD, "a live token was refused");
    let look_ups = profile.look_ups().await;
    let asked = look_ups
        .iter()
        .flatten()
        .filter(|token| **token == pair.access);
    let asked = asked.count();
    tell("look-ups in the truth, and after putting back", asked);
    // To find it, and once more each time after it was put back. Those who came while the first
    // look-up was in the air may bring about another one.
    assert!(asked <= FEW, "asked {asked} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_refilled_by_use_without_a_stampede() {
    let _alone = serial().await;
    let bench = bench(&[]).await;
    let pairs = users(&bench.app, "hot", HOT).await;
    let tokens = access(&pairs);
    check_live(&bench.app, &tokens).await;
    let profile = Profile::of(&bench.app).await;
    let mut link = raw(bench.redis.address()).await;
    say(&mut link, "FLUSHDB").await;
    let flushed = Instant::now();
    let rounds = (0..CLIENTS).map(|client| {
        let (app, tokens) = (&bench.app, &tokens);
        async move {
            // Each client begins elsewhere, and all of them ask for every token.
            for index in 0..HOT {
                let token = tokens[(client * 9 + index) % HOT];
                let status = app.verify(token).await.status;
                assert_ne!(status, 401, "a live token was refused");
            }
        }
    });
    join_all(rounds).await;
    tell("all hot tokens asked for by all clients", flushed.elapsed());
    let look_ups = profile.look_ups().await;
    let mut times = std::collections::HashMap::<&str, usize>::new();
    for token in look_ups.iter().flatten() {
        *times.entry(token).or_default() += 1;
    }
    let most = times.values().max().copied().unwrap_or_default();
    let commands = look_ups.len();
    tell("look-ups: commands, most for one token", (commands, most));
    assert!(most <= FEW, "a token was asked for {most} times");
    assert!(commands <= HOT / 4, "{commands} commands");

    while keys_of(&mut link, &tokens).await < 2 * HOT * 99 / 100 {
        assert!(flushed.elapsed() < REFILLED_WITHIN, "not refilled");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tell("emptied until 99 of 100 are back", flushed.elapsed());
    let before = profile.look_ups().await.len();
    check_live(&bench.app, &tokens).await;
    let after = profile.look_ups().await.len();
    assert!(after - before <= HOT / 100, "{} misses", after - before);
}
