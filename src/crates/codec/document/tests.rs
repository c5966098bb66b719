//! Which members documents find, and which they refuse.

use super::*;

#[test]
fn members_of_a_body_are_found_by_name() {
    let body = Document::from_json(br#"{"b":1,"x":[{}],"a":"last"}"#, Rules::json(9)).unwrap();
    assert_eq!(
        body.fields(["a", "b"], 0).unwrap(),
        [b"\xa4last" as &[u8], b"\x01"]
    );
}

#[test]
fn members_of_a_path_are_not_in_a_body() {
    let members = [
        ("a", Member::Text("path".to_owned())),
        ("n", Member::Number(300)),
    ];
    let with = |json: &[u8]| Document::from_json_and(json, Rules::json(9), &members).unwrap();
    assert_eq!(
        with(br#"{"b":2}"#).fields(["a", "b", "n"], 0),
        Ok([b"\xa4path" as &[u8], b"\x02", b"\xcd\x01\x2c"])
    );
    assert_eq!(
        with(b"").fields(["a", "n"], 0),
        Ok([b"\xa4path" as &[u8], b"\xcd\x01\x2c"])
    );
    for (json, what) in [
        (&br#"{"a":1,"b":2}"#[..], "a should be given once"),
        (
            br#"{"bb":2}"#,
            "There is no member bb: did you mean b? Known are b",
        ),
    ] {
        let error = with(json).fields(["a", "b", "n"], 0).unwrap_err();
        assert_eq!(error.to_string(), what);
    }
    assert!(Document::from_json_and(b"[]", Rules::json(9), &members).is_err());
}

#[test]
fn only_the_contract_has_members_that_nobody_knows() {
    let json = br#"{"a":1,"o":2,"more":3,"a":4}"#;
    let old = Document::from_json(json, Rules::json(9)).unwrap();
    assert_eq!(old.fields(["a"], 0), Ok([b"\x04" as &[u8]]));
    let text = |json: &[u8]| {
        let body = Document::from_json_and(json, Rules::json(9), &[])?;
        let all = body.fields_and_options(["a"], ["o"], 0);
        all.map(|(_, [option])| option.map(<[u8]>::to_vec))
    };
    assert_eq!(text(br#"{"a":1,"o":2}"#), Ok(Some(vec![2])));
    for (json, what) in [
        (
            &br#"{"a":1,"oo":2}"#[..],
            "There is no member oo: did you mean o? Known are a, o",
        ),
        // The error names the unknown member, not the missing one.
        (
            br#"{"A":1}"#,
            "There is no member A: did you mean a? Known are a, o",
        ),
        (br#"{"a":1,"a":2}"#, "a should be given once"),
        (br#"{"a":1,"o":null,"o":2}"#, "o should be given once"),
    ] {
        assert_eq!(text(json).unwrap_err().to_string(), what);
    }
}

#[test]
fn a_byte_order_mark_is_left_out_once() {
    const MARK: &str = "\u{feff}";
    for (text, ok) in [
        (r#"{"a":1}"#.to_owned(), true),
        (format!(r#"{MARK}{{"a":1}}"#), true),
        (format!(r#"{MARK}{MARK}{{"a":1}}"#), false),
        (format!(r#" {MARK}{{"a":1}}"#), false),
        (format!(r#"{{{MARK}"a":1}}"#), false),
        (format!(r#"{{"a":1}}{MARK}"#), false),
    ] {
        let (text, rules) = (text.as_bytes(), Rules::json(9));
        assert_eq!(Document::from_json(text, rules).is_ok(), ok);
        assert_eq!(Document::from_json_and(text, rules, &[]).is_ok(), ok);
        assert_eq!(rules.value_from_json(text).is_ok(), ok);
    }
    let body = Document::from_json_and(MARK.as_bytes(), Rules::json(9), &[]).unwrap();
    assert_eq!(body.is_given(0), Ok(false));
    let kept = Rules::json(9).value_from_json(format!("{MARK}\"{MARK}a\"").as_bytes());
    assert_eq!(kept, Ok(b"\xa4\xef\xbb\xbfa".to_vec()));
}

#[test]
fn an_input_is_there_or_not() {
    for (text, is) in [(&b""[..], false), (b"{}", true), (b" {}", true)] {
        let body = Document::from_json_and(text, Rules::json(9), &[]).unwrap();
        assert_eq!(body.is_given(0), Ok(is));
    }
    for (bytes, is) in [
        (&b"\x91\xa1t"[..], false),
        (b"\x92\xa1t\xc0", false),
        (b"\x92\xa1t\x90", true),
        (b"\x92\xa1t\x80", true),
    ] {
        let arguments = Document::from_msgpack(bytes, Rules::json(9)).unwrap();
        assert_eq!(arguments.is_given(1), Ok(is), "{bytes:?}");
    }
}

#[test]
fn options_stand_in_a_body_or_in_a_last_map() {
    let found = |input: Document<'_>| {
        let parts = input.fields_and_options(["a"], ["x", "y"], 1);
        parts.map(|(_, options)| options.map(|one| one.map(<[u8]>::to_vec)))
    };
    let of = |bytes: &'static [u8]| found(Document::from_msgpack(bytes, Rules::json(9)).unwrap());
    assert_eq!(of(b"\x92\xc0\x01"), Ok([None, None]));
    assert_eq!(of(b"\x93\xc0\x01\x81\xa1y\x07"), Ok([None, Some(vec![7])]));
    assert_eq!(of(b"\x93\xc0\x01\x90"), Ok([None, None]));
    assert!(of(b"\x93\xc0\x01\x81\xa1z\x07").is_err());
    assert!(of(b"\x94\xc0\x01\x80\x01").is_err());
    let body = Document::from_json(br#"{"a":1,"x":null,"y":2}"#, Rules::json(9)).unwrap();
    assert_eq!(found(body), Ok([None, Some(vec![2])]));
}

#[test]
fn arguments_are_found_by_position() {
    let arguments = Document::from_msgpack(b"\x93\xc0\xa4last\x01", Rules::json(9)).unwrap();
    assert_eq!(
        arguments.fields(["a", "b"], 1).unwrap(),
        [b"\xa4last" as &[u8], b"\x01"]
    );
    assert_eq!(arguments.first("token"), Ok(None));
}

#[test]
fn what_is_missing_or_too_much_is_named() {
    let text = |input: Document<'_>| input.fields(["a", "b"], 0).unwrap_err().to_string();
    let body = |json| text(Document::from_json(json, Rules::json(9)).unwrap());
    assert_eq!(body(br#"{"a":1}"#), "b is missing: expected a, b");
    assert_eq!(body(br#"[1,2]"#), "The body should be an object");
    let arguments = |bytes| text(Document::from_msgpack(bytes, Rules::json(9)).unwrap());
    assert_eq!(arguments(b"\x91\x01"), "b is missing: expected a, b");
    assert_eq!(
        arguments(b"\x93\x01\x02\x03"),
        "Too many arguments: expected a, b"
    );
}
