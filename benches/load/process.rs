//! A server as a process of its own, so that its processor time and memory can be told from ours.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Outcome;

/// What a process of ours is.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// A bare warp route over the server's accept loop and TLS.
    Floor,
    /// The token server on the embedded store.
    Embedded,
    /// The token server on MongoDB and Redis.
    MongoDb(Stores),
}

/// Where the stores of the second server are.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    /// The truth.
    pub(crate) mongo_uri: String,
    /// The fast copy.
    pub(crate) redis_url: String,
    /// A database for this run alone.
    pub(crate) database: String,
}

impl Role {
    /// The role that a process of ours was started for; `None` is the bench itself.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match texts.as_slice() {
            ["as-floor"] => Some(Self::Floor),
            ["as-embedded"] => Some(Self::Embedded),
            ["as-mongodb", mongo_uri, redis_url, database] => Some(Self::MongoDb(Stores {
                mongo_uri: (*mongo_uri).to_owned(),
                redis_url: (*redis_url).to_owned(),
                database: (*database).to_owned(),
            })),
            _ => None,
        }
    }

    /// How tables call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Embedded => "embedded",
            Self::MongoDb(_) => "mongodb",
        }
    }

    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Floor => vec!["as-floor"],
            Self::Embedded => vec!["as-embedded"],
            Self::MongoDb(stores) => vec![
                "as-mongodb",
                &stores.mongo_uri,
                &stores.redis_url,
                &stores.database,
            ],
        }
    }
}

/// A running server. Dropping it ends it.
pub(crate) struct Process {
    /// What it is.
    pub(crate) role: Role,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The client that may ask it for tokens; empty for the floor.
    pub(crate) client_id: String,
    child: Child,
    /// Its working directory, with all that it writes.
    folder: TempDir,
}

impl Process {
    /// Starts this program again in another role and waits until it listens.
    ///
    /// # Errors
    /// When it ended instead; its log is part of the error.
    pub(crate) fn start(role: Role) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        // The child ends when its standard input does, so it does not outlive us.
        let mut child = Command::new(std::env::current_exe()?)
            .args(role.arguments())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut process = Self {
            role,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            client_id: String::new(),
            child,
            folder,
        };
        let Some((address, client_id)) = line.trim_end_matches('\n').split_once(' ') else {
            let log = fs::read_to_string(log)?;
            return Err(
                format!("the server ({}) did not start: {log}", process.role.name()).into(),
            );
        };
        process.address = address.parse()?;
        client_id.clone_into(&mut process.client_id);
        Ok(process)
    }

    /// The certificate it serves with.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("data/adhoc-cert.pem")
    }

    /// What each thread has had from the scheduler until now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn schedule(&self) -> Outcome<Schedule> {
        let mut threads = HashMap::new();
        for entry in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let path = entry?.path();
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(path.join("schedstat")) {
                let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
                threads.insert(path, (name, Share::parse(&text)?));
            }
        }
        Ok(Schedule(threads))
    }

    /// Memory that is in use, in KiB.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn resident_kib(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|line| line.split_whitespace().next());
        Ok(figure.ok_or("the system does not tell VmRSS")?.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, or ends now; either is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

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
                let own = now.since(before.unwrap_or_default());
                sum.running += own.running;
                sum.waiting += own.waiting;
            }
        }
        sum
    }
}

impl Share {
    /// What the calling thread has had until now.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn of_this_thread() -> Outcome<Self> {
        Self::parse(&fs::read_to_string("/proc/thread-self/schedstat")?)
    }

    /// What came since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            running: self.running.saturating_sub(earlier.running),
            waiting: self.waiting.saturating_sub(earlier.waiting),
        }
    }

    fn parse(schedstat: &str) -> Outcome<Self> {
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
