//! [`Operation`], [`Command`] and [`Row`], all made from the table in `table.rs`. Pure; any thread.

use crate::endpoint::*;
use crate::{ApiKeyId, ApiKeyInput, ServiceUser, UserApiKey, UserApiKeyInput};
use crate::{Arguments, Credentials, Grant, NewRole, Page, PasswordChange, Question, Registration};
use crate::{Names, NewPassword, OneTimeRequest};
use crate::{SessionId, UserSession};
use authkv_base::error::Error;
use authkv_codec::types::Types;
use authkv_codec::{Allowed, Rules};
use authkv_config::{Config, Services};
use authkv_domain::{Deletion, Keys, Listing, Steps, Txn, Watching};
use secrecy::SecretString;
use Lane::*;
use Privilege::*;
use Service::*;

/// The service that offers an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Auth,
    /// The same service, for an input that may be as large as a batch of pairs.
    AuthLarge,
    Kv,
    /// Every instance.
    Any,
}

/// The privilege that a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    Nothing,
    Token,
    /// A token of a user with the role `admin`.
    Admin,
    /// A token of a user with the role `introspect` or `admin`.
    Introspect,
    /// A token of a user with the role `recovery` or `admin`.
    Recovery,
}

/// The fibers that execute an operation from another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The fiber that takes jobs, because the operation does not yield.
    Inline,
    /// Fibers that commit, or wait for something short.
    Commit,
    /// Fibers that read many pairs, in slices.
    Scan,
    /// Fibers that delete many pairs, in slices.
    Purge,
    /// Fibers that wait for the crypto threads.
    Crypto,
}

/// An operation as the table describes it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name of the procedure, and of the events in the audit log.
    pub name: &'static str,
    service: Service,
    pub privilege: Privilege,
    pub lane: Lane,
    /// Whether a success is written to the audit log.
    pub audited: bool,
    /// The methods and paths of HTTP.
    pub endpoints: &'static [Endpoint],
    /// The functions of the console.
    pub console: &'static [Function],
}

/// The first value of a command.
macro_rules! arguments {
    ($command:ident $operation:ident) => {
        &()
    };
    ($command:ident $operation:ident $types:tt) => {
        match $command {
            Command::$operation(first, ..) => first,
            _ => &(),
        }
    };
}

