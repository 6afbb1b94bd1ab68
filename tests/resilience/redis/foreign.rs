//! Values in Redis that we did not write: the truth decides, and nobody becomes somebody else.

use ::redis::AsyncCommands;

use super::*;
use crate::support::app::Answer;

/// Two users with a token each, and a server that has not read them yet.
struct Pair {
    bench: Bench,
    link: MultiplexedConnection,
    anna: Tokens,
    anna_id: String,
    otto: Tokens,
}

async fn pair() -> Pair {
    let bench = bench(&[]).await;
    let anna_id = bench.app.add_user("anna", PASSWORD).await.id.to_string();
    bench.app.add_user("otto", PASSWORD).await;
    let anna = bench.app.login_as("anna", PASSWORD).await.tokens();
    let otto = bench.app.login_as("otto", PASSWORD).await.tokens();
    let link = raw(bench.redis.address()).await;
    Pair {
        bench,
        link,
        anna,
        anna_id,
        otto,
    }
}

#[track_caller]
fn check_is(answer: &Answer, username: &str) {
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(answer.header("x-username"), username);
}

#[tokio::test]
async fn a_foreign_value_under_a_token_makes_nobody_somebody_else() {
    let mut pair = pair().await;
    let (token, other) = (pair.anna.access.clone(), pair.otto.access.clone());
    let of_otto: String = pair.link.get(&other).await.unwrap();
    let companion_of_otto: String = pair.link.get(companion(&other)).await.unwrap();
    let companion_of_anna: String = pair.link.get(companion(&token)).await.unwrap();
    let anna_id = pair.anna_id.clone();
    let upper = anna_id.to_uppercase();
    let rows: &[(&str, &str, &str)] = &[
        ("another user's id", &of_otto, &companion_of_anna),
        ("another user's companion", &anna_id, &companion_of_otto),
        ("a number", "1", &companion_of_anna),
        ("nothing", "", &companion_of_anna),
        ("no id", "zzzzzzzzzzzzzzzzzzzzzzzz", &companion_of_anna),
        ("a companion that is no JSON", &anna_id, "\u{0}\u{1}"),
        ("a companion of another shape", &anna_id, "[1]"),
        ("an id in capitals", &upper, "{}"),
    ];
    for (name, plain, beside) in rows {
        // Without a TTL: nothing of ours is so.
        let _: () = pair.link.set(&token, *plain).await.unwrap();
        let _: () = pair.link.set(companion(&token), *beside).await.unwrap();
        let answer = pair.bench.app.verify(&token).await;
        assert_eq!(answer.status, 204, "{name}");
        assert_eq!(answer.header("x-username"), "anna", "{name}");
        // What the truth knows is put back as it should be, for other readers, too.
        pair.mended(&token, name).await;
    }
    check_is(&pair.bench.app.verify(&other).await, "otto");
}

impl Pair {
    /// Waits until a token of Anna's is hers again, and both keys end by themselves.
    async fn mended(&mut self, token: &str, name: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let plain: String = self.link.get(token).await.unwrap();
            let mut rests: Vec<i64> = Vec::new();
            for key in [token.to_owned(), companion(token)] {
                rests.push(self.link.pttl(key).await.unwrap());
            }
            if plain == self.anna_id && rests.iter().all(|rest| *rest > 0) {
                return;
            }
            assert!(Instant::now() < deadline, "{name}: {plain} {rests:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn keys_of_another_type_lead_to_the_truth() {
    let mut pair = pair().await;
    let (token, unknown) = (pair.anna.access.clone(), "x".repeat(30));
    for key in [token.clone(), unknown.clone(), companion(&unknown)] {
        let _: () = pair.link.del(&key).await.unwrap();
        let _: () = pair.link.lpush(&key, &pair.anna_id).await.unwrap();
    }
    check_is(&pair.bench.app.verify(&token).await, "anna");
    assert_eq!(pair.bench.app.verify(&unknown).await.status, 401);
    assert_eq!(pair.bench.app.revoke(&token).await.status, 204);
    assert_eq!(keys_of(&mut pair.link, &[&token]).await, 0);
    assert_eq!(readiness(&pair.bench.app).await, "ready");
}

#[tokio::test]
async fn a_plain_key_or_one_past_its_expiry_lets_nobody_in() {
    let mut pair = pair().await;
    let unknown = "y".repeat(30);
    let _: () = pair.link.set(&unknown, &pair.anna_id).await.unwrap();
    assert_eq!(pair.bench.app.verify(&unknown).await.status, 401);
    // Both keys of a real token, kept beyond its life by somebody.
    let token = pair.anna.access.clone();
    for key in [token.clone(), companion(&token)] {
        let kept: bool = pair.link.persist(&key).await.unwrap();
        assert!(kept);
    }
    check_is(&pair.bench.app.verify(&token).await, "anna");
    let life = time::Duration::seconds(i64::try_from(pair.anna.expires_in).unwrap() + 1);
    pair.bench.app.clock.advance(life);
    assert_eq!(pair.bench.app.verify(&token).await.status, 401);
}
