//! A server or a floor as a process of its own, so that its processor time and memory can be told
//! from ours.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::Outcome;
use super::schedule::{Schedule, Share};
use super::stores::Stores;

/// What a process of ours is.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// A bare warp route over the server's accept loop and TLS.
    Floor,
    /// A route without warp over tokio-rustls, without anything of the server.
    BareTls,
    /// Writes of token documents, grouped, without anything of the server.
    BareWrites(Stores),
    /// The token server on the embedded store.
    Embedded,
    /// The token server on MongoDB and Redis.
    MongoDb(Stores),
    /// The same with fast hashes, for what is measured beside them.
    Sized(Stores),
}

impl Role {
    /// The role that a process of ours was started for; `None` is the bench itself.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match texts.as_slice() {
            ["as-floor"] => Some(Self::Floor),
            ["as-bare-tls"] => Some(Self::BareTls),
            ["as-bare-writes", stores @ ..] => Stores::from_arguments(stores).map(Self::BareWrites),
            ["as-embedded"] => Some(Self::Embedded),
            ["as-mongodb", stores @ ..] => Stores::from_arguments(stores).map(Self::MongoDb),
            ["as-sized", stores @ ..] => Stores::from_arguments(stores).map(Self::Sized),
            _ => None,
        }
    }

    /// How tables call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::BareTls => "bare_tls",
            Self::BareWrites(_) => "bare_writes",
            Self::Embedded => "embedded",
            Self::MongoDb(_) => "mongodb",
            Self::Sized(_) => "sized",
        }
    }

    fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Floor => vec!["as-floor"],
            Self::BareTls => vec!["as-bare-tls"],
            Self::BareWrites(stores) => stores.arguments("as-bare-writes"),
            Self::Embedded => vec!["as-embedded"],
            Self::MongoDb(stores) => stores.arguments("as-mongodb"),
            Self::Sized(stores) => stores.arguments("as-sized"),
        }
    }
}

/// A running server. Dropping it ends it.
pub(crate) struct Process {
    /// What it is.
    pub(crate) role: Role,
    /// Where it listens, if it does.
    pub(crate) address: SocketAddr,
    /// The client that may ask it for tokens; empty for a floor.
    pub(crate) client_id: String,
    child: Child,
    output: BufReader<ChildStdout>,
    /// Its working directory, with all that it writes.
    folder: TempDir,
}

impl Process {
    /// Starts this program again in another role and waits until it listens.
    ///
    /// # Errors
    /// When it ended instead; its log is part of the error.
    pub(crate) fn start(role: Role) -> Outcome<Self> {
        Self::start_in(tempfile::tempdir()?, role)
    }

    /// As [`Process::start`], in a folder that may hold its data already.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub(crate) fn start_in(folder: TempDir, role: Role) -> Outcome<Self> {
        let log = folder.path().join("log");
        // The child ends when its standard input does, so it does not outlive us.
        let mut child = Command::new(std::env::current_exe()?)
            .args(role.arguments())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log)?)
            .spawn()?;
        let output = child.stdout.take().ok_or("a process without output")?;
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let mut process = Self {
            role,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            client_id: String::new(),
            child,
            output,
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

    /// Has it do what `order` says, and waits for what it tells of that.
    ///
    /// # Errors
    /// When it ended instead; its log is part of the error.
    pub(crate) fn ask(&mut self, order: &str) -> Outcome<String> {
        let orders = self.child.stdin.as_mut();
        writeln!(orders.ok_or("a process without input")?, "{order}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        if let Some(answer) = answer.strip_suffix('\n') {
            return Ok(answer.to_owned());
        }
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        Err(format!("{} has ended: {log}", self.role.name()).into())
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
        Schedule::of(self.child.id())
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

/// What the calling thread has had from the scheduler until now.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn share_of_this_thread() -> Outcome<Share> {
    Share::parse(&fs::read_to_string("/proc/thread-self/schedstat")?)
}
