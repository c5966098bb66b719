//! The input of operations on one key, of lists of keys, and of watches. Pure; any thread.

use super::parts::{
    option, read_content_type, read_if_revision, read_limit, read_mode, text_of, Checked, Lifetime,
};
use crate::freshness::{wait, Freshness};
use authkv_base::error::Error;
use authkv_base::steady::milliseconds;
use authkv_codec::{self as codec, Document};
use authkv_domain::{
    Action, Deletion, KeyRange, Limits, Listing, NewContent, Steps, Watching, What,
};

/// What is read, and how fresh it has to be. The inner errors are rules that are broken.
type Read<T> = Result<(Result<T, Error>, Result<Freshness, Error>), Error>;

pub fn listing(input: &Document<'_>, skip: usize) -> Read<Listing> {
    let names = [
        "prefix",
        "from",
        "to",
        "after",
        "limit",
        "keys_only",
        "count",
        "min_revision",
        "timeout",
        "consistency",
    ];
    let ([], [prefix, from, to, after, limit, keys_only, count, fresh @ ..]) =
        input.fields_and_options([], names, skip)?;
    let fresh = Freshness::read(fresh)?;
    let range = range(prefix, from, to)?;
    let after = option(after, |field| codec::string("after", field))?;
    let limit = read_limit(limit)?;
    let keys_only = option(keys_only, |field| codec::flag("keys_only", field))?.unwrap_or(false);
    let count = option(count, |field| codec::flag("count", field))?.unwrap_or(false);
    let listing = limit.map(|limit| Listing {
        range,
        after,
        what: match (count, keys_only) {
            (true, _) => What::Count,
            (false, true) => What::Keys(limit),
            (false, false) => What::Pairs(limit),
        },
    });
    Ok((listing, fresh))
}

/// The most keys that one request deletes by a range, and how many it does if it does not say.
pub const DELETION_MAX: u64 = 100_000;

pub fn deletion(input: &Document<'_>, skip: usize) -> Checked<Deletion> {
    let names = ["prefix", "from", "to", "limit", "all"];
    let ([], [prefix, from, to, limit, all]) = input.fields_and_options([], names, skip)?;
    let range = range(prefix, from, to)?;
    let limit = option(limit, |field| codec::number("limit", field))?.unwrap_or(DELETION_MAX);
    let all = option(all, |field| codec::flag("all", field))?.unwrap_or(false);
    const LIMIT: &str = "from 1 to 100000";
    let bad = |name, allowed| Ok(Err(Error::BadOption { name, allowed }));
    let is_whole = range == KeyRange::default();
    match (all, limit) {
        (_, 0) => bad("limit", LIMIT),
        (_, limit) if limit > DELETION_MAX => bad("limit", LIMIT),
        // An empty prefix is more likely a mistake than a wish.
        (false, _) if is_whole => bad("all", "true, to delete all keys"),
        (true, _) if !is_whole => bad("all", "given without prefix, from and to"),
        _ => Ok(Ok(Deletion {
            range,
            limit: limit as usize,
        })),
    }
}

/// The keys that begin with `prefix`, from `from` on and before `to`.
fn range(prefix: Option<&[u8]>, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<KeyRange, Error> {
    let text = |name, field| option(field, |field| codec::string(name, field));
    let prefix = text("prefix", prefix)?.unwrap_or_default();
    let range = KeyRange {
        from: text("from", from)?.unwrap_or_default().into_bytes(),
        to: text("to", to)?.map(String::into_bytes),
    };
    Ok(range.and(&KeyRange::of_prefix(prefix.as_bytes())))
}

pub fn increment(input: &Document<'_>, skip: usize, limits: &Limits) -> Checked<Steps> {
    let ([key], [by, ttl, expires_at]) =
        input.fields_and_options(["key"], ["by", "ttl", "expires_at"], skip)?;
    let key = text_of("key", key)?;
    let by = option(by, |by| codec::integer("by", by))?.unwrap_or(1);
    let lifetime = Lifetime::read(ttl, expires_at)?;
    let mut steps = Steps::new(true);
    let pushed = lifetime
        .expiry(milliseconds())
        .and_then(|expiry| steps.push_increment(limits, key, by, expiry));
    Ok(pushed.map(|()| steps))
}

pub fn watching(input: &Document<'_>, skip: usize) -> Checked<Watching> {
    let ([], [prefix, after, timeout]) =
        input.fields_and_options([], ["prefix", "after", "timeout"], skip)?;
    let prefix = option(prefix, |field| codec::string("prefix", field))?.unwrap_or_default();
    let after = option(after, |field| codec::number("after", field))?;
    let timeout = option(timeout, |field| codec::seconds("timeout", field))?.unwrap_or(0.0);
    Ok(wait(timeout).map(|timeout| Watching {
        prefix,
        after,
        timeout,
    }))
}

pub fn pair_get(input: &Document<'_>, skip: usize) -> Read<Steps> {
    let options = ["if_revision", "min_revision", "timeout", "consistency"];
    let ([key], [if_revision, fresh @ ..]) = input.fields_and_options(["key"], options, skip)?;
    let fresh = Freshness::read(fresh)?;
    of_one_key(key, if_revision, Action::Get).map(|steps| (steps, fresh))
}

pub fn pair_delete(input: &Document<'_>, skip: usize) -> Checked<Steps> {
    let ([key], [if_revision]) = input.fields_and_options(["key"], ["if_revision"], skip)?;
    of_one_key(key, if_revision, Action::Delete)
}

fn of_one_key(key: &[u8], if_revision: Option<&[u8]>, action: Action) -> Checked<Steps> {
    let mut steps = Steps::new(true);
    let if_revision = read_if_revision(if_revision)?;
    steps.push(text_of("key", key)?, if_revision, |_| action);
    Ok(Ok(steps))
}

pub fn pair_put(input: &Document<'_>, skip: usize, limits: &Limits) -> Checked<Steps> {
    let options = ["mode", "if_revision", "ttl", "expires_at", "content_type"];
    let ([key, value], [mode, if_revision, ttl, expires_at, content_type]) =
        input.fields_and_options(["key", "value"], options, skip)?;
    let key = text_of("key", key)?;
    let value = input.value(value)?;
    let mode = read_mode(mode)?;
    let if_revision = read_if_revision(if_revision)?;
    let lifetime = Lifetime::read(ttl, expires_at)?;
    let content_type = read_content_type(content_type)?;
    let mut steps = Steps::new(true);
    let pushed = lifetime.expiry(milliseconds()).and_then(|expiry| {
        let content = NewContent {
            value: &value,
            expiry,
            content_type: content_type?,
        };
        steps.push_put(limits, key, mode?, if_revision, content)
    });
    Ok(pushed.map(|()| steps))
}
