//! The section of paths and names.

use std::net::IpAddr;

use url::{Host, Url};

use super::EndpointSettings;
use super::fault::Wrong;
use super::keys;
use super::reader::{Reader, as_boolean, plain_text};

/// What stands below the prefix already.
const TAKEN: [&str; 4] = [ERRORS, "/introspect", "/revoke", "/verify"];
/// Where the error page usually is.
const ERRORS: &str = "/errors";

/// Reads the section. `is_plain` says that the server itself does not speak TLS.
pub(super) fn endpoints(reader: &mut Reader, is_plain: Option<bool>) -> Option<EndpointSettings> {
    let route_prefix = reader.required(&keys::ROUTE_PREFIX, prefix);
    let token_path = reader.required(&keys::TOKEN_URL, path_or_false);
    let management_path = reader.required(&keys::MANAGEMENT_URL, path_or_false);
    let error_uri = reader.optional(&keys::ERROR_URI, error_uri);
    let is_error_uri_set = matches!(&error_uri, Some(Some(_)));
    let error_endpoint = reader.optional(&keys::ERROR_ENDPOINT, endpoint_name);
    let issuer = reader.optional(&keys::ISSUER, |text| issuer(text, is_plain.unwrap_or(true)));
    let (route_prefix, token_path) = (route_prefix?, token_path?);
    let management_path = management_path?;
    if token_path.is_some() && token_path == management_path {
        let mend = "give each a path of its own";
        reader.reject(
            &keys::MANAGEMENT_URL,
            Wrong::new(format!("is the path of {} too", keys::TOKEN_URL.name), mend),
        );
    }
    if route_prefix.is_empty() {
        for (key, path) in [
            (&keys::TOKEN_URL, &token_path),
            (&keys::MANAGEMENT_URL, &management_path),
        ] {
            if path.as_deref().is_some_and(is_taken_at_the_root) {
                let wrong = Wrong::new("is the path of another endpoint", "choose another path");
                reader.reject(key, wrong);
            }
        }
    }
    let usual = format!("{route_prefix}{ERRORS}");
    let endpoints = EndpointSettings {
        error_uri: error_uri?.unwrap_or_else(|| usual.clone()),
        route_prefix,
        token_path,
        management_path,
        error_endpoint: error_endpoint?,
        issuer: issuer?,
    };
    if is_error_uri_set && is_error_uri_taken(&endpoints) {
        let mend = format!("write a path of its own, such as {usual}");
        let wrong = Wrong::new("is the path of another endpoint", mend);
        reader.reject(&keys::ERROR_URI, wrong);
    }
    Some(endpoints)
}

fn is_error_uri_taken(endpoints: &EndpointSettings) -> bool {
    let uri = endpoints.error_uri.as_str();
    if !uri.starts_with('/') {
        return false;
    }
    let Some(path) = uri.strip_prefix(&endpoints.route_prefix) else {
        return is_taken_at_the_root(uri);
    };
    let console = endpoints.management_path.as_deref();
    let below_console = console.and_then(|console| path.strip_prefix(console));
    let is_of_console = below_console.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_token = endpoints.token_path.as_deref() == Some(path);
    let is_other = path != ERRORS && TAKEN.contains(&path);
    is_token || is_of_console || is_other || is_taken_at_the_root(uri)
}

fn is_taken_at_the_root(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    matches!(first, "healthz" | "readyz" | ".well-known")
}

fn prefix(text: &str) -> Result<String, Wrong> {
    if matches!(text, "" | "/") {
        Ok(String::new())
    } else {
        path(text)
    }
}

fn path_or_false(text: &str) -> Result<Option<String>, Wrong> {
    match as_boolean(text) {
        Some(false) => Ok(None),
        Some(true) => Err(Wrong::new(
            "is no path",
            "write a path such as /token, or false",
        )),
        None if TAKEN.contains(&text) => Err(Wrong::new(
            "is the path of another endpoint",
            "choose another path",
        )),
        None => path(text).map(Some),
    }
}

fn path(text: &str) -> Result<String, Wrong> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-._~".contains(character);
    let Some(relative) = text.strip_prefix('/') else {
        return Err(Wrong::new(
            "does not begin with /",
            format!("write /{}", text.escape_debug()),
        ));
    };
    for segment in relative.split('/') {
        if segment.is_empty() {
            return Err(Wrong::new(
                "has a / too many",
                "write single slashes, and none at the end",
            ));
        }
        if matches!(segment, "." | "..") || !segment.chars().all(allowed) {
            return Err(Wrong::new(
                "is not a plain path",
                "use letters, digits and - . _ ~ between the slashes",
            ));
        }
    }
    Ok(text.to_owned())
}

/// A path of ours, or a URI as `error_uri` of RFC 6749 §5.2 may hold it: "MUST NOT include
/// characters outside the set %x21 / %x23-5B / %x5D-7E".
fn error_uri(text: &str) -> Result<String, Wrong> {
    if text.starts_with('/') {
        return path(text);
    }
    let is_allowed = |character| matches!(character, '!' | '#'..='[' | ']'..='~');
    let is_web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if is_web && text.chars().all(is_allowed) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(
            "is neither a path nor an address",
            "write /path or https://host/path",
        ))
    }
}

fn endpoint_name(text: &str) -> Result<String, Wrong> {
    let name = plain_text(text)?;
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if name.chars().all(allowed) && !name.starts_with('.') {
        Ok(name)
    } else {
        Err(Wrong::new(
            "is not the name of a page",
            "use letters, digits and - _ .",
        ))
    }
}

/// RFC 8414 §2: "a URL that uses the "https" scheme and has no query or fragment components".
fn issuer(text: &str, is_plain: bool) -> Result<Url, Wrong> {
    const MEND: &str = "write https://host, as clients dial it";
    let url = Url::parse(text).map_err(|error| Wrong::new(format!("is no URL: {error}"), MEND))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || has_user {
        return Err(Wrong::new("has a user, a query or a fragment", MEND));
    }
    match url.scheme() {
        "https" => {}
        "http" if is_plain || url.host().is_some_and(|host| is_loopback(&host)) => {}
        _ => return Err(Wrong::new("does not begin with https://", MEND)),
    }
    // Clients compare the issuer as text, so what the parser would change is refused.
    let normal = url.as_str().trim_end_matches('/');
    if text == normal {
        Ok(url)
    } else {
        Err(Wrong::new(
            "is not in normal form",
            format!("write {normal}"),
        ))
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => is_loopback_host(name),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Whether a host name or address means this machine.
pub(super) fn is_loopback_host(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}
