//! The lanes: who computes, how far each is, who may join.

use std::fmt;

use zeroize::Zeroize;

use crate::blowfish::{State, Words, expand};
use crate::{Cost, Digest, Salt};

/// The most hashes that one thread computes at once: their S-boxes must fit the first-level cache,
/// and their halves the registers.
pub const MAX_LANES: usize = 6;

/// The bytes of a password that bcrypt reads; longer ones are cut off.
const PASSWORD_BYTES: usize = 72;

/// Hashes that are computed in step, in one thread.
///
/// A password joins whenever a lane is free and leaves when its hash is done; lanes may have
/// different costs. `T` comes along with each password and is given back with its digest.
///
/// ```
/// use bcrypt_lanes::{Cost, Lanes};
///
/// let mut lanes = Lanes::new();
/// lanes.join(b"first", [1; 16], Cost::new(4)?, "first").unwrap();
/// lanes.join(b"second", [2; 16], Cost::new(5)?, "second").unwrap();
/// let mut done = Vec::new();
/// while !lanes.is_empty() {
///     lanes.step(|name, _digest| done.push(name));
/// }
/// assert_eq!(done, ["first", "second"]);
/// # Ok::<(), bcrypt_lanes::CostError>(())
/// ```
pub struct Lanes<T> {
    computing: Computing,
    /// In the order of the states.
    tags: Vec<T>,
}

impl<T> Lanes<T> {
    /// Lanes that are all free: 25 KiB.
    pub fn new() -> Self {
        Self {
            computing: Computing::new(),
            tags: Vec::with_capacity(MAX_LANES),
        }
    }

    /// How many hashes are being computed.
    pub fn len(&self) -> usize {
        self.tags.len()
    }

