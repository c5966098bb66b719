//! The input of lists of keys and of watches. Pure; any thread.

use std::time::Duration;

/// The part of the keys that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    pub range: KeyRange,
    /// The list begins after this key.
    pub after: Option<String>,
    pub what: What,
}

/// What the list returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Pairs, at most this many.
    Pairs(usize),
    /// Keys, at most this many.
    Keys(usize),
    /// The number of keys.
    Count,
    /// The number of all keys, expired ones that were not removed yet included. For callers who may read all keys.
    Total,
}

/// The keys to delete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    pub range: KeyRange,
    /// At most this many.
    pub limit: usize,
}

/// The keys from `from` up to but not including `to`, in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRange {
    pub from: Vec<u8>,
    /// `None` means no end.
    pub to: Option<Vec<u8>>,
}

/// Which changes a watch returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watching {
    pub prefix: String,
    /// Changes with higher revisions than this one. `None`: changes from now on.
    pub after: Option<u64>,
    /// How long to wait if there are no changes.
    pub timeout: Duration,
}

impl KeyRange {
    /// The keys that begin with `prefix`.
    pub fn of_prefix(prefix: &[u8]) -> Self {
        // The first key after all of these: the last byte that is not 0xff, plus one.
        let last = prefix.iter().rposition(|byte| *byte < 0xff);
        let to = last.map(|last| {
            let mut to = prefix[..=last].to_vec();
            to[last] += 1;
            to
        });
        Self {
            from: prefix.to_vec(),
            to,
        }
    }

    /// One key.
    pub fn of_key(key: &[u8]) -> Self {
        Self {
            from: key.to_vec(),
            to: Some([key, b"\0"].concat()),
        }
    }

    /// The keys in both ranges.
    pub fn and(&self, other: &Self) -> Self {
        let to = match (&self.to, &other.to) {
            (Some(one), Some(two)) => Some(one.min(two).clone()),
            (one, two) => one.as_ref().or(two.as_ref()).cloned(),
        };
        Self {
            from: self.from.as_slice().max(&other.from).to_vec(),
            to,
        }
    }

    /// The keys of all these ranges, in order and without overlaps.
    pub fn union(mut ranges: Vec<Self>) -> Vec<Self> {
        ranges.sort_unstable_by(|one, other| one.from.cmp(&other.from));
        ranges.dedup_by(|one, before| {
            let overlaps = before.reaches(&one.from);
            if overlaps {
                before.to = match (before.to.take(), one.to.take()) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    _ => None,
                };
            }
            overlaps
        });
        ranges
    }

    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// Whether a key comes before the end of the range.
    pub fn reaches(&self, key: &[u8]) -> bool {
        self.to.as_deref().is_none_or(|to| key < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &[u8], to: Option<&[u8]>) -> KeyRange {
        KeyRange {
            from: from.to_vec(),
            to: to.map(<[u8]>::to_vec),
        }
    }

    #[test]
    fn a_prefix_is_a_range() {
        for (prefix, to) in [
            (b"" as &[u8], None),
            (b"a", Some(b"b" as &[u8])),
            (b"ab", Some(b"ac")),
            (b"a\xff\xff", Some(b"b")),
            (b"\xff", None),
        ] {
            assert_eq!(KeyRange::of_prefix(prefix), range(prefix, to));
        }
    }

    #[test]
    fn ranges_that_overlap_become_one() {
        let of = |prefix: &str| KeyRange::of_prefix(prefix.as_bytes());
        let all = vec![
            of("b"),
            of("a/1"),
            KeyRange::of_key(b"bx"),
            of("a/"),
            range(b"a/5", Some(b"b")),
        ];
        assert_eq!(KeyRange::union(all), [range(b"a/", Some(b"b")), of("b")]);
        assert_eq!(KeyRange::union(vec![of("x"), of(""), of("y")]), [of("")]);
    }

    #[test]
    fn two_ranges_have_a_part_in_common() {
        let both = range(b"b", None).and(&range(b"a", Some(b"c")));
        assert_eq!(both, range(b"b", Some(b"c")));
        assert!(both.reaches(b"bz") && !both.reaches(b"c") && !both.is_empty());
        assert!(both.and(&range(b"x", None)).is_empty());
        assert!(!KeyRange::default().is_empty());
    }
}
