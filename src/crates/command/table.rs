//! The table of operations. The procedures, the routes, the functions of the console, the privileges and the text of the
//! OpenAPI document are made from this one list. Its second part, the operations on pairs under `/v1`, is in `table_kv.rs`.
//! Pure.
//!
//! A row has, in this order:
//!
//! - the doc comment of the procedure: its arguments, its result, and whether it yields;
//! - the variant of [`Command`](crate::Command) with the type of its input in brackets, and the name of the procedure, which
//!   is also the name of its events in the audit log;
//! - the fields of [`Row`](crate::Row) except for that name.
//!
//! The first six operations belong to the contract. The OpenAPI document has the operations in this order.

/// Calls a macro with all rows of the table, and with `more` after them.
#[macro_export]
macro_rules! for_each_operation {
    ($callback:ident $($more:tt)*) => { $crate::with_operations_on_pairs! { $callback [
        /// `(login, password, name, surname)` → `{login}`. Yields.
        Register [(Registration)] => auth_register {
            service: Auth, privilege: Nothing, lane: Crypto, audited: true,
            console: &[anyone("register", &["login", "password", "name", "surname"])],
            endpoints: &[old("register", "POST", "/api/register", Input::Json).says(
                OLD, "Add a user",
                "A taken login is reported first; then the rules for login, password, name and surname in this order.",
            )],
        }
        /// `(login, password)` → `{token, token_type, expires_in}`, the last in seconds. Yields.
        Login [(Credentials)] => auth_login {
            service: Auth, privilege: Nothing, lane: Crypto, audited: true,
            console: &[anyone("login", &["login", "password"])],
            endpoints: &[old("login", "POST", "/api/login", Input::Json).says(
                OLD, "Get a token",
                "The token is a JSON Web Token. An unknown login and a wrong password are not told apart.",
            )],
        }
        /// `(token)` → `{revoked}`. Yields.
        Logout [] => auth_logout {
            service: Auth, privilege: Token, lane: Commit, audited: true,
            console: &[anyone("logout", &["token"]), user("logout")],
            endpoints: &[
                old("logout", "GET", "/api/logout", Input::Nothing).says(
                    OLD, "Revoke the token",
                    "No instance takes the token any more.",
                ),
                post("/v1/logout").without_body().says(
                    SESSIONS, "End the session of the token",
                    "Its refresh token and all its access tokens end. A token that belongs to no session ends alone.",
                ),
            ],
        }
        /// `(token)` → `{authorized, login, expires_at}`, the last in seconds since 1970. Yields for a new token.
        Check [] => auth_check {
            service: Auth, privilege: Nothing, lane: Inline, audited: false,
            console: &[anyone("check", &["token"]), user("check")],
            endpoints: &[old("check", "POST", "/api/check", Input::Authorization).says(
                OLD, "Check a token",
                "Whatever is wrong with the token, the answer is 200 with `NO`.",
            )],
        }
        /// `(token, keys)` → `{data}`. Yields for a new token.
        Get [(Result<Keys, Error>)] => kv_get {
            service: Kv, privilege: Token, lane: Inline, audited: false,
            console: &[owner("get")],
            endpoints: &[old("read", "POST", "/api/read", Input::Json).says(
                PAIRS, "Read many keys",
                "All or nothing: where a key may not be read, or does not exist, no values are returned.",
            )],
        }
        /// `(token, pairs)` → `{written, existing}`. Yields.
        Put [(Result<Steps, Error>)] => kv_put {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("put")],
            endpoints: &[old("write", "POST", "/api/write", Input::Json).says(
                PAIRS, "Write many pairs",
                "Inserts the pairs whose keys do not exist, in one transaction. A key that exists keeps its value and is \
                 named in the answer. Where a key may not be written, nothing is.",
            )],
        }
        /// `(login, password, name, surname)` → `{login}`. Yields.
        UserRegister [(Registration)] => user_register {
            service: Auth, privilege: Nothing, lane: Crypto, audited: true,
            console: &[owner("users.register").taking(&["login", "password", "name", "surname"])],
            endpoints: &[post("/v1/users").creating().says(
                USERS, "Register",
                "A taken login is reported first; then the rules for login, password, name and surname in this order.",
            )],
        }
        /// `(login, password)` → `{access_token, token_type, expires_in, refresh_token, refresh_expires_in}`. Yields.
        SessionLogin [(Credentials)] => session_login {
            service: Auth, privilege: Nothing, lane: Crypto, audited: true,
            console: &[anyone("session.login", &["login", "password"])],
            endpoints: &[post("/v1/login").says(
                SESSIONS, "Begin a session",
                "An unknown login, a wrong password and a disabled user are not told apart. Failures delay further tries. A \
                 user may have a number of sessions; one more ends the oldest.",
            )],
        }
        /// `(refresh_token)` → the result of `session_login`. Yields.
        // With a refresh token.
        SessionRefresh [(SecretString)] => session_refresh {
            service: Auth, privilege: Nothing, lane: Commit, audited: true,
            console: &[anyone("session.refresh", &["refresh_token"])],
            endpoints: &[post("/v1/refresh").says(
                SESSIONS, "Get new tokens for a refresh token",
                "The refresh token is used up. For some seconds it gives the same new refresh token again; used later, it \
                 ends its session (RFC 9700 §4.14).",
            )],
        }
        /// `(token)` → `{sessions}`. Yields for a new token.
        SessionList [] => session_list {
            service: Auth, privilege: Token, lane: Inline, audited: false,
            console: &[user("session.list")],
            endpoints: &[get("/v1/sessions").says(
                SESSIONS, "List one's own sessions",
                "The newest 1000, the newest first.",
            )],
        }
        /// `(token, session)` → `{revoked}`. Yields.
        // With the id of a session.
        SessionRevoke [(SessionId)] => session_revoke {
            service: Auth, privilege: Token, lane: Commit, audited: true,
            console: &[user("session.revoke")],
            endpoints: &[delete("/v1/sessions/{session}").says(
                SESSIONS, "End one of one's own sessions",
                "Its refresh token and all its access tokens end.",
            )],
        }
        /// `(token)` → `{revoked}`. Yields.
        SessionLogoutAll [] => session_logout_all {
            service: Auth, privilege: Token, lane: Commit, audited: true,
            console: &[user("logout_all")],
            endpoints: &[post("/v1/logout/all").without_body().says(
                SESSIONS, "End all sessions of the user",
                "All tokens of the user fail from now on.",
            )],
        }
        /// `(token, other_token)` → `{active, …}` (RFC 7662 §2.2). Yields for a new token.
        // With another token than the caller's.
        SessionIntrospect [(SecretString)] => session_introspect {
            service: Auth, privilege: Introspect, lane: Commit, audited: false,
            console: &[owner("introspect")],
            endpoints: &[post("/v1/introspect").with(Input::Form).says(
                SESSIONS, "Ask what a token is worth",
                "RFC 7662, whose form is taken as well as JSON. Needs the role `introspect` or `admin`.",
            )],
        }
        /// `(token)` → a user, and `permissions`. Yields for a new token.
        UserMe [] => user_me {
            service: Auth, privilege: Token, lane: Inline, audited: false,
            console: &[user("me")],
            endpoints: &[get("/v1/me").says(USERS, "Who am I", "The user of the token, and what it may do.")],
        }
        /// `(token, old, new)` → `{changed}`. Yields.
        UserPassword [(PasswordChange)] => user_password {
            service: Auth, privilege: Token, lane: Crypto, audited: true,
            console: &[user("password")],
            endpoints: &[put("/v1/me/password").says(
                USERS, "Change the password",
                "All tokens and sessions of the user end, that of this request included. A wrong old password counts as a \
                 failed login.",
            )],
        }
        /// `(token, name, surname)` → a user. Yields.
        UserRename [(Names)] => user_rename {
            service: Auth, privilege: Token, lane: Commit, audited: true,
            console: &[user("rename")],
            endpoints: &[put("/v1/me").says(USERS, "Change one's name", "The name and the surname.")],
        }
        /// `(token, password)` → `{deleted}`. Yields.
        UserDeleteOwn [(SecretString)] => user_delete_own {
            service: Auth, privilege: Token, lane: Crypto, audited: true,
            console: &[user("delete")],
            endpoints: &[delete("/v1/me").with(Input::Json).says(
                USERS, "Delete one's own account",
                "With the password. All tokens, keys and sessions end; keys of the store stay. A wrong password counts as a \
                 failed login.",
            )],
        }
        /// `(token, login, {ttl})` → `{reset_token, expires_at}`. Yields for a new token.
        UserResetToken [(OneTimeRequest)] => user_reset_token {
            service: Auth, privilege: Recovery, lane: Inline, audited: true,
            console: &[owner("users.reset_token")],
            endpoints: &[post("/v1/users/{login}/reset-token").says(
                USERS, "Make a one-time token for a new password",
                "For whoever sends the e-mail. Needs the role `recovery` or `admin`; `admin` for a user with one of the two.",
            )],
        }
        /// `(reset_token, password)` → `{changed}`. Yields.
        UserResetPassword [(NewPassword)] => user_reset_password {
            service: Auth, privilege: Nothing, lane: Crypto, audited: true,
            console: &[anyone("users.reset_password", &["reset_token", "password"])],
            endpoints: &[post("/v1/reset-password").says(
                USERS, "Set a new password with a one-time token",
                "All tokens and sessions of the user end, and the token is used up.",
            )],
        }
        /// `(token, login, {ttl})` → `{verification_token, expires_at}`. Yields for a new token.
        UserVerificationToken [(OneTimeRequest)] => user_verification_token {
            service: Auth, privilege: Recovery, lane: Inline, audited: true,
            console: &[owner("users.verification_token")],
            endpoints: &[post("/v1/users/{login}/verification-token").says(
                USERS, "Make a one-time token that verifies an e-mail address",
                "For whoever sends the e-mail to the login, which has to be an address. Needs the role `recovery` or `admin`.",
            )],
        }
        /// `(verification_token)` → `{login, email_verified}`. Yields.
        // With a verification token.
        UserVerifyEmail [(SecretString)] => user_verify_email {
            service: Auth, privilege: Nothing, lane: Commit, audited: true,
            console: &[anyone("users.verify_email", &["verification_token"])],
            endpoints: &[post("/v1/verify-email").says(
                USERS, "Verify an e-mail address with a one-time token",
                "The token is used up. Tokens and sessions of the user stay.",
            )],
        }
        /// `(token, name, {roles, ttl})` → `{key, api_key, name, roles, created_at, expires_at, used_at}`. Yields.
        ApiKeyCreate [(ApiKeyInput)] => api_key_create {
            service: Auth, privilege: Token, lane: Commit, audited: true,
            console: &[user("api_keys.create")],
            endpoints: &[post("/v1/api-keys").creating().says(
                API_KEYS, "Make an API key",
                "`key` is shown once. Without `roles` it has all roles of its user. Not for API keys.",
            )],
        }
        /// `(token)` → `{api_keys}`. Yields for a new token.
        ApiKeyList [] => api_key_list {
            service: Auth, privilege: Token, lane: Inline, audited: false,
            console: &[user("api_keys.list")],
            endpoints: &[get("/v1/api-keys").says(API_KEYS, "List one's own API keys", "Not for API keys.")],
        }
        /// `(token, api_key)` → `{revoked}`. Yields.
        // With the id of a key.
        ApiKeyRevoke [(ApiKeyId)] => api_key_revoke {
            service: Auth, privilege: Token, lane: Commit, audited: true,
            console: &[user("api_keys.revoke")],
            endpoints: &[delete("/v1/api-keys/{api_key}").says(
                API_KEYS, "Revoke an API key",
                "It fails from the next request on. Not for API keys.",
            )],
        }
        /// `()` → `{keys}` (RFC 7517 §5).
        KeySet [] => key_set {
            service: Auth, privilege: Nothing, lane: Inline, audited: false,
            console: &[owner("keys.set")],
            endpoints: &[get("/.well-known/jwks.json").says(
                KEYS, "The public keys",
                "For services that verify tokens themselves; they may be kept for a minute.",
            )],
        }
        /// `(token, {after, limit})` → `{users, next}`. Yields for a new token.
        UserList [(Result<Page, Error>)] => user_list {
            service: Auth, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("users.list")],
            endpoints: &[get("/v1/admin/users").with_query(PAGE).says(
                USERS, "List users",
                "In the order of their logins. Needs the role `admin`.",
            )],
        }
        /// `(token, login)` → a user. Yields for a new token.
        UserGet [(String)] => user_get {
            service: Auth, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("users.get")],
            endpoints: &[get("/v1/admin/users/{login}").says(USERS, "Look at a user", "Needs the role `admin`.")],
        }
        /// `(token, login, password, name, surname, {roles})` → a user. Yields.
        // With the names of roles.
        UserCreate [(Registration, Vec<String>)] => user_create {
            service: Auth, privilege: Admin, lane: Crypto, audited: true,
            console: &[owner("users.create").taking(&["login", "password", "name", "surname", "roles"])],
            endpoints: &[post("/v1/admin/users").creating().says(
                USERS, "Add a user with roles",
                "The rules are those of a registration. Needs the role `admin`.",
            )],
        }
        /// `(token, login)` → `{deleted}`. Yields.
        UserDelete [(String)] => user_delete {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.delete")],
            endpoints: &[delete("/v1/admin/users/{login}").says(
                USERS, "Delete a user",
                "All tokens and sessions of the user end; a user who registers under the same login is another one. Needs \
                 the role `admin`.",
            )],
        }
        /// `(token, login)` → a user. Yields.
        UserDisable [(String)] => user_disable {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.disable")],
            endpoints: &[post("/v1/admin/users/{login}/disable").without_body().says(
                USERS, "Disable a user",
                "The user cannot log in, and all tokens and sessions end. Needs the role `admin`.",
            )],
        }
        /// `(token, login)` → a user. Yields.
        UserEnable [(String)] => user_enable {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.enable")],
            endpoints: &[post("/v1/admin/users/{login}/enable").without_body().says(
                USERS, "Enable a user",
                "The user may log in again; tokens do not come back. Needs the role `admin`.",
            )],
        }
        /// `(token, login)` → `{revoked}`. Yields.
        UserLogout [(String)] => user_logout {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.logout")],
            endpoints: &[post("/v1/admin/users/{login}/logout").without_body().says(
                USERS, "End all sessions of another user",
                "All tokens of the user fail from now on. Needs the role `admin`.",
            )],
        }
        /// `(token, login)` → `{sessions}`. Yields for a new token.
        UserSessionList [(String)] => user_session_list {
            service: Auth, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("users.sessions")],
            endpoints: &[get("/v1/admin/users/{login}/sessions").says(
                USERS, "List the sessions of a user",
                "The newest 1000, the newest first. Needs the role `admin`.",
            )],
        }
        /// `(token, login, session)` → `{revoked}`. Yields.
        UserSessionRevoke [(UserSession)] => user_session_revoke {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.revoke_session")],
            endpoints: &[delete("/v1/admin/users/{login}/sessions/{session}").says(
                USERS, "End a session of a user",
                "Its refresh token and all its access tokens end. Needs the role `admin`.",
            )],
        }
        /// `(token, login, name, {roles, ttl})` → the result of `api_key_create`. Yields.
        UserApiKeyCreate [(UserApiKeyInput)] => user_api_key_create {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.create_api_key")],
            endpoints: &[post("/v1/admin/users/{login}/api-keys").creating().says(
                API_KEYS, "Make an API key for a user",
                "`key` is shown once. Needs the role `admin`. Not for API keys.",
            )],
        }
        /// `(token, login)` → `{api_keys}`. Yields for a new token.
        UserApiKeyList [(String)] => user_api_key_list {
            service: Auth, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("users.api_keys")],
            endpoints: &[get("/v1/admin/users/{login}/api-keys").says(
                API_KEYS, "List the API keys of a user", "Needs the role `admin`.",
            )],
        }
        /// `(token, login, api_key)` → `{revoked}`. Yields.
        UserApiKeyRevoke [(UserApiKey)] => user_api_key_revoke {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("users.revoke_api_key")],
            endpoints: &[delete("/v1/admin/users/{login}/api-keys/{api_key}").says(
                API_KEYS, "Revoke an API key of a user",
                "It fails from the next request on. Needs the role `admin`.",
            )],
        }
        /// `(token, login, {roles})` → a user. Yields.
        UserCreateService [(ServiceUser)] => user_create_service {
            service: Auth, privilege: Admin, lane: Crypto, audited: true,
            console: &[owner("users.create_service")],
            endpoints: &[post("/v1/admin/services").creating().says(
                API_KEYS, "Add a service user",
                "A user whose password nobody knows, for programs: only API keys act as this user. Needs the role `admin`.",
            )],
        }
        /// `(token, login, password)` → `{changed}`. Yields.
        UserSetPassword [(Credentials)] => user_set_password {
            service: Auth, privilege: Admin, lane: Crypto, audited: true,
            console: &[owner("users.set_password")],
            endpoints: &[put("/v1/admin/users/{login}/password").says(
                USERS, "Set the password of another user",
                "All tokens and sessions of the user end. Needs the role `admin`.",
            )],
        }
        /// `(token, {role, key, access})` → `{login, roles}`. Yields for a new token.
        AuthAccess [(Result<Question, Error>)] => auth_access {
            service: Any, privilege: Token, lane: Inline, audited: false,
            console: &[user("access")],
            endpoints: &[get("/v1/auth").with_query(QUESTION).says(
                SESSIONS, "Whether a request may pass, for proxies",
                "The answer has no body. It says in its header who the user of the token is, for what is behind the proxy. \
                 With `role` the user has to have that role, with `key` access to that key of the store, which need not \
                 exist; otherwise it is 403. Without a valid token it is 401.",
            )],
        }
        /// `(token, login, role)` → a user. Yields.
        RoleGrant [(Grant)] => role_grant {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("roles.grant")],
            endpoints: &[put("/v1/admin/users/{login}/roles/{role}").without_body().says(
                ROLES, "Give a role to a user",
                "It counts from the next request on. Needs the role `admin`.",
            )],
        }
        /// `(token, login, role)` → a user. Yields.
        RoleRevoke [(Grant)] => role_revoke {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("roles.revoke")],
            endpoints: &[delete("/v1/admin/users/{login}/roles/{role}").says(
                ROLES, "Take a role from a user",
                "It counts from the next request on; a role that the user does not have is no failure. Needs the role `admin`.",
            )],
        }
        /// `(token)` → `{roles}`. Yields for a new token.
        RoleList [] => role_list {
            service: Auth, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("roles.list")],
            endpoints: &[get("/v1/admin/roles").says(
                ROLES, "List roles",
                "`admin`, `introspect` and `default` are always there. Needs the role `admin`.",
            )],
        }
        /// `(token, role, permissions)` → `{name, permissions}`. Yields.
        // A role with the most permissions and long prefixes is as large as a batch of pairs.
        RoleSet [(NewRole)] => role_set {
            service: AuthLarge, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("roles.set")],
            endpoints: &[put("/v1/admin/roles/{role}").says(
                ROLES, "Make a role, or change it",
                "All its permissions are replaced. `admin` and `introspect` cannot be changed. Needs the role `admin`.",
            )],
        }
        /// `(token, role)` → `{deleted}`. Yields.
        RoleDelete [(String)] => role_delete {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("roles.delete")],
            endpoints: &[delete("/v1/admin/roles/{role}").says(
                ROLES, "Delete a role",
                "Users who have it lose what it gave. `admin`, `introspect` and `default` cannot be deleted. Needs the role \
                 `admin`.",
            )],
        }
        /// `(token, {tarantool})` → `{metrics}`. Yields for a new token, and as the callbacks of Tarantool's module do.
        // Whether those of Tarantool's module are included.
        ServerMetrics [(bool)] => server_metrics {
            service: Any, privilege: Admin, lane: Scan, audited: false,
            console: &[owner("metrics")],
            endpoints: &[get("/v1/admin/metrics").with_query(METRICS).says(
                SERVER, "Read the metrics",
                "What Prometheus gets from `/metrics` on the admin listener. Needs the role `admin`.",
            )],
        }
        /// `(token)` → what the instance knows of its replica set. Yields for a new token.
        ServerCluster [] => server_cluster {
            service: Any, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("cluster")],
            endpoints: &[get("/v1/cluster").says(
                SERVER, "See who leads",
                "The replica set as this instance sees it: who leads, and how far the others are behind. Needs the role `admin`.",
            )],
        }
        /// `(token)` → `{keys}`. Yields for a new token.
        KeyList [] => key_list {
            service: Auth, privilege: Admin, lane: Inline, audited: false,
            console: &[owner("keys.list")],
            endpoints: &[get("/v1/admin/keys").says(KEYS, "List the keys that are published", "Needs the role `admin`.")],
        }
        /// `(token, {publish})` → `{kid, alg, signs_from}`, times in seconds. Yields.
        // With the seconds from the publication of the new key to its first signature, if they are given.
        KeyRotate [(Result<Option<u64>, Error>)] => key_rotate {
            service: Auth, privilege: Admin, lane: Crypto, audited: true,
            console: &[owner("keys.rotate")],
            endpoints: &[post("/v1/admin/keys/rotate").says(
                KEYS, "Make a key that is to sign",
                "It is published at once. The old one verifies until the last of its tokens has expired. Needs the role \
                 `admin`.",
            )],
        }
        /// `(token, kid)` → `{kid, verifies_until}`. Yields.
        // With the id of a key.
        KeyRetire [(String)] => key_retire {
            service: Auth, privilege: Admin, lane: Commit, audited: true,
            console: &[owner("keys.retire")],
            endpoints: &[post("/v1/admin/keys/{kid}/retire").without_body().says(
                KEYS, "End a key at once",
                "For emergencies: its tokens fail from now on. A key that signs cannot be retired. Needs the role `admin`.",
            )],
        }
        /// `(token, {after, limit})` → `{quotas, next}`. Yields if the use has to be counted.
        QuotaList [(Result<Page, Error>)] => quota_list {
            service: Kv, privilege: Admin, lane: Scan, audited: false,
            console: &[owner("quotas.list")],
            endpoints: &[get("/v1/admin/quotas").with_query(PAGE).says(
                QUOTAS, "List quotas",
                "What is used of each quota of the settings, in the order of their prefixes. Needs the role `admin`.",
            )],
        }
    ] $($more)* } };
}