/// Makes the enums and the rows from the table.
macro_rules! operations {
    ($($(#[$about:meta])* $operation:ident [$($input:tt)*] => $name:ident { $($row:tt)* })*) => {
        /// The operations of clients. The first six belong to the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$about])* $operation,)*
        }

        /// An operation with its input. The shape of the input is right. Broken rules are reported after the check of the
        /// token, so they travel along as errors.
        #[derive(Debug)]
        pub enum Command {
            $($operation $($input)*,)*
        }

        /// In the order of the operations.
        static ROWS: &[Row] = &[$(Row { name: stringify!($name), $($row)* },)*];

        impl Operation {
            pub const ALL: &'static [Self] = &[$(Self::$operation),*];
        }

        impl Command {
            pub fn operation(&self) -> Operation {
                match self {
                    $(Command::$operation { .. } => Operation::$operation,)*
                }
            }

            pub fn arguments(&self) -> &dyn Arguments {
                match self {
                    $(Command::$operation { .. } => arguments!(self $operation $($input)*),)*
                }
            }
        }
    };
}

#[cfg(not(test))]
crate::for_each_operation! { operations }

// Unit tests have one operation more. See `sample.rs`.
#[cfg(test)]
crate::for_each_operation! { operations
    /// `(token, text)` → `{text}`.
    Sample [(String)] => sample_echo {
        service: Kv, privilege: Token, lane: Inline, audited: false,
        console: &[owner("sample.echo").taking(&["text"])],
        endpoints: &[post("/v1/sample").says(ONE, "Get a text back", "The answer has the text of the request.")],
    }
}

const IF_REVISION: &[(&str, Kind)] = &[("if_revision", Kind::Number)];
const READ: &[(&str, Kind)] = &[
    ("if_revision", Kind::Number),
    ("min_revision", Kind::Number),
    ("timeout", Kind::Seconds),
    ("consistency", Kind::Text),
];
const KEY_READ: &[(&str, Kind)] = &[
    ("key", Kind::Text),
    ("if_revision", Kind::Number),
    ("min_revision", Kind::Number),
    ("timeout", Kind::Seconds),
    ("consistency", Kind::Text),
];
const KEY: &[(&str, Kind)] = &[("key", Kind::Text)];
const KEY_IF_REVISION: &[(&str, Kind)] = &[("key", Kind::Text), ("if_revision", Kind::Number)];
const KEY_PAIR_OPTIONS: &[(&str, Kind)] = &[
    ("key", Kind::Text),
    ("if_revision", Kind::Number),
    ("mode", Kind::Text),
    ("ttl", Kind::Seconds),
    ("expires_at", Kind::Seconds),
];
const QUESTION: &[(&str, Kind)] = &[
    ("role", Kind::Text),
    ("key", Kind::Text),
    ("access", Kind::Text),
];
const DELETION: &[(&str, Kind)] = &[
    ("prefix", Kind::Text),
    ("from", Kind::Text),
    ("to", Kind::Text),
    ("limit", Kind::Number),
    ("all", Kind::Flag),
];
const PAIR_OPTIONS: &[(&str, Kind)] = &[
    ("if_revision", Kind::Number),
    ("mode", Kind::Text),
    ("ttl", Kind::Seconds),
    ("expires_at", Kind::Seconds),
];
const LISTING: &[(&str, Kind)] = &[
    ("prefix", Kind::Text),
    ("from", Kind::Text),
    ("to", Kind::Text),
    ("after", Kind::Text),
    ("limit", Kind::Number),
    ("keys_only", Kind::Flag),
    ("count", Kind::Flag),
    ("min_revision", Kind::Number),
    ("timeout", Kind::Seconds),
    ("consistency", Kind::Text),
];
const PAGE: &[(&str, Kind)] = &[("after", Kind::Text), ("limit", Kind::Number)];
const WATCH: &[(&str, Kind)] = &[("prefix", Kind::Text), ("after", Kind::Number)];
const METRICS: &[(&str, Kind)] = &[("tarantool", Kind::Flag)];
const EXPORT: &[(&str, Kind)] = &[
    ("prefix", Kind::Text),
    ("min_revision", Kind::Number),
    ("timeout", Kind::Seconds),
    ("consistency", Kind::Text),
];
const IMPORT: &[(&str, Kind)] = &[("mode", Kind::Text)];

impl Operation {
    /// The row of this operation in the table.
    pub const fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    /// The operation of a procedure, by the procedure's name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.row().name == name)
    }

    /// Whether an instance with these services offers this operation.
    pub fn offered_by(self, services: Services) -> bool {
        match self.row().service {
            Auth | AuthLarge => services.auth,
            Kv => services.kv,
            Any => true,
        }
    }

    /// Whether this operation may write. All operations in the lanes of writers count, even if they only sign or verify.
    pub fn may_write(self) -> bool {
        matches!(self.row().lane, Lane::Commit | Lane::Crypto | Lane::Purge)
    }

    /// Whether it is about pairs.
    pub fn is_of_pairs(self) -> bool {
        self.row().service == Kv
    }

    /// Whether it reads what replication brings, so that it may have to wait until this instance has that. The others tell of
    /// this instance itself, such as who leads as far as it knows; or they go on with changes as these come; or what they
    /// tell is taken from the spaces once a second, so that a wait would not help.
    pub fn reads_what_is_replicated(self) -> bool {
        !matches!(
            self,
            Self::ServerMetrics | Self::ServerCluster | Self::KvWatch | Self::KeySet
        )
    }

    /// Whether it reads pairs and nothing else, so that its caller may say how fresh they have to be.
    pub fn takes_freshness(self) -> bool {
        let reads = matches!(self.row().lane, Lane::Inline | Lane::Scan);
        reads && self.row().service == Kv && !matches!(self, Self::KvWatch | Self::QuotaList)
    }

    /// Whether it adds a user for a stranger, if that is allowed.
    pub fn is_registration(self) -> bool {
        matches!(self, Self::Register | Self::UserRegister)
    }

    /// Whether the first argument of its procedure is a token.
    pub fn takes_token(self) -> bool {
        self == Self::Check || self.row().privilege != Privilege::Nothing
    }

    /// Whether an API key may not do this, whatever its user may do: it proves or changes who somebody is, or is about the
    /// sessions of the caller.
    pub fn refuses_api_keys(self) -> bool {
        matches!(
            self,
            Self::Logout
                | Self::SessionLogoutAll
                | Self::SessionList
                | Self::SessionRevoke
                | Self::UserPassword
                | Self::UserRename
                | Self::UserDeleteOwn
                | Self::UserSetPassword
                | Self::ApiKeyCreate
                | Self::ApiKeyList
                | Self::ApiKeyRevoke
                | Self::UserApiKeyCreate
        )
    }

    /// Whether it refuses API keys, always or where it would make an administrator, or give the account of one.
    pub fn may_refuse_api_keys(self) -> bool {
        let of_administrators = matches!(
            self,
            Self::UserCreate | Self::UserCreateService | Self::RoleGrant | Self::UserResetToken
        );
        of_administrators || self.refuses_api_keys()
    }

    /// The privilege that a caller needs: that of the table, or `Admin` for registrations if only administrators may register.
    pub fn privilege(self, config: &Config) -> Privilege {
        match self {
            _ if self.is_registration() && !config.live().registration_open => Privilege::Admin,
            _ => self.row().privilege,
        }
    }

    /// The rules for the input, for every transport. `types` are the extension types of this Tarantool.
    pub fn rules(self, config: &Config, types: Types) -> Rules {
        let depth = config.live().json_depth_max;
        match (self, self.row().service) {
            // The contract knows JSON only, and the auth service has no values.
            (Self::Get | Self::Put, _) | (_, Auth | AuthLarge | Any) => Rules::json(depth),
            (_, Kv) => Rules {
                depth,
                allowed: Allowed::Types(types),
            },
        }
    }

    /// The most bytes of the input, for every transport.
    pub fn input_max(self, config: &Config) -> usize {
        match self.row().service {
            AuthLarge | Kv => config.live().kv_input_max,
            Auth | Any => config.live().auth_input_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_found_by_its_name() {
        for operation in Operation::ALL {
            assert_eq!(Operation::by_name(operation.row().name), Some(*operation));
        }
        assert_eq!(Operation::by_name("auth"), None);
    }
}
