//! Requests after the check of the caller's permissions. Pure; any thread.
//!
//! Only [`Access`] makes these values, and the store accepts nothing else. So no access to pairs can skip the check.

use super::access::key_bytes;
use super::{Access, Comparison, KeyRange, Keys, Step, Steps, Txn};
use authkv_base::error::{AccessKind, Error};

/// Keys that the caller may read.
pub struct Readable<'a>(&'a Keys);

/// Ranges of keys that the caller may read, in order and without overlaps.
#[derive(Debug)]
pub struct ReadableRanges(Vec<KeyRange>);

/// A range of keys, all of which the caller may delete.
#[derive(Debug)]
pub struct DeletableRange<'a>(&'a KeyRange);

/// Comparisons with keys, all of which the caller may read.
pub struct Comparable<'a>(&'a [Comparison]);

/// Steps, with the permissions that the caller lacks for them.
pub struct Permitted<'a> {
    steps: &'a Steps,
    /// By the index of the step; empty if the caller may take all steps.
    forbidden: Vec<Option<AccessKind>>,
}

impl Access {
    /// Errors: `Forbidden` with the first key that may not be read.
    pub fn reads<'a>(&self, keys: &'a Keys) -> Result<Readable<'a>, Error> {
        self.check(AccessKind::Read, keys.iter())?;
        Ok(Readable(keys))
    }

    /// The parts of a range that the caller may read.
    pub fn reads_of(&self, range: &KeyRange) -> ReadableRanges {
        let ranges = self.ranges(AccessKind::Read).into_iter();
        let ranges = ranges.map(|one| one.and(range));
        ReadableRanges(ranges.filter(|one| !one.is_empty()).collect())
    }

    /// Checks that the caller may delete every key of a range. Errors: `Forbidden` with the first key of the range that may not be
    /// deleted, whether it exists or not.
    pub fn deletes_of<'a>(&self, range: &'a KeyRange) -> Result<DeletableRange<'a>, Error> {
        let mut from = range.from.clone();
        for allowed in self.ranges(AccessKind::Delete) {
            let is_before = !allowed.reaches(&from);
            if is_before || range.is_empty() {
                continue;
            }
            if allowed.from > from {
                break;
            }
            let Some(to) = allowed.to else {
                return Ok(DeletableRange(range));
            };
            from = to;
            if !range.reaches(&from) {
                return Ok(DeletableRange(range));
            }
        }
        match range.is_empty() {
            true => Ok(DeletableRange(range)),
            false => Err(self.refusal(AccessKind::Delete, &from)),
        }
    }

    /// Checks each step. A step that the caller may not take is no error here.
    pub fn permit_each<'a>(&self, steps: &'a Steps) -> Permitted<'a> {
        let mut forbidden = Vec::new();
        if !self.is_everything() {
            forbidden.extend(steps.iter().map(|step| self.forbids(steps, step)));
        }
        Permitted { steps, forbidden }
    }

    /// Checks that the caller may take all steps. Errors: `Forbidden` with the first step that is not allowed.
    pub fn permit_all<'a>(&self, steps: &'a Steps) -> Result<Permitted<'a>, Error> {
        let permitted = self.permit_each(steps);
        for (step, forbidden) in steps.iter().zip(&permitted.forbidden) {
            if let Some(kind) = *forbidden {
                return Err(self.refusal(kind, key_bytes(steps.key(step))));
            }
        }
        Ok(permitted)
    }

    /// Checks all parts of a transaction. Errors: `Forbidden`.
    pub fn permit_txn<'a>(
        &self,
        txn: &'a Txn,
    ) -> Result<(Comparable<'a>, Permitted<'a>, Permitted<'a>), Error> {
        let keys = txn.compare.iter().map(|one| &*one.key);
        self.check(AccessKind::Read, keys)?;
        let (success, failure) = (
            self.permit_all(&txn.success)?,
            self.permit_all(&txn.failure)?,
        );
        Ok((Comparable(&txn.compare), success, failure))
    }

    /// The permission that the caller lacks for a step.
    fn forbids(&self, steps: &Steps, step: &Step) -> Option<AccessKind> {
        let key = key_bytes(steps.key(step));
        let mut kinds = step.permissions().iter().copied();
        kinds.find(|kind| !self.allows(*kind, key))
    }
}

impl<'a> Readable<'a> {
    pub fn keys(&self) -> &'a Keys {
        self.0
    }
}

impl ReadableRanges {
    pub fn iter(&self) -> impl Iterator<Item = &KeyRange> {
        self.0.iter()
    }
}

impl<'a> DeletableRange<'a> {
    pub fn range(&self) -> &'a KeyRange {
        self.0
    }
}

