//! What the scheduler gave the threads of a process, as Linux tells it.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::Outcome;

/// What the threads of a process have had from the scheduler, by thread, with their names.
pub(crate) struct Schedule(HashMap<PathBuf, (String, Share)>);

/// What one thread, or several, had from the scheduler.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    /// Time on a processor.
    pub(crate) running: Duration,
    /// Time ready to run, while others were on the processors.
    pub(crate) waiting: Duration,
}

impl Schedule {
    /// What each thread of process `pid` has had until now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn of(pid: u32) -> Outcome<Self> {
        let mut threads = HashMap::new();
        let folder = format!("/proc/{pid}/task");
        for entry in fs::read_dir(&folder).map_err(|error| format!("{folder}: {error}"))? {
            let path = entry?.path();
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(path.join("schedstat")) {
                let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
                threads.insert(path, (name, Share::parse(&text)?));
            }
        }
        if threads.is_empty() {
            return Err(format!("the system does not tell schedstat of process {pid}").into());
        }
        Ok(Self(threads))
    }

    /// What all threads together had since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Share {
        self.of_named("", earlier)
    }

    /// What the threads whose name begins with `prefix` had since `earlier`.
    pub(crate) fn of_named(&self, prefix: &str, earlier: &Self) -> Share {
        let mut sum = Share::default();
        for (path, (name, now)) in &self.0 {
            if name.starts_with(prefix) {
                let before = earlier.0.get(path).map(|(_, share)| *share);
                sum.add(now.since(before.unwrap_or_default()));
            }
        }
        sum
    }
}

impl Share {
    /// Adds what another thread, or another time, had.
    pub(crate) fn add(&mut self, other: Self) {
        self.running += other.running;
        self.waiting += other.waiting;
    }

    /// What came since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            running: self.running.saturating_sub(earlier.running),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }

    /// Reads what a file `schedstat` says.
    ///
    /// # Errors
    /// A text of another form.
    pub(crate) fn parse(schedstat: &str) -> Outcome<Self> {
        let mut figures = schedstat.split_whitespace().map(str::parse);
        let (Some(running), Some(waiting)) = (figures.next(), figures.next()) else {
            return Err("the system does not tell schedstat".into());
        };
        Ok(Self {
            running: Duration::from_nanos(running?),
            waiting: Duration::from_nanos(waiting?),
        })
    }
}
