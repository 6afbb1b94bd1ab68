//! Hex digits: two for each byte, small letters where we write them.

/// Writes `bytes` into `text`, which has two places for each. Formatting byte by byte would be felt
/// where each verification names its user so.
pub(super) fn write(bytes: &[u8], text: &mut [u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 0xf]) {
            *digit = match nibble {
                0..=9 => b'0' + nibble,
                _ => b'a' - 10 + nibble,
            };
        }
    }
}

/// Reads `N` bytes of twice as many digits, in either case.
pub(super) fn read<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}

fn nibble(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}
