//! A fault at each storage call of a request: it is told to come again, and when it does it comes
//! through. What was not acknowledged is harmless: no token is live in Redis that the truth does
//! not have.

use super::fail_point::{ALL, Fault, Faulty, WRITES, Which};
use super::request::{Request, check_no_orphans};
use super::*;
use crate::figures::tell;
use crate::support::length::number;

/// What a primary says that is none any more, or soon will be none.
const PRIMARY_CHANGES: [i32; 5] = [10_107, 11_602, 189, 91, 13_435];
const OUT_OF_DISK_SPACE: i32 = 14_031;

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_storage_call_of_a_first_login_costs_nothing() {
    fail_at_each_call(Request::FirstLogin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_storage_call_of_a_login_costs_nothing() {
    fail_at_each_call(Request::Login).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_storage_call_of_a_refresh_costs_nothing() {
    fail_at_each_call(Request::Refresh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_at_any_storage_call_of_a_revocation_costs_nothing() {
    fail_at_each_call(Request::Revoke).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_primary_is_not_noticed_where_the_next_try_goes_well() {
    let bench = Faulty::start().await;
    let mut faults = PRIMARY_CHANGES.map(Fault::Code).to_vec();
    // These were carried out before they were answered so: the repeat finds its own work.
    faults.extend(PRIMARY_CHANGES.map(Fault::Unconfirmed));
    faults.push(Fault::Closed);
    let each = number("SENTINEL_TEST_FAULTS_PER_CALL", 2).min(Request::EVERY.len());
    for (index, fault) in faults.into_iter().enumerate() {
        let mut requests = Request::EVERY;
        requests.rotate_left(index % Request::EVERY.len());
        for request in &requests[..each] {
            survive(&bench, *request, fault, WRITES).await;
            if !matches!(fault, Fault::Unconfirmed(_)) {
                survive(&bench, *request, fault, &["find"]).await;
            }
        }
    }
}

/// Lets the first of these commands to the tokens fail; the request goes well nevertheless.
async fn survive(bench: &Faulty, request: Request, fault: Fault, commands: &[&str]) {
    let app = &bench.app;
    let prepared = request.prepare(app).await;
    bench.set(fault, commands, Which::FirstTo("tokens")).await;
    let answer = request.send(app, &prepared).await;
    bench.clear().await;
    let status = answer.status;
    assert!(status.is_success(), "{request:?}, {fault:?}: {status}");
    request.check_done(app, &prepared, &answer).await;
    check_no_orphans(app).await;
}

/// Each call meets one of the faults, another than its neighbors; by hand, as many as are asked
/// for.
async fn fail_at_each_call(request: Request) {
    let bench = Faulty::start().await;
    let mut faults = PRIMARY_CHANGES.map(Fault::Code).to_vec();
    faults.extend([Fault::Code(OUT_OF_DISK_SPACE), Fault::Closed]);
    let each = number("SENTINEL_TEST_FAULTS_PER_CALL", 1);
    let mut met = 0;
    for call in 0.. {
        let mut has_come_through = false;
        for _ in 0..each {
            faults.rotate_left(1);
            has_come_through = fail_at(&bench, request, call, faults[0]).await;
            met += usize::from(!has_come_through);
        }
        if has_come_through {
            tell(format_args!(
                "{request:?}: {call} storage calls, {met} faults"
            ));
            assert!(call >= 4, "only {call} calls");
            return;
        }
    }
}

/// Lets all storage calls from this one on fail; then they work again. Tells whether the request
/// went well nevertheless: it can do without what failed.
async fn fail_at(bench: &Faulty, request: Request, call: i32, fault: Fault) -> bool {
    let app = &bench.app;
    let prepared = request.prepare(app).await;
    bench.set(fault, ALL, Which::AllAfter(call)).await;
    let (answer, took) = request.send_timed(app, &prepared).await;
    bench.clear().await;
    check_no_orphans(app).await;
    let has_come_through = answer.status.is_success();
    if !has_come_through {
        request.check_not_now(&answer, took);
    }
    let (repeated, back) = request.repeat(app, &prepared).await;
    assert!(back < BACK_WITHIN, "{request:?} {call} {fault:?}: {back:?}");
    request.check_done(app, &prepared, &repeated).await;
    check_no_orphans(app).await;
    has_come_through
}
