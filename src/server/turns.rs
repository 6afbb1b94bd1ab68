//! How soon a thread that answers requests gets a processor when it has something to do.
//!
//! Since 6.12 Linux lets a thread say how long its turns are to be. Who has shorter turns than the
//! one that runs, and has not had more than its share, gets the processor at once when it wakes, and is
//! turned out of it sooner; how much of it each gets in the long run is as before. So an answer waits
//! neither for a bcrypt thread nor for the turn of a database on the same machine. It has its price:
//! clients and databases are interrupted more often. An older Linux takes no notice, and elsewhere
//! nothing is asked.

use std::cell::Cell;
use std::io;
#[cfg(target_os = "linux")]
use std::sync::OnceLock;
#[cfg(target_os = "linux")]
use std::time::Duration;

/// The shortest turn that Linux gives; the usual one is some milliseconds.
#[cfg(target_os = "linux")]
const SHORT: Duration = Duration::from_micros(100);

/// How long the turns of a thread are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turns {
    /// As long as they were when the first thread asked.
    Usual,
    /// As short as can be.
    Short,
}

thread_local! {
    /// What the thread asked for; at first what it has from the one that started it.
    static ASKED: Cell<Option<Turns>> = const { Cell::new(None) };
}

/// Asks for such turns of the calling thread, unless it has asked for them already.
///
/// # Errors
/// When the system refuses, as in a sandbox that does not know the call. The thread then goes on as
/// before, and asks no more until other turns are wanted.
pub fn ask_for(turns: Turns) -> io::Result<()> {
    if ASKED.replace(Some(turns)) == Some(turns) {
        return Ok(());
    }
    set(turns)
}

#[cfg(target_os = "linux")]
fn set(turns: Turns) -> io::Result<()> {
    /// As an operator may have set them.
    static USUAL: OnceLock<u64> = OnceLock::new();
    const OWN: uapi::c::pid_t = 0;
    let mut attributes = uapi::sched_getattr(OWN, 0)?;
    let usual = *USUAL.get_or_init(|| attributes.sched_runtime);
    attributes.sched_runtime = match turns {
        Turns::Usual => usual,
        Turns::Short => u64::try_from(SHORT.as_nanos()).unwrap_or(u64::MAX),
    };
    Ok(uapi::sched_setattr(OWN, &attributes, 0)?)
}

#[cfg(not(target_os = "linux"))]
fn set(_turns: Turns) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
pub(crate) mod tests {
    use super::*;

    /// The turns of the calling thread.
    pub(crate) fn own() -> Duration {
        let attributes = uapi::sched_getattr(0, 0).unwrap();
        Duration::from_nanos(attributes.sched_runtime)
    }

    /// The turns of a thread that asked for short ones, where this Linux gives them.
    pub(crate) fn short() -> Option<Duration> {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
        (Some((number()?, number()?)) >= Some((6, 12))).then_some(SHORT)
    }

    #[test]
    fn a_thread_gets_short_turns_where_linux_gives_them_and_others_keep_theirs() {
        let before = own();
        let asked = std::thread::spawn(|| {
            [Turns::Usual, Turns::Short, Turns::Usual].map(|turns| {
                ask_for(turns).unwrap();
                own()
            })
        });
        assert_eq!(
            asked.join().unwrap(),
            [before, short().unwrap_or(before), before]
        );
        assert_eq!(own(), before);
    }
}
