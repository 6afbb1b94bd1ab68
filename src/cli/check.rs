//! `sentinel check`: whether the server could run, one line for each thing it needs.

use super::exit::Failure;
use super::flags::SourceFlags;
use super::output::{self, printable};
use crate::sentinel::check::{self, CheckFault, CheckLine};
use crate::settings::Settings;
use crate::settings::fault::SettingsError;
use crate::settings::sources::Mode;

/// Looks at everything, and tells it.
///
/// # Errors
/// [`Failure::Unfit`] when something has to be mended, or else [`Failure::StoreAway`].
pub(super) async fn check(flags: SourceFlags) -> Result<(), Failure> {
    let loaded = match Settings::load(&flags.sources(Mode::Serve)) {
        Ok(loaded) => loaded,
        Err(error) => {
            output::print(&fault_lines(&error))?;
            return Err(Failure::Unfit);
        }
    };
    output::print(&good_line("settings", "accepted", &loaded.warnings))?;
    let lines = check::check(&loaded.settings).await;
    for line in &lines {
        output::print(&text_of(line))?;
    }
    verdict(&lines)
}

fn verdict(lines: &[CheckLine]) -> Result<(), Failure> {
    let faults = || lines.iter().filter_map(|line| line.result.as_ref().err());
    // A store may come back by itself; what has to be mended will not.
    if faults().any(|fault| matches!(fault, CheckFault::Configuration(_))) {
        return Err(Failure::Unfit);
    }
    if faults().next().is_some() {
        return Err(Failure::StoreAway);
    }
    Ok(())
}

fn text_of(line: &CheckLine) -> String {
    match &line.result {
        Ok(finding) => good_line(&line.name, &finding.text, &finding.warnings),
        Err(fault) => bad_line(&line.name, &fault.to_string()),
    }
}

fn fault_lines(error: &SettingsError) -> String {
    let faults = error.faults.iter();
    let lines: Vec<String> = faults
        .map(|fault| bad_line("settings", &fault.to_string()))
        .collect();
    lines.join("\n")
}

fn good_line(name: &str, text: &str, warnings: &[String]) -> String {
    let mut lines = vec![format!("ok       {name}: {}", printable(text))];
    for warning in warnings {
        lines.push(format!("warning  {name}: {}", printable(warning)));
    }
    lines.join("\n")
}

fn bad_line(name: &str, text: &str) -> String {
    format!("FAILED   {name}: {}", printable(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::check::Finding;

    fn good() -> CheckLine {
        CheckLine {
            name: "Redis h:1".to_owned(),
            result: Ok(Finding {
                text: "answers".to_owned(),
                warnings: vec!["maxmemory is not set".to_owned()],
            }),
        }
    }

    fn bad(fault: CheckFault) -> CheckLine {
        CheckLine {
            name: "MongoDB".to_owned(),
            result: Err(fault),
        }
    }

    #[test]
    fn warnings_stand_below_what_they_are_about_and_fail_nothing() {
        let text = "ok       Redis h:1: answers\nwarning  Redis h:1: maxmemory is not set";
        assert_eq!(text_of(&good()), text);
        assert!(verdict(&[good()]).is_ok());
    }

    #[test]
    fn what_has_to_be_mended_outweighs_a_store_that_is_away() {
        let away = || bad(CheckFault::Unreachable("no\nanswer".to_owned()));
        let unfit = || bad(CheckFault::Configuration("no such file".to_owned()));
        assert_eq!(text_of(&away()), "FAILED   MongoDB: no\\nanswer");
        assert!(matches!(
            verdict(&[good(), away()]),
            Err(Failure::StoreAway)
        ));
        assert!(matches!(verdict(&[away(), unfit()]), Err(Failure::Unfit)));
    }
}
