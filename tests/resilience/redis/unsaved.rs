//! Redis cannot save its data, as on a full disk, and therefore refuses every write, deletions too:
//! for what is to be written it is away, and no end is forgotten.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_cannot_save_costs_no_token_and_hides_no_end() {
    let bench = bench(&["--save", "1 1"]).await;
    let sibling = bench.app.sibling_with(&[]).await;
    becomes(&sibling, "ready", PATIENCE).await;
    let pairs = users(&bench.app, "user", 9).await;
    let mut link = raw(bench.redis.address()).await;
    refuse_to_save(&mut link).await;

    let live = access(&pairs[..3]);
    check_live(&bench.app, &live).await;
    check_live(&sibling, &live).await;
    let issued = users(&bench.app, "late", 2).await;
    check_live(&bench.app, &access(&issued)).await;
    check_live(&sibling, &access(&issued)).await;
    let mut rotated = Vec::new();
    for pair in &pairs[3..6] {
        let next = bench.app.refresh(&pair.refresh).await;
        assert_eq!(next.status, 200, "{}", next.body);
        rotated.push(next.tokens());
        check_ended(&bench.app, &[&pair.access]).await;
    }
    for pair in &pairs[6..] {
        // Nobody is told that it is done while another program may find it.
        let answer = bench.app.revoke(&pair.access).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(!answer.header("retry-after").is_empty());
        check_ended(&bench.app, &[&pair.access]).await;
    }
    let ended = access(&pairs[3..]);
    let since = Instant::now();
    for token in &ended {
        while sibling.verify(token).await.status == 204 {
            let late = since.elapsed();
            assert!(late < Duration::from_millis(250 + 250), "it is served on");
        }
    }
    check_live(&sibling, &access(&rotated)).await;

    say(&mut link, "CONFIG SET stop-writes-on-bgsave-error no").await;
    for server in [&bench.app, &sibling] {
        becomes(server, "ready", TRUSTED_WITHIN).await;
    }
    for pair in &pairs[6..] {
        assert_eq!(bench.app.revoke(&pair.access).await.status, 204);
    }
    assert_eq!(keys_of(&mut link, &ended).await, 0);
    check_ended(&bench.app, &ended).await;
    check_ended(&sibling, &ended).await;
    let there = [live, access(&issued), access(&rotated)].concat();
    let deadline = Instant::now() + PATIENCE;
    while keys_of(&mut link, &there).await < 2 * there.len() {
        assert!(Instant::now() < deadline, "not all are put back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Takes its folder from Redis, and waits until it has failed to save and refuses to write.
async fn refuse_to_save(link: &mut MultiplexedConnection) {
    let folder: Vec<String> = ::redis::cmd("CONFIG")
        .arg(&["GET", "dir"])
        .query_async(link)
        .await
        .unwrap();
    std::fs::remove_dir_all(&folder[1]).unwrap();
    let started = Instant::now();
    loop {
        let delete = ::redis::cmd("DEL").arg("nothing").to_owned();
        if let Err(error) = delete.query_async::<u64>(link).await {
            assert_eq!(error.code(), Some("MISCONF"), "{error}");
            return;
        }
        assert!(started.elapsed() < PATIENCE, "it saved nevertheless");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
