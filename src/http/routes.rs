//! Which path means which operation. Pure.

use super::docs::{self, Page};
use crate::command::Operation;
use crate::config::Services;
use crate::error::Error;
use hyper::Method;

/// A route of the profile `/api`.
#[derive(Debug, PartialEq, Eq)]
pub struct Route {
    /// Without its trailing slash, which is allowed.
    path: &'static str,
    allow: &'static str,
    pub operation: Operation,
}

const ROUTES: &[Route] = &[
    Route {
        path: "/api/read",
        allow: "POST",
        operation: Operation::Get,
    },
    Route {
        path: "/api/write",
        allow: "POST",
        operation: Operation::Put,
    },
    Route {
        path: "/api/check",
        allow: "POST",
        operation: Operation::Check,
    },
    Route {
        path: "/api/login",
        allow: "POST",
        operation: Operation::Login,
    },
    Route {
        path: "/api/register",
        allow: "POST",
        operation: Operation::Register,
    },
    Route {
        path: "/api/logout",
        allow: "GET",
        operation: Operation::Logout,
    },
];

/// Every route there is.
pub fn all() -> &'static [Route] {
    ROUTES
}

impl Route {
    /// Its path, without a trailing slash.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The one method it allows.
    pub fn allow(&self) -> &'static str {
        self.allow
    }

    /// Whether its body is read.
    pub fn has_body(&self) -> bool {
        self.allow == "POST"
    }
}

/// What a path and a method mean.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    Operation(&'static Route),
    Page(&'static Page),
    /// The question which methods there are, and the answer.
    Options(&'static str),
}

impl Target {
    /// The methods, as `Allow` lists them.
    pub fn allow(&self) -> &'static str {
        match self {
            Target::Operation(route) => route.allow,
            Target::Page(_) => docs::ALLOW,
            Target::Options(allow) => allow,
        }
    }

    pub fn operation(&self) -> Option<Operation> {
        match self {
            Target::Operation(route) => Some(route.operation),
            Target::Page(_) | Target::Options(_) => None,
        }
    }
}

/// What a request is for; `page` looks for what is no operation. Errors: `NoSuchRoute`, `NotOffered`, `WrongMethod`.
pub fn find(
    services: Services,
    method: &Method,
    path: &str,
    page: impl FnOnce(&str) -> Option<&'static Page>,
) -> Result<Target, Error> {
    if path == "*" && method == Method::OPTIONS {
        return Ok(Target::Options("GET, HEAD, POST"));
    }
    let target = match route(path) {
        Some(route) if !route.operation.offered_by(services) => return Err(Error::NotOffered),
        Some(route) => Target::Operation(route),
        None => page(path).map(Target::Page).ok_or(Error::NoSuchRoute)?,
    };
    let allow = target.allow();
    match method.as_str() {
        "OPTIONS" => Ok(Target::Options(allow)),
        name if allow.split(", ").any(|one| one == name) => Ok(target),
        _ => Err(Error::WrongMethod { allow }),
    }
}

fn route(path: &str) -> Option<&'static Route> {
    let path = path.strip_suffix('/').unwrap_or(path);
    ROUTES.iter().find(|route| route.path == path)
}

/// The path as it is known here, or `-`.
pub fn known(path: &str) -> &'static str {
    route(path).map_or("-", |route| route.path)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(target.operation(), Some(Operation::Get));
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
        ] {
            assert_eq!(find(Method::POST, path), Err(Error::NoSuchRoute), "{path}");
        }
    }
}
