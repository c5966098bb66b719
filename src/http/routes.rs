//! Which path means which operation. Pure.

use super::docs::{self, Page};
use crate::codec::Member;
use crate::command::Operation;
use crate::config::Services;
use crate::error::Error;
use hyper::Method;
use percent_encoding::percent_decode_str;

/// How a request is read and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What clients of the old system know.
    Api,
    V1,
}

/// Where the input of an operation stands, beside the path and the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nowhere; a body is not looked at.
    Nothing,
    /// In a JSON body.
    Json,
    /// In a body that holds the value of an `Authorization` header.
    Authorization,
    /// In a form (RFC 7662 §2.1), or in a JSON body.
    Form,
}

/// What a member of the query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
}

/// A path, a method and what they mean.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// Without its trailing slash, which is allowed. `{name}` stands for one segment.
    path: &'static str,
    method: &'static str,
    /// All methods of the path, as `Allow` lists them.
    allow: &'static str,
    pub operation: Operation,
    pub profile: Profile,
    pub input: Input,
    pub query: &'static [(&'static str, Kind)],
}

const ROUTES: &[Route] = &[
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
];

const GET: &str = "GET, HEAD";
const USERS: &str = "/v1/admin/users";
const USER: &str = "/v1/admin/users/{login}";
const GRANT: &str = "/v1/admin/users/{login}/roles/{role}";
const ROLE: &str = "/v1/admin/roles/{role}";
const PAGE: &[(&str, Kind)] = &[("after", Kind::Text), ("limit", Kind::Number)];

const fn api(
    path: &'static str,
    method: &'static str,
    input: Input,
    operation: Operation,
) -> Route {
    Route {
        path,
        method,
        allow: method,
        operation,
        profile: Profile::Api,
        input,
        query: &[],
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
    }
}

/// Every route there is.
pub fn all() -> &'static [Route] {
    ROUTES
}

impl Route {
    const fn without_body(mut self) -> Self {
        self.input = Input::Nothing;
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

    /// Its path, without a trailing slash.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The names in its path, in their order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(name)
    }

    pub fn method(&self) -> &'static str {
        self.method
    }

    /// All methods that its path allows.
    pub fn allow(&self) -> &'static str {
        self.allow
    }

    /// Whether its body is read.
    pub fn has_body(&self) -> bool {
        self.input != Input::Nothing
    }

    /// Whether that method asks for it: what has a GET has a HEAD (RFC 9110 §9.3.2), save in the old profile.
    fn takes(&self, method: &str) -> bool {
        self.method == method
            || method == "HEAD" && self.method == "GET" && self.profile == Profile::V1
    }

    /// The segments that the names in its path stand for, still encoded, or `None` where it is another path.
    fn captures<'a>(&self, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
        let mut captures = Vec::new();
        let mut segments = path.split('/');
        for part in self.path.split('/') {
            let segment = segments.next()?;
            match name(part) {
                Some(name) if !segment.is_empty() => captures.push((name, segment)),
                None if part == segment => {}
                _ => return None,
            }
        }
        segments.next().is_none().then_some(captures)
    }
}

/// The name in a part of a route's path that stands for a segment.
fn name(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// Members of the input that stand in a path.
pub type Members = Vec<(&'static str, Member)>;

/// What a path and a method mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    Operation(&'static Route, Members),
    Page(&'static Page),
    /// The question which methods there are, and the answer.
    Options(&'static str),
}

impl Target {
    /// The methods, as `Allow` lists them.
    pub fn allow(&self) -> &'static str {
        match self {
            Target::Operation(route, _) => route.allow,
            Target::Page(_) => docs::ALLOW,
            Target::Options(allow) => allow,
        }
    }

    pub fn route(&self) -> Option<&'static Route> {
        match self {
            Target::Operation(route, _) => Some(route),
            Target::Page(_) | Target::Options(_) => None,
        }
    }
}

/// What a request is for; `page` looks for what is no operation. Errors: `NoSuchRoute`, `NotOffered`, `WrongMethod`,
/// `Malformed` for a path that is not UTF-8.
pub fn find(
    services: Services,
    method: &Method,
    path: &str,
    page: impl FnOnce(&str) -> Option<&'static Page>,
) -> Result<Target, Error> {
    if path == "*" && method == Method::OPTIONS {
        return Ok(Target::Options("GET, HEAD, POST, PUT, DELETE"));
    }
    let method = method.as_str();
    let allow = match (first(path), method) {
        (Some(route), _) if !route.operation.offered_by(services) => return Err(Error::NotOffered),
        (Some(route), "OPTIONS") => return Ok(Target::Options(route.allow)),
        (Some(route), _) => {
            if let Some((route, captures)) = matching(path).find(|(route, _)| route.takes(method)) {
                return decode(captures).map(|members| Target::Operation(route, members));
            }
            route.allow
        }
        (None, _) => {
            let page = page(path).ok_or(Error::NoSuchRoute)?;
            match method {
                "GET" | "HEAD" => return Ok(Target::Page(page)),
                "OPTIONS" => return Ok(Target::Options(docs::ALLOW)),
                _ => docs::ALLOW,
            }
        }
    };
    Err(Error::WrongMethod { allow })
}

/// The routes of a path.
fn matching(
    path: &str,
) -> impl Iterator<Item = (&'static Route, Vec<(&'static str, &str)>)> + use<'_> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let profile = profile(path);
    let routes = ROUTES.iter().filter(move |route| route.profile == profile);
    routes.filter_map(move |route| Some((route, route.captures(path)?)))
}

