//! The settings of the HTTP front. Pure.

use super::origins::Origins;
use super::settings::{invalid, Settings, PREFIX};
use super::SOCKET_PATH_MAX;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything the HTTP front is told. It may be changed while the instance runs.
#[derive(Debug)]
pub struct HttpConfig {
    /// None: HTTP is off, or not ours.
    pub listen: Vec<Listen>,
    /// Where a server of the `http` rock listens instead, which Lua starts.
    pub rock_listen: Option<Listen>,
    pub tls: Option<TlsFiles>,
    pub workers: usize,
    pub header_max: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
    pub connections_max: usize,
    pub connections_per_address: usize,
    pub requests_max: usize,
    /// Bytes.
    pub memory_max: usize,
    /// Requests at a time on one connection of HTTP/2.
    pub streams_max: u32,
    pub cors: Origins,
    pub compression: bool,
    /// The header `Server`.
    pub server: Option<String>,
    pub access_log: AccessLog,
    /// Whether the description and its page are served.
    pub docs: bool,
}

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
    /// The authorities of client certificates, where those are asked for.
    pub client_ca: Option<PathBuf>,
    pub client_required: bool,
}

/// Which requests get a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    /// Those with a status of 500 or above.
    Errors,
    All,
}

impl HttpConfig {
    /// How long a client may take for an answer of `bytes`.
    pub fn write_time(&self, bytes: usize) -> Duration {
        /// Bytes for which it gets one second more.
        const PACE: usize = 64 * 1024;
        self.write_timeout + Duration::from_secs((bytes / PACE) as u64)
    }

    /// Reads the settings; `cores` is the default of the workers. The error names the variable and what is
    /// allowed.
    pub fn new(read: &Settings, cores: usize) -> Result<Self, String> {
        let rock = read.word("HTTP_ENGINE", "rock", "native")?;
        let mut config = Self {
            rock_listen: None,
            listen: match read.text("HTTP_LISTEN") {
                "off" => Vec::new(),
                _ => read
                    .list("HTTP_LISTEN")
                    .map(Listen::parse)
                    .collect::<Result<_, _>>()?,
            },
            tls: tls(read)?,
            workers: read.size_or("HTTP_WORKERS", cores, 1, 64)?,
            header_max: read.size("HTTP_HEADER_MAX", 1024, 65_536)?,
            header_timeout: read.seconds("HTTP_HEADER_TIMEOUT", 1, 3600)?,
            body_timeout: read.seconds("HTTP_BODY_TIMEOUT", 1, 3600)?,
            idle_timeout: read.seconds("HTTP_IDLE_TIMEOUT", 1, 86_400)?,
            write_timeout: read.seconds("HTTP_WRITE_TIMEOUT", 1, 3600)?,
            connections_max: read.size("HTTP_CONNECTIONS_MAX", 1, 1_000_000)?,
            connections_per_address: match read.text("HTTP_CONNECTIONS_PER_ADDRESS") {
                "unlimited" => usize::MAX,
                _ => read
                    .size("HTTP_CONNECTIONS_PER_ADDRESS", 1, 1_000_000)
                    .map_err(|what| format!("{what}, or unlimited"))?,
            },
            requests_max: read.size("HTTP_REQUESTS_MAX", 1, 1_000_000)?,
            memory_max: read.size("HTTP_MEMORY_MAX", 1 << 20, 1 << 40)?,
            streams_max: read.number("HTTP_STREAMS_MAX", 1, 10_000)? as u32,
            cors: Origins::new(read)?,
            compression: read.word("HTTP_COMPRESSION", "on", "off")?,
            server: read.given("HTTP_SERVER").map(server).transpose()?,
            access_log: match read.text("HTTP_ACCESS_LOG") {
                "off" => AccessLog::Off,
                "errors" => AccessLog::Errors,
                "all" => AccessLog::All,
                other => return Err(invalid("HTTP_ACCESS_LOG", other, "all, errors or off")),
            },
            docs: read.word("HTTP_DOCS", "on", "off")?,
        };
        let secured = |listen: &Listen| matches!(listen, Listen::Tcp { tls: true, .. });
        if config.listen.iter().any(secured) && config.tls.is_none() {
            return Err(format!(
                "{PREFIX}HTTP_LISTEN with https needs {PREFIX}HTTP_TLS_CERT_FILE and {PREFIX}HTTP_TLS_KEY_FILE"
            ));
        }
        if rock {
            let many = config.listen.len() > 1;
            config.rock_listen = config.listen.pop();
            if many || config.rock_listen.as_ref().is_some_and(secured) {
                return Err(format!(
                    "{PREFIX}HTTP_ENGINE=rock needs {PREFIX}HTTP_LISTEN to be one address without https, or off"
                ));
            }
            config.listen.clear();
        }
        Ok(config)
    }
}

impl Listen {
    /// Whether a socket that listens on `bound` is what is asked for, with TLS or without; port 0 asks for any.
    pub fn is(&self, bound: &Self) -> bool {
        match (self, bound) {
            (Listen::Tcp { address, .. }, Listen::Tcp { address: bound, .. }) => {
                let any = address.port() == 0;
                address.ip() == bound.ip() && (any || address.port() == bound.port())
            }
            _ => self == bound,
        }
    }

    /// Reads what `Display` writes. The error names the variable and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            let allowed = format!(
            "address:port, https://address:port or unix:path (of at most {SOCKET_PATH_MAX} bytes), with commas between several, or off"
        );
            invalid("HTTP_LISTEN", text, &allowed)
        };
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

fn tls(read: &Settings) -> Result<Option<TlsFiles>, String> {
    let file = |name| read.given(name).map(PathBuf::from);
    let required = read.word("HTTP_TLS_CLIENT_AUTH", "required", "optional")?;
    match (file("HTTP_TLS_CERT_FILE"), file("HTTP_TLS_KEY_FILE")) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles {
            cert,
            key,
            client_ca: file("HTTP_TLS_CLIENT_CA_FILE"),
            client_required: required,
        })),
        (None, None) => Ok(None),
        _ => Err(format!(
            "{PREFIX}HTTP_TLS_CERT_FILE and {PREFIX}HTTP_TLS_KEY_FILE go together"
        )),
    }
}

fn server(text: &str) -> Result<String, String> {
    match text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        true => Ok(text.to_owned()),
        false => Err(invalid("HTTP_SERVER", text, "printable ASCII")),
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
