//! The settings of HTTP whose values need more than a line of code. Pure.

use super::text::{invalid, items, PREFIX};
use super::SOCKET_PATH_MAX;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    Tcp { address: SocketAddr, tls: bool },
    Unix(PathBuf),
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
    /// Whether a socket that listens on `bound` satisfies this address, with or without TLS. Port 0 is satisfied by any port.
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
            "address:port, https://address:port or unix:path (of at most {SOCKET_PATH_MAX} bytes), with commas between several, or off"
        )
    }

    /// Reads the setting. `off` gives an empty list.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        match text {
            "off" => Ok(Vec::new()),
            _ => items(text).map(Self::parse).collect(),
        }
    }

    fn is_secured(&self) -> bool {
        matches!(self, Listen::Tcp { tls: true, .. })
    }

    /// Reads the text that `Display` writes. The error names the variable and the allowed values.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || invalid("HTTP_LISTEN", text, &Self::allowed());
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                1..=SOCKET_PATH_MAX => Ok(Listen::Unix(path.into())),
                _ => Err(wrong()),
            };
        }
        let (tls, address) = match text.strip_prefix("https://") {
            Some(address) => (true, address),
            None => (false, text.strip_prefix("http://").unwrap_or(text)),
        };
        let address = address.parse().map_err(|_| wrong())?;
        Ok(Listen::Tcp { address, tls })
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

/// The address for the `http` rock, if that is the engine. Also checks the addresses of both engines.
pub fn rock_listen(
    is_rock: bool,
    addresses: &[Listen],
    has_tls: bool,
) -> Result<Option<Listen>, String> {
    let is_secured = addresses.iter().any(Listen::is_secured);
    if is_secured && !has_tls {
        return Err(format!(
            "{PREFIX}HTTP_LISTEN with https needs {PREFIX}HTTP_TLS_CERT_FILE and {PREFIX}HTTP_TLS_KEY_FILE"
        ));
    }
    match (is_rock, addresses) {
        (true, []) | (false, _) => Ok(None),
        (true, [one]) if !is_secured => Ok(Some(one.clone())),
        (true, _) => Err(format!(
            "{PREFIX}HTTP_ENGINE=rock needs {PREFIX}HTTP_LISTEN to be one address without https, or off"
        )),
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { address, tls: true } => write!(f, "https://{address}"),
            Listen::Tcp { address, .. } => write!(f, "{address}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
