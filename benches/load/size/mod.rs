//! Does a verification, a login or a refresh cost more with much data than with little? Two
//! databases on one mongod, a server before each, asked in turns.

mod contestant;
mod fill;

use super::Outcome;
use super::plan::Plan;
use super::process::{Process, Role};
use super::report::{Report, Target, median};
use super::round::Round;
use super::stores::Stores;
use contestant::{Contestant, Deed};
use fill::Templates;

/// With much data a request costs and takes at most this many times what it does with little.
const LIMIT: f64 = 1.1;
/// Tokens in the small database.
const FEW_TOKENS: usize = 1_000;

/// Fills both databases and measures.
///
/// # Errors
/// When a request fails.
pub(crate) async fn measure(plan: &Plan, stores: &Stores, report: &mut Report) -> Outcome<()> {
    let (small, large) = (stores.beside("small"), stores.beside("large"));
    let templates = {
        let process = Process::start(Role::Sized(small.clone()))?;
        Templates::of(&process, &small).await?
    };
    let mut contestants = Vec::new();
    for (stores, tokens) in [(small, FEW_TOKENS), (large, plan.size_tokens)] {
        let filling = fill::fill(&stores, &templates, tokens).await?;
        let process = Process::start(Role::Sized(stores.clone()))?;
        contestants.push(Contestant::new(plan, process, stores, filling).await?);
    }
    for deed in Deed::ALL {
        let mut rounds = [Vec::new(), Vec::new()];
        for index in 0..plan.verify_rounds {
            // A B, B A, ...: what changes over time changes both.
            for turn in [index % 2, 1 - index % 2] {
                if let (Some(own), Some(all)) = (contestants.get(turn), rounds.get_mut(turn)) {
                    all.push(own.run(deed, index).await?);
                }
            }
            report.note_progress(deed.name(), index + 1, plan.verify_rounds);
        }
        judge(deed, &rounds, report);
    }
    Ok(())
}

/// A round, and what mongod's processor time was in it.
struct SizeRound {
    server: Round,
    mongod_micros_each: f64,
}

fn judge(deed: Deed, rounds: &[Vec<SizeRound>; 2], report: &mut Report) {
    let name = deed.name();
    let mut ratio = |figure: &str, of: fn(&SizeRound) -> f64| {
        let [small, large] = rounds;
        for (size, rounds) in [("small", small), ("large", large)] {
            let label = format!("size/{name}/{figure}/{size}");
            report.tell(label, median(rounds.iter().map(of)));
        }
        let pairs = small.iter().zip(large);
        median(pairs.map(|(small, large)| of(large) / of(small)))
    };
    let processor = ratio("processor_us", |round| round.server.processor_micros_each());
    let p50 = ratio("p50_us", |round| round.server.micros(50));
    let mongod = ratio("mongod_us", |round| round.mongod_micros_each);
    for (figure, ratio) in [("processor", processor), ("p50", p50)] {
        let label = format!("size/{name}/{figure}_ratio");
        report.judge(label, ratio, Target::AtMost(LIMIT));
    }
    // Beside what is judged: it has work of its own at the same time.
    report.tell(format!("size/{name}/mongod_ratio"), mongod);
}