impl<'a> Comparable<'a> {
    pub fn iter(&self) -> impl Iterator<Item = &'a Comparison> {
        self.0.iter()
    }
}

impl<'a> Permitted<'a> {
    pub fn steps(&self) -> &'a Steps {
        self.steps
    }

    /// The steps, and whether the caller may take each.
    pub fn iter(&self) -> impl Iterator<Item = (&'a Step, bool)> + use<'a, '_> {
        let allowed = |place| !matches!(self.forbidden.get(place), Some(Some(_)));
        let steps = self.steps.iter().enumerate();
        steps.map(move |(place, step)| (step, allowed(place)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Action, Flags, IfRevision, Keyed, Permission, Rules};
    use std::sync::Arc;

    fn of(permissions: Vec<Permission>) -> Access {
        let mut access = Access::default();
        access.add(Arc::new(Rules::new(permissions)), "ann");
        access
    }

    fn access(permissions: &[(&str, bool, bool)]) -> Access {
        let permission = |(prefix, read, write): &(&str, bool, bool)| {
            Permission::of_literal(prefix, *read, *write)
        };
        of(permissions.iter().map(permission).collect())
    }

    #[test]
    fn a_range_may_be_deleted_whole_or_not_at_all() {
        let allowed = |keyed| {
            let delete = Flags {
                delete: Some(true),
                ..Flags::default()
            };
            Permission::new(keyed, delete).unwrap()
        };
        let prefix = |text: &str| allowed(Keyed::Prefix(text.to_owned()));
        let some = of(vec![
            prefix("a/"),
            prefix("a0"),
            prefix("c"),
            prefix("{login}/"),
            allowed(Keyed::Key("k".to_owned())),
        ]);
        let range = |from: &str, to: Option<&str>| KeyRange {
            from: from.into(),
            to: to.map(Into::into),
        };
        for (range, refused) in [
            (range("a/", Some("a0")), None),
            // What follows a/ begins with a0.
            (range("a/5", Some("a0zz")), None),
            (range("a/", Some("a2")), Some("a1")),
            (range("a", Some("a0")), Some("a")),
            (range("c", Some("cc")), None),
            (range("c", None), Some("d")),
            (range("ann/", Some("ann0")), None),
            (range("ann", Some("ann0")), Some("ann")),
            (range("k", Some("k\0")), None),
            (range("k", Some("k\0\0")), Some("k\0")),
            (range("x", Some("x")), None),
            (range("", None), Some("")),
        ] {
            let seen = match some.deletes_of(&range) {
                Err(Error::Forbidden {
                    key,
                    kind: AccessKind::Write,
                }) => Some(key),
                other => other.map(|_| None).unwrap(),
            };
            assert_eq!(seen.as_deref(), refused, "{range:?}");
        }
        assert!(Access::everything()
            .deletes_of(&KeyRange::default())
            .is_ok());
    }

    #[test]
    fn a_step_needs_what_it_does() {
        let mut steps = Steps::new(false);
        for key in [b"r" as &[u8], b"w", b"rw"] {
            steps.push(key, IfRevision::Any, |_| Action::Get);
            steps.push(key, IfRevision::Any, |_| Action::Delete);
        }
        let access = access(&[("r", true, false), ("w", false, true), ("rw", true, true)]);
        let allowed: Vec<bool> = access
            .permit_each(&steps)
            .iter()
            .map(|(_, one)| one)
            .collect();
        assert_eq!(allowed, [true, false, false, true, true, true]);
        let first = Error::Forbidden {
            kind: AccessKind::Write,
            key: "r".to_owned(),
        };
        assert_eq!(access.permit_all(&steps).map(drop), Err(first));
        assert!(Access::everything().permit_all(&steps).is_ok());
    }

    #[test]
    fn ranges_are_those_of_the_prefixes() {
        let ranges = |permissions: &[(&str, bool, bool)], prefix: &str| {
            let range = KeyRange::of_prefix(prefix.as_bytes());
            let ranges = access(permissions).reads_of(&range);
            ranges.iter().cloned().collect::<Vec<_>>()
        };
        let of = |prefix: &str| KeyRange::of_prefix(prefix.as_bytes());
        let some = [
            ("b", true, false),
            ("a/1", true, false),
            ("a/", true, true),
            ("c", false, true),
        ];
        assert_eq!(ranges(&some, ""), [of("a/"), of("b")]);
        assert_eq!(ranges(&some, "a/1"), [of("a/1")]);
        assert_eq!(ranges(&some, "c"), []);
        assert_eq!(ranges(&[("", true, false)], "x"), [of("x")]);
    }
}
