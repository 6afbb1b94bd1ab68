//! What the program tells about itself: log lines and metrics.
//!
//! Fields of spans and events have one spelling: `client.id`, `user.id` (never the name),
//! `grant.type`, `oauth.error`, `actor.name`, `store.op`, `http.route` (the template, not the
//! path), `request.id`, `duration_ms`, `error` (with its sources). Never logged: token values,
//! secrets, passwords, bodies, query strings, names and addresses of people.
//!
//! What does not live here: what is told and when; every room does that itself.

pub mod chain;
mod line_writer;
pub mod metrics;
pub mod sparing;

use std::io;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use line_writer::LinesTo;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The filter is not one of `tracing`'s.
    #[error("the log filter cannot be read: {0}")]
    Filter(#[from] ParseError),
    /// The process logs already.
    #[error("the process has a log subscriber already")]
    AlreadyStarted,
}

/// Sends log lines that pass `filter` to standard error, for the whole process; also those of
/// libraries that use `log`.
///
/// warp logs bad query strings, which may hold tokens, at debug. So it is kept to `info` unless
/// the filter names it.
///
/// # Errors
/// [`StartError::Filter`] when the filter cannot be read, [`StartError::AlreadyStarted`] when the
/// process has a subscriber.
pub fn start(filter: &str, format: LineFormat) -> Result<(), StartError> {
    let filter = parse_filter(filter)?;
    let started = match format {
        LineFormat::Text => text_lines(filter, io::stderr).try_init(),
        LineFormat::Json => json_lines(filter, io::stderr).try_init(),
    };
    started.map_err(|_| StartError::AlreadyStarted)
}

// Errors of the writer would be printed with `eprintln!`, which panics where standard error cannot
// be written to; the writer has none.
fn text_lines<M>(filter: EnvFilter, writer: M) -> impl Subscriber + Send + Sync
where
    M: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(LinesTo(writer))
        .finish()
}

fn json_lines<M>(filter: EnvFilter, writer: M) -> impl Subscriber + Send + Sync
where
    M: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_list(false)
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(LinesTo(writer))
        .finish()
}

fn parse_filter(text: &str) -> Result<EnvFilter, ParseError> {
    let filter = EnvFilter::builder().with_regex(false).parse(text)?;
    if text.split(',').any(names_warp) {
        return Ok(filter);
    }
    // A directive holds for every target that begins with its own: without the colons it would be
    // our own crate's too.
    Ok(filter.add_directive("warp::=info".parse()?))
}

fn names_warp(directive: &str) -> bool {
    let target = directive.split(['=', '[']).next();
    target.is_some_and(|target| target == "warp" || target.starts_with("warp::"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::subscriber::with_default;

    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn logged(filter: &str, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = parse_filter(filter).unwrap();
        with_default(text_lines(filter, move || writer.clone()), log);
        lines.text()
    }

    fn two_debug_events() {
        tracing::debug!(target: "warp::filters::query", "a query string");
        tracing::debug!(target: "warp_sentinel::server", "an event of ours");
    }

    #[test]
    fn warp_is_kept_quiet_and_we_are_not() {
        for filter in ["debug", "warp_sentinel=debug", "trace,hyper=info"] {
            let text = logged(filter, two_debug_events);
            assert!(!text.contains("a query string"), "{filter}: {text}");
            assert!(text.contains("an event of ours"), "{filter}: {text}");
        }
    }

    #[test]
    fn a_filter_that_names_warp_is_obeyed() {
        for filter in ["info,warp=debug", "info,warp::filters=trace"] {
            let text = logged(filter, two_debug_events);
            assert!(text.contains("a query string"), "{filter}: {text}");
        }
    }

    #[test]
    fn no_field_can_forge_a_line() {
        let forged = "x\n2026-01-01T00:00:00Z ERROR forged\x1b[2J";
        let text = logged("info", || {
            tracing::info!(client.id = %forged, other = forged, "message {forged}");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.contains('\x1b'), "{text}");
    }

    #[test]
    fn a_json_line_is_one_object_with_its_span() {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = parse_filter("info").unwrap();
        with_default(json_lines(filter, move || writer.clone()), || {
            let _span = tracing::info_span!("request", request.id = "r1").entered();
            tracing::info!(client.id = "a\n\u{7f}\u{9b}b", "issued");
        });
        let text = lines.text();
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert_eq!(line["client.id"], "a\n\u{7f}\u{9b}b");
        assert_eq!(line["message"], "issued");
        assert_eq!(line["span"]["request.id"], "r1");
        assert!(!text.contains('\u{9b}'));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_refused() {
        assert!(matches!(
            start("a=b=c", LineFormat::Text),
            Err(StartError::Filter(_))
        ));
    }
}
