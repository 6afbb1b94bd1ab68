//! What a process costs, as the system counts it.

use std::fs;
use std::time::Duration;

/// Kibibyte.
pub(crate) const KIB: usize = 1_024;
/// Mebibyte.
pub(crate) const MIB: usize = 1_024 * KIB;

/// Clock ticks of `/proc/<pid>/stat` in a second: `USER_HZ`, which is 100 on every Linux.
const TICKS_PER_SECOND: u64 = 100;

/// A process that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vitals {
    pid: u32,
}

impl Vitals {
    pub(crate) fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Resident memory, in bytes.
    pub(crate) fn memory(self) -> usize {
        self.status("VmRSS:") * KIB
    }

    /// Open files.
    pub(crate) fn files(self) -> usize {
        fs::read_dir(self.path("fd")).unwrap().count()
    }

    /// Processor time of all its threads so far.
    pub(crate) fn processor(self) -> Duration {
        ticks(&fs::read_to_string(self.path("stat")).unwrap())
    }

    /// Processor time so far of each thread whose name begins so.
    pub(crate) fn threads(self, prefix: &str) -> Vec<Duration> {
        let tasks = fs::read_dir(self.path("task")).unwrap();
        tasks
            .filter_map(|task| {
                let task = task.unwrap().path();
                // A thread may end between the listing and this look at it.
                let name = fs::read_to_string(task.join("comm")).ok()?;
                let stat = fs::read_to_string(task.join("stat")).ok()?;
                name.starts_with(prefix).then(|| ticks(&stat))
            })
            .collect()
    }

    fn status(self, key: &str) -> usize {
        let status = fs::read_to_string(self.path("status")).unwrap();
        let row = status.lines().find_map(|line| line.strip_prefix(key));
        let figure = row.unwrap().split_whitespace().next().unwrap();
        figure.parse().unwrap()
    }

    fn path(self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid)
    }
}

// User and system time are fields 14 and 15; the name before them may hold blanks.
fn ticks(stat: &str) -> Duration {
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields = rest.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}
