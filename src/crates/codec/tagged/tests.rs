use super::super::check::{check, Allowed};
use super::super::{json_read, json_write};
use super::*;

const OLD: Types = Types::of_version(2, 6);
const NEW: Types = Types::of_version(2, 10);

fn read_as(json: &str, types: Types) -> Result<Vec<u8>, Error> {
    let bytes = json_read::to_msgpack(json.as_bytes(), 100).unwrap();
    untag(&bytes, types, 4).map(Cow::into_owned)
}

fn written(value: &[u8]) -> String {
    let mut out = Vec::new();
    json_write::write_tagged(&mut out, &mut Reader::new(value)).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_value_comes_back_from_its_json() {
    let uuid = [b"\xd8\x02" as &[u8], &[0x11; 16]].concat();
    let moscow = b"\xd8\x04\0\0\0\0\0\0\0\0\0\0\0\0\xb4\0\xb3\x03";
    for (value, json) in [
        (b"\xc0" as &[u8], "null"),
        (b"\x92\x01\xa1$", r#"[1,"$"]"#),
        (b"\xc4\x03\x00\x01\xff", r#"{"$binary":"AAH/"}"#),
        (b"\xc4\x00", r#"{"$binary":""}"#),
        (b"\xc7\x03\x01\x02\x15\x0c", r#"{"$decimal":"1.50"}"#),
        (
            b"\xc7\x05\x01\x00\x12\x34\x56\x7d",
            r#"{"$decimal":"-1234567"}"#,
        ),
        (&uuid, r#"{"$uuid":"11111111-1111-1111-1111-111111111111"}"#),
        (
            b"\xd7\x04\0\0\0\0\0\0\0\0",
            r#"{"$datetime":"1970-01-01T00:00:00Z"}"#,
        ),
        (
            moscow,
            r#"{"$ext":{"type":4,"data":"AAAAAAAAAAAAAAAAtACzAw=="}}"#,
        ),
        (
            b"\xc7\x03\x06\x01\x00\x01",
            r#"{"$ext":{"type":6,"data":"AQAB"}}"#,
        ),
        (b"\xd5\x01\x00\x0f", r#"{"$ext":{"type":1,"data":"AA8="}}"#),
        (b"\x81\xa4$map\x01", r#"{"$map":{"$map":1}}"#),
        (b"\x81\xa7$binary\xa0", r#"{"$map":{"$binary":""}}"#),
        (
            b"\x81\xa4$ext\x81\xa4$map\xc4\x01a",
            r#"{"$map":{"$ext":{"$map":{"$map":{"$binary":"YQ=="}}}}}"#,
        ),
        (b"\x82\xa4$map\x01\xa4$ext\x02", r#"{"$map":1,"$ext":2}"#),
        (b"\x81\xa5$maps\x01", r#"{"$maps":1}"#),
        (b"\x81\xa5\x24uuid\x80", r#"{"$map":{"$uuid":{}}}"#),
        (
            b"\x93\x01\x82\xa1a\xc4\x01a\xa1b\xd5\x01\x00\x1c\x90",
            r#"[1,{"a":{"$binary":"YQ=="},"b":{"$decimal":"1"}},[]]"#,
        ),
        (b"\xcb\x80\0\0\0\0\0\0\0", "-0.0"),
    ] {
        check(value, 4, Allowed::Types(NEW)).unwrap();
        assert_eq!(written(value), json);
        assert_eq!(read_as(json, NEW).unwrap(), value, "{json}");
    }
    // These come back in another coding.
    for (value, json, back) in [
        (
            b"\xa2a\xff" as &[u8],
            r#"{"$binary":"Yf8="}"#,
            b"\xc4\x02a\xff" as &[u8],
        ),
        (
            b"\xca\x3d\xcc\xcc\xcd",
            "0.10000000149011612",
            b"\xcb\x3f\xb9\x99\x99\xa0\0\0\0",
        ),
        (
            b"\xc7\x02\x01\x00\x1c",
            r#"{"$decimal":"1"}"#,
            b"\xd5\x01\x00\x1c",
        ),
    ] {
        assert_eq!(written(value), json);
        assert_eq!(read_as(json, NEW).unwrap(), back, "{json}");
    }
}

#[test]
fn data_of_others_has_a_tagged_form() {
    for (value, json) in [
        (
            b"\xd4\x03a" as &[u8],
            r#"{"$ext":{"type":3,"data":"YQ=="}}"#,
        ),
        (b"\xd4\xffa", r#"{"$ext":{"type":-1,"data":"YQ=="}}"#),
        (b"\xd4\x01a", r#"{"$ext":{"type":1,"data":"YQ=="}}"#),
        (b"\xcb\x7f\xf0\0\0\0\0\0\0", "null"),
        (b"\x81\xc4\x01a\x05", r#"{"YQ==":5}"#),
        (b"\x81\xd4\x01\x0c\x05", r#"{"DA==":5}"#),
        // A reader may keep only one of two members with the same name.
        (
            b"\x82\xa4$map\x01\xa4$map\x02",
            r#"{"$map":{"$map":1,"$map":2}}"#,
        ),
    ] {
        assert_eq!(written(value), json);
    }
}

#[test]
fn what_has_no_tag_is_borrowed() {
    for value in [
        b"\xa1$" as &[u8],
        b"\x93\x01\x02\x81\xa5price\xa2$5",
        b"\x82\xa4$map\x01\xa1a\x02",
        b"\x96\x01\x02\x03\x04\x05\x06",
    ] {
        assert!(matches!(untag(value, NEW, 4), Ok(Cow::Borrowed(same)) if same == value));
    }
}

#[test]
fn what_json_may_say_besides_is_read() {
    for (json, value) in [
        (r#"{"$map":{}}"#, b"\x80" as &[u8]),
        (
            r#"{"$map":{"a":{"$map":{"b":1}}}}"#,
            b"\x81\xa1a\x81\xa1b\x01",
        ),
        (r#"{"\u0024binary":"AA=="}"#, b"\xc4\x01\x00"),
        (r#"{"$ext":{"data":"ABw=","type":1}}"#, b"\xd5\x01\x00\x1c"),
        (r#"{"$decimal":"1e2"}"#, b"\xd5\x01\xfe\x1c"),
    ] {
        assert_eq!(read_as(json, OLD).unwrap(), value, "{json}");
    }
}

#[test]
fn a_tag_that_stands_for_nothing_is_refused() {
    for (json, part) in [
        (r#"{"$binary":5}"#, "$binary should hold base64"),
        (r#"{"$binary":"YQ"}"#, "$binary should hold base64"),
        (r#"{"$binary":"_w=="}"#, "$binary should hold base64"),
        (r#"{"$binary":"YR=="}"#, "$binary should hold base64"),
        (r#"[{"a":{"$decimal":1.5}}]"#, "a decimal should"),
        (r#"{"$decimal":"x"}"#, "a decimal should"),
        (r#"{"$uuid":null}"#, "a uuid should"),
        (
            r#"{"$datetime":"2030-01-01T00:00:00Z"}"#,
            "this Tarantool has no other",
        ),
        (r#"{"$map":[]}"#, "$map should hold an object"),
        (r#"{"$map":"a"}"#, "$map should hold an object"),
        (r#"{"$ext":"a"}"#, "$ext should hold"),
        (r#"{"$ext":{"type":1}}"#, "$ext should hold"),
        (
            r#"{"$ext":{"type":1,"data":"ABw=","a":1}}"#,
            "$ext should hold",
        ),
        (r#"{"$ext":{"type":1,"a":"ABw="}}"#, "$ext should hold"),
        (r#"{"$ext":{"type":"1","data":"ABw="}}"#, "$ext should hold"),
        (r#"{"$ext":{"type":257,"data":"ABw="}}"#, "$ext should hold"),
        (
            r#"{"$ext":{"type":1,"data":{"$binary":"ABw="}}}"#,
            "$ext should hold",
        ),
        (r#"{"$ext":{"type":1,"data":"AB0f"}}"#, "a decimal should"),
        (
            r#"{"$ext":{"type":3,"data":"AA=="}}"#,
            "this Tarantool has no other",
        ),
        (
            r#"{"$ext":{"type":6,"data":"AA=="}}"#,
            "this Tarantool has no other",
        ),
    ] {
        let text = read_as(json, OLD).unwrap_err().to_string();
        assert!(text.contains(part), "{json}: {text}");
    }
}

#[test]
fn depth_is_that_of_the_value() {
    // Four maps that look like tags, with an extension inside.
    let mut value = b"\xd5\x01\x00\x0f".to_vec();
    for _ in 0..4 {
        value = [b"\x81\xa4$map", value.as_slice()].concat();
    }
    let json = written(&value);
    assert!(json_read::to_msgpack(json.as_bytes(), json_depth(4) - 1).is_err());
    let bytes = json_read::to_msgpack(json.as_bytes(), json_depth(4)).unwrap();
    assert_eq!(untag(&bytes, NEW, 4).unwrap(), value);
    for bytes in [
        &bytes as &[u8],
        b"\x91\x91\x91\x91",
        b"\x94\xc0\xc0\xc0\x91\x91\x91\x90",
    ] {
        assert_eq!(untag(bytes, NEW, 3), Err(Error::TooDeep { limit: 3 }));
    }
    let deep = [vec![0x91; 100_000], vec![0xa1, b'$']].concat();
    assert!(matches!(untag(&deep, NEW, 100_000), Ok(Cow::Borrowed(_))));
}

#[test]
fn what_is_cut_short_is_malformed() {
    let json = br#"[{"$ext":{"type":1,"data":"ABw="}},{"$map":{"a":1}}]"#;
    let bytes = json_read::to_msgpack(json, 9).unwrap();
    assert!(untag(&bytes, NEW, 9).is_ok());
    for end in 1..bytes.len() {
        assert!(untag(&bytes[..end], NEW, 0).is_err(), "{end}");
        assert!(end < 10 || untag(&bytes[..end], NEW, 9).is_err(), "{end}");
    }
}
