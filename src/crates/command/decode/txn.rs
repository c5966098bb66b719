//! The input of a transaction. Pure; any thread.

use super::parts::{
    given, option, read_content_type, read_if_revision, read_key, should_be, too_many, Checked,
    Items, Lifetime,
};
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::msgpack::Reader;
use authkv_codec::{self as codec, Document};
use authkv_domain::{
    write_lookup, Action, Comparison, IfRevision, Limits, Mode, NewContent, Steps, Test, Txn,
};

/// An empty array.
const NONE: &[u8] = &[0x90];

pub fn txn(input: &Document<'_>, skip: usize, limits: &Limits) -> Checked<Txn> {
    // Every part may be left out, but an empty input is more likely a mistake.
    if !input.is_given(skip)? {
        return Err(Error::malformed(
            "A transaction is expected: an object with compare, success and failure",
        ));
    }
    let ([], [compare, success, failure]) =
        input.fields_and_options([], ["compare", "success", "failure"], skip)?;
    let compare = comparisons(input, compare)?;
    let success = operations(input, "success", success, limits)?;
    let failure = operations(input, "failure", failure, limits)?;
    Ok(compare.and_then(|compare| {
        Ok(Txn {
            compare,
            success: success?,
            failure: failure?,
        })
    }))
}

fn comparisons(input: &Document<'_>, field: Option<&[u8]>) -> Checked<Vec<Comparison>> {
    const FORM: &str = "an array of objects with key and one of exists, revision and value";
    let should_be = || should_be("compare", FORM);
    let items = Items::of(input, "compare", field.unwrap_or(NONE), FORM)?;
    if items.len() > Txn::MAX {
        return Ok(Err(too_many("compare")));
    }
    let comparison = |item: Result<&[u8], Error>| {
        let item = item?;
        let names = ["key", "exists", "revision", "value"];
        let [key, exists, revision, value] =
            input.members("compare", &mut Reader::new(item), FORM, names)?;
        let test = match (exists, revision, value) {
            (Some(exists), None, None) => Test::Exists(codec::flag("exists", exists)?),
            (None, Some(revision), None) => Test::Revision(codec::number("revision", revision)?),
            (None, None, Some(value)) => Test::Value(input.value(value)?.into_owned()),
            _ => return Err(should_be()),
        };
        let mut lookup = Vec::new();
        write_lookup(&mut lookup, read_key("compare", key, FORM)?);
        Ok(Comparison { key: lookup, test })
    };
    items.map(comparison).collect::<Result<_, _>>().map(Ok)
}

fn operations(
    input: &Document<'_>,
    name: &'static str,
    field: Option<&[u8]>,
    limits: &Limits,
) -> Checked<Steps> {
    const FORM: &str =
        "an array of objects with op (put, get, delete or incr), key, and what the op takes: \
                        value, if_revision, ttl, expires_at and content_type; if_revision; or by";
    let should_be = || should_be(name, FORM);
    let items = Items::of(input, name, field.unwrap_or(NONE), FORM)?;
    if items.len() > Txn::MAX {
        return Ok(Err(too_many(name)));
    }
    let now = milliseconds();
    let mut steps = Steps::new(true);
    let mut broken = Ok(());
    for item in items {
        let item = item?;
        let names = [
            "op",
            "key",
            "value",
            "by",
            "if_revision",
            "ttl",
            "expires_at",
            "content_type",
        ];
        let [op, key, value, by, if_revision, ttl, expires_at, content_type] =
            input.members(name, &mut Reader::new(item), FORM, names)?;
        let op = op.ok_or_else(should_be)?;
        let key = read_key(name, key, FORM)?;
        let if_revision = read_if_revision(if_revision)?;
        let is_free = if_revision == IfRevision::Any;
        let lifetime = Lifetime::read(given(ttl), given(expires_at))?;
        let content_type = read_content_type(content_type)?;
        let is_put = value.is_some();
        let has_content = is_put || lifetime.is_given() || matches!(content_type, Ok(Some(_)));
        let pushed = match Reader::new(op).string().map_err(|_| should_be())? {
            b"put" if is_put && by.is_none() => {
                let value = input.value(value.unwrap_or_default())?;
                lifetime.expiry(now).and_then(|expiry| {
                    let content = NewContent {
                        value: &value,
                        expiry,
                        content_type: content_type?,
                    };
                    steps.push_put(limits, key, Mode::Upsert, if_revision, content)
                })
            }
            b"incr" if !has_content && is_free => {
                let by = option(given(by), |by| codec::integer("by", by))?.unwrap_or(1);
                steps.push_increment(limits, key, by, None)
            }
            b"get" if !has_content && by.is_none() && is_free => {
                steps.push(key, IfRevision::Any, |_| Action::Get);
                Ok(())
            }
            b"delete" if !has_content && by.is_none() => {
                steps.push(key, if_revision, |_| Action::Delete);
                Ok(())
            }
            _ => return Err(should_be()),
        };
        broken = broken.and(pushed);
    }
    Ok(broken.map(|()| steps))
}
