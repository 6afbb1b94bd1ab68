use proptest::prelude::*;

use super::*;

/// Jobs by number; what is 1,000 or more is dropped in its turn.
type Queue = FairQueue<u32>;

fn from(client: u8, network: u8) -> Requester {
    Requester::client(
        ClientId::new(format!("client{client}")),
        Some(Network::of([10, 0, network, 1].into())),
    )
}

fn pop(queue: &mut Queue) -> Option<u32> {
    queue.pop(|job| *job >= 1_000)
}

fn drain(queue: &mut Queue) -> Vec<u32> {
    std::iter::from_fn(|| pop(queue)).collect()
}

/// Queues jobs of weight one.
fn queue(queue: &mut Queue, requester: &Requester, jobs: impl IntoIterator<Item = u32>) {
    for job in jobs {
        let pushed = queue.push(requester.clone(), 1, job, usize::MAX);
        assert_eq!(pushed, Pushed::Queued);
    }
}

#[test]
fn one_client_is_served_in_its_order() {
    let mut jobs = Queue::new();
    queue(&mut jobs, &from(1, 1), 0..5);
    assert_eq!(drain(&mut jobs), [0, 1, 2, 3, 4]);
}

#[test]
fn clients_take_turns_and_so_do_the_networks_of_one() {
    let mut jobs = Queue::new();
    queue(&mut jobs, &from(1, 1), 0..4);
    queue(&mut jobs, &from(1, 2), 10..12);
    queue(&mut jobs, &from(2, 1), 20..22);
    assert_eq!(jobs.ahead_of(&from(3, 1)), 2);
    assert_eq!(drain(&mut jobs), [0, 20, 10, 21, 1, 11, 2, 3]);
}

#[test]
fn who_comes_last_knows_how_many_go_before() {
    let mut jobs = Queue::new();
    assert_eq!(jobs.ahead_of(&from(1, 1)), 0);
    queue(&mut jobs, &from(1, 1), 0..30);
    for client in 2..12 {
        queue(&mut jobs, &from(client, 1), [100 + u32::from(client)]);
    }
    for (requester, ahead) in [
        (from(1, 1), 40),
        (from(1, 2), 11),
        (from(2, 1), 12),
        (from(99, 1), 11),
    ] {
        assert_eq!(jobs.ahead_of(&requester), ahead, "{requester:?}");
    }
}

#[test]
fn who_asks_for_more_work_has_fewer_turns() {
    let mut jobs = Queue::new();
    for job in 0..2 {
        jobs.push(from(1, 1), 4, job, usize::MAX);
    }
    queue(&mut jobs, &from(2, 1), 10..14);
    assert_eq!(drain(&mut jobs), [0, 10, 11, 12, 13, 1]);
}

#[test]
fn who_was_away_has_saved_nothing_up() {
    let mut jobs = Queue::new();
    queue(&mut jobs, &from(1, 1), 0..20);
    for _ in 0..10 {
        pop(&mut jobs);
    }
    queue(&mut jobs, &from(2, 1), 50..53);
    assert_eq!(drain(&mut jobs)[..6], [50, 10, 51, 11, 52, 12]);
}

#[test]
fn what_nobody_waits_for_costs_its_client_no_turn() {
    let mut jobs = Queue::new();
    queue(&mut jobs, &from(1, 1), [1_000, 1_001, 1]);
    queue(&mut jobs, &from(2, 1), [10, 11]);
    assert_eq!(drain(&mut jobs), [1, 10, 11]);
    assert_eq!(jobs.len(), 0);
}

#[test]
fn who_has_most_in_a_full_queue_makes_room_for_the_others() {
    let mut jobs = Queue::new();
    queue(&mut jobs, &from(1, 1), 0..3);
    queue(&mut jobs, &from(1, 2), [10]);
    for (requester, job, expected) in [
        (from(1, 1), 3, Pushed::Full(3)),
        (from(2, 1), 20, Pushed::Displaced(2)),
        (from(1, 2), 11, Pushed::Full(11)),
        (from(2, 1), 21, Pushed::Displaced(1)),
        (from(2, 1), 22, Pushed::Full(22)),
    ] {
        assert_eq!(jobs.push(requester, 1, job, 4), expected);
    }
    assert_eq!(jobs.len(), 4);
}

