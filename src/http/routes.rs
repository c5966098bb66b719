//! Which path means which operation. Pure.

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

/// The route of a request. Errors: `NoSuchRoute`, `NotOffered`, `WrongMethod`.
pub fn find(services: Services, method: &Method, path: &str) -> Result<&'static Route, Error> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let route = ROUTES
        .iter()
        .find(|route| route.path == path)
        .ok_or(Error::NoSuchRoute)?;
    if !route.operation.offered_by(services) {
        return Err(Error::NotOffered);
    }
    match route.allow == method.as_str() {
        true => Ok(route),
        false => Err(Error::WrongMethod { allow: route.allow }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_with_and_without_its_slash() {
        let find = |method, path| {
            super::find(
                Services {
                    auth: false,
                    kv: true,
                },
                &method,
                path,
            )
            .map(|route| route.operation)
        };
        assert_eq!(find(Method::POST, "/api/read"), Ok(Operation::Get));
        assert_eq!(find(Method::POST, "/api/read/"), Ok(Operation::Get));
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
