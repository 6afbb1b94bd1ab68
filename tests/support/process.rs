//! The binary itself, as people run it: what it prints, how it ends, what signals do to it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::Client;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The pause between two looks at something that is awaited.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);
/// How long anything may take that has no time limit of its own, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Ends a process when this one has gone, however it ended: the system closes the pipe then.
const WATCHER: &str = "cat >/dev/null; kill -9 \"$0\" 2>/dev/null";

/// A folder to run the binary in, and the whole environment that it gets.
pub(crate) struct Place {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Exit code; none after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
    /// From start to end.
    pub(crate) took: Duration,
}

/// A command that runs; dropping it kills it.
pub(crate) struct Running {
    child: Child,
    watcher: Child,
    log: TempDir,
    began: Instant,
}

impl Place {
    /// An empty folder, and no settings.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// An empty folder, and these settings in the environment.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("sentinel-command-").unwrap();
        let mut place = Self {
            folder,
            environment: Vec::new(),
        };
        for name in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(name) {
                place.set(name, value.to_str().unwrap());
            }
        }
        for (name, value) in settings {
            place.set(name, value);
        }
        place
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(own, _)| own != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the folder, which its owner alone may read.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        set_mode(&path, 0o600);
    }

    /// Runs `sentinel` with these arguments, separated by blanks, to its end.
    pub(crate) async fn run(&self, arguments: &str) -> Ended {
        self.run_with_input(arguments, "").await
    }

    /// As [`Place::run`], with this on standard input.
    pub(crate) async fn run_with_input(&self, arguments: &str, input: &str) -> Ended {
        self.sentinel(arguments, input).ended(PATIENCE).await
    }

    /// Runs a line of shell to its end.
    pub(crate) async fn shell(&self, line: &str) -> Ended {
        self.start_shell(line).ended(PATIENCE).await
    }

    /// Starts `sentinel` with these arguments, separated by blanks.
    pub(crate) fn start(&self, arguments: &str) -> Running {
        self.sentinel(arguments, "")
    }

    /// Starts a line of shell; with `exec` before it, signals reach the program itself.
    pub(crate) fn start_shell(&self, line: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        self.spawn(command, "")
    }

    /// As [`Place::start`], with a limit of open files.
    pub(crate) fn start_with_files(&self, files: u32, arguments: &str) -> Running {
        let mut command = Command::new("sh");
        let line = format!("ulimit -n {files} && exec \"$0\" \"$@\"");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_sentinel")]);
        command.args(arguments.split_whitespace());
        self.spawn(command, "")
    }

    fn sentinel(&self, arguments: &str, input: &str) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
        command.args(arguments.split_whitespace());
        self.spawn(command, input)
    }

    fn spawn(&self, mut command: Command, input: &str) -> Running {
        let log = TempDir::with_prefix("sentinel-output-").unwrap();
        let open = |name: &str| File::create_new(log.path().join(name)).unwrap();
        open("in").write_all(input.as_bytes()).unwrap();
        let began = Instant::now();
        let child = command
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().cloned())
            .stdin(File::open(log.path().join("in")).unwrap())
            .stdout(open("out"))
            .stderr(open("err"))
            .spawn()
            .unwrap();
        let watcher = Command::new("sh")
            .args(["-c", WATCHER, &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Running {
            child,
            watcher,
            log,
            began,
        }
    }
}

impl Running {
    /// The first line that holds these words, of output or log; waits for it.
    pub(crate) async fn line(&mut self, words: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let gone = self.child.try_wait().unwrap();
            let (out, err) = (self.read("out"), self.read("err"));
            // A line is whole only when its end is there.
            let mut lines = out.split_inclusive('\n').chain(err.split_inclusive('\n'));
            if let Some(line) = lines.find(|line| line.contains(words) && line.ends_with('\n')) {
                return line.trim_end().to_owned();
            }
            let is_over = gone.is_some() || Instant::now() > deadline;
            assert!(!is_over, "no {words:?}, {gone:?} in\n{out}\n--\n{err}");
            sleep(PAUSE).await;
        }
    }

    /// The port that `sentinel serve` or `sentinel dev` got; waits for it.
    pub(crate) async fn port(&mut self, is_dev: bool) -> u16 {
        let line = if is_dev {
            let line = self.line("/endpoint").await;
            line.replace("/endpoint", "")
        } else {
            self.line(" listening address=").await
        };
        let port = line.rsplit_once(':').unwrap().1;
        port.parse().unwrap_or_else(|_| panic!("{line}"))
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// The number of the process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let line = format!("kill -s {name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &line]).status().unwrap();
        assert!(sent.success(), "{line}");
    }

    /// Waits for the end, which has to come in time.
    pub(crate) async fn ended(mut self, within: Duration) -> Ended {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.told(status);
            }
            let (out, err) = (self.read("out"), self.read("err"));
            let is_over = Instant::now() > deadline;
            assert!(!is_over, "it runs after {within:?}:\n{out}\n--\n{err}");
            sleep(PAUSE).await;
        }
    }

    fn told(&self, status: ExitStatus) -> Ended {
        Ended {
            code: status.code(),
            out: self.read("out"),
            err: self.read("err"),
            took: self.began.elapsed(),
        }
    }

    /// What it wrote so far to `out` or `err`.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.log.path().join(name)).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The watcher goes first: afterwards the number may be another process's.
        for child in [&mut self.watcher, &mut self.child] {
            // What has ended already needs no killing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A client that trusts any certificate.
pub(crate) fn https() -> Client {
    install_tls();
    Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()
        .unwrap()
}

/// Chooses the cryptography of TLS clients in this process.
pub(crate) fn install_tls() {
    // Another test may have chosen the same already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Sets the permission bits of a file or folder.
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The permission bits of a file or folder.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
