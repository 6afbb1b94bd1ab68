//! Resource owners' credentials (RFC 6749 §4.3.2, §5.2; OWASP ASVS 6.2.8, 6.3.8).

use mongodb::bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use warp_sentinel::domain::client::ClientType;

use super::{LOGIN, raw_collection, with_client, with_form};
use crate::rows::{CANARY, ask, check, group, token_answer_faults};
use crate::support::app::{Answer, USER, answer, spawn_app};

/// RFC 6749 §5.2: an unknown client and a wrong secret are one answer, as is every reason why a
/// resource owner's credentials are not good.
#[tokio::test]
async fn refusals_do_not_tell_their_reason() {
    let app = spawn_app().await;
    let (id, _) = app.add_client(ClientType::Confidential).await;
    let wrong = [("client_secret", CANARY)];
    let mut answers = Vec::new();
    for client in [id.as_str(), "nobody"] {
        let mut form = with_client(("client_id", client));
        form.extend(wrong);
        let by_form = answer(with_form(app.post("/oauth/token"), &form)).await;
        let by_basic = with_form(app.post("/oauth/token"), &LOGIN);
        let by_basic = answer(by_basic.basic_auth(client, Some(CANARY))).await;
        answers.extend([("T11 by form", by_form), ("T15 by Basic", by_basic)]);
    }
    check_same(401, &answers);

    let users = raw_collection(&app, "users").await;
    let hash = stored_hash("pass word 1");
    let with_user = |name: &str, hashpw: Option<Bson>, is_disabled: bool| {
        let mut user = doc! { "username": name, "schema": 1, "disabled": is_disabled };
        user.extend(hashpw.map(|hashpw| ("hashpw".to_owned(), hashpw)));
        user
    };
    let shape = "$2b$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let documents = [
        with_user("disabled", Some(binary(&hash)), true),
        with_user("no hash", None, false),
        with_user("a number", Some(Bson::Int32(7)), false),
        with_user("cut short", Some(binary(&hash[..40])), false),
        with_user("no bcrypt", Some(binary("plain")), false),
        with_user("a huge cost", Some(binary(shape)), false),
        with_user("no ASCII", Some(binary("$2b$04$\u{e9}\u{e9}")), false),
    ];
    users.insert_many(&documents).await.unwrap();
    let mut answers = vec![
        ("unknown", app.login_as("nobody", USER.1).await),
        ("wrong password", app.login_as(USER.0, CANARY).await),
    ];
    for document in &documents {
        let name = document.get_str("username").unwrap();
        answers.push((name, app.login_as(name, "pass word 1").await));
    }
    assert_eq!(answers[0].1.error(), "invalid_grant");
    check_same(400, &answers);
}

/// OWASP ASVS 6.2.8: bcrypt reads 72 bytes. Flask-Sentinel's hashes go by them; ours were made of
/// at most 71.
#[tokio::test]
async fn long_passwords_are_compared_by_who_made_the_hash() {
    let app = spawn_app().await;
    let letters = |count: usize| "p".repeat(count);
    let across = format!("{}\u{e9}", letters(71));
    let users = raw_collection(&app, "users").await;
    users
        .insert_many([
            legacy("legacy 71", &letters(71)),
            legacy("legacy 72", &letters(72)),
            legacy("legacy 80", &letters(80)),
            legacy("legacy across", &across),
            legacy("legacy text", "pass word 1"),
        ])
        .await
        .unwrap();
    let text = doc! { "$set": { "hashpw": stored_hash("pass word 1") } };
    let one = doc! { "username": "legacy text" };
    users.update_one(one, text).await.unwrap();
    app.add_user("ours 71", &letters(71)).await;
    let hash = hash_of_any_length(&letters(72));
    let ours_72 = doc! { "username": "ours 72", "hashpw": binary(&hash), "schema": 1 };
    users.insert_one(ours_72).await.unwrap();

    let login = |username: &'static str, password: String| {
        let client = ("client_id", app.client_id.as_str());
        let (username, password) = (("username", username), ("password", password.as_str()));
        let form = [("grant_type", "password"), client, username, password];
        with_form(app.post("/oauth/token"), &form)
    };
    let no = "invalid_grant";
    let same_beginning = format!("{}\u{e8}", letters(71));
    let refused = vec![
        ("T23 legacy 71, 70 sent", login("legacy 71", letters(70))),
        ("T23 legacy 71, 72 sent", login("legacy 71", letters(72))),
        ("T23 legacy 72, 71 sent", login("legacy 72", letters(71))),
        ("T23 ours 71, 72 sent", login("ours 71", letters(72))),
        ("T23 ours 71, 73 sent", login("ours 71", letters(73))),
        ("T23 ours 72, 72 sent", login("ours 72", letters(72))),
    ];
    let granted = vec![
        ("T23 legacy 71, 71 sent", login("legacy 71", letters(71))),
        ("T23 legacy 72, 72 sent", login("legacy 72", letters(72))),
        ("T23 legacy 72, 73 sent", login("legacy 72", letters(73))),
        ("T23 legacy 80, 72 sent", login("legacy 80", letters(72))),
        ("T23 legacy 80, 80 sent", login("legacy 80", letters(80))),
        ("T23 a character across", login("legacy across", across)),
        (
            "T23 its other half differs",
            login("legacy across", same_beginning),
        ),
        (
            "T23 a hash as text",
            login("legacy text", "pass word 1".to_owned()),
        ),
        ("T23 ours 71, 71 sent", login("ours 71", letters(71))),
    ];
    let rows = vec![group(400, no, refused), group(200, "", granted)];
    check(&ask(rows).await, token_answer_faults);
}

/// Holds the answers to be the same in every byte and header but the date.
#[track_caller]
fn check_same(status: u16, answers: &[(&str, Answer)]) {
    let plain = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("date");
        (answer.status.as_u16(), headers, answer.body.clone())
    };
    let first = plain(&answers[0].1);
    assert_eq!(first.0, status, "{first:?}");
    for (name, answer) in answers {
        assert_eq!(plain(answer), first, "{name}");
    }
}

/// A user as Flask-Sentinel stored one.
fn legacy(name: &str, text: &str) -> Document {
    doc! { "username": name, "hashpw": binary(&hash_of_any_length(text)) }
}

/// A hash that reads the first 72 bytes, as bcrypt did for Flask-Sentinel.
fn hash_of_any_length(text: &str) -> String {
    let salt = *b"0123456789abcdef";
    bcrypt::hash_with_salt(text.as_bytes(), 4, salt)
        .unwrap()
        .to_string()
}

fn stored_hash(text: &str) -> String {
    bcrypt::hash(text, 4).unwrap()
}

fn binary(text: &str) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: text.as_bytes().to_vec(),
    })
}
