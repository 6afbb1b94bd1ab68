//! What cannot be counted is not looked at (OWASP ASVS 16.5.3).

use warp_sentinel::domain::client::ClientType;

use super::{HERE, LIMITS, from, login, post, refresh};
use crate::rows::{Asked, check, token_answer_faults};
use crate::support::app::{CONSOLE, USER, answer, spawn_app_with};
use crate::support::stores::start_mongod;

#[tokio::test]
async fn without_mongodb_nothing_is_looked_at_that_cannot_be_counted() {
    let mongod = start_mongod(&[]).await;
    let uri = format!("mongodb://{}", mongod.address());
    let app = spawn_app_with(&[&LIMITS[..], &[("SENTINEL_MONGO_URI", &uri)]].concat()).await;
    let tokens = login(&app, HERE, USER.0, USER.1).await.tokens();
    let (id, _) = app.add_client(ClientType::Confidential).await;
    drop(mongod);
    let wrong_secret = [
        ("grant_type", "refresh_token"),
        ("client_id", id.as_str()),
        ("client_secret", "wrong"),
        ("refresh_token", tokens.refresh.as_str()),
    ];
    let answers = [
        (
            "T43 a right password",
            login(&app, HERE, USER.0, USER.1).await,
        ),
        (
            "T43 a wrong password",
            login(&app, HERE, USER.0, "wrong").await,
        ),
        ("T43 a wrong secret", post(&app, HERE, &wrong_secret).await),
        ("T43 a refresh", refresh(&app, HERE, &tokens.refresh).await),
    ];
    let asked = answers.map(|(name, answer)| Asked {
        name,
        status: 503,
        error: "temporarily_unavailable",
        answer,
    });
    check(&asked, token_answer_faults);
    for password in [CONSOLE.1, "wrong"] {
        let request = app.get("/oauth/management/api/v1/actors");
        let request = request.basic_auth(CONSOLE.0, Some(password));
        let refused = answer(from(request, HERE)).await;
        assert_eq!(refused.status, 503, "{}", refused.body);
    }
    assert_eq!(app.verify(&tokens.access).await.status, 204);
}
