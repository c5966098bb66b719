//! The settings of HTTP whose values need more than a line of code. Pure.

use super::text::{invalid, items, PREFIX};
use super::SOCKET_PATH_MAX;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp { address: SocketAddr, layers: Layers },
    Unix(PathBuf),
}

/// What a connection has below HTTP, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layers {
    /// The connection begins with a header of the PROXY protocol.
    pub proxy: bool,
    pub tls: bool,
}

impl Layers {
    /// The schemes of addresses.
    const SCHEMES: [(&'static str, Self); 4] = {
        [
            (
                "http://",
                Self {
                    proxy: false,
                    tls: false,
                },
            ),
            (
                "https://",
                Self {
                    proxy: false,
                    tls: true,
                },
            ),
            (
                "proxy+http://",
                Self {
                    proxy: true,
                    tls: false,
                },
            ),
            (
                "proxy+https://",
                Self {
                    proxy: true,
                    tls: true,
                },
            ),
        ]
    };
}

/// The files of TLS.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
    /// The authorities of client certificates. `None`: clients need no certificate.
    pub client_ca: Option<PathBuf>,
    pub client_required: bool,
}

/// Which requests get a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    /// Requests with a status of 500 or above.
    Errors,
    All,
}

impl AccessLog {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "off" => Some(Self::Off),
            "errors" => Some(Self::Errors),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

impl Listen {
    /// Whether a socket that listens on `bound` satisfies this address, whatever its layers. Port 0 is satisfied by any port.
    pub fn is(&self, bound: &Self) -> bool {
        match (self, bound) {
            (Listen::Tcp { address, .. }, Listen::Tcp { address: bound, .. }) => {
                let any = address.port() == 0;
                address.ip() == bound.ip() && (any || address.port() == bound.port())
            }
            _ => self == bound,
        }
    }

    pub fn allowed() -> String {
        format!(
            "address:port, https://address:port, proxy+http://address:port, proxy+https://address:port or unix:path (of at most {SOCKET_PATH_MAX} bytes), with commas between several, or off"
        )
    }

    /// Reads the setting `name`. `off` gives an empty list. The error names the variable and the allowed values.
    pub fn parse_all(name: &str, text: &str) -> Result<Vec<Self>, String> {
        let parse = |item| Self::parse(item).ok_or_else(|| invalid(name, item, &Self::allowed()));
        match text {
            "off" => Ok(Vec::new()),
            _ => items(text).map(parse).collect(),
        }
    }

    /// Whether the system chooses the port.
    fn is_any_port(&self) -> bool {
        matches!(self, Listen::Tcp { address, .. } if address.port() == 0)
    }

    /// The URL of this address, if clients on other machines may find it there.
    pub fn url(&self) -> Option<String> {
        let Listen::Tcp { address, layers } = self else {
            return None;
        };
        let is_one = !address.ip().is_unspecified() && address.port() > 0;
        let scheme = if layers.tls { "https" } else { "http" };
        (is_one && !layers.proxy).then(|| format!("{scheme}://{address}"))
    }

    fn layers(&self) -> Layers {
        match self {
            Listen::Tcp { layers, .. } => *layers,
            Listen::Unix(_) => Layers::default(),
        }
    }

    /// Whether connections begin with a header of the PROXY protocol.
    pub fn is_proxied(&self) -> bool {
        self.layers().proxy
    }

    /// Whether connections have TLS.
    fn is_secure(&self) -> bool {
        self.layers().tls
    }

    /// Reads the text that `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            let fits = matches!(path.len(), 1..=SOCKET_PATH_MAX);
            return fits.then(|| Listen::Unix(path.into()));
        }
        let prefixed =
            |(scheme, layers): &(&str, Layers)| Some((text.strip_prefix(scheme)?, *layers));
        let found = Layers::SCHEMES.iter().find_map(prefixed);
        let (address, layers) = found.unwrap_or((text, Layers::default()));
        let address = address.parse().ok()?;
        Some(Listen::Tcp { address, layers })
    }
}

/// Combines the settings of TLS.
pub fn tls(
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    client_ca: Option<PathBuf>,
    client_required: bool,
) -> Result<Option<TlsFiles>, String> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles {
            cert,
            key,
            client_ca,
            client_required,
        })),
        (None, None) => Ok(None),
        _ => Err(format!(
            "{PREFIX}HTTP_TLS_CERT_FILE and {PREFIX}HTTP_TLS_KEY_FILE go together"
        )),
    }
}

/// Checks the addresses of both listeners, with the names of their settings, together and with the files of TLS.
pub fn check_listeners(listeners: [(&str, &[Listen]); 2], has_tls: bool) -> Result<(), String> {
    for (name, addresses) in listeners {
        if addresses.iter().any(Listen::is_secure) && !has_tls {
            return Err(format!(
                "{PREFIX}{name} with https needs {PREFIX}HTTP_TLS_CERT_FILE and {PREFIX}HTTP_TLS_KEY_FILE"
            ));
        }
    }
    let [(name, addresses), (other, others)] = listeners;
    let is_used_twice = |one: &&Listen| others.iter().any(|two| !one.is_any_port() && one.is(two));
    match addresses.iter().find(is_used_twice) {
        Some(twice) => Err(format!(
            "{PREFIX}{name} and {PREFIX}{other} have the same address: {twice}"
        )),
        None => Ok(()),
    }
}

/// The address for the `http` rock, if that is the engine.
pub fn rock_listen(is_rock: bool, addresses: &[Listen]) -> Result<Option<Listen>, String> {
    match (is_rock, addresses) {
        (true, []) | (false, _) => Ok(None),
        (true, [one]) if one.layers() == Layers::default() => Ok(Some(one.clone())),
        (true, _) => Err(format!(
            "{PREFIX}HTTP_ENGINE=rock needs {PREFIX}HTTP_LISTEN to be one address without https or proxy+, or off"
        )),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { address, layers } if *layers == Layers::default() => address.fmt(f),
            Listen::Tcp { address, layers } => {
                let scheme = Layers::SCHEMES.iter().find(|(_, known)| known == layers);
                write!(f, "{}{address}", scheme.map_or("", |(scheme, _)| scheme))
            }
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
