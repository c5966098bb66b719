//! The table of settings, and how one is read from text. Pure.

use super::Services;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What can be set: name, default, what it means. A default in angle brackets depends on others.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    (
        "DATA_DIR",
        "./var",
        "directory of snapshots, logs of writes, and keys",
    ),
    (
        "LAYOUT",
        "single",
        "defaults to start from: single, authorization_tarantool or key_value_tarantool",
    ),
    (
        "SERVICES",
        "auth,kv",
        "what this instance offers: auth, kv or auth,kv",
    ),
    (
        "HTTP_LISTEN",
        "127.0.0.1:8080",
        "addresses of HTTP with commas between them, each address:port, https://address:port or unix:path; or off",
    ),
    (
        "HTTP_ENGINE",
        "native",
        "what serves HTTP: native or rock, a server of the http rock",
    ),
    (
        "IPROTO_LISTEN",
        "127.0.0.1:3301",
        "address of iproto, or off",
    ),
    (
        "CONSOLE_LISTEN",
        "<data dir>/console.sock",
        "unix socket of the console, or off",
    ),
    (
        "ADMIN_PASSWORD",
        "<random, shown once>",
        "password of the user admin, used when there is no such user",
    ),
    (
        "CLIENT_PASSWORD",
        "<none>",
        "makes the Tarantool user authkv with the role authkv_client",
    ),
    (
        "FOLLOWER_PASSWORD",
        "<none>",
        "password of the Tarantool user authkv_follower, on both sides of a split",
    ),
    (
        "FOLLOW",
        "<none>",
        "iproto address of the authorization instance; only where SERVICES is kv",
    ),
    (
        "FOLLOW_MAX_LAG",
        "5",
        "seconds without that instance after which tokens are refused, or unlimited",
    ),
    ("READ_ONLY", "false", "refuse to write: true or false"),
    ("MEMTX_MEMORY", "268435456", "bytes for tuples and indexes"),
    (
        "MEMTX_RESERVE",
        "<a 32nd of MEMTX_MEMORY, 6 to 64 MiB>",
        "bytes of it that pairs cannot have, for users, tokens, roles, keys and deletes; or 0",
    ),
    (
        "MEMTX_MAX_TUPLE_SIZE",
        "1048576",
        "bytes of a key with its value",
    ),
    (
        "PRIVATE_KEY_FILE",
        "<data dir>/jwt_private.pem",
        "key (PEM) that signs tokens; the default one is made when missing",
    ),
    (
        "PUBLIC_KEY_FILE",
        "<data dir>/jwt_public.pem",
        "its public half; written with auth, read without",
    ),
    (
        "TOKEN_ALGORITHM",
        "RS256",
        "algorithm of keys that are made: RS256, ES256 or EdDSA",
    ),
    (
        "TOKEN_ISSUER",
        "authkv",
        "claim iss of tokens: instances whose tokens hold at one another have the same",
    ),
    (
        "TOKEN_AUDIENCE",
        "authkv",
        "claim aud of tokens, of the same instances the same",
    ),
    (
        "KEY_PUBLISH",
        "300",
        "seconds from the publication of a rotated key to its first signature",
    ),
    ("TOKEN_TTL", "1800", "seconds a token lives"),
    ("TOKEN_LEEWAY", "30", "seconds that clocks may differ"),
    (
        "TOKEN_CACHE",
        "10000",
        "verified tokens that are remembered",
    ),
    (
        "REFRESH_TTL",
        "1209600",
        "seconds a session lives after its last refresh",
    ),
    (
        "SESSIONS_MAX",
        "100",
        "sessions of a user; the oldest ends for one more",
    ),
    (
        "REGISTRATION",
        "open",
        "who may add users: open (anyone) or admin",
    ),
    (
        "DEFAULT_ROLE",
        "on",
        "whether every user has the role default, which gives all keys unless it is set: on or off",
    ),
    ("PASSWORD_MIN", "8", "characters in a password, at least"),
    ("PASSWORD_MAX", "64", "characters in a password, at most"),
    (
        "PASSWORD_CLASSES",
        "lower,upper,digit,special",
        "classes of characters that a password needs, with commas between them, or none",
    ),
    (
        "LOGIN_FAILURES",
        "5",
        "failed logins before the next ones are delayed",
    ),
    (
        "LOGIN_DELAY_MAX",
        "60",
        "seconds of the longest such delay, or 0 for none at all",
    ),
    (
        "LOGIN_DELAY_EXEMPT",
        "127.0.0.0/8,::1/128",
        "networks whose addresses are not counted, such as those of proxies, with commas between them, or none",
    ),
    (
        "AUDIT_LOG",
        "on",
        "a line in the log for each event of security: on or off",
    ),
    ("BATCH_MAX", "10000", "keys or pairs in a batch"),
    ("KEY_MAX", "1024", "bytes in a key"),
    (
        "JSON_DEPTH_MAX",
        "64",
        "arrays and objects inside one another in a value",
    ),
    (
        "HTTP_WORKERS",
        "<cores, at most 4>",
        "threads that serve HTTP",
    ),
    (
        "KV_INPUT_MAX",
        "8388608",
        "bytes in the input of a read or write, or of a role",
    ),
    ("AUTH_INPUT_MAX", "16384", "bytes in any other input"),
    (
        "HTTP_HEADER_TIMEOUT",
        "10",
        "seconds to send the header of a request",
    ),
    (
        "HTTP_BODY_TIMEOUT",
        "30",
        "seconds to send the body of a request",
    ),
    (
        "HTTP_IDLE_TIMEOUT",
        "75",
        "seconds that a connection may stay open between requests",
    ),
    (
        "HTTP_WRITE_TIMEOUT",
        "30",
        "seconds to take an answer, and one more for every 64 KiB of it",
    ),
    ("HTTP_HEADER_MAX", "8192", "bytes in the header of a request"),
    ("HTTP_CONNECTIONS_MAX", "10000", "open connections"),
    (
        "HTTP_CONNECTIONS_PER_ADDRESS",
        "1000",
        "open connections from one address, or unlimited",
    ),
    (
        "HTTP_REQUESTS_MAX",
        "8192",
        "requests that are read or answered at a time",
    ),
    (
        "HTTP_MEMORY_MAX",
        "536870912",
        "bytes of bodies and answers that are held at a time",
    ),
    (
        "HTTP_STREAMS_MAX",
        "100",
        "requests at a time on one connection of HTTP/2",
    ),
    (
        "HTTP_TLS_CERT_FILE",
        "<none>",
        "certificate (PEM) with its chain, for addresses with https",
    ),
    ("HTTP_TLS_KEY_FILE", "<none>", "private key (PEM) of the certificate"),
    (
        "HTTP_TLS_CLIENT_CA_FILE",
        "<none>",
        "certificates (PEM) of the authorities whose clients are let in",
    ),
    (
        "HTTP_TLS_CLIENT_AUTH",
        "required",
        "with such a file: required or optional",
    ),
    (
        "HTTP_CORS_ORIGINS",
        "<none>",
        "origins whose pages may call, with commas between them, or *",
    ),
    (
        "HTTP_COMPRESSION",
        "on",
        "compress answers of 1 KiB and more when asked, gzip or br: on or off",
    ),
    ("HTTP_SERVER", "<none>", "text of the header Server"),
    (
        "HTTP_ACCESS_LOG",
        "errors",
        "requests that get a line in the log: all, errors (5xx) or off",
    ),
    (
        "HTTP_DOCS",
        "on",
        "serve /openapi.json and /docs: on or off",
    ),
    ("LOG_FORMAT", "plain", "format of the log: plain or json"),
    (
        "REPLY_MAX",
        "67108864",
        "bytes of the values that one read may return",
    ),
    (
        "QUEUE",
        "8192",
        "requests between the HTTP workers and the tx thread",
    ),
    (
        "WATCH_MAX",
        "1000",
        "watches over HTTP at a time, which do not count as requests",
    ),
    (
        "WATCH_BUFFER",
        "16777216",
        "bytes of changes that are kept for watches",
    ),
    (
        "CRYPTO_THREADS",
        "<cores, at most 4>",
        "threads that hash passwords and sign tokens",
    ),
    (
        "CRYPTO_QUEUE",
        "64",
        "hashes that may wait for such a thread",
    ),
    ("ARGON2_MEMORY", "19456", "KiB of memory of Argon2id"),
    ("ARGON2_ITERATIONS", "2", "passes of Argon2id"),
    ("ARGON2_PARALLELISM", "1", "lanes of Argon2id"),
    ("SHUTDOWN_TIMEOUT", "10", "seconds to finish what runs"),
];

