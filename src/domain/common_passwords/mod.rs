//! Passwords that guessers try first: the list of Django's `CommonPasswordValidator`, some 20,000 in
//! lower case.
//!
//! It comes from the package `django` 5.2.19 (BSD-3-Clause, see `LICENSE` beside it; the list was
//! compiled by Royce Williams), with its lines sorted by their bytes. It is searched where it stands
//! in the program's text: nothing of it is loaded at the start.

use std::cmp::Ordering;

/// One password a line, sorted by their bytes.
const LIST: &str = include_str!("list.txt");

/// Whether the list has this password, which is in lower case.
pub(super) fn contain(password: &str) -> bool {
    let (list, wanted) = (LIST.as_bytes(), password.as_bytes());
    let is_end = |byte: &u8| *byte == b'\n';
    // The lines that are left to search, each with its end.
    let (mut start, mut end) = (0, list.len());
    while start < end {
        let left = &list[start..end];
        let (before, after) = left.split_at(left.len() / 2);
        let from = before.iter().rposition(is_end).map_or(0, |at| at + 1);
        let to = after.iter().position(is_end).unwrap_or(after.len()) + before.len();
        match wanted.cmp(&left[from..to]) {
            Ordering::Equal => return true,
            Ordering::Less => end = start + from,
            Ordering::Greater => start += to + 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_each_of_it_is_found() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert!(lines.len() > 19_000, "{}", lines.len());
        assert!(lines.is_sorted(), "the binary search needs it sorted");
        for line in lines {
            assert!(contain(line), "{line:?}");
            assert_eq!(line, line.to_lowercase(), "{line:?}");
        }
    }

    #[test]
    fn what_is_not_in_the_list_is_not_found() {
        for other in [
            "",
            "\n",
            "passwor",
            "password\n",
            "correct horse battery",
            "~~~~~~~~~~",
        ] {
            assert!(!contain(other), "{other:?}");
        }
    }
}
