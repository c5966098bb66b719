//! The list of settings. It makes the table of `authkv.settings()`, the values of a running instance, the code that reads them,
//! and the reference in `documentation/how-to-run.md`. Pure.

use super::http::{check_listeners, rock_listen, tls, AccessLog, Listen, TlsFiles};
use super::log::{Level, Log};
use super::origins::{self, Origins};
use super::proxies::{ForwardedHeader, Proxies};
use super::replication::{
    instance_name, members, origin, short_seconds, Consistency, ElectionMode,
};
use super::rows::settings;
use super::text::{
    addresses, any, checked, flag, host_and_port, list, number, of, path, seconds, secret, size,
    Given, PREFIX,
};
use super::{Argon2Cost, LoginDelay, Services, TakesEffect};
use arc_swap::ArcSwap;
use authkv_base::rate::Rate;
use authkv_domain::{Class, Limits, LoginForm, NameForm, Password, PasswordRules, Quota};
use authkv_token::key::Algorithm;
use authkv_token::LEEWAY_MAX;
use ipnet::IpNet;
use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The longest lifetime that a setting allows, in seconds. `schema.lua` knows `TOKEN_TTL_MAX`, too.
const TOKEN_TTL_MAX: u64 = 31_536_000;

/// A setting as the reference shows it.
pub struct Reference {
    pub name: &'static str,
    pub default: &'static str,
    pub allowed: String,
    /// The text of `authkv.settings()`. Plain text.
    pub meaning: &'static str,
    /// The text of the reference, in Markdown. If empty, it is `meaning`.
    pub text: &'static str,
    pub takes_effect: TakesEffect,
}

