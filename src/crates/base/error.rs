//! Every failure a client can tell apart: one list gives each its name, code, statuses and text.
//!
//! Runs on any thread. Texts never hold a password, a token, a value or the text of an internal error.

use std::borrow::Cow;
use std::fmt;

/// Two rules of the contract, verbatim: the old system's spelling mistakes are part of it.
pub const LOGIN_LETTERS: &str = "login should have onlu lower-upper latin letters and digits";
pub const NAME_LETTERS: &str = "initial should have only lower-upper latin letters";

/// Makes the enum [`Error`], its rows and its texts. An entry of the list, explained:
///
/// ```text
/// /// a value nests deeper than the limit       the meaning, also for documentation/api.md
/// TooDeep { limit: usize }                      the variant, with named fields, (unnamed: ones) or no fields
///     = "too_deep", 20002, 422, 400,            name, code, status under /api, status under /v1
///     "At most {limit} levels are allowed";     the text for the client; arguments may follow it
/// ```
macro_rules! errors {
    ($(
        $(#[doc = $meaning:literal])+
        $variant:ident $(($($item:ident: $item_type:ty),+))? $({$($field:ident: $field_type:ty),+})?
            = $name:literal, $code:literal, $api_status:literal, $v1_status:literal,
            $text:literal $(, $argument:expr)*;
    )+) => {
        /// A failure as the client sees it. `Display` is the message; [`Error::row`] is everything else.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Error {
            $($(#[doc = $meaning])+ $variant $(($($item_type),+))? $({$($field: $field_type),+})?,)+
            /// Any of them, in the words of the leader, to which a call was carried. Compare by [`Error::is`] what may come from
            /// there.
            Relayed(Box<Relayed>),
        }

        impl Error {
            /// The rows of all errors, each with its meaning. For tests.
            pub const ROWS: &'static [(Row, &'static str)] = &[$((
                Row { name: $name, code: $code, api_status: $api_status, v1_status: $v1_status },
                concat!($($meaning),+).trim_ascii(),
            )),+];

            /// The row of this error.
            pub const fn row(&self) -> Row {
                match self {
                    $(Self::$variant { .. } => {
                        Row { name: $name, code: $code, api_status: $api_status, v1_status: $v1_status }
                    })+
                    Self::Relayed(relayed) => relayed.row,
                }
            }
        }

        impl fmt::Display for Error {
            // A text may leave out fields.
            #[allow(unused_variables)]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant $(($($item),+))? $({$($field),+})? => write!(f, $text $(, $argument)*),)+
                    Self::Relayed(relayed) => f.write_str(&relayed.text),
                }
            }
        }
    };
}

