//! The table of routes, made from the table of operations at compile time. Pure.

use super::{Profile, Route};
use authkv_command::{Endpoint, Operation};

/// All routes, in the order of the operations.
pub static ROUTES: [Route; COUNT] = {
    let all = Operation::ALL;
    let mut routes = [route(all[0], &all[0].row().endpoints[0]); COUNT];
    let (mut count, mut at) = (0, 0);
    while at < all.len() {
        let endpoints = all[at].row().endpoints;
        let mut of_it = 0;
        while of_it < endpoints.len() {
            routes[count] = route(all[at], &endpoints[of_it]);
            routes[count].place = first(&routes, count);
            (count, of_it) = (count + 1, of_it + 1);
        }
        at += 1;
    }
    routes
};

/// The number of routes.
pub const COUNT: usize = {
    let (mut count, mut at) = (0, 0);
    while at < Operation::ALL.len() {
        count += Operation::ALL[at].row().endpoints.len();
        at += 1;
    }
    count
};

/// The number of the first route with the path of the last one.
const fn first(routes: &[Route; COUNT], last: usize) -> usize {
    let mut at = 0;
    while !same(routes[at].path, routes[last].path) {
        at += 1;
    }
    at
}

const fn route(operation: Operation, endpoint: &'static Endpoint) -> Route {
    Route {
        operation,
        endpoint,
        profile: endpoint.profile,
        input: endpoint.input,
        query: endpoint.query,
        delivery: endpoint.delivery,
        path: endpoint.path,
        place: 0,
        literal: literal(endpoint.path),
        allow: allow(endpoint),
    }
}

/// The part of a path before its first name.
const fn literal(path: &str) -> &str {
    let mut at = 0;
    while at < path.len() && path.as_bytes()[at] != b'{' {
        at += 1;
    }
    path.split_at(at).0
}

/// All methods of an endpoint's path. A path with GET also has HEAD, except in the profile `Api`.
const fn allow(endpoint: &'static Endpoint) -> &'static str {
    if matches!(endpoint.profile, Profile::Api) {
        return endpoint.method;
    }
    let (mut methods, mut at) = (0, 0);
    while at < Operation::ALL.len() {
        let endpoints = Operation::ALL[at].row().endpoints;
        let mut of_it = 0;
        while of_it < endpoints.len() {
            if same(endpoints[of_it].path, endpoint.path) {
                methods |= bit(endpoints[of_it].method);
            }
            of_it += 1;
        }
        at += 1;
    }
    ALLOW[methods]
}

const fn bit(method: &str) -> usize {
    match method.as_bytes() {
        b"GET" => 1,
        b"POST" => 2,
        b"PUT" => 4,
        _ => 8,
    }
}

/// The texts by the sum of the [`bit`]s.
const ALLOW: [&str; 16] = [
    "",
    "GET, HEAD",
    "POST",
    "GET, HEAD, POST",
    "PUT",
    "GET, HEAD, PUT",
    "POST, PUT",
    "GET, HEAD, POST, PUT",
    "DELETE",
    "GET, HEAD, DELETE",
    "POST, DELETE",
    "GET, HEAD, POST, DELETE",
    "PUT, DELETE",
    "GET, HEAD, PUT, DELETE",
    "POST, PUT, DELETE",
    "GET, HEAD, POST, PUT, DELETE",
];

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_lists_the_methods_of_all_routes_of_a_path() {
        for route in &ROUTES {
            let mut methods = Vec::new();
            for other in ROUTES.iter().filter(|other| other.path() == route.path()) {
                methods.push(other.method());
                if other.method() == "GET" && other.profile == Profile::V1 {
                    methods.push("HEAD");
                }
            }
            let order = |method: &&str| {
                ["GET", "HEAD", "POST", "PUT", "DELETE"]
                    .iter()
                    .position(|one| one == method)
            };
            methods.sort_by_key(order);
            assert_eq!(methods.join(", "), route.allow, "{}", route.path());
        }
    }
}
