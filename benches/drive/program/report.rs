//! The whole run: as JSON, and as a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use serde::Serialize;

use super::Outcome;
use super::arguments::{Arguments, HttpVersion};
use super::arrivals::Arrivals;
use super::ask::Fault;
use super::driver::Driver;
use super::figures::{Figures, Percentiles, Processor, Second};
use super::kind::Kind;
use super::tally::{Part, Tally};
use super::watch::Seen;

/// What is written to `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What was asked for.
    pub(crate) configuration: Configuration,
    /// Each kind of the mix.
    pub(crate) kinds: BTreeMap<Kind, Figures>,
    /// All of them together.
    pub(crate) all: Figures,
    /// Connections that were made anew after the first ones.
    pub(crate) connections_remade: u64,
    /// Logins that are no part of the load.
    pub(crate) logins_beside: u64,
    /// What the server's process used.
    pub(crate) processor: Option<Processor>,
    /// Each second; what was answered after the last one is in the sums alone.
    pub(crate) seconds: Vec<Second>,
}

/// The command line, without what is secret.
#[derive(Debug, Serialize)]
pub(crate) struct Configuration {
    url: String,
    token_path: String,
    verify_path: String,
    http: HttpVersion,
    connections: u16,
    streams: Option<u16>,
    users: usize,
    pub(crate) mix: String,
    closed: bool,
    rate: Option<f64>,
    arrivals: Option<Arrivals>,
    pub(crate) seconds: u32,
    warm_up: u32,
    timeout: u32,
    late_ms: u32,
    seed: u64,
}

impl Report {
    /// Puts together what was found.
    ///
    /// # Errors
    /// None but a defect of this program.
    pub(crate) fn of(
        arguments: &Arguments,
        driver: &Driver,
        tally: &Tally,
        seen: Seen,
    ) -> Outcome<Self> {
        let mut all = Part::new()?;
        for counts in tally.counts().values() {
            all.add(&counts.run)?;
        }
        let length = arguments.measured();
        let kinds = tally.counts();
        let kinds = kinds.iter();
        let opened = driver.opened.load(Ordering::Relaxed);
        Ok(Self {
            configuration: Configuration::of(arguments)?,
            kinds: kinds
                .map(|(kind, counts)| (*kind, Figures::of(&counts.run, length)))
                .collect(),
            all: Figures::of(&all, length),
            connections_remade: opened.saturating_sub(u64::from(arguments.connections)),
            logins_beside: driver.logins_beside.load(Ordering::Relaxed),
            processor: seen.processor,
            seconds: seen.seconds,
        })
    }

    /// Whether every answer was what its status says.
    pub(crate) fn is_well_formed(&self) -> bool {
        !self
            .all
            .by_cause
            .contains_key(&Fault::Malformed.to_string())
    }

    /// The table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{:<8} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>9} {:>7} {:>7} {:>7} {:>7}\n",
            "kind",
            "count",
            "good/s",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "errors",
            "503",
            "late",
            "unsent"
        );
        let kinds = self
            .kinds
            .iter()
            .map(|(kind, figures)| (kind.name(), figures));
        for (name, figures) in kinds.clone().chain([("all", &self.all)]) {
            table.push_str(&row(name, figures));
        }
        for (name, figures) in kinds {
            for (cause, count) in &figures.by_cause {
                let _ = writeln!(table, "{name}: {cause} {count} times");
            }
        }
        let waits = [
            ("sent", self.all.wait_ms),
            ("taken up by this program", self.all.delay_ms),
        ];
        for (until, wait) in waits {
            if let Some(Percentiles { p50, p99, max, .. }) = wait {
                let _ = writeln!(
                    table,
                    "from due until {until}: p50 {p50:.3} ms, p99 {p99:.3} ms, max {max:.3} ms"
                );
            }
        }
        let _ = writeln!(table, "connections made anew: {}", self.connections_remade);
        let _ = writeln!(table, "logins beside the load: {}", self.logins_beside);
        if let Some(processor) = self.processor {
            let _ = writeln!(
                table,
                "server: {:.1} us of processor time for each answer, {:.1} us waiting for a \
                 processor, {:.2} processors busy",
                processor.micros_per_answer, processor.waiting_micros_per_answer, processor.busy
            );
        }
        table
    }
}

impl Configuration {
    fn of(arguments: &Arguments) -> Outcome<Self> {
        let is_open = !arguments.closed;
        let is_multiplexed = arguments.http == HttpVersion::Two;
        let mut url = arguments.url.clone();
        // Whatever is in it, credentials are not for a file.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self {
            url: url.to_string(),
            token_path: arguments.token_path.clone(),
            verify_path: arguments.verify_path.clone(),
            http: arguments.http,
            connections: arguments.connections,
            streams: is_multiplexed.then_some(arguments.streams),
            users: arguments.users()?.len(),
            mix: arguments.mix.to_string(),
            closed: arguments.closed,
            rate: is_open.then_some(arguments.rate),
            arrivals: is_open.then_some(arguments.arrivals),
            seconds: arguments.seconds,
            warm_up: arguments.warm_up,
            timeout: arguments.timeout,
            late_ms: arguments.late,
            seed: arguments.seed,
        })
    }

    /// What was asked for, in a line.
    pub(crate) fn summary(&self) -> String {
        let load = match (self.rate, self.arrivals) {
            (Some(rate), Some(Arrivals::Constant)) => format!("{rate}/s, constant"),
            (Some(rate), _) => format!("{rate}/s, Poisson"),
            (None, _) => "closed loop".to_owned(),
        };
        let version = match self.http {
            HttpVersion::One => "HTTP/1.1",
            HttpVersion::Two => "HTTP/2",
        };
        let connections = self.connections;
        format!(
            "{}, {load}, {connections} connections of {version}",
            self.mix
        )
    }
}

fn row(name: &str, figures: &Figures) -> String {
    let shown = figures.latency_ms.map_or_else(
        || std::array::from_fn(|_| "-".to_owned()),
        |ms| [ms.p50, ms.p90, ms.p99, ms.p999, ms.max].map(|ms| format!("{ms:.3}")),
    );
    let [p50, p90, p99, p999, max] = shown;
    format!(
        "{name:<8} {:>9} {:>10.1} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {max:>9} {:>7} {:>7} {:>7} \
         {:>7}\n",
        figures.count,
        figures.per_second,
        figures.errors,
        figures.unavailable,
        figures.late,
        figures.unsent,
    )
}
