//! The table of what was measured, and whether it is good enough.

use std::fmt;
use std::process::ExitCode;

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// It, or more.
    AtLeast(f64),
    /// It, or less.
    AtMost(f64),
    /// Less than it.
    Below(f64),
}

/// All figures so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    unmeasured: Vec<String>,
}

#[derive(Debug)]
struct Figure {
    label: String,
    measured: f64,
    target: Option<Target>,
}

impl Report {
    /// Adds a figure that has no target.
    pub(crate) fn tell(&mut self, label: String, measured: f64) {
        self.figures.push(Figure {
            label,
            measured,
            target: None,
        });
    }

    /// Adds a figure that has one.
    pub(crate) fn judge(&mut self, label: String, measured: f64, target: Target) {
        self.figures.push(Figure {
            label,
            measured,
            target: Some(target),
        });
    }

    /// Notes what is not measured, and why.
    pub(crate) fn skip(&mut self, what: &str, why: &str) {
        self.unmeasured.push(format!("{what}: not measured: {why}"));
    }

    /// Tells whoever waits how far it is.
    #[expect(clippy::unused_self, reason = "all that is said is said by the report")]
    pub(crate) fn note_progress(&self, part: &str, round: usize, rounds: usize) {
        eprintln!("{part}: round {round} of {rounds}");
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        println!("{:<40} {:>12} {:>10}", "figure", "measured", "target");
        for figure in &self.figures {
            let target = figure.target.map(|target| target.to_string());
            println!(
                "{:<40} {:>12} {:>10}  {}",
                figure.label,
                shown(figure.measured),
                target.unwrap_or_default(),
                figure.verdict()
            );
        }
        for line in &self.unmeasured {
            println!("{line}");
        }
    }

    /// Names what was missed, if anything.
    pub(crate) fn exit_code(&self, is_report_only: bool) -> ExitCode {
        let missed: Vec<&str> = self
            .figures
            .iter()
            .filter(|figure| !figure.is_met())
            .map(|figure| figure.label.as_str())
            .collect();
        if missed.is_empty() {
            return ExitCode::SUCCESS;
        }
        eprintln!("load: target missed: {}", missed.join(", "));
        if is_report_only {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

impl Figure {
    fn is_met(&self) -> bool {
        match self.target {
            None => true,
            Some(Target::AtLeast(target)) => self.measured >= target,
            Some(Target::AtMost(target)) => self.measured <= target,
            Some(Target::Below(target)) => self.measured < target,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            None => "",
            Some(_) if self.is_met() => "met",
            Some(_) => "MISSED",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(target) => write!(formatter, ">= {target}"),
            Self::AtMost(target) => write!(formatter, "<= {target}"),
            Self::Below(target) => write!(formatter, "< {target}"),
        }
    }
}

/// The median: a round that something else disturbed does not count. Without figures it is not a
/// number, which meets no target.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match (figures.get(middle), figures.len() % 2) {
        (None, _) => f64::NAN,
        (Some(upper), 1) => *upper,
        (Some(upper), _) => f64::midpoint(figures[middle - 1], *upper),
    }
}

/// A count as a figure.
pub(crate) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

fn shown(figure: f64) -> String {
    if figure >= 1_000.0 {
        format!("{figure:.0}")
    } else {
        format!("{figure:.3}")
    }
}
