//! What there is to ask for, and the one table that says of each operation where it runs and who may ask. Pure; any thread.

use authkv_codec::types::Types;
use authkv_codec::{Allowed, Rules};
use authkv_config::{Config, Services};

/// Which service offers an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Auth,
    Kv,
}

/// What a caller has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    Nothing,
    Token,
    /// A token of a user with the role `admin`.
    Admin,
    /// A token of a user with the role `introspect` or `admin`.
    Introspect,
}

/// Which fibers execute an operation that came from another thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The one that takes jobs, because it does not yield.
    Inline,
    /// Those that commit, or wait for something short.
    Commit,
    /// Those that look at many pairs, in slices.
    Scan,
    /// Those that wait for the crypto pool.
    Crypto,
}

/// What the rest of the project needs to know about an operation.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name of its procedure, which is also that of its events in the audit log.
    pub name: &'static str,
    service: Service,
    pub needs: Needs,
    pub lane: Lane,
    /// Whether it leaves a line in the audit log when all is well.
    pub audited: bool,
}

/// Makes the enum, and the table with a row for each: name, service, needs, lane, and whether it is audited.
macro_rules! operations {
    ($($(#[$about:meta])* $operation:ident($name:literal, $service:ident, $needs:ident, $lane:ident, $audited:ident);)*) => {
        /// What a client can ask for. The first six are those of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$about])* $operation,)*
        }

        impl Operation {
            pub const ALL: &'static [Self] = &[$(Self::$operation),*];

            /// The row of the table for this operation.
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$operation => Row {
                        name: $name,
                        service: Service::$service,
                        needs: Needs::$needs,
                        lane: Lane::$lane,
                        audited: $audited,
                    },)*
                }
            }
        }
    };
}

const QUIET: bool = false;
const AUDITED: bool = true;

operations! {
    Register("auth_register", Auth, Nothing, Crypto, AUDITED);
    Login("auth_login", Auth, Nothing, Crypto, AUDITED);
    Logout("auth_logout", Auth, Token, Commit, AUDITED);
    /// It answers whatever the token is.
    Check("auth_check", Auth, Nothing, Inline, QUIET);
    Get("kv_get", Kv, Token, Inline, QUIET);
    Put("kv_put", Kv, Token, Commit, QUIET);
    UserRegister("user_register", Auth, Nothing, Crypto, AUDITED);
    SessionLogin("session_login", Auth, Nothing, Crypto, AUDITED);
    SessionRefresh("session_refresh", Auth, Nothing, Commit, AUDITED);
    SessionLogoutAll("session_logout_all", Auth, Token, Commit, AUDITED);
    SessionIntrospect("session_introspect", Auth, Introspect, Commit, QUIET);
    UserMe("user_me", Auth, Token, Inline, QUIET);
    UserPassword("user_password", Auth, Token, Crypto, AUDITED);
    KeySet("key_set", Auth, Nothing, Inline, QUIET);
    UserList("user_list", Auth, Admin, Inline, QUIET);
    UserGet("user_get", Auth, Admin, Inline, QUIET);
    UserCreate("user_create", Auth, Admin, Crypto, AUDITED);
    UserDelete("user_delete", Auth, Admin, Commit, AUDITED);
    UserDisable("user_disable", Auth, Admin, Commit, AUDITED);
    UserEnable("user_enable", Auth, Admin, Commit, AUDITED);
    UserLogout("user_logout", Auth, Admin, Commit, AUDITED);
    UserSetPassword("user_set_password", Auth, Admin, Crypto, AUDITED);
    RoleGrant("role_grant", Auth, Admin, Commit, AUDITED);
    RoleRevoke("role_revoke", Auth, Admin, Commit, AUDITED);
    RoleList("role_list", Auth, Admin, Inline, QUIET);
    RoleSet("role_set", Auth, Admin, Commit, AUDITED);
    RoleDelete("role_delete", Auth, Admin, Commit, AUDITED);
    KeyList("key_list", Auth, Admin, Inline, QUIET);
    KeyRotate("key_rotate", Auth, Admin, Crypto, AUDITED);
    KeyRetire("key_retire", Auth, Admin, Commit, AUDITED);
    BatchGet("batch_get", Kv, Token, Inline, QUIET);
    BatchPut("batch_put", Kv, Token, Commit, QUIET);
    BatchDelete("batch_delete", Kv, Token, Commit, QUIET);
    KvTxn("kv_txn", Kv, Token, Commit, QUIET);
    KvList("kv_list", Kv, Token, Scan, QUIET);
    KvIncr("kv_incr", Kv, Token, Commit, QUIET);
    KvWatch("kv_watch", Kv, Token, Inline, QUIET);
    PairGet("pair_get", Kv, Token, Inline, QUIET);
    PairPut("pair_put", Kv, Token, Commit, QUIET);
    PairDelete("pair_delete", Kv, Token, Commit, QUIET);
}

impl Operation {
    /// The operation of a procedure.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.row().name == name)
    }

    /// Whether an instance with these services offers it.
    pub fn offered_by(self, services: Services) -> bool {
        match self.row().service {
            Service::Auth => services.auth,
            Service::Kv => services.kv,
        }
    }

    /// Whether it may write. Those that take the lanes of such may, even if they only sign or verify.
    pub fn may_write(self) -> bool {
        matches!(self.row().lane, Lane::Commit | Lane::Crypto)
    }

    /// What the caller has to show: what the table says, and more where nobody may register alone.
    pub fn needs(self, config: &Config) -> Needs {
        match self {
            Self::Register | Self::UserRegister if !config.registration_open => Needs::Admin,
            _ => self.row().needs,
        }
    }

    /// What its input may hold, at every front; `types` are those that this Tarantool has.
    pub fn rules(self, config: &Config, types: Types) -> Rules {
        use Operation::*;
        let depth = config.json_depth_max;
        match self {
            BatchGet | BatchPut | BatchDelete | KvTxn | KvList | KvIncr | KvWatch | PairGet
            | PairPut | PairDelete => Rules {
                depth,
                allowed: Allowed::Types(types),
            },
            // The contract knows JSON only, and the rest has no values.
            _ => Rules::json(depth),
        }
    }

    /// Bytes its input may have, at every front.
    pub fn input_max(self, config: &Config) -> usize {
        match (self, self.row().service) {
            // As many permissions as a role may have, with prefixes as long as keys, need as much as pairs.
            (Self::RoleSet, _) | (_, Service::Kv) => config.kv_input_max,
            (_, Service::Auth) => config.auth_input_max,
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
