#![doc = include_str!("../README.md")]

mod blowfish;
mod lanes;
mod pi;

use std::fmt;

use subtle::ConstantTimeEq;

pub use lanes::{Lanes, MAX_LANES};

/// The salt of a hash.
pub type Salt = [u8; 16];

/// What bcrypt computes: 23 bytes, since it has always left the last one out.
pub type Digest = [u8; 23];

/// Log2 of the rounds of a hash, from 4 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(u8);

/// A cost that bcrypt does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CostError(u32);

/// A hash as it is stored, without its spelling.
#[derive(Clone, Copy)]
pub struct Hash {
    /// Log2 of its rounds.
    pub cost: Cost,
    /// What was mixed into the password.
    pub salt: Salt,
    /// What came out.
    pub digest: Digest,
}

impl Cost {
    /// The least: 16 rounds.
    pub const MIN: Self = Self(4);

    /// From log2 of the rounds.
    ///
    /// # Errors
    /// [`CostError`] outside 4 to 31.
    pub const fn new(log2: u32) -> Result<Self, CostError> {
        if log2 < 4 || log2 > 31 {
            return Err(CostError(log2));
        }
        #[expect(clippy::cast_possible_truncation, reason = "it is at most 31")]
        Ok(Self(log2 as u8))
    }

    /// Log2 of the rounds.
    pub const fn log2(self) -> u8 {
        self.0
    }
}

impl fmt::Display for CostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cost of bcrypt is from 4 to 31, not {}", self.0)
    }
}

impl std::error::Error for CostError {}

/// Hashes any number of passwords, [`MAX_LANES`] at a time; the digests are in their order.
pub fn hash_many(cost: Cost, passwords: &[(&[u8], Salt)]) -> Vec<Digest> {
    let jobs = passwords
        .iter()
        .map(|(password, salt)| (*password, *salt, cost));
    compute(jobs.collect())
}

/// Compares any number of passwords with stored hashes, [`MAX_LANES`] at a time, each in constant
/// time. Costs may differ.
pub fn verify_many(passwords: &[(&[u8], &Hash)]) -> Vec<bool> {
    let jobs = passwords.iter();
    let digests = compute(
        jobs.map(|(password, hash)| (*password, hash.salt, hash.cost))
            .collect(),
    );
    let pairs = passwords.iter().zip(digests);
    pairs
        .map(|((_, hash), digest)| digest.ct_eq(&hash.digest).into())
        .collect()
}

fn compute(jobs: Vec<(&[u8], Salt, Cost)>) -> Vec<Digest> {
    let mut digests = vec![[0; 23]; jobs.len()];
    let mut lanes = Lanes::new();
    let mut waiting = jobs.into_iter().enumerate();
    loop {
        while !lanes.is_full()
            && let Some((at, (password, salt, cost))) = waiting.next()
        {
            // A lane was free: nothing comes back.
            let _joined = lanes.join(password, salt, cost, at);
        }
        if lanes.is_empty() {
            return digests;
        }
        lanes.step(|at, digest| digests[at] = digest);
    }
}
