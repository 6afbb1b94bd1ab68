//! Memory of a server that has just been started and is asked nothing.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::Outcome;
use super::process::Process;
use super::report::{Report, Target};

/// A fresh server keeps below this, in MiB.
const LIMIT_MIB: f64 = 30.0;
/// For what a start leaves to be done behind it.
const SETTLING: Duration = Duration::from_secs(1);

/// Measures each of `servers`, which must not have been asked anything.
///
/// # Errors
/// When the system does not tell.
pub(crate) fn measure(servers: &[Process], runtime: &Runtime, report: &mut Report) -> Outcome<()> {
    runtime.block_on(async { tokio::time::sleep(SETTLING).await });
    for server in servers {
        let kib = u32::try_from(server.resident_kib()?)?;
        let label = format!("memory/idle_mib/{}", server.role.name());
        report.judge(label, f64::from(kib) / 1_024.0, Target::Below(LIMIT_MIB));
    }
    Ok(())
}
