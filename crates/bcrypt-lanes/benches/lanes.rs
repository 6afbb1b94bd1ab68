//! Hashes per second of one thread by lanes, beside the `bcrypt` crate's.

use std::hint::black_box;

use bcrypt_lanes::{Cost, MAX_LANES, hash_many};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Ratios are those of twelve rounds, in a fourth of the time.
const COST: u32 = 10;

fn lanes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bcrypt");
    group.sample_size(10);
    group.throughput(Throughput::Elements(1));
    group.bench_function("crate", |bencher| {
        bencher.iter(|| bcrypt::hash_with_salt(black_box(b"password"), COST, [1; 16]));
    });
    let Ok(cost) = Cost::new(COST) else { return };
    for count in 1..=MAX_LANES {
        let passwords = vec![(&b"password"[..], [1; 16]); count];
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("lanes/{count}"), |bencher| {
            bencher.iter(|| hash_many(cost, black_box(&passwords)));
        });
    }
    group.finish();
}

criterion_group!(benches, lanes);
criterion_main!(benches);
