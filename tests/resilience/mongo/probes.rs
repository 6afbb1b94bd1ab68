//! Whoever asks whether the server is ready: anybody may, and as often as they like.

use mongodb::bson::{Document, doc};

use super::fail_point::{Fault, Faulty, Which};
use super::*;
use crate::support::app::answer;

/// Who ask at once.
const PROBES: usize = 300;
/// How long a look-up takes.
const LATE: Duration = Duration::from_millis(500);
/// The first, and one more for whom a busy machine has ask late.
const QUESTIONS: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn many_probes_at_once_are_one_question_to_the_truth() {
    let bench = Faulty::start().await;
    let app = &bench.app;
    bench.profile().await;
    bench
        .set(Fault::Late(LATE), &["find"], Which::AllAfter(0))
        .await;
    let probes = (0..PROBES).map(|_| answer(app.get("/readyz")));
    for told in join_all(probes).await {
        assert_eq!(told.status, 200, "{}", told.body);
    }
    let profile = bench.database().collection::<Document>("system.profile");
    let asked = doc! { "ns": format!("{}.secrets", app.database), "op": "query" };
    let asked = profile.count_documents(asked).await.unwrap();
    assert!((1..=QUESTIONS).contains(&asked), "{asked} questions");
}