// One network floods all clients there are: none of them has more than the others.
#[test]
fn a_network_that_fills_the_queue_through_several_clients_makes_room_for_others_of_each() {
    let mut jobs = Queue::new();
    for client in 1..=3 {
        queue(&mut jobs, &from(client, 1), 0..7);
    }
    for client in 1..=3 {
        let pushed = jobs.push(from(client, 2), 1, 100, 21);
        assert_eq!(pushed, Pushed::Displaced(6), "{client}");
    }
}

#[test]
fn what_nobody_waits_for_makes_room() {
    let mut jobs = Queue::new();
    queue(&mut jobs, &from(1, 1), 0..3);
    jobs.drop_if(|job| job % 2 == 0);
    assert_eq!(jobs.push(from(1, 1), 1, 3, 2), Pushed::Queued);
    assert_eq!(drain(&mut jobs), [1, 3]);
}

/// What is done with a queue.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Push(u8, u8, u64),
    Pop,
    DropIf(u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        5 => (0_u8..3, 0_u8..3, 1_u64..4).prop_map(|(c, n, weight)| Deed::Push(c, n, weight)),
        2 => Just(Deed::Pop),
        1 => (2_u32..9).prop_map(Deed::DropIf),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_or_served_twice_and_room_is_shared(
        deeds in proptest::collection::vec(deed(), 1..300),
        bound in 1_usize..20,
    ) {
        let mut jobs = Queue::new();
        let mut waiting: Vec<(u8, u8, u32)> = Vec::new();
        for (number, deed) in (0..).zip(deeds) {
            match deed {
                Deed::Push(client, network, weight) => {
                    let own = (client, network, number);
                    match jobs.push(from(client, network), weight, number, bound) {
                        Pushed::Queued => {}
                        Pushed::Displaced(other) => {
                            waiting.retain(|(.., job)| *job != other);
                        }
                        Pushed::Full(job) => {
                            prop_assert_eq!(job, number);
                            check_shared(&waiting, own)?;
                            continue;
                        }
                    }
                    waiting.push(own);
                }
                Deed::Pop => {
                    let popped = pop(&mut jobs);
                    prop_assert_eq!(popped.is_none(), waiting.is_empty());
                    waiting.retain(|(.., job)| Some(*job) != popped);
                }
                Deed::DropIf(number) => {
                    jobs.drop_if(|job| job.is_multiple_of(number));
                    waiting.retain(|(.., job)| !job.is_multiple_of(number));
                }
            }
            prop_assert_eq!(jobs.len(), waiting.len());
            prop_assert!(jobs.len() <= bound);
        }
        let mut left = drain(&mut jobs);
        left.sort_unstable();
        let mut expected: Vec<u32> = waiting.iter().map(|(.., job)| *job).collect();
        expected.sort_unstable();
        prop_assert_eq!(left, expected);
    }

    #[test]
    fn between_two_turns_of_a_client_each_other_has_two_at_most(
        counts in proptest::collection::vec(2_u32..20, 2..6),
    ) {
        let mut jobs = Queue::new();
        for (client, count) in (0..).zip(&counts) {
            queue(&mut jobs, &from(client, 1), (0..*count).map(|_| u32::from(client)));
        }
        let order = drain(&mut jobs);
        for client in 0..u32::try_from(counts.len()).unwrap() {
            let turns: Vec<usize> = (0..order.len()).filter(|at| order[*at] == client).collect();
            for pair in turns.windows(2) {
                prop_assert!(pair[1] - pair[0] <= 2 * counts.len(), "{:?}", order);
            }
        }
    }
}

/// Who is refused has as much of the room as the others: no client has two more, nor has another
/// network of its own.
fn check_shared(waiting: &[(u8, u8, u32)], own: (u8, u8, u32)) -> Result<(), TestCaseError> {
    let count = |is_counted: &dyn Fn(&(u8, u8, u32)) -> bool| {
        waiting.iter().filter(|job| is_counted(job)).count()
    };
    let of_client = count(&|job| job.0 == own.0);
    let of_network = count(&|job| (job.0, job.1) == (own.0, own.1));
    for other in 0..3 {
        prop_assert!(count(&|job| job.0 == other) <= of_client + 1);
        prop_assert!(count(&|job| (job.0, job.1) == (own.0, other)) <= of_network + 1);
    }
    Ok(())
}
