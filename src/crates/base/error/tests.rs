//! Tests of the list of errors.

use super::*;

#[test]
fn names_and_codes_are_unique_and_codes_fit_iproto() {
    for (i, (a, _)) in Error::ROWS.iter().enumerate() {
        assert!(a.code < 0x8000, "{}", a.name);
        for status in [a.api_status, a.v1_status] {
            assert!((400..600).contains(&status), "{}", a.name);
        }
        for (b, _) in &Error::ROWS[..i] {
            assert!(
                a.name != b.name && a.code != b.code,
                "{} and {}",
                a.name,
                b.name
            );
        }
    }
}
