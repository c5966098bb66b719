//! Finds the operation for a path and a method. Pure.

mod table;

use crate::percent;
use authkv_base::error::Error;
use authkv_codec::Member;
use authkv_command::{Endpoint, Operation};
use authkv_config::Services;
use http::Method;
use percent_encoding::percent_decode_str;
use table::ROUTES;

pub use table::COUNT;

pub use authkv_command::{Delivery, Input, Kind, Profile};

/// A path and a method with their operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    pub operation: Operation,
    /// The entry in the table of operations. Some of its fields are repeated here.
    pub endpoint: &'static Endpoint,
    pub profile: Profile,
    pub input: Input,
    pub query: &'static [(&'static str, Kind)],
    pub delivery: Delivery,
    path: &'static str,
    /// The number of the first route with this path.
    place: usize,
    /// The part of the path before the first name.
    literal: &'static str,
    /// All methods of the path, in the form of the header `Allow`.
    allow: &'static str,
}

/// All routes.
pub fn all() -> &'static [Route] {
    &ROUTES
}

impl Route {
    /// The path, without a trailing slash.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The number of the first route with this path, below the number of [`all`] routes.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The names in the path, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(name)
    }

    pub fn method(&self) -> &'static str {
        self.endpoint.method
    }

    /// All methods of the path, in the form of the header `Allow`.
    pub fn allow(&self) -> &'static str {
        self.allow
    }

    /// Whether requests have a body that is read.
    pub fn has_body(&self) -> bool {
        self.input != Input::Nothing
    }

    /// Whether this route answers the method. A route for GET also answers HEAD (RFC 9110 §9.3.2), except in the profile `Api`.
    fn takes(&self, method: &str) -> bool {
        self.method() == method
            || method == "HEAD" && self.method() == "GET" && self.profile == Profile::V1
    }

    /// The segments for the names in the path, still encoded, or `None` for another path. A dot segment is refused as a name:
    /// most clients take it out of the path (RFC 3986 §5.2.4).
    fn captures<'a>(&self, path: &'a str) -> Option<Captures<'a>> {
        let mut captures = Vec::new();
        let mut segments = path.split('/');
        for part in self.path.split('/') {
            let segment = segments.next()?;
            match name(part) {
                Some(name) if !segment.is_empty() && !is_dots(segment) => {
                    captures.push((name, segment));
                }
                None if part == segment => {}
                _ => return None,
            }
        }
        segments.next().is_none().then_some(captures)
    }
}

