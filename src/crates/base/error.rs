//! Every failure a client can tell apart, and the one table that gives each its name, code and statuses.
//!
//! Runs on any thread. Texts never hold a password, a token, a value or the text of an internal error.

use std::borrow::Cow;
use std::fmt;

/// Two rules in the words of the contract.
pub const LOGIN_LETTERS: &str = "login should have onlu lower-upper latin letters and digits";
pub const INITIAL_LETTERS: &str = "initial should have only lower-upper latin letters";

/// A failure as the client sees it. `Display` is the message; [`Error::row`] is everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The body or the arguments are not what the operation takes.
    Malformed(String),
    /// A value nests deeper than the limit.
    TooDeep {
        limit: usize,
    },
    /// The request body, or the arguments, are larger than the limit, in bytes.
    InputTooLarge {
        limit: usize,
    },
    /// There is no valid token.
    Unauthenticated,
    /// Unknown login or wrong password; the two are not told apart.
    InvalidCredentials,
    LoginTaken,
    BadLogin(&'static str),
    BadPassword(Cow<'static, str>),
    BadInitial(&'static str),
    NoKeys,
    /// Keys named more than once in one read, each once, in order of first appearance.
    RepeatedKeys(Vec<String>),
    /// Keys that do not exist, in the order of the request.
    MissingKeys(Vec<String>),
    /// A key that cannot be written.
    BadKey(KeyRule),
    TooManyKeys {
        limit: usize,
    },
    /// A value that JSON cannot carry, and why.
    BadValue(&'static str),
    /// A pair that would not fit in one tuple of `limit` bytes.
    ValueTooLarge {
        key: String,
        limit: usize,
    },
    /// The values asked for are larger together than `limit` bytes.
    ReplyTooLarge {
        limit: usize,
    },
    /// The body did not come in time, in seconds.
    BodyTimeout {
        limit: u64,
    },
    /// The header did not come in time, in seconds.
    HeaderTimeout {
        limit: u64,
    },
    /// The header has more than `limit` bytes, or lines.
    HeaderTooLarge {
        limit: usize,
        unit: &'static str,
    },
    /// What was sent is not HTTP/1.1 (RFC 9112), and why.
    BadRequest(&'static str),
    BadVersion,
    /// The body is of another type or coding than those that are `expected`.
    BadMediaType {
        expected: &'static str,
        /// The codings that are taken, where it is the coding.
        codings: Option<&'static str>,
    },
    /// `Expect` names something else than `100-continue`.
    BadExpectation,
    /// The client closed its side of the connection before its turn came.
    Cancelled,
    /// One address has `limit` connections already.
    TooManyConnections {
        limit: usize,
    },
    ReadOnly,
    /// The memory for tuples (`memtx_memory`) is used up.
    StorageFull,
    /// The log of writes could not be written, so nothing was.
    NotDurable,
    /// Other transactions got in the way of this one at every try, so nothing was written.
    TransactionAborted,
    /// There are `limit` of `what` already; try again later.
    Overloaded {
        what: &'static str,
        limit: usize,
    },
    ShuttingDown,
    /// Revocations cannot be followed at present, so no token can be trusted.
    RevocationsUnknown,
    /// This instance does not offer the service.
    NotOffered,
    NoSuchRoute,
    /// The route exists for other methods, listed as `Allow` lists them.
    WrongMethod {
        allow: &'static str,
    },
    NotStarted,
    /// The caller may not do this to this key.
    Forbidden {
        deed: Deed,
        key: String,
    },
    /// The caller lacks this role.
    RoleRequired(&'static str),
    /// Logins are delayed, for this many seconds.
    TooManyAttempts {
        seconds: u64,
    },
    NoSuchUser,
    NoSuchRole,
    NoSuchSigningKey,
    BadRole(&'static str),
    /// The refresh token is unknown, used up, or of a session that has ended.
    InvalidRefreshToken {
        /// Whose it was, where it was used before: for the audit log, not for the client.
        reused: Option<String>,
    },
    /// The key cannot be retired, because it is the one that signs.
    KeySigns,
    /// No key of this instance signs at present.
    NoSigningKey,
    /// A parameter outside of what is allowed.
    BadOption {
        name: &'static str,
        allowed: &'static str,
    },
    NoSuchKey(String),
    /// The revision of the key is another than the request asks for; 0 where it does not exist.
    Conflict {
        key: String,
        revision: u64,
    },
    /// Something was to be added to a value that is no integer.
    NotAnInteger(String),
    /// The sum would not be a 64-bit integer.
    OutOfRange(String),
    /// Changes after this revision are no longer kept.
    TooOld {
        after: u64,
        oldest: u64,
    },
    /// The server that took the request cannot stream its answer.
    NotStreamed,
    /// A procedure was called inside a transaction of the caller, which it would break by yielding.
    InTransaction,
    Internal,
}

/// What a key that is written breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// It has from 1 to `limit` bytes.
    Length { limit: usize },
    /// It is neither `.` nor `..`.
    Dots,
}

/// What is done with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Read,
    Write,
}

/// What the rest of the project needs to know about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Stable name, the first word of the message over iproto.
    pub name: &'static str,
    /// Tarantool error code; below 0x8000, because iproto uses that bit itself.
    pub code: u32,
    /// HTTP status under `/api`.
    pub api_status: u16,
    /// HTTP status under `/v1`.
    pub v1_status: u16,
}

impl Error {
    /// The row of the table for this error.
    pub const fn row(&self) -> Row {
        use Error::*;
        let (name, code, api_status, v1_status) = match self {
            Malformed(_) => ("malformed", 20001, 422, 400),
            TooDeep { .. } => ("too_deep", 20002, 422, 400),
            InputTooLarge { .. } => ("input_too_large", 20003, 413, 413),
            Unauthenticated => ("unauthenticated", 20004, 401, 401),
            InvalidCredentials => ("invalid_credentials", 20005, 404, 401),
            LoginTaken => ("login_taken", 20006, 400, 409),
            BadLogin(_) => ("bad_login", 20007, 400, 422),
            BadPassword(_) => ("bad_password", 20008, 400, 422),
            BadInitial(_) => ("bad_initial", 20009, 400, 422),
            NoKeys => ("no_keys", 20010, 400, 422),
            RepeatedKeys(_) => ("repeated_keys", 20011, 400, 422),
            MissingKeys(_) => ("missing_keys", 20012, 400, 404),
            BadKey(_) => ("bad_key", 20013, 400, 422),
            TooManyKeys { .. } => ("too_many_keys", 20014, 400, 422),
            ValueTooLarge { .. } => ("value_too_large", 20015, 413, 413),
            ReadOnly => ("read_only", 20016, 503, 503),
            StorageFull => ("storage_full", 20017, 507, 507),
            Overloaded { .. } => ("overloaded", 20018, 503, 503),
            ShuttingDown => ("shutting_down", 20019, 503, 503),
            RevocationsUnknown => ("revocations_unknown", 20020, 503, 503),
            NotOffered => ("not_offered", 20021, 404, 404),
            NoSuchRoute => ("no_such_route", 20022, 404, 404),
            WrongMethod { .. } => ("wrong_method", 20023, 405, 405),
            NotStarted => ("not_started", 20024, 503, 503),
            Internal => ("internal", 20025, 500, 500),
            BadValue(_) => ("bad_value", 20026, 422, 422),
            ReplyTooLarge { .. } => ("reply_too_large", 20028, 400, 422),
            BodyTimeout { .. } => ("body_timeout", 20029, 408, 408),
            NotDurable => ("not_durable", 20030, 500, 500),
            InTransaction => ("in_transaction", 20027, 500, 500),
            HeaderTimeout { .. } => ("header_timeout", 20031, 408, 408),
            HeaderTooLarge { .. } => ("header_too_large", 20032, 431, 431),
            BadRequest(_) => ("bad_request", 20033, 400, 400),
            BadVersion => ("bad_version", 20034, 505, 505),
            BadMediaType { .. } => ("bad_media_type", 20035, 415, 415),
            BadExpectation => ("bad_expectation", 20036, 417, 417),
            TooManyConnections { .. } => ("too_many_connections", 20037, 429, 429),
            Cancelled => ("cancelled", 20038, 503, 503),
            Forbidden { .. } => ("forbidden", 20039, 403, 403),
            RoleRequired(_) => ("role_required", 20040, 403, 403),
            TooManyAttempts { .. } => ("too_many_attempts", 20041, 429, 429),
            NoSuchUser => ("no_such_user", 20042, 404, 404),
            NoSuchRole => ("no_such_role", 20043, 404, 404),
            NoSuchSigningKey => ("no_such_signing_key", 20044, 404, 404),
            BadRole(_) => ("bad_role", 20045, 400, 422),
            InvalidRefreshToken { .. } => ("invalid_refresh_token", 20046, 401, 401),
            KeySigns => ("key_signs", 20047, 409, 409),
            BadOption { .. } => ("bad_option", 20048, 400, 422),
            NoSigningKey => ("no_signing_key", 20049, 503, 503),
            NoSuchKey(_) => ("no_such_key", 20050, 404, 404),
            Conflict { .. } => ("conflict", 20051, 412, 412),
            NotAnInteger(_) => ("not_an_integer", 20052, 409, 409),
            OutOfRange(_) => ("out_of_range", 20053, 409, 409),
            TooOld { .. } => ("too_old", 20054, 410, 410),
            NotStreamed => ("not_streamed", 20055, 501, 501),
            TransactionAborted => ("transaction_aborted", 20056, 503, 503),
        };
        Row {
            name,
            code,
            api_status,
            v1_status,
        }
    }

    /// Seconds after which the client may try again (RFC 9110 §10.2.3), where that helps.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Error::TooManyAttempts { seconds } => Some(*seconds),
            Error::Overloaded { .. }
            | Error::ShuttingDown
            // It may be so for a moment only, as while the leader changes.
            | Error::ReadOnly
            | Error::RevocationsUnknown
            | Error::TransactionAborted
            | Error::TooManyConnections { .. } => Some(1),
            _ => None,
        }
    }

    /// The failure of a body that is of another type than the expected one.
    pub const fn bad_type(expected: &'static str) -> Self {
        Error::BadMediaType {
            expected,
            codings: None,
        }
    }

    /// The same with plain words in place of the contract's, which only its own operations have to repeat.
    #[cold]
    pub fn in_plain_words(self) -> Self {
        match self {
            Error::BadLogin(LOGIN_LETTERS) => {
                Error::BadLogin("it may have ASCII letters and digits only")
            }
            Error::BadInitial(INITIAL_LETTERS) => Error::BadInitial(
                "it may have ASCII letters and hyphens only, and not hyphens alone",
            ),
            other => other,
        }
    }

    /// A failure of the input's shape, in words that do not repeat the input.
    #[cold]
    pub fn malformed(what: impl Into<String>) -> Self {
        Error::Malformed(what.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Error::*;
        match self {
            Malformed(what) => f.write_str(what),
            TooDeep { limit } => write!(f, "A value is nested too deep: at most {limit} levels are allowed"),
            InputTooLarge { limit } => write!(
                f,
                "The input is too large: at most {limit} bytes are allowed"
            ),
            Unauthenticated => f.write_str("You are not authorized! Please, sign in or sign up"),
            InvalidCredentials => f.write_str("You have entered an incorrect login or password"),
            LoginTaken => f.write_str("A user with this login is already exists"),
            BadLogin(rule) => write!(f, "Incorrect login: {rule}"),
            BadPassword(rule) => write!(f, "Incorrect password: {rule}"),
            BadInitial(rule) => write!(f, "Incorrect initial: {rule}"),
            NoKeys => f.write_str("Incorrect keys: you have not passed any keys"),
            RepeatedKeys(keys) => write!(f, "Incorrect keys: you cannot pass identical keys: {}", keys.join(" ")),
            MissingKeys(keys) => write!(f, "These keys don't exist: {}", keys.join(" ")),
            BadKey(KeyRule::Length { limit }) => {
                write!(f, "Incorrect keys: the length of a key should be from 1 to {limit} bytes")
            }
            BadKey(KeyRule::Dots) => f.write_str("Incorrect keys: . and .. cannot be written"),
            TooManyKeys { limit } => write!(f, "Incorrect keys: you cannot pass more than {limit} keys"),
            BadValue(why) => write!(f, "Incorrect value: {why}"),
            ValueTooLarge { key, limit } => {
                write!(f, "The value of the key {key} is too large: with its key it must be below {limit} bytes")
            }
            ReplyTooLarge { limit } => write!(
                f,
                "Incorrect keys: their values are more than {limit} bytes together, ask for fewer"
            ),
            BodyTimeout { limit } => write!(
                f,
                "The request body did not come within {limit} seconds"
            ),
            ReadOnly => f.write_str("This instance is read-only: write to the leader"),
            StorageFull => f.write_str("The storage is full: nothing has been written"),
            NotDurable => f.write_str("The log of writes failed: nothing has been written"),
            TransactionAborted => {
                f.write_str("Other transactions changed the same data: nothing has been written, try again later")
            }
            Overloaded { what, limit } => {
                write!(f, "The server is overloaded: there may be {limit} {what}, try again later")
            }
            HeaderTimeout { limit } => write!(f, "The request header did not come within {limit} seconds"),
            HeaderTooLarge { limit, unit } => {
                write!(f, "The request header is too large: at most {limit} {unit} are allowed")
            }
            BadRequest(why) => write!(f, "The request is not valid HTTP: {why}"),
            BadVersion => f.write_str("The version of HTTP should be 1.1 or 1.0, or 2 over TLS"),
            BadMediaType { expected, .. } => write!(f, "The body should be {expected}"),
            Cancelled => f.write_str("The connection was closed before the turn of this request came"),
            BadExpectation => f.write_str("The only expectation that can be met is 100-continue"),
            TooManyConnections { limit } => {
                write!(f, "There are too many connections from this address: at most {limit} are allowed")
            }
            ShuttingDown => f.write_str("The server is shutting down: try again later"),
            RevocationsUnknown => {
                f.write_str("Tokens cannot be checked: the authorization instance is out of reach, try again later")
            }
            NotOffered => f.write_str("This instance does not offer this service"),
            NoSuchRoute => f.write_str("There is no such path"),
            WrongMethod { allow } => write!(f, "This method is not allowed here: use {allow}"),
            NotStarted => f.write_str("authkv is not started on this instance"),
            Forbidden { deed: Deed::Read, key } => write!(f, "You may not read the key {key}"),
            Forbidden { deed: Deed::Write, key } => write!(f, "You may not write the key {key}"),
            RoleRequired(role) => write!(f, "This needs the role {role}"),
            TooManyAttempts { seconds } => {
                write!(f, "Too many failed logins: try again in {seconds} seconds")
            }
            NoSuchUser => f.write_str("There is no such user"),
            NoSuchRole => f.write_str("There is no such role"),
            NoSuchSigningKey => f.write_str("There is no such key"),
            BadRole(rule) => write!(f, "Incorrect role: {rule}"),
            InvalidRefreshToken { .. } => f.write_str("The refresh token is not valid: log in again"),
            NoSigningKey => {
                f.write_str("No key of this instance signs tokens at present: log in at the leader")
            }
            KeySigns => f.write_str("This key signs tokens: rotate first"),
            BadOption { name, allowed } => write!(f, "Incorrect {name}: it should be {allowed}"),
            NoSuchKey(key) | Conflict { key, revision: 0 } => write!(f, "The key {key} does not exist"),
            Conflict { key, revision } => write!(f, "The key {key} is at revision {revision}"),
            NotAnInteger(key) => write!(f, "The value of the key {key} is not an integer"),
            OutOfRange(key) => {
                write!(f, "The value of the key {key} would be outside of {} to {}", i64::MIN, u64::MAX)
            }
            TooOld { after, oldest } => write!(
                f,
                "Changes after revision {after} are no longer kept: the oldest that can be resumed after is {oldest}"
            ),
            NotStreamed => f.write_str("This server cannot stream: use the HTTP server of authkv itself"),
            InTransaction => f.write_str("authkv cannot be called inside a transaction: commit it first"),
            Internal => f.write_str("Internal error: see the log of the server"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
#[path = "error/tests.rs"]
mod tests;
