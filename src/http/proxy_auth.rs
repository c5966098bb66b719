//! The answer to a proxy that asks whether a request may pass: the user, in the header. Pure.

use super::response::Response;
use authkv_command::Allowed;
use authkv_domain::login_in_keys;
use bytes::Bytes;

/// An answer without a body. Both fields are always there, with ASCII letters, digits, `-._~@+,` and percent codes only. So no name can
/// begin another field, or another role.
pub fn response(allowed: &Allowed) -> Response {
    let mut response = Response::new(204, Bytes::new());
    let roles: Vec<_> = allowed
        .roles
        .iter()
        .map(|role| login_in_keys(role))
        .collect();
    response.set("X-Authkv-Login", login_in_keys(&allowed.login).into_owned());
    response.set("X-Authkv-Roles", roles.join(","));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_begins_another_field_or_another_role() {
        let allowed = Allowed {
            login: "a\r\nX-Admin: я".to_owned(),
            roles: vec!["shop".to_owned(), "a,admin".to_owned(), "a_b".to_owned()],
        };
        let response = response(&allowed);
        assert_eq!((response.status, response.body.len()), (204, 0));
        let expected = [
            ("X-Authkv-Login", "a%0D%0AX-Admin%3A%20%D1%8F"),
            ("X-Authkv-Roles", "shop,a%2Cadmin,a_b"),
        ];
        for (seen, expected) in response.headers.iter().zip(expected) {
            assert_eq!((&*seen.0, &*seen.1), expected);
        }
        assert_eq!(response.headers.len(), 2);
    }
}
