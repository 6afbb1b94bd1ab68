//! Where a request came from, as the server below knows it.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use warp::http::HeaderMap;

use crate::domain::network::Network;

/// The connection of a request; the server puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The peer; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// Whether we ended TLS ourselves.
    pub is_tls: bool,
}

impl Connection {
    /// Whether the request came over TLS all the way: to us, or to a proxy that we trust and that
    /// does not say otherwise.
    pub fn is_secure(&self, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> bool {
        if self.is_tls {
            return true;
        }
        let is_trusted = self
            .peer
            .is_none_or(|peer| trusted_proxies.iter().any(|net| net.contains(&peer)));
        is_trusted && forwarded_scheme(headers).is_none_or(|scheme| scheme == "https")
    }

    /// The network that the request came from: of the first address, counted from us, that is no
    /// proxy we trust. `None` on a Unix socket where no proxy tells. Those of whom one tells what cannot
    /// be read, or in two ways, count as of one network: else a header of their own would be a way
    /// around every count.
    pub fn network(&self, headers: &HeaderMap, trusted_proxies: &[IpNet]) -> Option<Network> {
        let is_trusted = |address: &IpAddr| trusted_proxies.iter().any(|net| net.contains(address));
        let mut sender = self.peer;
        let mut senders = senders(headers);
        while sender.is_none_or(|address| is_trusted(&address))
            && let Some(Some(before)) = senders.next()
        {
            sender = Some(before);
        }
        let is_told = headers.contains_key("forwarded") || headers.contains_key("x-forwarded-for");
        let unreadable = is_told.then_some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        sender.or(unreadable).map(Network::of)
    }
}

/// Who each proxy says it was called by, the nearest proxy first (RFC 7239 §5.2, else
/// `X-Forwarded-For`). `None` is one that cannot be read, such as `unknown`.
///
/// A proxy writes one of the headers and may pass on the other as it came: with both, nobody knows
/// which is the client's own invention.
fn senders(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let has_both = headers.contains_key("forwarded") && headers.contains_key("x-forwarded-for");
    let elements = |name| elements(headers, name);
    let forwarded = elements("forwarded").map(read_element);
    let others = elements("x-forwarded-for").map(read_address);
    forwarded.chain(others).take_while(move |_| !has_both)
}

fn elements<'h>(headers: &'h HeaderMap, name: &'static str) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name).iter().rev();
    values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','))
}

fn read_element(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    read_address(node.trim().trim_matches('"'))
}

// `192.0.2.1`, `192.0.2.1:443`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:443`.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or(text, |(address, _port)| address);
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let address: IpAddr = bare.parse().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

// The scheme by which the nearest proxy was called: the last of `Forwarded` (RFC 7239 §5.4) or of
// `X-Forwarded-Proto`. `None` if no proxy tells; whatever cannot be read is no `https`.
fn forwarded_scheme(headers: &HeaderMap) -> Option<String> {
    let last = |name: &str| {
        let value = headers.get_all(name).iter().next_back()?;
        let text = value.to_str().unwrap_or_default();
        Some(
            text.rsplit(',')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase(),
        )
    };
    let Some(element) = last("forwarded") else {
        return last("x-forwarded-proto");
    };
    let mut pairs = element
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='));
    let proto = pairs.find(|(name, _)| *name == "proto");
    proto.map_or_else(
        || last("x-forwarded-proto"),
        |(_, scheme)| Some(scheme.trim_matches('"').to_owned()),
    )
}
