//! The table of routes. Pure.

use super::{Delivery, Input, Kind, Profile, Route};
use authkv_command::Operation;

/// Every route there is.
pub const ROUTES: &[Route] = &[
    api("/api/read", "POST", Input::Json, Operation::Get),
    api("/api/write", "POST", Input::Json, Operation::Put),
    api("/api/check", "POST", Input::Authorization, Operation::Check),
    api("/api/login", "POST", Input::Json, Operation::Login),
    api("/api/register", "POST", Input::Json, Operation::Register),
    api("/api/logout", "GET", Input::Nothing, Operation::Logout),
    v1("/v1/users", "POST", "POST", Operation::UserRegister),
    v1("/v1/login", "POST", "POST", Operation::SessionLogin),
    v1("/v1/refresh", "POST", "POST", Operation::SessionRefresh),
    v1("/v1/logout", "POST", "POST", Operation::Logout).without_body(),
    v1(
        "/v1/logout/all",
        "POST",
        "POST",
        Operation::SessionLogoutAll,
    )
    .without_body(),
    v1(
        "/v1/introspect",
        "POST",
        "POST",
        Operation::SessionIntrospect,
    )
    .with_form(),
    v1("/v1/me", "GET", GET, Operation::UserMe),
    v1("/v1/me/password", "PUT", "PUT", Operation::UserPassword),
    v1("/.well-known/jwks.json", "GET", GET, Operation::KeySet),
    v1(USERS, "GET", "GET, HEAD, POST", Operation::UserList).with_query(PAGE),
    v1(USERS, "POST", "GET, HEAD, POST", Operation::UserCreate),
    v1(USER, "GET", "GET, HEAD, DELETE", Operation::UserGet),
    v1(USER, "DELETE", "GET, HEAD, DELETE", Operation::UserDelete),
    v1(
        "/v1/admin/users/{login}/disable",
        "POST",
        "POST",
        Operation::UserDisable,
    )
    .without_body(),
    v1(
        "/v1/admin/users/{login}/enable",
        "POST",
        "POST",
        Operation::UserEnable,
    )
    .without_body(),
    v1(
        "/v1/admin/users/{login}/logout",
        "POST",
        "POST",
        Operation::UserLogout,
    )
    .without_body(),
    v1(
        "/v1/admin/users/{login}/password",
        "PUT",
        "PUT",
        Operation::UserSetPassword,
    ),
    v1(GRANT, "PUT", "PUT, DELETE", Operation::RoleGrant).without_body(),
    v1(GRANT, "DELETE", "PUT, DELETE", Operation::RoleRevoke),
    v1("/v1/admin/roles", "GET", GET, Operation::RoleList),
    v1(ROLE, "PUT", "PUT, DELETE", Operation::RoleSet),
    v1(ROLE, "DELETE", "PUT, DELETE", Operation::RoleDelete),
    v1("/v1/admin/keys", "GET", GET, Operation::KeyList),
    v1(
        "/v1/admin/keys/rotate",
        "POST",
        "POST",
        Operation::KeyRotate,
    ),
    v1(
        "/v1/admin/keys/{kid}/retire",
        "POST",
        "POST",
        Operation::KeyRetire,
    )
    .without_body(),
    v1("/v1/watch", "GET", GET, Operation::KvWatch)
        .with_query(WATCH)
        .delivered(Delivery::Watch),
    v1("/v1/export", "GET", GET, Operation::KvList)
        .with_query(EXPORT)
        .delivered(Delivery::Export),
    v1("/v1/import", "POST", "POST", Operation::BatchPut)
        .with_query(IMPORT)
        .delivered(Delivery::Import),
    v1("/v1/batch/get", "POST", "POST", Operation::BatchGet),
    v1("/v1/batch/put", "POST", "POST", Operation::BatchPut),
    v1("/v1/batch/delete", "POST", "POST", Operation::BatchDelete),
    v1("/v1/txn", "POST", "POST", Operation::KvTxn),
    v1("/v1/kv", "GET", GET, Operation::KvList).with_query(LISTING),
    v1("/v1/kv/{key}/incr", "POST", "POST", Operation::KvIncr),
    v1(PAIR, "GET", PAIR_METHODS, Operation::PairGet).with_query(IF_REVISION),
    v1(PAIR, "PUT", PAIR_METHODS, Operation::PairPut)
        .with_value()
        .with_query(PAIR_OPTIONS),
    v1(PAIR, "DELETE", PAIR_METHODS, Operation::PairDelete).with_query(IF_REVISION),
];

const GET: &str = "GET, HEAD";
const USERS: &str = "/v1/admin/users";
const USER: &str = "/v1/admin/users/{login}";
const GRANT: &str = "/v1/admin/users/{login}/roles/{role}";
const ROLE: &str = "/v1/admin/roles/{role}";
const PAIR: &str = "/v1/kv/{key}";
const PAIR_METHODS: &str = "GET, HEAD, PUT, DELETE";
const IF_REVISION: &[(&str, Kind)] = &[("if_revision", Kind::Number)];
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
];
const PAGE: &[(&str, Kind)] = &[("after", Kind::Text), ("limit", Kind::Number)];
const WATCH: &[(&str, Kind)] = &[("prefix", Kind::Text), ("after", Kind::Number)];
const EXPORT: &[(&str, Kind)] = &[("prefix", Kind::Text)];
const IMPORT: &[(&str, Kind)] = &[("mode", Kind::Text)];

/// The part of a path before its first name.
const fn literal(path: &str) -> &str {
    let mut at = 0;
    while at < path.len() && path.as_bytes()[at] != b'{' {
        at += 1;
    }
    path.split_at(at).0
}

const fn api(
    path: &'static str,
    method: &'static str,
    input: Input,
    operation: Operation,
) -> Route {
    Route {
        path,
        literal: literal(path),
        method,
        allow: method,
        operation,
        profile: Profile::Api,
        input,
        query: &[],
        delivery: Delivery::Whole,
    }
}

/// With a JSON body where the method has one.
const fn v1(
    path: &'static str,
    method: &'static str,
    allow: &'static str,
    operation: Operation,
) -> Route {
    let has_body = matches!(method.as_bytes(), b"POST" | b"PUT");
    Route {
        path,
        literal: literal(path),
        method,
        allow,
        operation,
        profile: Profile::V1,
        input: if has_body {
            Input::Json
        } else {
            Input::Nothing
        },
        query: &[],
        delivery: Delivery::Whole,
    }
}

impl Route {
    const fn without_body(mut self) -> Self {
        self.input = Input::Nothing;
        self
    }

    const fn with_value(mut self) -> Self {
        self.input = Input::Value;
        self
    }

    const fn with_form(mut self) -> Self {
        self.input = Input::Form;
        self
    }

    const fn with_query(mut self, query: &'static [(&'static str, Kind)]) -> Self {
        self.query = query;
        self
    }

    const fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_lists_the_methods_of_all_routes_of_a_path() {
        for route in ROUTES {
            let mut methods = Vec::new();
            for other in ROUTES.iter().filter(|other| other.path == route.path) {
                methods.push(other.method);
                if other.method == "GET" && other.profile == Profile::V1 {
                    methods.push("HEAD");
                }
            }
            assert_eq!(methods.join(", "), route.allow, "{}", route.path);
        }
    }
}