fn first(path: &str) -> Option<&'static Route> {
    matching(path).next().map(|(route, _)| route)
}

fn decode(captures: Vec<(&'static str, &str)>) -> Result<Members, Error> {
    let decoded = captures.into_iter().map(|(name, segment)| {
        let text = percent_decode_str(segment).decode_utf8();
        let text = text.map_err(|_| Error::malformed(format!("{name} should be UTF-8")))?;
        Ok((name, Member::Text(text.into_owned())))
    });
    decoded.collect()
}

/// The profile in which what is under a path is answered, also where there is no such path.
pub fn profile(path: &str) -> Profile {
    let v1 = path == "/v1" || path.starts_with("/v1/") || path.starts_with("/.well-known/");
    match v1 {
        true => Profile::V1,
        false => Profile::Api,
    }
}

/// The path as it is known here, or `-`.
pub fn known(path: &str) -> &'static str {
    first(path).map_or("-", |route| route.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Services = Services {
        auth: true,
        kv: true,
    };

    fn found(method: Method, path: &str) -> Result<(Operation, Members), Error> {
        match super::find(BOTH, &method, path, |_| None)? {
            Target::Operation(route, members) => Ok((route.operation, members)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_found_with_and_without_its_slash() {
        let find = |method, path| {
            let services = Services {
                auth: false,
                kv: true,
            };
            super::find(services, &method, path, |_| None)
        };
        for path in ["/api/read", "/api/read/"] {
            let target = find(Method::POST, path).unwrap();
            assert_eq!(target.route().unwrap().operation, Operation::Get);
        }
        assert_eq!(
            find(Method::OPTIONS, "/api/read"),
            Ok(Target::Options("POST"))
        );
        assert_eq!(find(Method::POST, "/api/login/"), Err(Error::NotOffered));
        assert_eq!(
            find(Method::GET, "/api/read/"),
            Err(Error::WrongMethod { allow: "POST" })
        );
        for path in [
            "",
            "/",
            "/api",
            "/api/",
            "/api/read//",
            "//api/read",
            "/api/reads",
            "/API/read",
            "/api/read/x",
            "/v1",
            "/v1/",
            "/v1/admin/users//disable",
            "/v1/admin/users/a/b",
        ] {
            assert_eq!(find(Method::POST, path), Err(Error::NoSuchRoute), "{path}");
        }
    }

    #[test]
    fn segments_of_a_path_are_members_of_the_input() {
        let text = |name, text: &str| (name, Member::Text(text.to_owned()));
        assert_eq!(
            found(Method::PUT, "/v1/admin/users/al%2Fice/roles/%D1%8F/"),
            Ok((
                Operation::RoleGrant,
                vec![text("login", "al/ice"), text("role", "я")]
            ))
        );
        assert_eq!(
            found(Method::HEAD, "/v1/admin/users/rotate").unwrap().0,
            Operation::UserGet
        );
        assert!(matches!(
            found(Method::GET, "/v1/admin/users/%ff"),
            Err(Error::Malformed(_))
        ));
        let allow = "GET, HEAD, DELETE";
        assert_eq!(
            found(Method::PUT, "/v1/admin/users/a"),
            Err(Error::WrongMethod { allow })
        );
    }

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
