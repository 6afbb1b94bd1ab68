//! The command line.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use hyper::StatusCode;
use serde::Serialize;
use url::Url;

use super::Outcome;
use super::arrivals::Arrivals;
use super::mix::Mix;
use super::session::User;

/// Drive a running OAuth 2.0 server and tell how fast it answers.
///
/// Requests are due at a set rate and are sent whether or not earlier ones are answered; each
/// latency counts from the moment at which the request was due. With --closed each connection
/// sends its next request when the last one is answered.
///
/// Users are dealt to the kinds of the mix in turns: verifications, refreshes, logins. Ours, as
/// Flask-Sentinel, keeps one session for each user and client, and a login or a refresh ends the
/// tokens before it; with fewer users than there are such kinds they share, and some requests meet
/// a token that has just ended. A refresh token is used once, so no more refreshes are under way
/// than there are sessions to refresh: give as many users as you have connections.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "drive",
    bin_name = "cargo bench --bench drive --",
    max_term_width = 100,
    group = ArgGroup::new("loop").args(["rate", "closed"])
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag by itself")]
pub(crate) struct Arguments {
    /// The server, with the prefix of its paths, if they have one.
    #[arg(long, value_name = "URL")]
    pub(crate) url: Url,
    /// Client identifier.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// Secret of a confidential client.
    #[arg(long, value_name = "SECRET")]
    pub(crate) client_secret: Option<String>,
    /// How the secret is sent.
    #[arg(long, value_enum, default_value_t = SecretIn::Basic, value_name = "WHERE")]
    pub(crate) client_secret_in: SecretIn,
    /// A user, as name:password; repeat it for more. The same one again is a further session, for
    /// a server that keeps several.
    #[arg(long, value_name = "USER")]
    pub(crate) user: Vec<User>,
    /// A file of users, one name:password a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) users_file: Option<PathBuf>,
    /// The scope that a login asks for.
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,

    /// Path of the token endpoint.
    #[arg(long, value_name = "PATH", default_value = "/oauth/token")]
    pub(crate) token_path: String,
    /// Path that a bearer token opens to GET.
    #[arg(long, value_name = "PATH", default_value = "/oauth/verify")]
    pub(crate) verify_path: String,
    /// Status with which it does.
    #[arg(long, value_name = "STATUS", default_value = "204")]
    pub(crate) verify_status: StatusCode,

    /// Trust the certificates of this PEM file alone.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Accept any certificate.
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Drive a server that is not on this machine. It must be your own.
    #[arg(long)]
    pub(crate) yes_remote: bool,
    /// Version of HTTP; without TLS, 2 is spoken from the first byte.
    #[arg(long, value_enum, default_value_t = HttpVersion::One)]
    pub(crate) http: HttpVersion,
    /// Keep-alive connections.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) connections: u16,
    /// Open a connection with its first request, not before: for a server that serves no other
    /// connection while one is idle.
    #[arg(long)]
    pub(crate) open_late: bool,
    /// Requests under way on one connection of HTTP/2.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) streams: u16,

    /// Weights of the kinds of requests.
    #[arg(
        long,
        value_name = "MIX",
        default_value = "verify=90,refresh=9,login=1"
    )]
    pub(crate) mix: Mix,
    /// Requests a second.
    #[arg(long, value_name = "R", default_value_t = 100.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// Keep each connection busy instead.
    #[arg(long)]
    pub(crate) closed: bool,
    /// How requests follow each other at a rate.
    #[arg(long, value_enum, default_value_t = Arrivals::Constant)]
    pub(crate) arrivals: Arrivals,
    /// Seconds that are measured.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
    /// Seconds of the same load before that.
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) warm_up: u32,
    /// Seconds after which a request is given up, and for which the last ones are awaited.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) timeout: u32,
    /// Milliseconds after its moment at which a request is sent late.
    #[arg(long, value_name = "MS", default_value_t = 1)]
    pub(crate) late: u32,
    /// What chooses kinds and moments; the same seed repeats them.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads of this program; by default one for each core.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: Option<u16>,

    /// The server's process, for its processor time per request (Linux, same machine); repeat it
    /// for a server of several processes.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// Write everything that was measured to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Plot latencies and throughput over time into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

/// A version of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum HttpVersion {
    /// HTTP/1.1.
    #[value(name = "1")]
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2.
    #[value(name = "2")]
    #[serde(rename = "2")]
    Two,
}

/// Where a client secret travels (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SecretIn {
    /// In an `Authorization` header.
    Basic,
    /// In the form.
    Body,
}

impl Arguments {
    /// All users, in the order in which they are dealt.
    ///
    /// # Errors
    /// A file that cannot be read, a line that names no user, or no user at all.
    pub(crate) fn users(&self) -> Outcome<Vec<User>> {
        let mut users = self.user.clone();
        if let Some(file) = &self.users_file {
            let text =
                fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
            for (index, line) in text.lines().enumerate() {
                let user = line
                    .parse()
                    .map_err(|error| format!("{}, line {}: {error}", file.display(), index + 1))?;
                users.push(user);
            }
        }
        if users.is_empty() {
            return Err("somebody has to log in: --user NAME:PASSWORD".into());
        }
        Ok(users)
    }

    /// How many requests may be under way.
    pub(crate) fn slots(&self) -> usize {
        let each = match self.http {
            HttpVersion::One => 1,
            HttpVersion::Two => self.streams,
        };
        usize::from(self.connections) * usize::from(each)
    }

    /// From the first request until the measured ones.
    pub(crate) fn warm_up(&self) -> Duration {
        Duration::from_secs(self.warm_up.into())
    }

    /// From the first measured request to the last one.
    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// How long an answer is awaited.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(rate),
        _ => Err("a rate is above 0 and at most 1000000".to_owned()),
    }
}
