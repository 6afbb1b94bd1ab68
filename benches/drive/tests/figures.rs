//! Percentiles and counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::program::ask::Fault;
use crate::program::figures::{Figures, Percentiles};
use crate::program::tally::Part;

#[test]
fn percentiles_are_those_of_the_latencies() {
    let mut part = Part::new().unwrap();
    assert_eq!(Percentiles::of(&part.latency), None);
    for micros in 1..=10_000 {
        part.latency.record(micros).unwrap();
    }
    let found = Percentiles::of(&part.latency).unwrap();
    let wanted = [5.0, 9.0, 9.9, 9.99, 10.0];
    let found = [found.p50, found.p90, found.p99, found.p999, found.max];
    for (found, wanted) in found.into_iter().zip(wanted) {
        assert!((found / wanted - 1.0).abs() < 0.001, "{found} {wanted}");
    }
}

#[test]
fn answers_of_503_are_counted_apart_from_errors() {
    let mut part = Part::new().unwrap();
    (part.good, part.within) = (90, 88);
    part.faults = BTreeMap::from([
        (Fault::Status(503), 4),
        (Fault::Status(401), 3),
        (Fault::Timeout, 2),
        (Fault::Unsent, 1),
    ]);
    let figures = Figures::of(&part, Duration::from_secs(2));
    assert_eq!(figures.count, 100);
    assert!((figures.per_second - 44.0).abs() < 1e-9);
    assert_eq!(
        (figures.unavailable, figures.errors, figures.unsent),
        (4, 6, 1)
    );
    assert_eq!(figures.by_cause["401"], 3);
    assert_eq!(figures.by_cause["timeout"], 2);
}
