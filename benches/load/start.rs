//! How long after its start does `sentinel` answer that it is ready?
//!
//! The program itself is started, on data that an earlier start has made. The time ends with the
//! first answer of `/readyz` that says so, so it has the client's part of a handshake in it.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::Outcome;
use super::client::Dialer;
use super::plan::Plan;
use super::report::{Report, Target, median};
use super::stores::Stores;
use super::support::server::free_port;

/// `sentinel serve`, with both stores up, is ready within this, in milliseconds.
const SERVE_LIMIT_MILLIS: f64 = 80.0;
/// `sentinel dev`, on a data folder that is there, within this.
const DEV_LIMIT_MILLIS: f64 = 50.0;
/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_micros(500);
/// Whoever is not ready by then never will be.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command of the program, and the folder and settings that it is started with.
struct Program {
    command: &'static str,
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
}

/// A started program. Dropping it ends it.
struct Started(Child);

/// Starts `dev`, and `serve` on `stores`, in turns.
///
/// # Errors
/// When one ends, or does not become ready.
pub(crate) fn measure(
    plan: &Plan,
    runtime: &Runtime,
    stores: Option<&Stores>,
    report: &mut Report,
) -> Outcome<()> {
    let mut programs = vec![(Program::dev()?, DEV_LIMIT_MILLIS)];
    if let Some(stores) = stores {
        programs.push((Program::serve(&stores.beside("start"))?, SERVE_LIMIT_MILLIS));
    }
    let mut times = vec![Vec::new(); programs.len()];
    for (program, _) in &programs {
        // Makes certificate, indexes and users.
        runtime.block_on(program.time_start())?;
    }
    for index in 0..plan.starts {
        for ((program, _), times) in programs.iter().zip(&mut times) {
            times.push(runtime.block_on(program.time_start())?);
        }
        report.note_progress("start", index + 1, plan.starts);
    }
    for ((program, limit), times) in programs.iter().zip(times) {
        let millis = times.iter().map(|time| time.as_secs_f64() * 1e3);
        let label = format!("start/ready_ms/{}", program.command);
        report.judge(label, median(millis), Target::Below(*limit));
    }
    Ok(())
}

impl Program {
    fn dev() -> Outcome<Self> {
        Self::new("dev", Vec::new())
    }

    fn serve(stores: &Stores) -> Outcome<Self> {
        let settings = vec![
            ("SENTINEL_MONGO_URI", stores.mongo_uri.clone()),
            ("SENTINEL_MONGO_DBNAME", stores.database.clone()),
            ("SENTINEL_REDIS_URL", stores.redis_url.clone()),
            ("SENTINEL_TLS", "adhoc".to_owned()),
        ];
        Self::new("serve", settings)
    }

    fn new(command: &'static str, mut settings: Vec<(&'static str, String)>) -> Outcome<Self> {
        settings.push(("SENTINEL_DATA_DIR", "data".to_owned()));
        Ok(Self {
            command,
            settings,
            folder: tempfile::tempdir()?,
        })
    }

    /// From the start of the process until it is ready; then ends it.
    async fn time_start(&self) -> Outcome<Duration> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = self.folder.path().join("log");
        let start = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_sentinel"))
            .args([self.command, "--listen", &address.to_string()])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut started = Started(child);
        let mut dialer = None;
        loop {
            // On the first start the certificate is being made.
            dialer = dialer.or_else(|| self.dialer(address).ok());
            if let Some(dialer) = &dialer
                && is_ready(dialer).await
            {
                break;
            }
            if start.elapsed() > PATIENCE || started.0.try_wait()?.is_some() {
                let log = std::fs::read_to_string(log)?;
                return Err(format!("{} did not become ready: {log}", self.command).into());
            }
            sleep(PAUSE).await;
        }
        let time = start.elapsed();
        started.end()?;
        Ok(time)
    }

    fn dialer(&self, address: SocketAddr) -> Outcome<Dialer> {
        let certificate = self.folder.path().join("data/adhoc-cert.pem");
        Dialer::with_versions(address, &certificate, rustls::DEFAULT_VERSIONS)
    }
}

// Where nobody listens yet, it will be asked again.
async fn is_ready(dialer: &Dialer) -> bool {
    let asked = async { dialer.dial().await?.get_and_close("/readyz").await };
    // Without Redis it would be ready, but say `degraded`.
    asked.await.is_ok_and(|answer| {
        answer.status().is_success() && answer.body().starts_with(br#"{"status":"ready""#)
    })
}

impl Started {
    /// Ends it in order: what the next start finds is whole.
    fn end(&mut self) -> Outcome<()> {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-s", "INT", &pid]).status()?;
        if told.success() && self.0.wait()?.success() {
            Ok(())
        } else {
            Err("the program did not end in order".into())
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended already, or ends now; either is well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