/// The environment variables of all settings begin with this.
pub const PREFIX: &str = "AUTHKV_";

/// The default of a setting, or `None` where there is no such setting.
pub fn default(name: &str) -> Option<&'static str> {
    SETTINGS
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, default, _)| *default)
}

/// Settings as text, with their defaults.
pub struct Settings(pub BTreeMap<String, String>);

impl Settings {
    /// Refuses what nobody means: a file or a command that makes a setting adds the end of a line to it. The text is not shown,
    /// because it may be a secret.
    pub fn check_texts(&self) -> Result<(), String> {
        // Byte order marks and spaces without a width are no white space by their category.
        let is_space =
            |c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}');
        for (name, text) in &self.0 {
            if text.starts_with(is_space) || text.ends_with(is_space) {
                return Err(format!(
                    "{PREFIX}{name} begins or ends with white space, which is no part of a setting"
                ));
            }
            if text.contains(char::is_control) {
                return Err(format!(
                    "{PREFIX}{name} has a control character, such as the end of a line"
                ));
            }
        }
        Ok(())
    }

    /// An empty value counts as none given, as in a compose file.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    pub fn text(&self, name: &str) -> &str {
        self.given(name).or(default(name)).unwrap_or_default()
    }

    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.given(name).map(SecretString::from)
    }

    pub fn file(&self, name: &str, directory: &Path, file: &str) -> PathBuf {
        self.given(name)
            .map_or_else(|| directory.join(file), PathBuf::from)
    }

    pub fn number(&self, name: &str, min: u64, max: u64) -> Result<u64, String> {
        let text = self.text(name);
        let number = text
            .parse()
            .ok()
            .filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| invalid(name, text, &format!("a whole number from {min} to {max}")))
    }

    pub fn size(&self, name: &str, min: usize, max: usize) -> Result<usize, String> {
        self.number(name, min as u64, max as u64)
            .map(|number| number as usize)
    }

    pub fn size_or(
        &self,
        name: &str,
        default: usize,
        min: usize,
        max: usize,
    ) -> Result<usize, String> {
        self.given(name)
            .map_or(Ok(default), |_| self.size(name, min, max))
    }

    pub fn seconds(&self, name: &str, min: u64, max: u64) -> Result<Duration, String> {
        self.number(name, min, max).map(Duration::from_secs)
    }

    pub fn unless_off<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        allowed: &str,
    ) -> Result<Option<T>, String> {
        match self.text(name) {
            "off" => Ok(None),
            text => parse(text)
                .map(Some)
                .ok_or_else(|| invalid(name, text, allowed)),
        }
    }

    /// Which of two words.
    pub fn word(&self, name: &str, yes: &str, no: &str) -> Result<bool, String> {
        match self.text(name) {
            text if text == yes => Ok(true),
            text if text == no => Ok(false),
            other => Err(invalid(name, other, &format!("{yes} or {no}"))),
        }
    }

    /// The items of a list with commas.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.text(name)
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
    }

    /// The items of such a list, or none where the word says so.
    pub fn list_of<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        allowed: &str,
    ) -> Result<Vec<T>, String> {
        if self.text(name) == "none" {
            return Ok(Vec::new());
        }
        let item = |item| parse(item).ok_or_else(|| invalid(name, self.text(name), allowed));
        self.list(name).map(item).collect()
    }

    /// The layout itself is in Lua, and has become settings by now.
    pub fn layout(&self) -> Result<(), String> {
        const LAYOUTS: [&str; 3] = ["single", "authorization_tarantool", "key_value_tarantool"];
        match self.text("LAYOUT") {
            known if LAYOUTS.contains(&known) => Ok(()),
            other => Err(invalid("LAYOUT", other, &LAYOUTS.join(", "))),
        }
    }

    pub fn services(&self) -> Result<Services, String> {
        let text = self.text("SERVICES");
        let mut services = Services {
            auth: false,
            kv: false,
        };
        for name in text.split(',').map(str::trim) {
            match name {
                "auth" => services.auth = true,
                "kv" => services.kv = true,
                _ => return Err(invalid("SERVICES", text, "auth, kv or auth,kv")),
            }
        }
        Ok(services)
    }
}

/// What to say of a value. One that may hold a password is not repeated.
pub fn invalid(name: &str, text: &str, allowed: &str) -> String {
    match text.contains('@') {
        true => format!("{PREFIX}{name} should be {allowed}"),
        false => format!("{PREFIX}{name} is {text:?}, but should be {allowed}"),
    }
}

/// `host:port`. A user or a password in it is refused: an address is written to the log.
pub fn host_and_port(text: &str) -> Option<String> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let plain = !host.is_empty() && !text.contains('@');
    (plain && port > 0).then(|| text.to_owned())
}
