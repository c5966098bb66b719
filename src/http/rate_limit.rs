//! The fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10). Pure.

use super::response::Response;
use crate::core::limits::Limit;

/// The names of the fields, as CORS lists them.
pub const EXPOSED: &str = ", RateLimit, RateLimit-Policy";
const FIELD: &str = "RateLimit";

/// Adds the limits that concern the request, if there are any.
pub fn add(limits: &[Limit], response: &mut Response) {
    if limits.is_empty() {
        return;
    }
    let list = |items: Vec<String>| items.join(", ");
    let policy = |one: &Limit| {
        format!(
            "\"{}\";q={};w={}",
            one.policy, one.rate.quota, one.rate.window
        )
    };
    response.set(
        "RateLimit-Policy",
        list(limits.iter().map(policy).collect()),
    );
    let left = |one: &Limit| {
        let (policy, left) = (one.policy, one.left);
        match left.more_in {
            // A full bucket has no time at which there is more.
            0 => format!("\"{policy}\";r={}", left.tokens),
            seconds => format!("\"{policy}\";r={};t={seconds}", left.tokens),
        }
    };
    response.set(FIELD, list(limits.iter().map(left).collect()));
}

/// Whether an answer has the fields.
pub fn is_in(response: &Response) -> bool {
    response.headers.iter().any(|(name, _)| *name == FIELD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_base::rate::{Left, Rate};

    #[test]
    fn the_fields_are_lists_of_the_draft() {
        let limit = |policy, tokens, more_in| Limit {
            policy,
            rate: Rate {
                quota: 600,
                window: 60,
            },
            left: Left { tokens, more_in },
        };
        let mut response = Response::new(200, "");
        add(&[], &mut response);
        assert!(response.headers.is_empty() && !is_in(&response));
        add(&[limit("a", 600, 0), limit("b", 0, 7)], &mut response);
        let fields = response
            .headers
            .iter()
            .map(|(name, value)| (&**name, &**value));
        assert_eq!(
            fields.collect::<Vec<_>>(),
            [
                ("RateLimit-Policy", "\"a\";q=600;w=60, \"b\";q=600;w=60"),
                ("RateLimit", "\"a\";r=600, \"b\";r=0;t=7"),
            ]
        );
        assert!(is_in(&response));
    }
}