/// The name in a segment of a route's path such as `{name}`.
fn name(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

/// The names in a route's path with their segments, still encoded.
type Captures<'a> = Vec<(&'static str, &'a str)>;

/// The members of the input that come from the path.
pub type Members = Vec<(&'static str, Member)>;

/// The methods of a page, in the form of the header `Allow`.
pub const PAGE_ALLOW: &str = "GET, HEAD";

/// The target of a request. `P` is a page that belongs to no operation.
#[derive(Debug, PartialEq)]
pub enum Target<P> {
    Operation(&'static Route, Members),
    Page(P),
    /// A request for the allowed methods, with the answer.
    Options(&'static str),
}

impl<P> Target<P> {
    /// The methods, in the form of the header `Allow`.
    pub fn allow(&self) -> &'static str {
        match self {
            Target::Operation(route, _) => route.allow,
            Target::Page(_) => PAGE_ALLOW,
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

/// The result of [`find`].
pub struct Found<P> {
    /// The profile for the answer, even if the path does not exist.
    pub profile: Profile,
    /// The path of the route, or `-`.
    pub path: &'static str,
    /// See [`Route::place`].
    pub place: Option<usize>,
    /// Errors: `NoSuchRoute`, `NotOffered`, `WrongMethod`, `Malformed` for a path that is not UTF-8.
    pub target: Result<Target<P>, Error>,
}

/// Finds the target of a request on a server of these services, or on one that has pages only (`None`). `page` finds pages that
/// belong to no operation.
pub fn find<P>(
    services: Option<Services>,
    method: &Method,
    path: &str,
    page: impl FnOnce(&str) -> Option<P>,
) -> Found<P> {
    let profile = profile(path);
    let routes = services.map(|services| {
        matching(profile, path).map(move |(route, captures)| (services, route, captures))
    });
    let everywhere = match routes {
        Some(_) => "GET, HEAD, POST, PUT, DELETE",
        None => PAGE_ALLOW,
    };
    let mut routes = routes.into_iter().flatten().peekable();
    Found {
        profile,
        path: routes.peek().map_or("-", |(_, route, _)| route.path),
        place: routes.peek().map(|(_, route, _)| route.place),
        target: match path == "*" && method == Method::OPTIONS {
            true => Ok(Target::Options(everywhere)),
            false => target(method, path, routes, page),
        },
    }
}

fn target<'a, P>(
    method: &Method,
    path: &str,
    mut routes: impl Iterator<Item = (Services, &'static Route, Captures<'a>)>,
    page: impl FnOnce(&str) -> Option<P>,
) -> Result<Target<P>, Error> {
    let method = method.as_str();
    let first = routes.next();
    let allow = match (first, method) {
        (Some((services, route, _)), _) if !route.operation.offered_by(services) => {
            return Err(Error::NotOffered)
        }
        (Some((_, route, _)), "OPTIONS") => return Ok(Target::Options(route.allow)),
        (Some(first), _) => {
            let allow = first.1.allow;
            let taking = std::iter::once(first)
                .chain(routes)
                .find(|(_, route, _)| route.takes(method));
            if let Some((_, route, captures)) = taking {
                return decode(captures).map(|members| Target::Operation(route, members));
            }
            allow
        }
        (None, _) => {
            let page = page(path).ok_or(Error::NoSuchRoute)?;
            match method {
                "GET" | "HEAD" => return Ok(Target::Page(page)),
                "OPTIONS" => return Ok(Target::Options(PAGE_ALLOW)),
                _ => PAGE_ALLOW,
            }
        }
    };
    Err(Error::WrongMethod { allow })
}

/// Whether a segment is a dot segment, percent-encoded or not: clients treat `%2e` as a dot, too (WHATWG URL, "double-dot URL
/// path segment").
fn is_dots(segment: &str) -> bool {
    let is = |name: &[u8]| percent_decode_str(segment).eq(name.iter().copied());
    is(b".") || is(b"..")
}

/// The routes of a path. Under `/v1` no route has a trailing slash: if a client or a proxy takes away a last segment, its slash
/// remains, and the request would reach the parent.
fn matching(
    profile: Profile,
    path: &str,
) -> impl Iterator<Item = (&'static Route, Captures<'_>)> + use<'_> {
    let path = match profile {
        Profile::Api => path.strip_suffix('/').unwrap_or(path),
        Profile::V1 => path,
    };
    let routes = ROUTES.iter().filter(move |route| route.profile == profile);
    routes.filter_map(move |route| match route.literal.len() == route.path.len() {
        true => (path == route.path).then(|| (route, Vec::new())),
        false if path.starts_with(route.literal) => Some((route, route.captures(path)?)),
        false => None,
    })
}

fn decode(captures: Captures<'_>) -> Result<Members, Error> {
    let decoded = captures.into_iter().map(|(name, segment)| {
        let text = percent::decode(name, segment.as_bytes())?;
        Ok((name, Member::Text(text)))
    });
    decoded.collect()
}

/// The beginnings of the paths with the profile `V1`.
const OF_V1: [&str; 2] = ["/v1", "/.well-known/"];

/// Whether the beginning of a path is long enough to know its profile.
pub fn tells_profile(beginning: &str) -> bool {
    !OF_V1
        .iter()
        .any(|of_v1| of_v1.len() > beginning.len() && of_v1.starts_with(beginning))
}

fn profile(path: &str) -> Profile {
    match OF_V1.iter().any(|of_v1| path.starts_with(of_v1)) {
        true => Profile::V1,
        false => Profile::Api,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Services = Services {
        auth: true,
        kv: true,
    };

    fn first(path: &str) -> Option<&'static Route> {
        matching(profile(path), path).next().map(|(route, _)| route)
    }

    fn found(method: Method, path: &str) -> Result<(Operation, Members), Error> {
        match super::find(Some(BOTH), &method, path, |_| None::<()>).target? {
            Target::Operation(route, members) => Ok((route.operation, members)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_of_the_old_profile_is_found_with_and_without_its_slash() {
        let find = |method, path| {
            let services = Services {
                auth: false,
                kv: true,
            };
            super::find(Some(services), &method, path, |_| None::<()>).target
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
    fn what_is_left_of_a_path_that_lost_a_segment_is_none() {
        let without_names = ROUTES.iter().filter(|route| route.profile == Profile::V1);
        for path in without_names.map(Route::path) {
            let whole = path.replace("{login}", "a").replace("{role}", "b");
            let whole = whole.replace("{key}", "c").replace("{kid}", "d");
            assert!(first(&whole).is_some(), "{whole}");
            for ending in ["/", "//", "/.", "/.."] {
                assert!(
                    first(&format!("{whole}{ending}")).is_none(),
                    "{whole}{ending}"
                );
            }
            for dots in [".", "..", "%2e", "%2E.", ".%2e", "%2e%2E"] {
                for name in path.split('/').filter(|part| part.starts_with('{')) {
                    let with = path.replace(name, dots);
                    assert!(first(&with).is_none(), "{with}");
                }
            }
        }
        for (segment, is) in [
            ("...", false),
            ("%2e%2e%2e", false),
            ("%2e.%2f", false),
            (".a", false),
            ("%252e", false),
            ("%2", false),
            ("", false),
            ("%2e", true),
        ] {
            assert_eq!(is_dots(segment), is, "{segment}");
        }
    }

    #[test]
    fn the_beginning_of_a_path_may_tell_its_profile() {
        for (beginning, tells) in [
            ("", false),
            ("/", false),
            ("/v", false),
            ("/v1", true),
            ("/v1/k", true),
            ("/a", true),
            ("/api/x", true),
            ("/.well-known", false),
            ("/.well-known/", true),
            ("/.w3", true),
        ] {
            assert_eq!(tells_profile(beginning), tells, "{beginning}");
        }
        for path in ["/v1", "/v1/", "/v1/x", "/v1x", "/.well-known/x"] {
            assert_eq!(profile(path), Profile::V1, "{path}");
        }
        for path in ["/", "/v", "/api/v1", "/.well-known", "/docs"] {
            assert_eq!(profile(path), Profile::Api, "{path}");
        }
    }

    #[test]
    fn segments_of_a_path_are_members_of_the_input() {
        let text = |name, text: &str| (name, Member::Text(text.to_owned()));
        assert_eq!(
            found(Method::PUT, "/v1/admin/users/al%2Fice/roles/%D1%8F"),
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
}
