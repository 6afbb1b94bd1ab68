//! Figures as they are written and printed.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::ask::Fault;
use super::kind::Kind;
use super::schedule::Share;
use super::tally::Part;

/// Requests of one kind, or all, in some time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    /// All that were due and are over.
    pub(crate) count: u64,
    /// Those with a good answer.
    pub(crate) good: u64,
    /// Good answers a second, in the measured time.
    pub(crate) per_second: f64,
    /// From due to answered, of good answers and of silence.
    pub(crate) latency_ms: Option<Percentiles>,
    /// From due until this program took it up.
    pub(crate) delay_ms: Option<Percentiles>,
    /// From due to sent: the delay, and the wait for a session and a connection.
    pub(crate) wait_ms: Option<Percentiles>,
    /// Those that were sent late.
    pub(crate) late: u64,
    /// Those that were never sent.
    pub(crate) unsent: u64,
    /// Those that the server was too busy for.
    pub(crate) unavailable: u64,
    /// Those without a good answer for another cause.
    pub(crate) errors: u64,
    /// All without a good answer, by status or cause.
    pub(crate) by_cause: BTreeMap<String, u64>,
}

/// What share of latencies is at most how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    #[serde(rename = "p99.9")]
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// One second of the run: what was answered or given up in it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Second {
    /// Which one, from 1 on.
    pub(crate) number: u32,
    /// All kinds together.
    pub(crate) all: Figures,
    /// Each of them.
    pub(crate) kinds: BTreeMap<Kind, Figures>,
    /// Processor time of the server.
    pub(crate) processor_seconds: Option<f64>,
}

/// What the server's process had from the scheduler while the load lasted.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Processor {
    /// Answers of any kind and status.
    pub(crate) answers: u64,
    /// Processor time for each.
    pub(crate) micros_per_answer: f64,
    /// Time for each in which a thread of the server was ready, and had no processor.
    pub(crate) waiting_micros_per_answer: f64,
    /// Processors in use, on average.
    pub(crate) busy: f64,
}

impl Figures {
    /// The figures of `part`, which lasted this long.
    pub(crate) fn of(part: &Part, length: Duration) -> Self {
        let of = |fault: Fault| part.faults.get(&fault).copied().unwrap_or_default();
        let faults: u64 = part.faults.values().sum();
        let unavailable = of(Fault::Status(503));
        Self {
            count: part.good + faults,
            good: part.good,
            per_second: float(part.within) / length.as_secs_f64(),
            latency_ms: Percentiles::of(&part.latency),
            delay_ms: Percentiles::of(&part.delay),
            wait_ms: Percentiles::of(&part.wait),
            late: part.late,
            unsent: of(Fault::Unsent),
            unavailable,
            errors: faults - unavailable,
            by_cause: part
                .faults
                .iter()
                .map(|(fault, count)| (fault.to_string(), *count))
                .collect(),
        }
    }
}

impl Percentiles {
    /// Those of a histogram of microseconds, in milliseconds; none of nothing.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Option<Self> {
        let at = |quantile| float(histogram.value_at_quantile(quantile)) / 1e3;
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: at(1.0),
        })
    }
}

impl Processor {
    /// `share` for `answers` in this time.
    pub(crate) fn of(share: Share, answers: u64, length: Duration) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / float(answers.max(1));
        Self {
            answers,
            micros_per_answer: each(share.running),
            waiting_micros_per_answer: each(share.waiting),
            busy: share.running.as_secs_f64() / length.as_secs_f64(),
        }
    }
}

fn float(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
