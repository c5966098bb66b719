use super::Command;
use crate::Operation;
use authkv_base::error::Error;
use authkv_codec::types::Types;
use authkv_codec::{Allowed, Document, Rules};
use authkv_domain::{Action, IfRevision, KeyRange, Limits, Mode, Steps, Test, What};

const LIMITS: Limits = Limits { batch: 3, key: 4 };
const RULES: Rules = Rules {
    depth: 8,
    allowed: Allowed::Types(Types::of_version(2, 6)),
};

/// Decodes a JSON body. Errors: about its shape.
fn decode(operation: Operation, json: &str) -> Result<Command, Error> {
    let input = match operation {
        Operation::Get | Operation::Put => Document::from_json(json.as_bytes(), RULES)?,
        _ => Document::from_json_and(json.as_bytes(), RULES, &[])?,
    };
    Command::decode(operation, &input, 0, &LIMITS)
}

fn steps(operation: Operation, json: &str) -> Result<Steps, Error> {
    match decode(operation, json)? {
        Command::Put(steps)
        | Command::BatchPut(steps)
        | Command::BatchDelete(steps)
        | Command::KvIncr(steps)
        | Command::PairPut(steps) => steps,
        other => panic!("{other:?}"),
    }
}

/// The name of the error.
fn refused<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("nothing", |error| error.row().name)
}

