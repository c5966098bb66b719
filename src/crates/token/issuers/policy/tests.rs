use super::*;
use serde_json::json;

fn entry(more: Value) -> Value {
    let mut entry = json!({
        "issuer": "https://id.example",
        "keys": {"file": "keys.json"},
        "audience": ["authkv"],
        "login_prefix": "corp:",
    });
    if let (Some(entry), Value::Object(more)) = (entry.as_object_mut(), more) {
        entry.extend(more);
    }
    entry
}

fn parsed(entries: &[Value]) -> Result<Vec<Policy>, String> {
    parse(&json!({"issuers": entries}).to_string(), "authkv")
}

#[test]
fn an_entry_has_strict_defaults() {
    let policies = parsed(&[entry(json!({}))]).unwrap();
    let policy = &policies[0];
    assert_eq!(policy.algorithms(), [Algorithm::Rs256]);
    assert_eq!(
        (policy.token, policy.create, policy.lifetime_max),
        (Kind::Access, false, 86_400)
    );
    assert!(policy.login_claim.is("sub"));
    for (typ, taken) in [
        (Some("at+jwt"), true),
        (Some("AT+JWT"), true),
        (Some("application/at+jwt"), true),
        (Some("JWT"), false),
        (Some("application/jwt"), false),
        (Some(""), false),
        (None, false),
    ] {
        assert_eq!(policy.takes_type(typ), taken, "{typ:?}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (more, said) in [
        (json!({"more": 1}), "more"),
        (json!({"issuer": "a b"}), "issuer"),
        (json!({"issuer": "authkv"}), "AUTHKV_TOKEN_ISSUER"),
        (json!({"audience": []}), "audience"),
        (json!({"audience": "authkv"}), "sequence"),
        (json!({"algorithms": ["HS256"]}), "algorithms"),
        (json!({"types": []}), "types"),
        (json!({"clients": []}), "clients"),
        (json!({"header_members": ["x5u"]}), "x5u"),
        (json!({"login_prefix": "corp"}), "colon"),
        (json!({"login_prefix": ":"}), "colon"),
        (json!({"login_prefix": "a/b:"}), "colon"),
        (json!({"login_prefix": "", "create": true}), "create"),
        (json!({"login_claim": []}), "login_claim"),
        (json!({"roles_claim": "roles"}), "go together"),
        (json!({"roles": {"a": "."}, "roles_claim": "roles"}), "role"),
        (json!({"lifetime_max": 1}), "lifetime_max"),
        (
            json!({"keys": {"url": "https://x", "timeout": 0}}),
            "timeout",
        ),
        (
            json!({"keys": {"url": "https://x", "refresh_min": 9, "refresh_max": 8}}),
            "refresh_min",
        ),
        (json!({"keys": {}}), "url or file"),
    ] {
        let error = parsed(&[entry(more.clone())]).unwrap_err();
        assert!(
            error.starts_with("issuer 1: ") && error.contains(said),
            "{more}: {error}"
        );
    }
}

#[test]
fn two_issuers_differ_in_name_and_prefix() {
    let other = json!({"issuer": "https://other.example"});
    let error = parsed(&[entry(json!({})), entry(other.clone())]).unwrap_err();
    assert!(error.contains("issuer 2: its login_prefix"), "{error}");
    let error = parsed(&[entry(json!({})), entry(json!({"login_prefix": "x:"}))]).unwrap_err();
    assert!(error.contains("issuer 2: its issuer"), "{error}");
}

#[test]
fn a_claim_is_found_by_the_names_on_the_way() {
    let claims = json!({"a.b": 1, "a": {"b": {"c": 2}}, "list": [{"c": 3}]});
    let found = |path: Value| {
        let path: ClaimPath = serde_json::from_value(path).unwrap();
        path.find(claims.as_object().unwrap()).cloned()
    };
    assert_eq!(found(json!("a.b")), Some(json!(1)));
    assert_eq!(found(json!(["a", "b", "c"])), Some(json!(2)));
    assert_eq!(found(json!(["list", "c"])), None);
    assert_eq!(found(json!(["a", "x"])), None);
}