settings! {
    given;
    Config {
        http: Arc<HttpConfig> = Arc::new(HttpConfig::read(given)?);
        live: ArcSwap<LiveConfig> = ArcSwap::from_pointee(LiveConfig::read(given)?);
        console_listen: Option<PathBuf> = console.unwrap_or_else(|| Some(data_dir.join("console.sock")));
        admin_password: Option<Password> = admin
            .map(|secret| Password::new(secret, &live.load().password_rules))
            .transpose()
            .map_err(|error| format!("{PREFIX}ADMIN_PASSWORD: {error}"))?;
        /// Bytes that pairs cannot use; 0 if nothing is reserved.
        memtx_reserve: u64 = {
            let default = (memtx_memory / 32).clamp(6 << 20, 64 << 20);
            given.read("MEMTX_RESERVE", "", number(0, memtx_memory / 2).or(default))?
        };
        /// A setting names the file, so it must exist.
        private_key_given: bool = private_key.is_some();
        private_key_file: PathBuf = private_key.unwrap_or_else(|| data_dir.join("jwt_private.pem"));
        /// A setting names the file, so an existing file must be valid.
        public_key_given: bool = public_key.is_some();
        public_key_file: PathBuf = public_key.unwrap_or_else(|| data_dir.join("jwt_public.pem"));
    }
    LiveConfig {
        password_rules: PasswordRules =
            PasswordRules { min: password_min, max: password_max, classes: password_classes };
        login_delay: LoginDelay =
            LoginDelay { failures: login_failures, max: login_delay_max, exempt: login_delay_exempt };
        limits: Limits = Limits { batch: batch_max, key: key_max };
        argon2: Argon2Cost = Argon2Cost {
            memory: argon2_memory as u32,
            iterations: argon2_iterations as u32,
            parallelism: argon2_parallelism as u32,
        };
    }
    HttpConfig {
        tls: Option<TlsFiles> = tls(cert, key, client_ca, client_required)?;
        /// The address of a server of the `http` rock, which Lua starts instead.
        rock_listen: Option<Listen> = {
            let listeners = [("HTTP_LISTEN", &*addresses), ("HTTP_ADMIN_LISTEN", &*admin_listen)];
            check_listeners(listeners, tls.is_some())?;
            rock_listen(rock, &addresses)?
        };
        proxies: Proxies = {
            let all: Vec<_> = addresses.iter().chain(&admin_listen).cloned().collect();
            Proxies::new(trusted_proxies, forwarded_header, &all)?
        };
        /// Empty if HTTP is off or the rock serves it.
        listen: Vec<Listen> = if rock { Vec::new() } else { addresses };
    }

    /// directory of snapshots, logs of writes, and keys
    /// snapshots, logs of writes and keys; the directory is made when missing
    DATA_DIR = "./var", path() => [process] config.data_dir: PathBuf;
    // Lua has replaced the layout by single settings before this list is read.
    /// defaults to start from: single, authorization_tarantool, key_value_tarantool or replicated
    /// the set of defaults to start from: see [two processes](#two-processes) and [replication](replication.md)
    LAYOUT = "single", of("single, authorization_tarantool, key_value_tarantool, replicated", |text| {
        matches!(text, "single" | "authorization_tarantool" | "key_value_tarantool" | "replicated").then_some(())
    }) => [process] config(_layout);
    /// what this instance offers: auth, kv or auth,kv
    /// the services that this instance offers
    SERVICES = "auth,kv", of("auth, kv or auth,kv", Services::parse) => config.services: Services;
    /// addresses of HTTP with commas between them: address:port, or with https://, proxy+http:// or proxy+https:// before it; unix:path; or off
    /// numeric addresses of HTTP. See [TLS](#tls) for `https`, and [behind a proxy](behind-a-proxy.md) for `proxy+`. If the port is
    /// 0, the system chooses a port, and the start prints it. A unix socket has mode 0660; the socket of a dead process is replaced
    HTTP_LISTEN = "127.0.0.1:8080", checked(Listen::allowed(), Listen::parse_all) => http(addresses);
    /// addresses of the admin listener, which serves /livez, /readyz and /metrics, in the form of HTTP_LISTEN; or off
    /// addresses of the [admin listener](#health), which serves `/livez`, `/readyz` and [`/metrics`](metrics.md) and nothing else,
    /// without a token. Addresses have the same form as in `HTTP_LISTEN`
    HTTP_ADMIN_LISTEN = "off", checked(Listen::allowed(), Listen::parse_all) => http.admin_listen: Vec<Listen>;
    /// what serves HTTP: native or rock, a server of the http rock
    /// `native`: authkv's own server; `rock`: a server of [the `http` rock](#on-the-http-rock), with one address without TLS
    HTTP_ENGINE = "native", flag("rock", "native") => http(rock);
    /// address of iproto, or off
    /// address of iproto
    IPROTO_LISTEN = "127.0.0.1:3301", of("host:port", host_and_port).unless("off") => [process] config.iproto_listen: Option<String>;
    /// unix socket of the console, or off
    /// unix socket of the console, with mode 0600; its path has at most 107 bytes
    CONSOLE_LISTEN = "<data dir>/console.sock", path().unless("off").optional() => [process] config(console);
    /// password of the user admin, used when there is no such user
    /// password of authkv's user `admin`, used if there is no such user; it has to keep the rules for passwords
    ADMIN_PASSWORD = "<random, shown once>", secret().optional() => config(admin);
    /// makes the Tarantool user authkv with the role authkv_client
    /// makes the Tarantool user `authkv`, with this password and the role `authkv_client`
    CLIENT_PASSWORD = "<none>", secret().optional() => config.client_password: Option<SecretString>;
    /// password of the Tarantool user authkv_follower, on both sides of a split
    /// password of the Tarantool user `authkv_follower`, the same on both sides of a split
    FOLLOWER_PASSWORD = "<none>", secret().optional() => config.follower_password: Option<SecretString>;
    /// iproto addresses of the authorization instance and its replicas, separated by commas; only where SERVICES is kv
    /// iproto addresses of the authorization instance and its replicas, separated by commas: [several
    /// addresses](#several-addresses); only if `SERVICES` is `kv`, and not with `READ_ONLY`
    FOLLOW = "<none>", of("host:port, or several separated by commas", addresses).optional() => config.follow: Option<Vec<String>>;
    /// seconds without that instance, or without the leader of the replica set, after which tokens are refused, or unlimited
    /// seconds that the authorization instance, or the leader for another member of its replica set, may be out of reach before tokens are refused
    FOLLOW_MAX_LAG = "5", seconds(1, 86_400).unless("unlimited") => live.follow_max_lag: Option<Duration>;
    /// seconds that a commit may take before the answer is outcome_unknown
    /// seconds that a commit may take, as while there is no quorum; then the answer is `outcome_unknown`: [commits with a
    /// deadline](#commits-with-a-deadline)
    COMMIT_TIMEOUT = "10", seconds(1, 3600) => live.commit_timeout: Duration;
    /// refuse to write: true or false
    /// refuse to write; the data must have been started writable once
    READ_ONLY = "false", flag("true", "false") => [options] config.read_only: bool;
    /// iproto addresses of all instances of the replica set, this one included
    /// iproto addresses of all instances of the [replica set](replication.md), this one included, the same for each of them
    REPLICATION = "<none>", members().optional() => [process] config.replication: Option<Vec<String>>;
    /// password of the Tarantool user authkv_replication, the same for all instances of a replica set
    /// password of the Tarantool user `authkv_replication`, by which the instances of a replica set replicate each other; that of
    /// `authkv_forward` is made from it
    REPLICATION_PASSWORD = "<none>", secret().optional() => [process] config.replication_password: Option<SecretString>;
    /// seconds without a sign of life after which another instance is taken for lost
    /// seconds between signs of life; an instance that is silent for four times as long is taken for lost
    REPLICATION_TIMEOUT = "1", short_seconds(0.05, 3600.0) => [process] config.replication_timeout: Duration;
    /// part in the elections of a leader: off, candidate, voter or manual
    /// part in the elections of a leader, from Tarantool 2.6.1 on; with `off` the leader is the instance without `READ_ONLY`
    ELECTION_MODE = "off", of(ElectionMode::ALLOWED, ElectionMode::parse) => [process] config.election_mode: ElectionMode;
    /// acknowledge writes once most instances of the replica set have them: true or false
    /// acknowledge a write only once most instances of the replica set have it, so that a change of the leader loses none
    SYNCHRONOUS = "false", flag("true", "false") => config.synchronous: bool;
    /// what a read-only instance does with a request that writes: refuse it, or forward it to the leader
    /// what a read-only instance does with a request that writes: `refuse`: the answer is `read_only`, which names the leader;
    /// `forward`: it [carries it to the leader](replication.md#forwarding), and needs `REPLICATION_PASSWORD`
    WRITES = "refuse", flag("forward", "refuse") => config.forwards: bool;
    /// what a read sees that does not say so itself: stale_ok, leader or linearizable
    /// what a read sees that does not say so itself, as on a read-only instance what the leader has:
    /// [consistency](consistency.md#what-a-read-can-ask-for). The layout `replicated` sets it to `leader`
    CONSISTENCY = "stale_ok", of(Consistency::ALLOWED, Consistency::parse) => live.consistency: Consistency;
    /// name of this instance, for logs, errors and clients
    /// name of this instance in its replica set, for logs, errors and [`/v1/cluster`](replication.md#who-leads); without it, its UUID is shown
    INSTANCE_NAME = "<none>", instance_name().optional() => config.instance_name: Option<String>;
    /// URL where clients find the HTTP of this instance
    /// URL where clients find the HTTP of this instance: the other instances of its replica set name it while this one leads
    ADVERTISE = "<the first address of HTTP_LISTEN, if it is of one interface>", origin().optional()
        => config.advertise: Option<String>;
    /// bytes for tuples and indexes
    /// bytes of memory for tuples and indexes. From 2.11 on Tarantool takes 64 MiB (67108864) at least; with less, the log
    /// says what is in force
    MEMTX_MEMORY = "268435456", number(33_554_432, 1 << 46) => [process] config.memtx_memory: u64;
    /// bytes of it that pairs cannot have, for users, tokens, roles, keys and deletes; or 0
    /// bytes of `MEMTX_MEMORY` that pairs cannot have, in pieces of 2 MiB: see [a full store](#a-full-store)
    MEMTX_RESERVE = "<a 32nd of MEMTX_MEMORY, 6 to 64 MiB>",
        any("a whole number from 0 to half of MEMTX_MEMORY").optional() => config(_reserve);
    /// what an acknowledged write has reached: write (the operating system) or fsync (the disk)
    /// `write`: an acknowledged write survives a process that dies, not a machine that dies; `fsync`: it survives both, and
    /// takes as long as the disk: see [durability](#durability)
    WAL_MODE = "write", flag("fsync", "write") => [process] config.wal_fsync: bool;
    /// seconds between two looks for new files of the log, by a hot standby
    /// seconds between two looks for new files of the log of writes, by a hot standby: with more, it follows later if the
    /// system does not tell it of new files
    WAL_DIR_RESCAN_DELAY = "2", seconds(1, 3600) => [process] config.wal_dir_rescan_delay: Duration;
    /// seconds between two snapshots, or 0 for none by time
    /// seconds between two snapshots; 0 makes none by time. A start reads the newest snapshot and all writes after it: with
    /// more seconds it takes longer, with fewer the disk and a core are busy more often
    CHECKPOINT_INTERVAL = "3600", seconds(0, 31_536_000) => [options] config.checkpoint_interval: Duration;
    /// snapshots that are kept, with the logs from the oldest of them on
    /// snapshots that are kept, with all logs from the oldest of them on: more of them can go back further if a file is
    /// damaged, and take more space
    CHECKPOINT_COUNT = "2", size(1, 1000) => [options] config.checkpoint_count: usize;
    /// bytes of the log after which a snapshot is made, or unlimited
    /// bytes of the log of writes since the last snapshot that lead to the next one. It bounds the disk that the log takes and
    /// the time of a start if much is written; too few make snapshots all the time
    CHECKPOINT_WAL_THRESHOLD = "unlimited", number(1 << 20, 1 << 60).unless("unlimited")
        => [options] config.checkpoint_wal_threshold: Option<u64>;
    /// start although files are damaged: true or false
    /// start although files are damaged. What cannot be read is skipped, and the writes in it are lost; the log names them:
    /// see [a damaged log](#a-damaged-log)
    FORCE_RECOVERY = "false", flag("true", "false") => [process] config.force_recovery: bool;
    /// bytes of a key with its value
    MEMTX_MAX_TUPLE_SIZE = "1048576", number(16_384, 1 << 30) => [process] config.memtx_max_tuple_size: u64;
    /// key (PEM) that signs tokens; the default one is made when missing
    /// the first key that signs tokens, in PEM: see [keys](#keys-and-rotation)
    PRIVATE_KEY_FILE = "<data dir>/jwt_private.pem", path().optional() => config(private_key);
    /// its public half; written with auth, read without
    /// the public half of that key; written if `SERVICES` has `auth`, read if not
    PUBLIC_KEY_FILE = "<data dir>/jwt_public.pem", path().optional() => config(public_key);
    /// algorithm of keys that are made: RS256, ES256 or EdDSA
    /// algorithm of keys that are made from now on
    TOKEN_ALGORITHM = "RS256", of("RS256, ES256 or EdDSA", Algorithm::from_name) => live.token_algorithm: Algorithm;
    /// claim iss of tokens: instances whose tokens hold at one another have the same
    /// claim `iss` of tokens, the same on both sides of a split; tokens with another one are refused
    TOKEN_ISSUER = "authkv", any("a text") => config.token_issuer: String;
    /// claim aud of tokens, of the same instances the same
    /// claim `aud` of tokens, likewise
    TOKEN_AUDIENCE = "authkv", any("a text") => config.token_audience: String;
    /// seconds from the publication of a rotated key to its first signature
    /// seconds from the publication of a new key to its first signature
    KEY_PUBLISH = "300", seconds(0, 86_400) => live.key_publish: Duration;
    /// seconds a token lives
    /// seconds that an access token lives
    TOKEN_TTL = "1800", seconds(1, TOKEN_TTL_MAX) => live.token_ttl: Duration;
    /// seconds that clocks may differ
    TOKEN_LEEWAY = "30", seconds(0, LEEWAY_MAX) => live.token_leeway: Duration;
    /// verified tokens that are remembered
    TOKEN_CACHE = "10000", size(1, 10_000_000) => config.token_cache: usize;
    /// file of other issuers whose tokens are accepted, in JSON
    /// file (JSON) of [other issuers](issuers.md) whose tokens are accepted, read at each start
    TRUSTED_ISSUERS = "<none>", path().optional() => config.trusted_issuers: Option<PathBuf>;
    /// seconds a session lives after its last refresh
    /// seconds that a refresh token lives, and so a session from its last refresh
    REFRESH_TTL = "1209600", seconds(1, 315_360_000) => live.refresh_ttl: Duration;
    /// seconds in which a used refresh token gives the same new one again, or 0 for none
    /// seconds after its use in which a [refresh token](commands/sessions.md#refresh) gives the same new one again; 0 lets any
    /// second use end the session
    REFRESH_GRACE = "10", seconds(0, 300) => live.refresh_grace: Duration;
    /// sessions of a user; the oldest ends for one more
    /// sessions of a user; one more ends the oldest
    SESSIONS_MAX = "100", size(1, 10_000) => live.sessions_max: usize;
    /// who may add users: open (anyone) or admin
    /// who may register users: anyone, or administrators
    REGISTRATION = "open", flag("open", "admin") => live.registration_open: bool;
    /// form of the logins of new users: contract (ASCII letters and digits) or email (e-mail addresses)
    /// [form](#logins-and-names) of the logins of new users: ASCII letters and digits, or e-mail addresses; `/api` has `contract`
    LOGIN_FORM = "contract", of("contract or email", |text| match text {
        "contract" => Some(LoginForm::Contract),
        "email" => Some(LoginForm::Email),
        _ => None,
    }) => config.login_form: LoginForm;
    /// form of new names and surnames: contract (ASCII letters and hyphens) or unicode (any script)
    /// [form](#logins-and-names) of new names and surnames: ASCII letters and hyphens, or any script; `/api` has `contract`
    NAME_FORM = "contract", of("contract or unicode", |text| match text {
        "contract" => Some(NameForm::Contract),
        "unicode" => Some(NameForm::Unicode),
        _ => None,
    }) => config.name_form: NameForm;
    /// whether every user has the role default, which gives all keys unless it is set: on or off
    /// whether every user has the role `default`, which by default gives all keys; in a split, set it on the key-value
    /// instance
    DEFAULT_ROLE = "on", flag("on", "off") => live.default_role: bool;
    /// characters in a password, at least
    PASSWORD_MIN = "8", size(1, 1024) => live(password_min);
    /// characters in a password, at most
    PASSWORD_MAX = "64", size(1, 1024) => live(password_max);
    /// classes of characters that a password needs, with commas between them, or none
    /// a password has a character of each of these classes; `special` is one of ``!@#$%^&*()_+-=/.,``
    PASSWORD_CLASSES = "lower,upper,digit,special",
        list("lower, upper, digit and special with commas between them, or none", Class::by_name) => live(password_classes);
    /// file of the SHA-1 digests of leaked passwords, which new passwords may not be under /v1
    /// [file of leaked passwords](#leaked-passwords), by their SHA-1 digests: new passwords may not be in it, except under `/api`
    PASSWORD_DENYLIST = "<none>", path().optional() => config.password_denylist: Option<PathBuf>;
    /// failed logins before the next ones are delayed
    /// [failed logins](#failed-logins) without a delay
    LOGIN_FAILURES = "5", number(1, 1000) => live(login_failures);
    /// seconds of the longest such delay, or 0 for none at all
    /// seconds of the longest delay; 0 turns delays off
    LOGIN_DELAY_MAX = "60", number(0, 86_400) => live(login_delay_max);
    /// networks whose addresses are not counted, such as those of proxies, with commas between them, or none
    /// addresses whose failures are not counted for the address, only for the login; unix sockets are exempt anyway
    LOGIN_DELAY_EXEMPT = "127.0.0.0/8,::1/128",
        list("networks like 10.0.0.0/8 or fd00::/8 with commas between them, or none", |text| text.parse::<IpNet>().ok())
            => live(login_delay_exempt);
    /// registrations from one address, as number/seconds, or unlimited
    /// open registrations from one address: see [limits for strangers](#limits-for-strangers)
    REGISTRATIONS_PER_ADDRESS = "unlimited", of(Rate::ALLOWED, Rate::parse).unless("unlimited")
        => live.registrations_per_address: Option<Rate>;
    /// users in all, after which nobody can register, or unlimited
    /// users in all; with so many, only administrators can add users
    USERS_MAX = "unlimited", size(1, 1_000_000_000).unless("unlimited") => live.users_max: Option<usize>;
    /// requests from one address, as number/seconds, or unlimited
    /// requests from one address: see [limits for strangers](#limits-for-strangers)
    REQUESTS_PER_ADDRESS = "unlimited", of(Rate::ALLOWED, Rate::parse).unless("unlimited")
        => live.requests_per_address: Option<Rate>;
    /// requests with tokens of one user, as number/seconds, or unlimited
    /// requests with tokens of one user, over all transports
    REQUESTS_PER_USER = "unlimited", of(Rate::ALLOWED, Rate::parse).unless("unlimited")
        => live.requests_per_user: Option<Rate>;
    /// quotas of prefixes of keys, each as prefix:pairs:bytes with commas between them, or none
    /// [quotas](#quotas) of prefixes of keys
    KV_QUOTAS = "none", list(Quota::ALLOWED, Quota::parse) => config.kv_quotas: Vec<Quota>;
    /// a line in the log for each event of security: on or off
    /// the [audit log](#audit-log), with a line for each event of security
    AUDIT_LOG = "on", flag("on", "off") => live.audit_log: bool;
    /// keys or pairs in a batch
    BATCH_MAX = "10000", size(1, 1_000_000) => live(batch_max);
    /// bytes in a key
    /// bytes in a key that is written
    KEY_MAX = "1024", size(1, 65_535) => live(key_max);
    /// arrays and objects inside one another in a value
    JSON_DEPTH_MAX = "64", size(1, 256) => live.json_depth_max: usize;
    /// threads that serve HTTP
    HTTP_WORKERS = "<cores, at most 4>", size(1, 64).or(cores()) => http.workers: usize;
    /// bytes in the input of a read or write, or of a role
    /// bytes in the HTTP body or the arguments of a read or write, or of a role with its permissions
    KV_INPUT_MAX = "8388608", size(1024, 1 << 28) => live.kv_input_max: usize;
    /// bytes in any other input
    /// bytes in any other body or arguments
    AUTH_INPUT_MAX = "16384", size(1024, 1 << 24) => live.auth_input_max: usize;
    /// seconds to send the header of a request
    /// seconds to send the header of a request, from its first byte on, and for the handshake of TLS; then 408
    HTTP_HEADER_TIMEOUT = "10", seconds(1, 3600) => http.header_timeout: Duration;
    /// seconds to send the body of a request
    /// seconds to send the body of a request; then 408
    HTTP_BODY_TIMEOUT = "30", seconds(1, 3600) => http.body_timeout: Duration;
    /// seconds that a connection may stay open between requests
    /// seconds until the first byte of the next request; then the connection ends. On HTTP/2 it ends after up to twice that
    /// without a request
    HTTP_IDLE_TIMEOUT = "75", seconds(1, 86_400) => http.idle_timeout: Duration;
    /// seconds to take an answer, and one more for every 64 KiB of it
    /// seconds to take an answer, and one more for every 64 KiB of it; then the connection is dropped. On HTTP/2 this is the
    /// time of all answers that wait on the connection
    HTTP_WRITE_TIMEOUT = "30", seconds(1, 3600) => http.write_timeout: Duration;
    /// bytes in the header of a request
    /// bytes in the header of a request, its first line and the empty one included; more is answered 431. It may have 100
    /// lines
    HTTP_HEADER_MAX = "8192", size(1024, 65_536) => http.header_max: usize;
    /// open connections
    /// open connections; more are answered 503. Fewer if the process may not open as many descriptors (`ulimit -n`, less
    /// 256), which the log says; with less than 64 of them the start is refused
    HTTP_CONNECTIONS_MAX = "10000", size(1, 1_000_000) => http.connections_max: usize;
    /// open connections from one address, or unlimited
    /// open connections from one IPv4 address, or from one /64 of IPv6; more are answered 429. Use `unlimited` behind a
    /// proxy, which is one address. Does not apply to unix sockets
    HTTP_CONNECTIONS_PER_ADDRESS = "1000", size(1, 1_000_000).unless("unlimited").map(|most| most.unwrap_or(usize::MAX))
        => http.connections_per_address: usize;
    /// requests that are read or answered at a time
    /// requests from the end of the header to the end of the answer; more are answered 503. A client that has read its answer
    /// does not count
    HTTP_REQUESTS_MAX = "8192", size(1, 1_000_000) => http.requests_max: usize;
    /// bytes of bodies and answers that are held at a time
    /// bytes of bodies and answers that are held at a time, those of up to 16 KiB not counted; more are answered 503
    HTTP_MEMORY_MAX = "536870912", size(1 << 20, 1 << 40) => http.memory_max: usize;
    /// requests at a time on one connection of HTTP/2
    HTTP_STREAMS_MAX = "100", number(1, 10_000).map(|most| most as u32) => http.streams_max: u32;
    /// certificate (PEM) with its chain, for addresses with https
    HTTP_TLS_CERT_FILE = "<none>", path().optional() => http(cert);
    /// private key (PEM) of the certificate
    /// private key (PEM) of the certificate; the two go together
    HTTP_TLS_KEY_FILE = "<none>", path().optional() => http(key);
    /// certificates (PEM) of the authorities whose clients are let in
    HTTP_TLS_CLIENT_CA_FILE = "<none>", path().optional() => http(client_ca);
    /// with such a file: required or optional
    /// whether a client has to show a certificate, if `HTTP_TLS_CLIENT_CA_FILE` is set
    HTTP_TLS_CLIENT_AUTH = "required", flag("required", "optional") => http(client_required);
    /// networks of proxies that report the addresses of clients, with commas between them, unix for unix sockets, or none
    /// networks and addresses of the [proxies](behind-a-proxy.md) that may report the address of a client, and `unix` for unix
    /// sockets. Their connections do not count for `HTTP_CONNECTIONS_PER_ADDRESS`
    HTTP_TRUSTED_PROXIES = "none",
        of("networks like 10.0.0.0/8, addresses and unix with commas between them, or none", Proxies::trusted)
            => http(trusted_proxies);
    /// header in which they report it: x-forwarded-for, forwarded or none
    /// header in which trusted proxies report the addresses of clients; `forwarded` is that of RFC 7239
    HTTP_FORWARDED_HEADER = "none", of("x-forwarded-for, forwarded or none", ForwardedHeader::parse)
        => http(forwarded_header);
    /// origins whose pages may call, with commas between them, or *
    /// pages that may call: `https://shop.example`, `http://localhost:3000`; `https://*.shop.example` for all hosts below
    /// `shop.example`, without itself
    HTTP_CORS_ORIGINS = "<none>", checked(origins::ALLOWED, |_, text| Origins::parse(text)).or(Origins::These(Vec::new()))
        => http.cors: Origins;
    /// compress answers of 1 KiB and more when asked, gzip or br: on or off
    /// compress answers of 1 KiB and more, by gzip or brotli, for clients that ask
    HTTP_COMPRESSION = "on", flag("on", "off") => http.compression: bool;
    /// text of the header Server
    /// text of the header `Server`, which is not sent without it
    HTTP_SERVER = "<none>", of("printable ASCII", |text| {
        text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()).then(|| text.to_owned())
    }).optional() => http.server: Option<String>;
    /// requests that get a line in the log: all, errors (5xx) or off
    /// requests that get a [line in the log](#the-access-log); `errors` are statuses from 500 on
    HTTP_ACCESS_LOG = "errors", of("all, errors or off", AccessLog::parse) => http.access_log: AccessLog;
    /// serve /openapi.json and /docs: on or off
    /// serve `/openapi.json` and `/docs`
    HTTP_DOCS = "on", flag("on", "off") => http.docs: bool;
    /// serve /livez and /readyz to everybody who reaches HTTP_LISTEN: on or off
    /// serve [`/livez` and `/readyz`](#health) on the addresses of `HTTP_LISTEN` too
    HTTP_HEALTH = "off", flag("on", "off") => http.health: bool;
    /// where the log goes: stderr, a file, pipe:command or syslog:options
    /// where Tarantool's log goes. A file is opened again at [SIGHUP](install.md#the-log)
    LOG = "stderr", of(Log::ALLOWED, Log::parse) => [process] config.log: Log;
    /// which lines the log has: those of this level and worse
    /// the log has the lines of this level and worse. The [access log](#the-access-log) and the [audit log](#audit-log) are of
    /// level `info`
    LOG_LEVEL = "info", of(Level::ALLOWED, Level::parse) => [options] config.log_level: Level;
    /// format of the log: plain or json
    /// format of Tarantool's log
    LOG_FORMAT = "plain", flag("json", "plain") => [options] live.log_json: bool;
    /// bytes of the values that one read may return
    /// bytes of the values that one read may return, in msgpack
    REPLY_MAX = "67108864", size(1024, 1 << 30) => live.reply_max: usize;
    /// requests between the HTTP workers and the tx thread
    /// requests between the HTTP workers and the tx thread; more are answered 503
    QUEUE = "8192", size(1, 100_000) => config.queue: usize;
    /// watches over HTTP at a time, which do not count as requests
    /// watches over HTTP at a time, which do not count as requests; more are answered 503
    WATCH_MAX = "1000", size(1, 1_000_000) => live.watch_max: usize;
    /// bytes of changes that are kept for watches
    /// bytes of changes that are kept for watches; a watch that is further behind ends with `too_old`
    WATCH_BUFFER = "16777216", size(65_536, 1 << 32) => config.watch_buffer: usize;
    /// threads that hash passwords and sign tokens
    CRYPTO_THREADS = "<cores, at most 4>", size(1, 64).or(cores()) => config.crypto_threads: usize;
    /// hashes that may wait for such a thread
    /// hashes that may wait for such a thread, and as many logins over HTTP that may wait to be hashed; more are answered 503
    CRYPTO_QUEUE = "64", size(1, 1024) => config.crypto_queue: usize;
    /// KiB of memory of Argon2id
    /// KiB of memory of a hash; at least 8 × `ARGON2_PARALLELISM`
    ARGON2_MEMORY = "19456", number(8, 1_048_576) => live(argon2_memory);
    /// passes of Argon2id
    ARGON2_ITERATIONS = "2", number(1, 1000) => live(argon2_iterations);
    /// lanes of Argon2id
    ARGON2_PARALLELISM = "1", number(1, 16) => live(argon2_parallelism);
    /// seconds to finish what runs
    SHUTDOWN_TIMEOUT = "10", seconds(1, 3600) => live.shutdown_timeout: Duration;
}

fn cores() -> usize {
    let cores = std::thread::available_parallelism();
    cores.map_or(1, usize::from).min(4)
}
