//! Any bytes as what a client writes into the headers of proxies, and as the beginning of a connection with the PROXY
//! protocol: the client does not choose its address, and no byte behind the header is read.

#![no_main]

use authkv_config::{ForwardedHeader, Proxies};
use authkv_wire::forwarded::client;
use authkv_wire::preamble::{missing, source};
use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use std::sync::LazyLock;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

static NETWORKS: LazyLock<Proxies> = LazyLock::new(|| Proxies {
    networks: vec!["10.0.0.0/8".parse().expect("it is a network")],
    unix: false,
    header: ForwardedHeader::None,
});

/// What the proxies append to the header of a client: one of them, or two.
const APPENDED: [(ForwardedHeader, [&str; 2]); 2] = [
    (
        ForwardedHeader::XForwardedFor,
        [", 192.0.2.1", ", 192.0.2.1,10.0.0.2"],
    ),
    (
        ForwardedHeader::Forwarded,
        [
            ", for=192.0.2.1",
            ", for=\"192.0.2.1:80\";proto=http, for=10.0.0.2",
        ],
    ),
];

fuzz_target!(|data: &[u8]| {
    for (header, lists) in APPENDED {
        let proxies = Proxies {
            header,
            ..NETWORKS.clone()
        };
        for appended in lists {
            let list = [data, appended.as_bytes()].concat();
            assert_eq!(client(&proxies, Some(PROXY), &list), Some(CLIENT));
        }
        assert_eq!(client(&proxies, Some(CLIENT), data), None);
        assert_eq!(client(&proxies, None, data), None);
        client(&proxies, Some(PROXY), data);
    }
    let mut length = 0;
    while let Ok(more @ 1..) = missing(&data[..length]) {
        length += more;
        if length > data.len() {
            return;
        }
    }
    let header = &data[..length];
    if missing(header) == Ok(0) && source(header).is_ok() {
        // A byte less is not a header, so none too many was read.
        assert!(missing(&header[..length - 1]) != Ok(0));
    }
});
