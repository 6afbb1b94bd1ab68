//! Networks: as much of an address as its holder can change at will.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one party is likely to hold of the address space: 256 addresses of IPv4, and of IPv6 what
/// a household gets (56 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    /// The network of an address. An IPv4 address that is written as IPv6 is one of IPv4, also behind
    /// a translator.
    pub fn of(address: IpAddr) -> Self {
        Self(match untranslated(address.to_canonical()) {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Ipv4Addr::new(a, b, c, 0).into()
            }
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 72 << 72).into(),
        })
    }

    /// Its first address, as one of IPv6.
    pub fn octets(&self) -> [u8; 16] {
        match self.0 {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        }
    }
}

/// RFC 6052 §2.1: what stands for an IPv4 address under the prefix `64:ff9b::/96` is that address.
fn untranslated(address: IpAddr) -> IpAddr {
    let IpAddr::V6(translated) = address else {
        return address;
    };
    match translated.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into()
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_not_told_apart() {
        let network = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(network("192.0.2.1"), network("192.0.2.254"));
        assert_eq!(network("192.0.2.1"), network("::ffff:192.0.2.9"));
        assert_ne!(network("192.0.2.1"), network("192.0.3.1"));
        assert_eq!(network("192.0.2.1"), network("64:ff9b::192.0.2.9"));
        assert_ne!(network("64:ff9b::192.0.2.1"), network("64:ff9b::192.0.3.1"));
        assert_ne!(network("192.0.2.1"), network("64:ff9b:1::192.0.2.1"));
        assert_eq!(network("2001:db8:0:aa00::1"), network("2001:db8:0:aaff::"));
        assert_ne!(network("2001:db8:0:aa00::1"), network("2001:db8:0:ab00::1"));
    }
}
