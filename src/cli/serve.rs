//! `sentinel serve`: the server as production runs it.

use super::exit::Failure;
use super::flags::ServerFlags;
use super::signals::{CutShort, Signals};
use crate::sentinel::Sentinel;
use crate::sentinel::serving::Listening;
use crate::settings::load::Loaded;
use crate::settings::sources::{Mode, Sources};
use crate::settings::{LogFormat, Settings};
use crate::telemetry::{self, LineFormat};

/// Runs it until a signal says stop.
///
/// # Errors
/// Why it did not start, or did not go on.
pub(super) async fn serve(flags: ServerFlags) -> Result<(), Failure> {
    let settings = prepare(&flags.sources(Mode::Serve))?;
    let mut signals = Signals::listen().map_err(Failure::Runtime)?;
    let Some(sentinel) = signals
        .attend_start(Box::pin(Sentinel::start(settings)))
        .await
    else {
        return Ok(());
    };
    let sentinel = sentinel?;
    let listening = sentinel.listen().await?;
    note_listening(&listening);
    let routes = sentinel.routes();
    let handle = sentinel.clone();
    let ended = signals
        .attend(
            async || handle.reload(),
            |told| sentinel.run(listening, routes, told),
        )
        .await;
    ended
        .map_err(|CutShort| Failure::CutShort)?
        .map_err(Failure::from)
}

/// Tells where the server and the metrics are: the system may have chosen the ports.
pub(super) fn note_listening(listening: &Listening) {
    tracing::info!(address = %listening.address, "listening");
    if let Some(address) = &listening.metrics_address {
        tracing::info!(%address, "listening for metrics");
    }
}

/// Loads the settings and begins the log, which hears of what should not stay so.
pub(super) fn prepare(sources: &Sources) -> Result<Settings, Failure> {
    let Loaded {
        settings, warnings, ..
    } = Settings::load(sources)?;
    let format = match settings.log.format {
        LogFormat::Text => LineFormat::Text,
        LogFormat::Json => LineFormat::Json,
    };
    telemetry::start(&settings.log.filter, format)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    Ok(settings)
}
