use super::*;

const PROXY: &str = "10.0.0.1";

fn proxies(header: ForwardedHeader) -> Proxies {
    let networks = ["10.0.0.0/8", "fd00::/8"];
    Proxies {
        networks: networks.map(|text| text.parse().unwrap()).into(),
        unix: false,
        header,
    }
}

fn found(header: ForwardedHeader, peer: &str, list: &str) -> String {
    let peer = peer.parse().unwrap();
    match client(&proxies(header), Some(peer), list.as_bytes()) {
        Some(address) => address.to_string(),
        None => "-".to_owned(),
    }
}

#[test]
fn the_client_is_the_last_address_that_is_not_trusted() {
    for (list, expected) in [
        ("", "-"),
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("192.0.2.1,10.0.0.2, fd00::7 ", "192.0.2.1"),
        // What stands before the address of the client was written by the client.
        ("1.1.1.1, 192.0.2.1", "192.0.2.1"),
        ("10.9.9.9, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("\", 192.0.2.1", "192.0.2.1"),
        // All are proxies: the first of them is the client.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        // Nobody knows who is behind such an element.
        ("unknown", "-"),
        ("192.0.2.1, unknown", "-"),
        ("192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
        ("192.0.2.1, 300.1.1.1", "-"),
        ("192.0.2.1, 1.2.3.4:99999", "-"),
        ("192.0.2.1, 010.0.0.1", "-"),
        ("192.0.2.1, 10.0.0.2 x", "-"),
        // Empty elements do not count.
        (" , 192.0.2.1, ,", "192.0.2.1"),
    ] {
        let header = ForwardedHeader::XForwardedFor;
        assert_eq!(found(header, PROXY, list), expected, "{list}");
    }
}

#[test]
fn forwarded_is_read_as_rfc_7239_writes_it() {
    for (list, expected) in [
        ("for=192.0.2.60", "192.0.2.60"),
        ("For=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
        ("for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"),
        ("for=\"[2001:db8:cafe::17]\"", "2001:db8:cafe::17"),
        ("for=\"192.0.2.60:80\" ; proto=https", "192.0.2.60"),
        ("for=\"192.0.2.60:_port\"", "192.0.2.60"),
        ("for=192.0.2.43, for=10.0.0.2", "192.0.2.43"),
        (
            "for=192.0.2.43,for=\"[fd00::1]\",for=10.0.0.2",
            "192.0.2.43",
        ),
        ("for=1.1.1.1, for=192.0.2.43", "192.0.2.43"),
        // A quote that a client leaves open does not swallow what the proxy adds.
        ("for=\"1.1.1.1, for=192.0.2.43", "192.0.2.43"),
        ("for=\"x, y\", for=192.0.2.43", "192.0.2.43"),
        ("for=192.0.2.43, for=\"x, y\"", "-"),
        // Obfuscated and unknown nodes, and elements without an address.
        ("for=_hidden", "-"),
        ("for=unknown, for=10.0.0.2", "10.0.0.2"),
        ("for=192.0.2.43, for=_SEVKISEK", "-"),
        ("proto=http", "-"),
        ("for=192.0.2.43;for=192.0.2.44", "-"),
        ("for=2001:db8::1", "-"),
        ("for=192.0.2.60:80", "-"),
        ("for=\"192.0.2.1", "-"),
        ("for", "-"),
        ("192.0.2.1", "-"),
    ] {
        let header = ForwardedHeader::Forwarded;
        assert_eq!(found(header, PROXY, list), expected, "{list}");
    }
}

#[test]
fn a_peer_that_is_not_trusted_reports_nobody() {
    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded] {
        for peer in ["192.0.2.99", "2001:db8::99", "11.0.0.1"] {
            for list in ["192.0.2.1", "for=192.0.2.1"] {
                assert_eq!(found(header, peer, list), "-");
            }
        }
    }
    let header = ForwardedHeader::None;
    assert_eq!(found(header, PROXY, "192.0.2.1"), "-");
}

#[test]
fn an_ipv4_peer_on_an_ipv6_socket_is_trusted_by_its_ipv4_network() {
    let header = ForwardedHeader::XForwardedFor;
    assert_eq!(found(header, "::ffff:10.0.0.1", "192.0.2.1"), "192.0.2.1");
}

#[test]
fn a_unix_socket_is_trusted_if_the_settings_say_so() {
    let mut proxies = proxies(ForwardedHeader::XForwardedFor);
    assert_eq!(client(&proxies, None, b"192.0.2.1"), None);
    proxies.unix = true;
    let expected = "192.0.2.1".parse().ok();
    assert_eq!(client(&proxies, None, b"192.0.2.1"), expected);
}
