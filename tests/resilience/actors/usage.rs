//! What this process uses: the server under test and its clients together.

use std::fs;

/// Resident memory, in MiB.
pub(crate) fn resident_mib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let figure = line.unwrap().split_whitespace().nth(1).unwrap();
    figure.parse::<u64>().unwrap() / 1_024
}

/// Open files.
pub(crate) fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}
