//! As many open files as the connections of a run need, here and in the servers.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::Outcome;

/// Starts this program again, in its own place, under a limit that is high enough. Returns where
/// it is so already; each process that is started inherits it.
///
/// # Errors
/// When the limit cannot be raised so far.
pub(crate) fn allow(files: usize, arguments: &[String]) -> Outcome<()> {
    let (soft, hard) = limits(&fs::read_to_string("/proc/self/limits")?)?;
    if soft >= files {
        return Ok(());
    }
    if hard < files {
        return Err(format!(
            "{files} files have to be open at a time, and at most {hard} may be: raise the limit, \
             or lower SENTINEL_BENCH_IDLE_CONNECTIONS"
        )
        .into());
    }
    let error = Command::new("sh")
        .args(["-c", r#"ulimit -S -n "$0" && exec "$@""#])
        .arg(files.to_string())
        .arg(std::env::current_exe()?)
        .args(arguments)
        .exec();
    Err(error.into())
}

/// The soft and the hard limit of open files in this table.
fn limits(table: &str) -> Outcome<(usize, usize)> {
    let row = table
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let mut figures = row.into_iter().flat_map(str::split_whitespace);
    let mut next = || match figures.next() {
        Some("unlimited") => Ok(usize::MAX),
        Some(figure) => Outcome::Ok(figure.parse()?),
        None => Err("the system does not tell how many files may be open".into()),
    };
    Ok((next()?, next()?))
}
