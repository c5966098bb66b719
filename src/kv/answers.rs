//! Answers of the key-value operations in msgpack, and which effects are errors. Pure.

use crate::storage::{Applied, Effect, KeyValues};
use authkv_base::error::{AccessKind, Error};
use authkv_codec::msgpack::write_uint;
use authkv_command::Outcome;
use authkv_domain::{key_text, Step, Steps};
use rmp::encode::{write_array_len, write_map_len, write_sint, write_str};

// Writing to a vector cannot fail.

/// `{committed, results: [{key, outcome, revision}], revision}`, with another name for `committed`.
pub fn of_steps(
    name: &str,
    flag: bool,
    steps: &Steps,
    applied: &Applied,
) -> Result<Outcome, Error> {
    let mut out = Vec::with_capacity(48 + 64 * steps.len());
    let _ = write_map_len(&mut out, 3);
    let _ = write_str(&mut out, name);
    out.push(if flag { 0xc3 } else { 0xc2 });
    let _ = write_str(&mut out, "results");
    let _ = write_array_len(&mut out, steps.len() as u32);
    for (step, effect) in steps.iter().zip(&applied.effects) {
        write_result(&mut out, steps, step, effect, applied.committed)?;
    }
    write_revision(&mut out, applied.revision);
    Ok(Outcome::Applied {
        members: out,
        revision: applied.revision,
    })
}

/// `{key, value, revision}` of an increment.
pub fn of_sum(steps: &Steps, step: &Step, sum: i128, revision: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = write_map_len(&mut out, 3);
    write_key(&mut out, steps, step);
    write_sum(&mut out, sum);
    write_revision(&mut out, revision);
    out
}

/// Checks steps that must all succeed. Errors: that of the first one that failed.
pub fn check(store: &KeyValues, steps: &Steps, applied: &Applied) -> Result<(), Error> {
    if applied.committed {
        return Ok(());
    }
    let mut effects = steps.iter().zip(&applied.effects);
    let failed = effects.find(|(step, effect)| effect.fails(&step.action));
    let (step, effect) = failed.ok_or(Error::Internal)?;
    let key = key(steps, step);
    Err(match effect {
        Effect::Conflict { revision } | Effect::Exists { revision } => Error::Conflict {
            key,
            revision: *revision,
        },
        Effect::Missing => Error::Conflict { key, revision: 0 },
        Effect::Forbidden => Error::Forbidden {
            kind: AccessKind::Write,
            key,
        },
        Effect::TooLarge => Error::ValueTooLarge {
            key,
            limit: store.max_tuple_size(),
        },
        Effect::NotAnInteger => Error::NotAnInteger(key),
        Effect::OutOfRange => Error::OutOfRange(key),
        Effect::Found(_) | Effect::Written { .. } | Effect::Deleted { .. } => Error::Internal,
    })
}

/// The key of a step, as text.
pub fn key(steps: &Steps, step: &Step) -> String {
    key_text(&steps.key(step)[1..])
}

fn write_result(
    out: &mut Vec<u8>,
    steps: &Steps,
    step: &Step,
    effect: &Effect,
    committed: bool,
) -> Result<(), Error> {
    let (outcome, revision, sum) = match effect {
        Effect::Found(found) => {
            found.stored()?.write_found(out);
            return Ok(());
        }
        Effect::Written { .. } | Effect::Deleted { .. } if !committed => ("aborted", None, None),
        Effect::Written {
            revision, value, ..
        } => ("written", Some(revision), *value),
        Effect::Deleted { revision } => ("deleted", Some(revision), None),
        // A put with the mode `replace`.
        Effect::Missing => ("missing", None, None),
        Effect::Exists { revision } => ("exists", Some(revision), None),
        Effect::Conflict { revision } => ("conflict", Some(revision), None),
        Effect::Forbidden => ("forbidden", None, None),
        Effect::TooLarge => ("too_large", None, None),
        // Reported as errors before.
        Effect::NotAnInteger | Effect::OutOfRange => return Err(Error::Internal),
    };
    let members = 2 + u8::from(revision.is_some()) + u8::from(sum.is_some());
    // Maps of at most 15 members and strings of at most 31 bytes have one-byte heads.
    out.push(0x80 | members);
    write_key(out, steps, step);
    out.extend_from_slice(b"\xa7outcome");
    out.push(0xa0 | outcome.len() as u8);
    out.extend_from_slice(outcome.as_bytes());
    if let Some(sum) = sum {
        write_sum(out, sum);
    }
    if let Some(revision) = revision {
        write_revision(out, *revision);
    }
    Ok(())
}

fn write_key(out: &mut Vec<u8>, steps: &Steps, step: &Step) {
    out.extend_from_slice(b"\xa3key");
    out.extend_from_slice(&steps.key(step)[1..]);
}

fn write_revision(out: &mut Vec<u8>, revision: u64) {
    out.extend_from_slice(b"\xa8revision");
    write_uint(out, revision);
}

fn write_sum(out: &mut Vec<u8>, sum: i128) {
    out.extend_from_slice(b"\xa5value");
    match u64::try_from(sum) {
        Ok(sum) => write_uint(out, sum),
        Err(_) => drop(write_sint(out, sum as i64)),
    }
}