// In the order of their codes.
errors! {
    /// the body or the arguments are not what the operation takes
    Malformed(what: String) = "malformed", 20001, 422, 400, "{what}";
    /// a value nests deeper than the limit
    TooDeep { limit: usize } = "too_deep", 20002, 422, 400,
        "A value is nested too deep: at most {limit} levels are allowed";
    /// the body or the arguments are larger than the limit
    InputTooLarge { limit: usize } = "input_too_large", 20003, 413, 413,
        "The input is too large: at most {limit} bytes are allowed";
    /// there is no valid token, or it was revoked, or its user is disabled or gone
    Unauthenticated = "unauthenticated", 20004, 401, 401, "You are not authorized! Please, sign in or sign up";
    // The client does not learn which of these it was.
    /// unknown login, wrong password, or a disabled user
    InvalidCredentials = "invalid_credentials", 20005, 404, 401, "You have entered an incorrect login or password";
    // Verbatim: the old system's mistake is part of the contract.
    /// there is a user with this login
    LoginTaken = "login_taken", 20006, 400, 409, "A user with this login is already exists";
    /// the login breaks a rule
    BadLogin(rule: &'static str) = "bad_login", 20007, 400, 422, "Incorrect login: {rule}";
    /// the password breaks a rule
    BadPassword(rule: Cow<'static, str>) = "bad_password", 20008, 400, 422, "Incorrect password: {rule}";
    /// the name or the surname breaks a rule
    BadPersonName(rule: &'static str) = "bad_initial", 20009, 400, 422, "Incorrect initial: {rule}";
    /// no key was passed
    NoKeys = "no_keys", 20010, 400, 422, "Incorrect keys: you have not passed any keys";
    // Lists each key once, in the order of first appearance.
    /// a request names a key more than once
    RepeatedKeys(keys: Vec<String>) = "repeated_keys", 20011, 400, 422,
        "Incorrect keys: you cannot pass identical keys: {}", keys.join(" ");
    // Lists the keys in the order of the request.
    /// a read of all or nothing names keys that do not exist
    MissingKeys(keys: Vec<String>) = "missing_keys", 20012, 400, 404, "These keys don't exist: {}", keys.join(" ");
    /// a key to be written is empty or too long
    BadKey(rule: KeyRule) = "bad_key", 20013, 400, 422, "Incorrect keys: {rule}";
    /// more keys or pairs than a batch may have
    TooManyKeys { limit: usize } = "too_many_keys", 20014, 400, 422,
        "Incorrect keys: you cannot pass more than {limit} keys";
    /// a key with its value does not fit into a tuple; nothing is written
    ValueTooLarge { key: String, limit: usize } = "value_too_large", 20015, 413, 413,
        "The value of the key {key} is too large: with its key it must be below {limit} bytes";
    // `leader`: its name, and its address if it is known.
    /// this instance is read-only; the message names the leader if it is known
    ReadOnly { leader: Option<String> } = "read_only", 20016, 503, 503,
        "This instance is read-only: write to the leader{}", named(leader);
    /// the memory for tuples is used up; nothing is written
    StorageFull = "storage_full", 20017, 507, 507, "The storage is full: nothing has been written";
    /// a queue is full, or there are as many connections, requests or bytes as may be; the message says which; try
    /// again later
    Overloaded { what: &'static str, limit: usize } = "overloaded", 20018, 503, 503,
        "The server is overloaded: there may be {limit} {what}, try again later";
    /// the instance stops
    ShuttingDown = "shutting_down", 20019, 503, 503, "The server is shutting down: try again later";
    /// the authorization instance, or the leader of the replica set, has been out of reach for too long
    RevocationsUnknown = "revocations_unknown", 20020, 503, 503,
        "Tokens cannot be checked: the instance that revokes them is out of reach, try again later";
    /// this instance does not offer the service
    NotOffered = "not_offered", 20021, 404, 404, "This instance does not offer this service";
    /// there is no such path
    NoSuchRoute = "no_such_route", 20022, 404, 404, "There is no such path";
    // `allow` lists the other methods, in the form of the header `Allow`.
    /// the path is for another method
    WrongMethod { allow: &'static str } = "wrong_method", 20023, 405, 405,
        "This method is not allowed here: use {allow}";
    /// authkv is not started
    NotStarted = "not_started", 20024, 503, 503, "authkv is not started on this instance";
    /// unexpected; the log has more
    Internal = "internal", 20025, 500, 500, "Internal error: see the log of the server";
    /// a value that JSON cannot carry
    BadValue(why: &'static str) = "bad_value", 20026, 422, 422, "Incorrect value: {why}";
    // It would break the caller's transaction, because it may yield.
    /// a procedure was called inside a transaction
    InTransaction = "in_transaction", 20027, 500, 500,
        "authkv cannot be called inside a transaction: commit it first";
    /// the values of a read are more than `AUTHKV_REPLY_MAX` bytes together
    ReplyTooLarge { limit: usize } = "reply_too_large", 20028, 400, 422,
        "Incorrect keys: their values are more than {limit} bytes together, ask for fewer";
    /// the body did not come in time
    BodyTimeout { limit: u64 } = "body_timeout", 20029, 408, 408,
        "The request body did not come within {limit} seconds";
    /// the log of writes, or the file of a key, could not be written, for example because the disk is full; nothing is written;
    /// try again
    NotDurable = "not_durable", 20030, 503, 503,
        "The server cannot write to its disk: nothing has been written, try again later";
    /// the header did not come in time
    HeaderTimeout { limit: u64 } = "header_timeout", 20031, 408, 408,
        "The request header did not come within {limit} seconds";
    /// the header has more bytes than `AUTHKV_HTTP_HEADER_MAX`, or more than 100 lines
    HeaderTooLarge { limit: usize, unit: &'static str } = "header_too_large", 20032, 431, 431,
        "The request header is too large: at most {limit} {unit} are allowed";
    /// what was sent is not strict HTTP/1.1; or the client closed its side and its turn had not come
    BadRequest(why: &'static str) = "bad_request", 20033, 400, 400, "The request is not valid HTTP: {why}";
    /// another version than HTTP/1.1, 1.0, or 2 over TLS
    BadVersion = "bad_version", 20034, 505, 505, "The version of HTTP should be 1.1 or 1.0, or 2 over TLS";
    // If the coding is wrong, `codings` lists the accepted codings.
    /// the body is of another type than JSON, or encoded
    BadMediaType { expected: &'static str, codings: Option<&'static str> } = "bad_media_type", 20035, 415, 415,
        "The body should be {expected}";
    /// `Expect` asks for something else than `100-continue`
    BadExpectation = "bad_expectation", 20036, 417, 417,
        "The only expectation that can be met is 100-continue";
    /// one address has as many connections as it may
    TooManyConnections { limit: usize } = "too_many_connections", 20037, 429, 429,
        "There are too many connections from this address: at most {limit} are allowed";
    /// the client closed its side before its turn came
    Cancelled = "cancelled", 20038, 503, 503, "The connection was closed before the turn of this request came";
    /// the user may not read, write, insert, update or delete the key that is named
    Forbidden { kind: AccessKind, key: String } = "forbidden", 20039, 403, 403, "You may not {kind} the key {key}";
    /// the operation needs the role that is named
    RoleRequired(role: Cow<'static, str>) = "role_required", 20040, 403, 403, "This needs the role {role}";
    /// too many failed logins; nothing was looked at; try again after the seconds of the message
    TooManyAttempts { seconds: u64 } = "too_many_attempts", 20041, 429, 429,
        "Too many failed logins: try again in {seconds} seconds";
    /// there is no such user
    NoSuchUser = "no_such_user", 20042, 404, 404, "There is no such user";
    /// there is no such role
    NoSuchRole = "no_such_role", 20043, 404, 404, "There is no such role";
    /// there is no key with this `kid`
    NoSuchSigningKey = "no_such_signing_key", 20044, 404, 404, "There is no such key";
    /// a role breaks a rule
    BadRole(rule: &'static str) = "bad_role", 20045, 400, 422, "Incorrect role: {rule}";
    // `reused`: the login of the token's owner, if the token was used before. For the audit log, not for the client.
    /// the refresh token is unknown, used, or of a session that has ended
    InvalidRefreshToken { reused: Option<String> } = "invalid_refresh_token", 20046, 401, 401,
        "The refresh token is not valid: log in again";
    /// a key that signs cannot be retired
    KeySigns = "key_signs", 20047, 409, 409, "This key signs tokens: rotate first";
    /// an option, such as `limit` or `ttl`, is outside of what is allowed
    BadOption { name: &'static str, allowed: &'static str } = "bad_option", 20048, 400, 422,
        "Incorrect {name}: it should be {allowed}";
    /// this instance has no key that signs, as on a read-only one that never could publish its own
    NoSigningKey = "no_signing_key", 20049, 503, 503,
        "No key of this instance signs tokens at present: log in at the leader";
    /// the key of the store does not exist
    NoSuchKey(key: String) = "no_such_key", 20050, 404, 404, "The key {key} does not exist";
    // `revision` is the current revision of the key; 0 if the key does not exist.
    /// the key is at another revision than the condition says, or exists, or does not
    Conflict { key: String, revision: u64 } = "conflict", 20051, 412, 412, "The key {key} {}", found(*revision);
    /// the value that is to be incremented is no integer
    NotAnInteger(key: String) = "not_an_integer", 20052, 409, 409,
        "The value of the key {key} is not an integer";
    /// the sum would be below −2^63 or above 2^64−1
    OutOfRange(key: String) = "out_of_range", 20053, 409, 409,
        "The value of the key {key} would be outside of {} to {}", i64::MIN, u64::MAX;
    /// changes after this revision are no longer kept; the message names the oldest to go on after
    TooOld { after: u64, oldest: u64 } = "too_old", 20054, 410, 410,
        "Changes after revision {after} are no longer kept: the oldest that can be resumed after is {oldest}";
    /// a server of the `http` rock does no watch, import or export
    NotStreamed = "not_streamed", 20055, 501, 501,
        "This server cannot stream: use the HTTP server of authkv itself";
    /// other transactions changed the same data at each of ten tries; nothing is written; try again. Only with
    /// `memtx_use_mvcc_engine`
    TransactionAborted = "transaction_aborted", 20056, 503, 503,
        "Other transactions changed the same data: nothing has been written, try again later";
    // The next start of the process, with the files in their place, ends it.
    /// the directory of the data, or a file in it, is gone or another one: a write would be lost with the process
    DataGone = "data_gone", 20057, 503, 503,
        "The directory of the data is gone: nothing is written until the server is started again";
    /// the instance that is followed knows less than was heard from it. Only in the log of the follower
    Rewound = "rewound", 20060, 503, 503,
        "The instance that is followed knows fewer changes than were heard from it: if it is a replica, it is followed once it has caught up; if it was restored from a back-up, call authkv.restored() there; if it has lost changes or is another instance now, here";
    // `generation`: the time in microseconds since 1970, or the revision that was named.
    /// after a restore the clock is behind numbers that the data has. Only in the console and at a start
    ClockBehind { generation: u64, last: u64 } = "clock_behind", 20061, 409, 409,
        "The clock or the revision is behind the data: {generation} is not above {last}, the last number that was given (microseconds since 1970). Set the clock right; if it is right, call authkv.restored{{revision = N}} with an N of at least {last} and at most 4503599627370496";
    /// the instance that is followed has the data of another replica set. Only in the log of the follower
    OtherData = "other_data", 20062, 503, 503,
        "The instance has the data of another replica set than the one that was followed: mend AUTHKV_FOLLOW, or call authkv.restored() here to follow that data instead";
    /// this instance does not have yet, or cannot tell whether it has, what was asked for; the message says why; try again
    Behind { why: Cow<'static, str> } = "behind", 20063, 503, 503, "This instance is behind: {why}";
    /// a write was not confirmed within `AUTHKV_COMMIT_TIMEOUT`, such as by a quorum: it may have been done, or be done later, or
    /// not; read before you try again
    OutcomeUnknown { seconds: u64 } = "outcome_unknown", 20064, 503, 503,
        "A write was not confirmed within {seconds} seconds: it is not known whether it is done";
    /// earlier writes are not confirmed for longer than `AUTHKV_COMMIT_TIMEOUT`; nothing is written; try again
    Unconfirmed = "unconfirmed", 20065, 503, 503,
        "Earlier writes have not been confirmed yet: nothing has been written, try again later";
    /// another instance of the replica set writes too; nothing is written here until only one does
    SplitBrain = "split_brain", 20066, 503, 503,
        "Another instance writes too: nothing has been written here, and nothing is until only one writes";
    // `policy`: the name of the limit in the field `RateLimit`.
    /// more requests, or registrations, than the limit that is named allows; nothing was done; try again after the seconds of
    /// the message
    TooManyRequests { policy: &'static str, seconds: u64 } = "too_many_requests", 20070, 429, 429,
        "Too many requests for the limit {policy}: try again in {seconds} seconds";
    /// there are `AUTHKV_USERS_MAX` users, so nobody can register
    TooManyUsers { limit: usize } = "too_many_users", 20071, 507, 507,
        "There are {limit} users, which is the most: nobody can register";
    // `unit`: pairs or bytes.
    /// a write would exceed the quota of the prefix that is named; nothing is written
    QuotaExceeded { prefix: String, unit: &'static str, used: u64, limit: u64 } = "quota_exceeded", 20072, 507, 507,
        "The quota of the prefix {prefix} is {limit} {unit}, and {used} are used: nothing has been written";
    /// there is no such session of this user, or it has ended
    NoSuchSession = "no_such_session", 20073, 404, 404, "There is no such session";
    /// the operation needs a token of a login, and an API key was sent
    NotForApiKeys = "not_for_api_keys", 20074, 403, 403, "An API key may not do this: log in";
    /// there is no such API key of this user, or it was revoked or has expired
    NoSuchApiKey = "no_such_api_key", 20075, 404, 404, "There is no such API key";
    /// the one-time token is unknown, used, for something else, or has expired
    InvalidOneTimeToken = "invalid_one_time_token", 20077, 401, 401,
        "The one-time token is not valid: ask for another one";
    /// the user has as many API keys as a user may have
    TooManyApiKeys { limit: usize } = "too_many_api_keys", 20076, 409, 409,
        "There are too many API keys: a user may have {limit}";
    /// this instance cannot give the consistency that the request asks for; the message says what is missing
    ConsistencyUnavailable { consistency: &'static str, missing: Cow<'static, str> }
        = "consistency_unavailable", 20078, 409, 409,
        "This instance cannot read with the consistency {consistency}: {missing}";
}

/// The properties of an error.
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

/// An error of another instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    row: Row,
    text: String,
    retry_after: Option<u64>,
}

/// The rule that a key to be written breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRule {
    /// A key has from 1 to `limit` bytes.
    Length { limit: usize },
    /// A key is neither `.` nor `..`.
    Dots,
}

impl fmt::Display for KeyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { limit } => {
                write!(f, "the length of a key should be from 1 to {limit} bytes")
            }
            Self::Dots => f.write_str(". and .. cannot be written"),
        }
    }
}

/// What a caller does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessKind {
    Read,
    /// All of the following.
    Write,
    Insert,
    Update,
    Delete,
}

impl AccessKind {
    /// What `Write` is made of.
    pub const PARTS_OF_WRITE: [Self; 3] = [Self::Insert, Self::Update, Self::Delete];

    const NAMED: [(&'static str, Self); 5] = [
        ("read", Self::Read),
        ("write", Self::Write),
        ("insert", Self::Insert),
        ("update", Self::Update),
        ("delete", Self::Delete),
    ];

    /// Errors: `BadOption`.
    pub fn from_name(name: &str) -> Result<Self, Error> {
        let kind = Self::NAMED.into_iter().find(|(known, _)| *known == name);
        kind.map(|(_, kind)| kind).ok_or(Error::BadOption {
            name: "access",
            allowed: "read, write, insert, update or delete",
        })
    }
}

impl fmt::Display for AccessKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = Self::NAMED.into_iter();
        let name = named.find_map(|(name, kind)| (kind == *self).then_some(name));
        f.write_str(name.unwrap_or_default())
    }
}

fn named(leader: &Option<String>) -> Cow<'static, str> {
    leader
        .as_ref()
        .map_or(Cow::Borrowed(""), |name| format!(", {name}").into())
}

fn found(revision: u64) -> Cow<'static, str> {
    match revision {
        0 => "does not exist".into(),
        _ => format!("is at revision {revision}").into(),
    }
}

impl Error {
    /// Seconds after which the client may try again (RFC 9110 §10.2.3), if trying again can help.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Error::TooManyAttempts { seconds } | Error::TooManyRequests { seconds, .. } => {
                Some(*seconds)
            }
            Error::Relayed(relayed) => relayed.retry_after,
            // Somebody has to bring the directory back and start the server.
            Error::DataGone => Some(30),
            Error::Overloaded { .. }
            | Error::ShuttingDown
            // These may last for a moment only, for example while the leader changes.
            | Error::ReadOnly { .. }
            // Somebody may be making room on the disk.
            | Error::NotDurable
            | Error::RevocationsUnknown
            | Error::Behind { .. }
            | Error::OutcomeUnknown { .. }
            | Error::Unconfirmed
            | Error::SplitBrain
            | Error::TransactionAborted
            | Error::TooManyConnections { .. } => Some(1),
            _ => None,
        }
    }

    /// The error of another instance with this code, text and `retry_after`. It has no fields, so a problem of it has no `key` and no
    /// `revision`. `Internal` if no error has the code.
    #[cold]
    pub fn relayed(code: u32, text: String, retry_after: Option<u64>) -> Self {
        let mut rows = Self::ROWS.iter().map(|(row, _)| *row);
        let Some(row) = rows.find(|row| row.code == code) else {
            return Error::Internal;
        };
        Error::Relayed(Box::new(Relayed {
            row,
            text,
            retry_after,
        }))
    }

    /// Whether this is the same error, apart from its fields.
    pub fn is(&self, other: &Self) -> bool {
        self.row() == other.row()
    }

    /// The error for a body whose media type is not the expected one.
    pub const fn bad_type(expected: &'static str) -> Self {
        Error::BadMediaType {
            expected,
            codings: None,
        }
    }

    /// The same error with a plain text instead of the contract's text, which only the contract's operations must repeat.
    #[cold]
    pub fn in_plain_words(self) -> Self {
        match self {
            Error::BadLogin(LOGIN_LETTERS) => {
                Error::BadLogin("it may have ASCII letters and digits only")
            }
            Error::BadPersonName(NAME_LETTERS) => Error::BadPersonName(
                "it may have ASCII letters and hyphens only, and not hyphens alone",
            ),
            other => other,
        }
    }

    /// An error about the shape of the input. `what` must not repeat the input.
    #[cold]
    pub fn malformed(what: impl Into<String>) -> Self {
        Error::Malformed(what.into())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
#[path = "error/tests.rs"]
mod tests;
