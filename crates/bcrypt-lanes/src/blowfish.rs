//! The Blowfish of bcrypt, on several states in step. Each look-up in an S-box waits for the one
//! before it, so one state leaves most of the processor idle; others fill the gaps.

use zeroize::Zeroize;

use crate::pi;

/// Subkeys, or what is mixed into them.
pub(crate) type Words = [u32; 18];

/// A Blowfish state: subkeys and S-boxes.
pub(crate) struct State {
    p: Words,
    s: [u32; 1024],
}

impl State {
    pub(crate) const EMPTY: Self = Self {
        p: [0; 18],
        s: [0; 1024],
    };

    #[cfg(test)]
    pub(crate) fn is_zero(&self) -> bool {
        self.p.iter().chain(&self.s).all(|word| *word == 0)
    }

    /// bcrypt's first key expansion, which mixes in the salt with every block.
    pub(crate) fn set_up(&mut self, key: &Words, salt: [u32; 4]) {
        self.p = pi::P;
        self.s = pi::S;
        expand(std::array::from_mut(self), [key], salt, &mut || {});
    }

    /// bcrypt's digest: its magic text, encrypted 64 times. The last byte is left out, as bcrypt
    /// does.
    pub(crate) fn digest(&self) -> [u8; 23] {
        let mut digest = [0; 23];
        for (block, out) in MAGIC.iter().zip(digest.chunks_mut(8)) {
            let (mut left, mut right) = ([block[0]], [block[1]]);
            for _ in 0..64 {
                encrypt(std::array::from_ref(self), &mut left, &mut right);
            }
            let bytes = (u64::from(left[0]) << 32 | u64::from(right[0])).to_be_bytes();
            out.copy_from_slice(&bytes[..out.len()]);
        }
        digest
    }
}

impl Zeroize for State {
    fn zeroize(&mut self) {
        self.p.zeroize();
        self.s.zeroize();
    }
}

/// `OrpheanBeholderScryDoubt`.
const MAGIC: [[u32; 2]; 3] = [
    [0x4f72_7068, 0x6561_6e42],
    [0x6568_6f6c, 0x6465_7253],
    [0x6372_7944, 0x6f75_6274],
];

/// Words of the S-boxes that are filled before each pause: half of them.
const WORDS_TO_A_PAUSE: usize = 512;

/// A key expansion of each state, which calls `pause` half-way and at its end. `salt` is all zero but
/// for the first one.
#[inline]
pub(crate) fn expand<const N: usize>(
    states: &mut [State; N],
    words: [&Words; N],
    salt: [u32; 4],
    pause: &mut dyn FnMut(),
) {
    for (state, words) in states.iter_mut().zip(words) {
        for (p, word) in state.p.iter_mut().zip(words) {
            *p ^= word;
        }
    }
    let mut chain = Chain {
        left: [0; N],
        right: [0; N],
        salt,
    };
    for at in (0..18).step_by(2) {
        chain.next(states);
        for (lane, state) in states.iter_mut().enumerate() {
            state.p[at] = chain.left[lane];
            state.p[at + 1] = chain.right[lane];
        }
    }
    for half in (0..1024).step_by(WORDS_TO_A_PAUSE) {
        for at in (half..half + WORDS_TO_A_PAUSE).step_by(2) {
            chain.next(states);
            for (lane, state) in states.iter_mut().enumerate() {
                state.s[at] = chain.left[lane];
                state.s[at + 1] = chain.right[lane];
            }
        }
        pause();
    }
}

/// A block of each state that is encrypted again and again, with the salt mixed in.
struct Chain<const N: usize> {
    left: [u32; N],
    right: [u32; N],
    salt: [u32; 4],
}

impl<const N: usize> Chain<N> {
    #[inline]
    fn next(&mut self, states: &[State; N]) {
        for lane in 0..N {
            self.left[lane] ^= self.salt[0];
            self.right[lane] ^= self.salt[1];
        }
        self.salt.rotate_left(2);
        encrypt(states, &mut self.left, &mut self.right);
    }
}

/// One block of each state.
#[inline]
fn encrypt<const N: usize>(states: &[State; N], left: &mut [u32; N], right: &mut [u32; N]) {
    for lane in 0..N {
        left[lane] ^= states[lane].p[0];
    }
    for round in (1..17).step_by(2) {
        for lane in 0..N {
            right[lane] ^= mix(&states[lane].s, left[lane]) ^ states[lane].p[round];
        }
        for lane in 0..N {
            left[lane] ^= mix(&states[lane].s, right[lane]) ^ states[lane].p[round + 1];
        }
    }
    for lane in 0..N {
        let last = right[lane] ^ states[lane].p[17];
        right[lane] = left[lane];
        left[lane] = last;
    }
}

/// Blowfish's F.
#[inline]
fn mix(boxes: &[u32; 1024], half: u32) -> u32 {
    let [a, b, c, d] = half.to_be_bytes().map(usize::from);
    (boxes[a].wrapping_add(boxes[256 + b]) ^ boxes[512 + c]).wrapping_add(boxes[768 + d])
}
