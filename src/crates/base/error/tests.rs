//! Tests of the table of errors.

use super::*;

/// One of each variant.
fn all() -> Vec<Error> {
    use Error::*;
    vec![
        Malformed(String::new()),
        TooDeep { limit: 1 },
        InputTooLarge { limit: 1 },
        Unauthenticated,
        InvalidCredentials,
        LoginTaken,
        BadLogin(""),
        BadPassword("".into()),
        BadInitial(""),
        NoKeys,
        RepeatedKeys(vec![]),
        MissingKeys(vec![]),
        BadKey(KeyRule::Length { limit: 1 }),
        TooManyKeys { limit: 1 },
        BadValue(""),
        ValueTooLarge {
            key: String::new(),
            limit: 1,
        },
        ReplyTooLarge { limit: 1 },
        BodyTimeout { limit: 1 },
        ReadOnly,
        StorageFull,
        NotDurable,
        TransactionAborted,
        Overloaded { what: "", limit: 1 },
        HeaderTimeout { limit: 1 },
        HeaderTooLarge { limit: 1, unit: "" },
        BadRequest(""),
        BadVersion,
        Error::bad_type(""),
        BadExpectation,
        Cancelled,
        TooManyConnections { limit: 1 },
        ShuttingDown,
        RevocationsUnknown,
        NotOffered,
        NoSuchRoute,
        WrongMethod { allow: "GET" },
        NotStarted,
        Forbidden {
            deed: Deed::Read,
            key: String::new(),
        },
        RoleRequired(""),
        TooManyAttempts { seconds: 1 },
        NoSuchUser,
        NoSuchRole,
        NoSuchSigningKey,
        BadRole(""),
        InvalidRefreshToken { reused: None },
        KeySigns,
        NoSigningKey,
        BadOption {
            name: "",
            allowed: "",
        },
        NoSuchKey(String::new()),
        Conflict {
            key: String::new(),
            revision: 1,
        },
        NotAnInteger(String::new()),
        OutOfRange(String::new()),
        TooOld {
            after: 1,
            oldest: 1,
        },
        NotStreamed,
        InTransaction,
        Internal,
    ]
}

#[test]
fn names_and_codes_are_unique_and_codes_fit_iproto() {
    let rows: Vec<Row> = all().iter().map(Error::row).collect();
    for (i, a) in rows.iter().enumerate() {
        assert!(a.code < 0x8000, "{}", a.name);
        for status in [a.api_status, a.v1_status] {
            assert!((400..600).contains(&status), "{}", a.name);
        }
        for b in &rows[..i] {
            assert!(
                a.name != b.name && a.code != b.code,
                "{} and {}",
                a.name,
                b.name
            );
        }
    }
}
