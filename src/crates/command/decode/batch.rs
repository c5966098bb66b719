//! The input of batches. Pure; any thread.

use super::parts::{
    check_text, given, option, read_content_type, read_if_revision, read_key, read_mode, should_be,
    Checked, Items, Lifetime,
};
use super::{Command, Freshness};
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::msgpack::{Head, Reader};
use authkv_codec::{self as codec, Document};
use authkv_domain::{check_different, Action, IfRevision, Keys, Limits, Mode, NewContent, Steps};
use std::collections::hash_map::{Entry, HashMap};

/// Reads the pairs of the contract: a map of any values. Pairs whose keys do not exist are inserted. If a key is repeated, the
/// last value counts, at the place of the first. Inner errors: `NoKeys`, `TooManyKeys`, `BadKey`.
pub fn inserts(field: &[u8], limits: &Limits) -> Checked<Steps> {
    let mut reader = Reader::new(field);
    let Head::Map(count) = reader.head()? else {
        return Err(Error::malformed(
            "data should be an object of keys and values",
        ));
    };
    // One pair over the limit is enough to refuse the batch. The remaining pairs are read but not kept.
    let kept = (count as usize).min(limits.batch + 1);
    let mut pairs: Vec<(&[u8], &[u8])> = Vec::with_capacity(kept);
    let mut places: HashMap<&[u8], usize> = HashMap::with_capacity(kept);
    for _ in 0..count {
        let (key, value) = (reader.string()?, reader.value()?);
        match places.entry(key) {
            Entry::Occupied(place) => pairs[*place.get()].1 = value,
            Entry::Vacant(place) if pairs.len() < kept => {
                place.insert(pairs.len());
                pairs.push((key, value));
            }
            Entry::Vacant(_) => {}
        }
    }
    let mut steps = Steps::with_capacity(true, pairs.len(), field.len() + 6 * pairs.len());
    Ok(limits.check_batch(pairs.len()).and_then(|()| {
        for (key, value) in pairs {
            let content = NewContent {
                value,
                ..NewContent::default()
            };
            steps.push_put(limits, key, Mode::Fill, IfRevision::Any, content)?;
        }
        Ok(steps)
    }))
}

/// The command, and how fresh the pairs have to be.
pub fn batch_get(
    input: &Document<'_>,
    skip: usize,
    limits: &Limits,
) -> Result<(Command, Result<Freshness, Error>), Error> {
    let options = ["strict", "min_revision", "timeout", "consistency"];
    let ([keys], [strict, fresh @ ..]) = input.fields_and_options(["keys"], options, skip)?;
    let fresh = Freshness::read(fresh)?;
    let strict = option(strict, |field| codec::flag("strict", field))?;
    let keys = Keys::decode(keys, limits)?;
    Ok((Command::BatchGet(keys, strict.unwrap_or(false)), fresh))
}

pub fn batch_put(input: &Document<'_>, skip: usize, limits: &Limits) -> Checked<Steps> {
    const FORM: &str = "an array of objects with key and value";
    let options = ["mode", "atomic", "ttl", "expires_at"];
    let ([pairs], [mode, atomic, ttl, expires_at]) =
        input.fields_and_options(["pairs"], options, skip)?;
    let mode = read_mode(mode)?;
    let atomic = option(atomic, |field| codec::flag("atomic", field))?.unwrap_or(true);
    let lifetime = Lifetime::read(ttl, expires_at)?;
    let now = milliseconds();
    let mut items = Items::of(input, "pairs", pairs, FORM)?;
    let count = items.len();
    // One item over the limit is enough to refuse the batch. The remaining items are read but not kept.
    let kept = count.min(limits.batch + 1);
    let mut steps = Steps::with_capacity(atomic, kept, pairs.len());
    let mut keys = Vec::with_capacity(kept);
    let mut broken = None;
    let names = [
        "key",
        "value",
        "if_revision",
        "ttl",
        "expires_at",
        "content_type",
    ];
    while let Some(found) = items.members(input, "pairs", FORM, names) {
        let [key, value, if_revision, ttl, expires_at, content_type] = found?;
        let key = read_key("pairs", key, FORM)?;
        let value = input.value(value.ok_or_else(|| should_be("pairs", FORM))?)?;
        let if_revision = read_if_revision(if_revision)?;
        let content_type = read_content_type(content_type)?;
        let own = Lifetime::read(given(ttl), given(expires_at))?;
        if keys.len() > limits.batch || broken.is_some() {
            continue;
        }
        keys.push(key);
        let pushed = own.or(&lifetime).expiry(now).and_then(|expiry| {
            let content = NewContent {
                value: &value,
                expiry,
                content_type: content_type?,
            };
            steps.push_put(limits, key, mode.clone()?, if_revision, content)
        });
        broken = pushed.err();
    }
    Ok(limits
        .check_batch(count)
        .and_then(|()| broken.map_or(Ok(()), Err))
        .and_then(|()| check_different(keys.iter().copied()))
        .map(|()| steps))
}

pub fn batch_delete(input: &Document<'_>, skip: usize, limits: &Limits) -> Checked<Steps> {
    const FORM: &str = "an array of keys, or of objects with key and if_revision";
    let ([keys], [atomic]) = input.fields_and_options(["keys"], ["atomic"], skip)?;
    let atomic = option(atomic, |field| codec::flag("atomic", field))?.unwrap_or(true);
    let items = Items::of(input, "keys", keys, FORM)?;
    let count = items.len();
    let kept = count.min(limits.batch + 1);
    let mut steps = Steps::with_capacity(atomic, kept, keys.len());
    let mut keys = Vec::with_capacity(kept);
    for item in items {
        let item = item?;
        let (key, if_revision) = match Reader::new(item).string() {
            Ok(key) => (key, IfRevision::Any),
            Err(_) => {
                let names = ["key", "if_revision"];
                let [key, if_revision] =
                    input.members("keys", &mut Reader::new(item), FORM, names)?;
                (read_key("keys", key, FORM)?, read_if_revision(if_revision)?)
            }
        };
        if keys.len() <= limits.batch {
            check_text("keys", key, FORM)?;
            keys.push(key);
            steps.push(key, if_revision, |_| Action::Delete);
        }
    }
    Ok(limits
        .check_batch(count)
        .and_then(|()| check_different(keys.iter().copied()))
        .map(|()| steps))
}