#[test]
fn the_last_value_of_a_key_of_the_contract_counts() {
    let steps = steps(Operation::Put, r#"{"data":{"a":1,"b":[2],"a":{}}}"#).unwrap();
    let pairs: Vec<_> = steps
        .iter()
        .map(|step| match &step.action {
            Action::Put {
                mode: Mode::Fill,
                content,
            } => (steps.key(step), steps.value(content)),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        pairs,
        [
            (b"\x91\xa1a" as &[u8], b"\x80" as &[u8]),
            (b"\x91\xa1b", b"\x91\x02")
        ]
    );
}

#[test]
fn a_put_has_conditions_times_and_types() {
    let steps = steps(
        Operation::BatchPut,
        r#"{"mode":"insert","atomic":false,"ttl":60,"pairs":[
            {"key":"a","value":{"$binary":"AQ=="},"if_revision":7,"content_type":"a/b"},
            {"key":"b","value":null,"if_revision":[1,2],"expires_at":2000000000}]}"#,
    );
    let steps = steps.unwrap();
    assert!(!steps.atomic);
    let all: Vec<_> = steps.iter().collect();
    let content = |place: usize| match &all[place].action {
        Action::Put { mode, content } => {
            assert_eq!(*mode, Mode::Insert);
            content
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(steps.value(content(0)), b"\xc4\x01\x01");
    assert_eq!(steps.content_type(content(0)), b"\xa3a/b");
    assert!(content(0).expiry.is_some());
    assert_eq!(all[0].if_revision, IfRevision::Is(7));
    assert_eq!(steps.value(content(1)), b"\xc0");
    assert_eq!(content(1).expiry.map(|at| at.ms()), Some(2_000_000_000_000));
    assert!(all[1].if_revision.allows(2) && !all[1].if_revision.allows(3));
}

#[test]
fn what_is_wrong_with_an_input_has_a_name() {
    use Operation::{BatchDelete, BatchPut, KvIncr, PairPut, Put};
    for (operation, json, name) in [
        (Put, r#"{"data":{}}"#, "no_keys"),
        (
            Put,
            r#"{"data":{"a":1,"b":1,"c":1,"d":1}}"#,
            "too_many_keys",
        ),
        (Put, r#"{"data":{"":1}}"#, "bad_key"),
        (Put, r#"{"data":{"abcde":1}}"#, "bad_key"),
        (Put, r#"{"data":[]}"#, "malformed"),
        (BatchPut, r#"{"pairs":[]}"#, "no_keys"),
        (BatchPut, r#"{"pairs":[{"key":"a"}]}"#, "malformed"),
        (BatchPut, r#"{"pairs":[{"key":1,"value":1}]}"#, "malformed"),
        (BatchPut, r#"{"pairs":{"a":1}}"#, "malformed"),
        (
            BatchPut,
            r#"{"pairs":[{"key":"a","value":1,"other":1}]}"#,
            "malformed",
        ),
        (
            BatchPut,
            r#"{"pairs":[{"key":"a","value":1},{"key":"a","value":1}]}"#,
            "repeated_keys",
        ),
        (
            BatchPut,
            r#"{"mode":"x","pairs":[{"key":"a","value":1}]}"#,
            "bad_option",
        ),
        (
            BatchPut,
            r#"{"ttl":-1,"pairs":[{"key":"a","value":1}]}"#,
            "bad_option",
        ),
        (
            BatchPut,
            r#"{"atomic":1,"pairs":[{"key":"a","value":1}]}"#,
            "malformed",
        ),
        (
            BatchPut,
            r#"{"pairs":[{"key":"a","value":{"$decimal":"x"}}]}"#,
            "bad_value",
        ),
        (
            BatchPut,
            r#"{"pairs":[{"key":"a","value":1,"if_revision":-1}]}"#,
            "malformed",
        ),
        (
            BatchDelete,
            r#"{"keys":["a",{"key":"a","if_revision":1}]}"#,
            "repeated_keys",
        ),
        (BatchDelete, r#"{"keys":["a",1]}"#, "malformed"),
        (BatchDelete, r#"{"keys":["abcdefgh"]}"#, "nothing"),
        (KvIncr, r#"{"key":"a","by":0.5}"#, "malformed"),
        (KvIncr, r#"{"key":"a","by":7.0}"#, "nothing"),
        (KvIncr, r#"{"key":"abcde"}"#, "bad_key"),
        (
            PairPut,
            r#"{"key":"a","value":1,"content_type":"\n"}"#,
            "bad_option",
        ),
        (
            PairPut,
            r#"{"key":"a","value":[[[[[[[[[]]]]]]]]]}"#,
            "too_deep",
        ),
    ] {
        assert_eq!(
            refused(steps(operation, json)),
            name,
            "{operation:?} {json}"
        );
    }
}

#[test]
fn a_transaction_compares_and_does() {
    let txn = |json: &str| match decode(Operation::KvTxn, json)? {
        Command::KvTxn(txn) => txn,
        other => panic!("{other:?}"),
    };
    let whole = r#"{"compare":[{"key":"a","exists":true},{"key":"b","revision":0},{"key":"c","value":null}],
        "success":[{"op":"put","key":"a","value":1,"ttl":1},{"op":"get","key":"a"},{"op":"incr","key":"n","by":-2}],
        "failure":[{"op":"delete","key":"a"}]}"#;
    let found = txn(whole).unwrap();
    let tests: Vec<_> = found.compare.into_iter().map(|one| one.test).collect();
    assert_eq!(
        tests,
        [
            Test::Exists(true),
            Test::Revision(0),
            Test::Value(vec![0xc0])
        ]
    );
    assert_eq!((found.success.len(), found.failure.len()), (3, 1));
    assert!(matches!(
        found.success.iter().last().unwrap().action,
        Action::Increment { by: -2, .. }
    ));
    let many = format!(
        r#"{{"failure":[{}{{}}]}}"#,
        r#"{"op":"get","key":"a"},"#.repeat(1000)
    );
    for (json, name) in [
        ("{}", "nothing"),
        ("", "malformed"),
        (r#"{"comapre":[]}"#, "malformed"),
        (
            r#"{"success":[{"op":"put","key":"a","value":1,"if_revision":7},{"op":"delete","key":"a","if_revision":[1,2]}]}"#,
            "nothing",
        ),
        (
            r#"{"success":[{"op":"get","key":"a","if_revision":7}]}"#,
            "malformed",
        ),
        (
            r#"{"success":[{"op":"incr","key":"a","if_revision":7}]}"#,
            "malformed",
        ),
        (r#"{"compare":[{"key":"a"}]}"#, "malformed"),
        (
            r#"{"compare":[{"key":"a","exists":true,"revision":1}]}"#,
            "malformed",
        ),
        (r#"{"success":[{"op":"get"}]}"#, "malformed"),
        (r#"{"success":[{"op":"put","key":"a"}]}"#, "malformed"),
        (
            r#"{"success":[{"op":"get","key":"a","value":1}]}"#,
            "malformed",
        ),
        (
            r#"{"success":[{"op":"put","key":"abcde","value":1}]}"#,
            "bad_key",
        ),
        (&many, "bad_option"),
    ] {
        assert_eq!(refused(txn(json)), name, "{json:.100}");
    }
}

#[test]
fn a_listing_is_a_range() {
    let listing = |json: &str| match decode(Operation::KvList, json)? {
        Command::KvList(listing) => listing,
        other => panic!("{other:?}"),
    };
    let found = listing(r#"{"prefix":"a","to":"ab","keys_only":true,"limit":7}"#).unwrap();
    let range = KeyRange {
        from: b"a".to_vec(),
        to: Some(b"ab".to_vec()),
    };
    assert_eq!((found.range, found.what), (range, What::Keys(7)));
    assert_eq!(listing(r#"{"count":true}"#).unwrap().what, What::Count);
    assert_eq!(listing("{}").unwrap().what, What::Pairs(100));
    assert_eq!(refused(listing(r#"{"limit":1001}"#)), "bad_option");
    assert_eq!(refused(listing(r#"{"count":"yes"}"#)), "malformed");
}
