//! When requests are due.

use std::time::{Duration, Instant};

use crate::program::arrivals::{Arrivals, Moments, pace};
use crate::program::random::Random;

fn moments(arrivals: Arrivals, seed: u64) -> Vec<f64> {
    Moments::new(arrivals, 50.0, Random::of(seed))
        .map(|moment| moment.as_secs_f64())
        .take_while(|moment| *moment < 200.0)
        .collect()
}

#[test]
fn constant_arrivals_keep_their_distance_for_ever() {
    let moments = moments(Arrivals::Constant, 1);
    assert_eq!(moments.len(), 10_000);
    assert!((moments[9_999] - 199.98).abs() < 1e-9);
    assert!((moments[1] - 0.02).abs() < 1e-9);
}

#[test]
fn poisson_arrivals_have_the_rate_and_the_spread_of_their_kind() {
    let moments = moments(Arrivals::Poisson, 1);
    // 10,000 are expected, with a deviation of 100.
    assert!(moments.len().abs_diff(10_000) < 500, "{}", moments.len());
    let gaps: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.iter().all(|gap| *gap >= 0.0));
    // Of exponential distances 1/e are longer than the mean one.
    let long = gaps.iter().filter(|gap| **gap > 0.02).count();
    assert!(long.abs_diff(3_679) < 250, "{long}");
}

#[test]
fn a_seed_repeats_its_arrivals() {
    let first = moments(Arrivals::Poisson, 7);
    assert_eq!(first, moments(Arrivals::Poisson, 7));
    assert_ne!(first, moments(Arrivals::Poisson, 8));
}

#[test]
fn a_moment_is_handed_over_when_it_comes() {
    let (out, mut due) = tokio::sync::mpsc::unbounded_channel();
    let start = Instant::now();
    let wanted = [0, 20, 30].map(Duration::from_millis);
    pace(start, wanted.into_iter(), &out);
    assert!(start.elapsed() >= Duration::from_millis(30));
    for moment in wanted {
        assert_eq!(due.try_recv().unwrap(), start + moment);
    }
}
