//! Which addresses are on the public network. Pure; after the IANA registries of special-purpose addresses
//! (RFC 6890 and its updates). An IPv6 address that carries an IPv4 one is judged by what it leads to, or refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why no connection goes to `address`, or none if it is an ordinary public one.
pub fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

/// IPv4 ranges: network, prefix length, what it is. The first that fits names the reason.
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "a carrier's shared address"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "a documentation address"),
    (Ipv4Addr::new(192, 31, 196, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 52, 193, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(192, 175, 48, 0), 24, "a reserved address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "a benchmarking address"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "a documentation address"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "a documentation address"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    V4.iter()
        .find(|(network, bits, _)| (u32::from(address) ^ u32::from(*network)) >> (32 - bits) == 0)
        .map(|(.., why)| *why)
}

/// IPv6 ranges that are refused whole.
const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "an unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, "a loopback address"),
    (v6([0, 0, 0], [0, 0xffff]), 96, "an IPv4 address in IPv6 clothes"),
    (v6([0, 0, 0], [0xffff, 0]), 96, "a translated IPv4 address"),
    (v6([0, 0, 0], [0, 0]), 96, "an IPv4 address in IPv6 clothes"),
    (v6([0x64, 0xff9b, 1], [0, 0]), 48, "a local translation address"),
    (v6([0x100, 0, 0], [0, 0]), 64, "a discard address"),
    (v6([0x2001, 0, 0], [0, 0]), 32, "a Teredo address"),
    (v6([0x2001, 2, 0], [0, 0]), 48, "a benchmarking address"),
    (v6([0x2001, 0, 0], [0, 0]), 23, "a reserved address"),
    (v6([0x2001, 0xdb8, 0], [0, 0]), 32, "a documentation address"),
    (v6([0x2002, 0, 0], [0, 0]), 16, "a 6to4 address"),
    (v6([0x2620, 0x4f, 0x8000], [0, 0]), 48, "a reserved address"),
    (v6([0x3fff, 0, 0], [0, 0]), 20, "a documentation address"),
    (v6([0xfc00, 0, 0], [0, 0]), 7, "a private address"),
    (v6([0xfe80, 0, 0], [0, 0]), 10, "a link-local address"),
    (v6([0xfec0, 0, 0], [0, 0]), 10, "a site-local address"),
    (v6([0xff00, 0, 0], [0, 0]), 8, "a multicast address"),
];
/// Translates public IPv4 for hosts that have IPv6 only: what counts is the address inside.
const NAT64: (Ipv6Addr, u32) = (v6([0x64, 0xff9b, 0], [0, 0]), 96);
/// All that is handed out for ordinary use.
const GLOBAL: (Ipv6Addr, u32) = (v6([0x2000, 0, 0], [0, 0]), 3);

/// A network by its first groups, and by the two before an IPv4 address inside.
const fn v6(high: [u16; 3], before_v4: [u16; 2]) -> Ipv6Addr {
    let ([first, second, third], [fifth, sixth]) = (high, before_v4);
    Ipv6Addr::new(first, second, third, 0, fifth, sixth, 0, 0)
}

fn within(address: Ipv6Addr, network: Ipv6Addr, bits: u32) -> bool {
    (u128::from(address) ^ u128::from(network)) >> (128 - bits) == 0
}

fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let listed = V6
        .iter()
        .find(|(network, bits, _)| within(address, *network, *bits))
        .map(|(.., why)| *why);
    if listed.is_some() {
        return listed;
    }
    if within(address, NAT64.0, NAT64.1) {
        let [.., a, b, c, d] = address.octets();
        return refusal_v4(Ipv4Addr::new(a, b, c, d));
    }
    (!within(address, GLOBAL.0, GLOBAL.1)).then_some("a reserved address")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addresses: &[&str], refused: bool) {
        for text in addresses {
            let verdict = refusal(text.parse().unwrap());
            assert_eq!(verdict.is_some(), refused, "{text}: {verdict:?}");
        }
    }

    #[test]
    fn what_is_not_public_is_refused() {
        check(
            &[
                "0.0.0.0",
                "0.1.2.3",
                "10.0.0.1",
                "10.255.255.255",
                "100.64.0.1",
                "100.127.255.255",
                "127.0.0.1",
                "127.255.255.254",
                "169.254.169.254",
                "172.16.0.1",
                "172.31.255.255",
                "192.0.0.8",
                "192.0.2.1",
                "192.88.99.1",
                "192.168.1.1",
                "198.18.0.1",
                "198.19.255.255",
                "198.51.100.7",
                "203.0.113.9",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::1",
                "::2",
                "::127.0.0.1",
                "::8.8.8.8",
                "::ffff:127.0.0.1",
                "::ffff:8.8.8.8",
                "::ffff:0:127.0.0.1",
                "64:ff9b::127.0.0.1",
                "64:ff9b::10.1.2.3",
                "64:ff9b::a9fe:a9fe",
                "64:ff9b:1::8.8.8.8",
                "64:ff9b:2::1",
                "100::1",
                "2001::1",
                "2001:2::1",
                "2001:1ff::1",
                "2001:db8::1",
                "2002:7f00:1::",
                "2002:808:808::1",
                "3fff::1",
                "fc00::1",
                "fd12:3456:789a::1",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "ff02::1",
                "4000::1",
                "1::1",
            ],
            true,
        );
    }

    #[test]
    fn what_is_public_is_not() {
        check(
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "128.0.0.1",
                "169.253.1.1",
                "172.15.255.255",
                "172.32.0.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "2001:4860:4860::8888",
                "2606:4700:4700::1111",
                "2a00:1450:4001::1",
                "2001:200::1",
                "2003::1",
                "3ffe:ffff::1",
                "64:ff9b::8.8.8.8",
            ],
            false,
        );
    }

    proptest::proptest! {
        #[test]
        fn an_ipv4_address_in_any_clothes_is_refused_when_it_is_private(inner: [u8; 4], pick in 0_usize..4) {
            let bare = Ipv4Addr::from(inner);
            let [a, b, c, d] = inner;
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let dressed = [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            ][pick];
            if refusal(bare.into()).is_some() {
                proptest::prop_assert!(refusal(dressed.into()).is_some());
            }
        }
    }
}
