//! `sentinel dev`: the whole server on this machine alone, with all that is needed to try it.

use std::net::{Ipv4Addr, Ipv6Addr};

use warp::Filter;

use super::exit::Failure;
use super::flags::ServerFlags;
use super::output;
use super::serve::{note_listening, prepare};
use super::signals::{CutShort, ShutdownTold, Signals};
use crate::sentinel::Sentinel;
use crate::sentinel::dev::{DevFacts, DevUser};
use crate::sentinel::serving::Stop;
use crate::settings::sources::Mode;
use crate::settings::{ListenAddress, Settings, TlsSettings};

/// What the protected demo resource says, as Flask-Sentinel's example did.
const DEMO: &str = "You made it through and accessed the protected resource!";

/// Runs it until a signal says stop.
///
/// # Errors
/// Why it did not start, or did not go on.
pub(super) async fn dev(flags: ServerFlags) -> Result<(), Failure> {
    let settings = prepare(&flags.sources(Mode::Dev))?;
    let mut signals = Signals::listen().map_err(Failure::Runtime)?;
    let start = Sentinel::start_dev(settings.clone());
    let Some(started) = Box::pin(signals.attend_start(start)).await else {
        return Ok(());
    };
    let (sentinel, facts) = started?;
    let listening = sentinel.listen().await?;
    note_listening(&listening);
    let demo = warp::path!("endpoint")
        .and(warp::get())
        .and(sentinel.require_oauth())
        .map(|_grant| warp::Reply::into_response(DEMO));
    let routes = demo.or(sentinel.routes()).unify().boxed();
    output::print(&welcome(&settings, &facts, &listening.address.to_string()))?;
    let handle = sentinel.clone();
    let ended = signals
        .attend(
            async || handle.reload(),
            |told| sentinel.run(listening, routes, without_notice(told)),
        )
        .await;
    ended
        .map_err(|CutShort| Failure::CutShort)?
        .map_err(Failure::from)
}

// There is no balancer before it, and nobody who wants to wait for one.
async fn without_notice(told: ShutdownTold) -> Stop {
    told.await;
    Stop::WithoutNotice
}

/// How this server is reached.
struct Reach {
    /// `https://localhost:5000`.
    origin: String,
    /// Options of curl before everything else, each followed by a blank.
    curl: String,
}

impl Reach {
    /// `address` is what the listener is bound to, its port the real one.
    fn new(settings: &Settings, address: &str) -> Self {
        let (scheme, unverified) = match settings.server.tls {
            TlsSettings::Off => ("http", ""),
            TlsSettings::Files { .. } | TlsSettings::AdHoc { .. } => ("https", "-k "),
        };
        match &settings.server.listen {
            ListenAddress::Tcp(listen) => {
                let port = address.rsplit_once(':').map_or("", |(_, port)| port);
                // Only these are reached by the name, which is that of the certificate.
                let ip = listen.ip();
                let is_named = ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
                let host = if is_named || ip.is_unspecified() {
                    "localhost"
                } else {
                    address.rsplit_once(':').map_or(address, |(host, _)| host)
                };
                Self {
                    origin: format!("{scheme}://{host}:{port}"),
                    curl: unverified.to_owned(),
                }
            }
            ListenAddress::Unix(path) => Self {
                origin: format!("{scheme}://localhost"),
                curl: format!("{unverified}--unix-socket {} ", path.display()),
            },
        }
    }
}

fn welcome(settings: &Settings, facts: &DevFacts, address: &str) -> String {
    let Reach { origin, curl } = Reach::new(settings, address);
    let endpoints = &settings.endpoints;
    let prefix = &endpoints.route_prefix;
    let console = match (&endpoints.management_path, &settings.server.tls) {
        (None, _) => "off, by SENTINEL_MANAGEMENT_URL".to_owned(),
        // A proxy may end TLS, and then knows the address.
        (Some(_), TlsSettings::Off) => format!(
            "over HTTPS only, which is off by SENTINEL_TLS\n{}",
            credentials(settings, facts)
        ),
        (Some(path), _) => format!("{origin}{prefix}{path}\n{}", credentials(settings, facts)),
    };
    let token = match &endpoints.token_path {
        Some(path) => format!(
            "curl {curl}-X POST \
             -d \"client_id={}&grant_type=password&username=jonas&password={}\" \
             {origin}{prefix}{path}",
            facts.client_id,
            if facts.user.has_known_password {
                "pass"
            } else {
                "PASSWORD"
            }
        ),
        None => "(the token endpoint is off, by SENTINEL_TOKEN_URL)".to_owned(),
    };
    format!(
        "This server is for development only{}\n\
         {}\n\
         Console:  {console}\n\
         \n\
         Get a token, then use it in place of TOKEN:\n\
         \n\
         {token}\n\
         curl {curl}-H \"Authorization: Bearer TOKEN\" {origin}/endpoint\n",
        state(facts.user),
        exposure(settings)
    )
}

/// How the user is, to follow what the server is for.
fn state(user: DevUser) -> String {
    let password = if user.has_known_password {
        ": anyone knows its user jonas and the password pass."
    } else {
        ".\nIts user jonas has another password than pass: write it in place of PASSWORD."
    };
    let standing = if user.is_disabled {
        "\nIts user jonas is disabled and gets no token: enable it in the console."
    } else {
        ""
    };
    format!("{password}{standing}")
}

/// What is to be said when other machines can reach a server whose password anyone knows.
fn exposure(settings: &Settings) -> &'static str {
    match &settings.server.listen {
        ListenAddress::Tcp(address) if !address.ip().is_loopback() => {
            "Other machines can reach it: listen on 127.0.0.1 unless you mean that.\n"
        }
        ListenAddress::Tcp(_) | ListenAddress::Unix(_) => "",
    }
}