    /// Whether nothing is being computed.
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty()
    }

    /// Whether nothing can join now.
    pub fn is_full(&self) -> bool {
        self.tags.len() == MAX_LANES
    }

    /// Begins a hash. Of the password the first 72 bytes count, NULs among them; no end mark is
    /// needed.
    ///
    /// # Errors
    /// The tag, when no lane is free.
    pub fn join(&mut self, password: &[u8], salt: Salt, cost: Cost, tag: T) -> Result<(), T> {
        if self.is_full() {
            return Err(tag);
        }
        self.computing.join(password, salt, cost);
        self.tags.push(tag);
        Ok(())
    }

    /// Does the next pair of key expansions of every lane, some tens of microseconds, and hands out
    /// what is done. Others can join between two of these.
    pub fn step(&mut self, done: impl FnMut(T, Digest)) {
        self.step_with_pauses(|| {}, done);
    }

    /// As [`Lanes::step`], and calls `pause` four times at even distances, the last time before
    /// anything is handed out. It is for yielding the processor to what cannot wait for a whole
    /// step. If it panics, drop the lanes: their hashes are then half done.
    pub fn step_with_pauses(&mut self, mut pause: impl FnMut(), mut done: impl FnMut(T, Digest)) {
        self.computing.step(&mut pause);
        for at in (0..self.tags.len()).rev() {
            if let Some(digest) = self.computing.digest(at) {
                self.computing.leave(at);
                done(self.tags.swap_remove(at), digest);
            }
        }
    }

    /// Ends, undone, every hash whose tag says so.
    pub fn give_up(&mut self, mut is_given_up: impl FnMut(&T) -> bool) {
        for at in (0..self.tags.len()).rev() {
            if is_given_up(&self.tags[at]) {
                self.computing.leave(at);
                self.tags.swap_remove(at);
            }
        }
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Lanes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lanes")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The lanes without their tags. Nothing of it is generic to the outside, so it is compiled with this
/// crate, and as fast as this crate is.
struct Computing {
    /// The first `len` are in use, the others are zero; so it is with `turns`.
    states: Box<[State]>,
    /// In place for good: what is moved out of a `Vec` would stay behind.
    turns: [Turn; MAX_LANES],
    len: usize,
}

/// What belongs to a state.
#[derive(Default)]
struct Turn {
    key: Words,
    salt: Words,
    /// Pairs of key expansions still to be done.
    left: u64,
}

impl Computing {
    fn new() -> Self {
        Self {
            states: (0..MAX_LANES).map(|_| State::EMPTY).collect(),
            turns: Default::default(),
            len: 0,
        }
    }

    fn join(&mut self, password: &[u8], salt: Salt, cost: Cost) {
        let salt = salt_words(salt);
        let turn = &mut self.turns[self.len];
        write_key(password, &mut turn.key);
        write_salt(salt, &mut turn.salt);
        turn.left = 1 << cost.log2();
        self.states[self.len].set_up(&turn.key, salt);
        self.len += 1;
    }

    /// Frees a lane: the last one takes its place.
    fn leave(&mut self, at: usize) {
        self.len -= 1;
        self.turns.swap(at, self.len);
        self.states.swap(at, self.len);
        self.turns[self.len].zeroize();
        self.states[self.len].zeroize();
    }

    /// What came out, if it is done.
    fn digest(&self, at: usize) -> Option<Digest> {
        (self.turns[at].left == 0).then(|| self.states[at].digest())
    }

    fn step(&mut self, pause: &mut dyn FnMut()) {
        match self.len {
            0 => {}
            1 => self.expand::<1>(pause),
            2 => self.expand::<2>(pause),
            3 => self.expand::<3>(pause),
            4 => self.expand::<4>(pause),
            5 => self.expand::<5>(pause),
            _ => self.expand::<MAX_LANES>(pause),
        }
        for turn in &mut self.turns[..self.len] {
            turn.left -= 1;
        }
    }

    fn expand<const N: usize>(&mut self, pause: &mut dyn FnMut()) {
        let (Some(states), Some(turns)) = (
            self.states.first_chunk_mut::<N>(),
            self.turns.first_chunk::<N>(),
        ) else {
            return;
        };
        let (keys, salts) = (
            turns.each_ref().map(|turn| &turn.key),
            turns.each_ref().map(|turn| &turn.salt),
        );
        expand(states, keys, [0; 4], pause);
        expand(states, salts, [0; 4], pause);
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        for (state, turn) in self.states.iter_mut().zip(&mut self.turns) {
            state.zeroize();
            turn.zeroize();
        }
    }
}

impl Zeroize for Turn {
    fn zeroize(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
        self.left.zeroize();
    }
}

/// The password and a NUL, over and over.
fn write_key(password: &[u8], key: &mut Words) {
    let read = &password[..password.len().min(PASSWORD_BYTES)];
    let end = (read.len() < PASSWORD_BYTES).then_some(&0);
    let mut bytes = read.iter().chain(end).cycle().copied();
    for word in key {
        *word = u32::from_be_bytes(std::array::from_fn(|_| bytes.next().unwrap_or_default()));
    }
}

/// The salt, over and over.
fn write_salt(salt: [u32; 4], words: &mut Words) {
    for (word, of_salt) in words.iter_mut().zip(salt.into_iter().cycle()) {
        *word = of_salt;
    }
}

fn salt_words(salt: Salt) -> [u32; 4] {
    let number = u128::from_be_bytes(salt);
    #[expect(clippy::cast_possible_truncation, reason = "a word of it is meant")]
    [96, 64, 32, 0].map(|shift| (number >> shift) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_or_given_up_leaves_nothing_behind() {
        let mut computing = Computing::new();
        for length in 1..=MAX_LANES {
            computing.join(&vec![b'p'; length], [7; 16], Cost::MIN);
        }
        computing.step(&mut || {});
        for at in [2, 0, 3, 0, 1, 0] {
            computing.leave(at);
            let free = computing.len..;
            assert!(computing.states[free.clone()].iter().all(State::is_zero));
            assert!(computing.turns[free].iter().all(|turn| turn.key == [0; 18]));
            assert!(!computing.states[..computing.len].iter().any(State::is_zero));
        }
    }
}