fn credentials(settings: &Settings, facts: &DevFacts) -> String {
    let username = &facts.console_username;
    // A password that someone chose is not ours to show, and may be a hash.
    let password = match settings.management {
        Some(_) => "as set in SENTINEL_MANAGEMENT_PASSWORD",
        None => facts.console_password.expose(),
    };
    format!("username: {username}\npassword: {password}")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;
    use crate::settings::sources::{ConfigSource, Sources};

    const FRESH: DevUser = DevUser {
        has_known_password: true,
        is_disabled: false,
    };

    fn text(pairs: &[(&str, &str)], address: &str) -> String {
        text_with(FRESH, pairs, address)
    }

    fn text_with(user: DevUser, pairs: &[(&str, &str)], address: &str) -> String {
        let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
        let sources = Sources {
            mode: Mode::Dev,
            flags: Vec::new(),
            environment: pairs.iter().map(pair).collect(),
            config: ConfigSource::Optional(PathBuf::from("/nonexistent/sentinel.toml")),
        };
        let facts = DevFacts {
            user,
            client_id: "c1".to_owned(),
            console_username: "admin".to_owned(),
            console_password: crate::settings::secret::Secret::new("made-up"),
        };
        welcome(&Settings::load(&sources).unwrap().settings, &facts, address)
    }

    #[track_caller]
    fn assert_has_line(text: &str, expected: &str) {
        assert!(
            text.lines().any(|line| line == expected),
            "{expected}\n--\n{text}"
        );
    }

    #[test]
    fn the_lines_of_the_documents_are_filled_in() {
        let text = text(&[], "127.0.0.1:5000");
        assert!(!text.contains("Other machines"), "{text}");
        for line in [
            "Console:  https://localhost:5000/oauth/management",
            "username: admin",
            "password: made-up",
            "curl -k -X POST -d \
             \"client_id=c1&grant_type=password&username=jonas&password=pass\" \
             https://localhost:5000/oauth/token",
            "curl -k -H \"Authorization: Bearer TOKEN\" https://localhost:5000/endpoint",
        ] {
            assert_has_line(&text, line);
        }
        assert!(text.contains("for development only"), "{text}");
    }

    #[test]
    fn a_user_that_was_changed_is_promised_nothing() {
        let changed = DevUser {
            has_known_password: false,
            is_disabled: true,
        };
        let text = text_with(changed, &[], "127.0.0.1:5000");
        for line in [
            "This server is for development only.",
            "Its user jonas has another password than pass: write it in place of PASSWORD.",
            "Its user jonas is disabled and gets no token: enable it in the console.",
            "curl -k -X POST -d \
             \"client_id=c1&grant_type=password&username=jonas&password=PASSWORD\" \
             https://localhost:5000/oauth/token",
        ] {
            assert_has_line(&text, line);
        }
        assert!(!text.contains("anyone knows"), "{text}");
    }

    #[test]
    fn plain_http_another_prefix_and_the_real_port_show() {
        let pairs = [
            ("SENTINEL_TLS", "off"),
            ("SENTINEL_LISTEN", "[::1]:0"),
            ("SENTINEL_ROUTE_PREFIX", "/id"),
        ];
        let text = text(&pairs, "[::1]:40123");
        assert_has_line(
            &text,
            "curl -X POST -d \
             \"client_id=c1&grant_type=password&username=jonas&password=pass\" \
             http://localhost:40123/id/token",
        );
        let use_it = "curl -H \"Authorization: Bearer TOKEN\" http://localhost:40123/endpoint";
        assert_has_line(&text, use_it);
    }

    #[test]
    fn without_tls_no_address_of_the_console_is_promised() {
        let text = text(&[("SENTINEL_TLS", "off")], "127.0.0.1:5000");
        assert_has_line(
            &text,
            "Console:  over HTTPS only, which is off by SENTINEL_TLS",
        );
    }

    #[test]
    fn an_address_that_localhost_does_not_reach_is_shown() {
        let own = text(&[("SENTINEL_LISTEN", "127.0.0.2:5000")], "127.0.0.2:5000");
        assert!(own.contains(" https://127.0.0.2:5000/oauth/token"), "{own}");
        assert!(!own.contains("Other machines"), "{own}");
        let text = text(&[("SENTINEL_LISTEN", "192.0.2.7:5000")], "192.0.2.7:5000");
        assert!(
            text.contains("https://192.0.2.7:5000/oauth/token"),
            "{text}"
        );
        assert!(text.contains("\nOther machines can reach it"), "{text}");
    }

    #[test]
    fn a_socket_is_given_to_curl() {
        let pairs = [("SENTINEL_LISTEN", "unix:/run/s.sock")];
        let text = text(&pairs, "unix:/run/s.sock");
        let use_it = "curl -k --unix-socket /run/s.sock \
                      -H \"Authorization: Bearer TOKEN\" https://localhost/endpoint";
        assert_has_line(&text, use_it);
    }

    #[test]
    fn a_password_that_was_set_is_not_shown() {
        let pairs = [
            ("SENTINEL_MANAGEMENT_USERNAME", "admin"),
            ("SENTINEL_MANAGEMENT_PASSWORD", "made-up"),
        ];
        let text = text(&pairs, "127.0.0.1:5000");
        assert!(!text.contains("made-up"), "{text}");
        assert_has_line(&text, "password: as set in SENTINEL_MANAGEMENT_PASSWORD");
    }
}
