//! Compares values in msgpack. Pure; runs on any thread.

use super::msgpack::{Head, Reader};
use authkv_base::error::Error;
use std::iter::successors;

/// Whether two values are equal. The coding does not matter: neither the width of numbers nor the order of members. But 1 and
/// 1.0 differ, and so do a string and binary data, and extensions with another type or payload.
///
/// Keys of maps that are not strings are compared by their bytes; only other programs write them. If a map has a name twice,
/// the order of its values counts. Bytes that are not msgpack equal only themselves.
///
/// The cost is bounded by the size of `b`, however large `a` is.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    let as_values = || -> Result<bool, Error> {
        let b = Tree::of(b, usize::MAX)?;
        // Equal values have equally many nodes.
        Tree::of(a, b.nodes.len())?.is_same(&b)
    };
    a == b || as_values().unwrap_or(false)
}

/// A value and all values nested in it, found once, so that no value is skipped again for each container around it.
struct Tree<'a> {
    bytes: &'a [u8],
    nodes: Vec<Node>,
}

struct Node {
    /// The offset of its first byte.
    at: usize,
    /// The next node after this one and everything nested in it.
    next: usize,
}

impl<'a> Tree<'a> {
    /// Errors: `Malformed`, also for more than `limit` nodes.
    fn of(bytes: &'a [u8], limit: usize) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let mut nodes: Vec<Node> = Vec::new();
        // For each open container: how many values are still to come, and its node.
        let mut open: Vec<(u64, usize)> = Vec::new();
        loop {
            let at = bytes.len() - reader.rest().len();
            let node = nodes.len();
            if node == limit {
                return Err(Error::malformed("There are too many values"));
            }
            nodes.push(Node { at, next: node + 1 });
            let values = match reader.head()? {
                Head::Array(len) => len.into(),
                Head::Map(len) => 2 * u64::from(len),
                scalar => {
                    payload(&mut reader, scalar)?;
                    0
                }
            };
            if let Some((remaining, _)) = open.last_mut() {
                *remaining -= 1;
            }
            open.push((values, node));
            while let Some((_, node)) = open.pop_if(|(remaining, _)| *remaining == 0) {
                nodes[node].next = nodes.len();
            }
            if open.is_empty() {
                break;
            }
        }
        match reader.is_empty() {
            true => Ok(Self { bytes, nodes }),
            false => Err(Error::malformed("There is something after the value")),
        }
    }

    fn is_same(&self, other: &Self) -> Result<bool, Error> {
        // Pairs of nodes that must be equal.
        let mut open = vec![(0, 0)];
        while let Some((a, b)) = open.pop() {
            let (mut reader, mut others) = (self.reader(a), other.reader(b));
            match (reader.head()?, others.head()?) {
                (Head::Array(len), Head::Array(count)) if len == count => {
                    let len = len as usize;
                    open.extend(self.values(a, len).zip(other.values(b, len)));
                }
                (Head::Map(len), Head::Map(count)) if len == count => {
                    let (members, theirs) = (self.members(a, len)?, other.members(b, len)?);
                    for ((name, a), (known, b)) in members.into_iter().zip(theirs) {
                        if name != known {
                            return Ok(false);
                        }
                        open.push((a, b));
                    }
                }
                (a, b) => {
                    let same =
                        is_same_head(a, b) && payload(&mut reader, a)? == payload(&mut others, b)?;
                    if !same {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    fn reader(&self, node: usize) -> Reader<'a> {
        Reader::new(&self.bytes[self.nodes[node].at..])
    }

    /// The nodes directly in a container of `count` values.
    fn values(&self, container: usize, count: usize) -> impl Iterator<Item = usize> + '_ {
        successors(Some(container + 1), |&node| Some(self.nodes[node].next)).take(count)
    }

    /// The keys of a map of `count` pairs, sorted, and the nodes of their values.
    fn members(&self, map: usize, count: u32) -> Result<Vec<(Key<'a>, usize)>, Error> {
        let mut members = Vec::with_capacity(count as usize);
        let mut nodes = self.values(map, 2 * count as usize);
        while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
            let mut reader = self.reader(key);
            let key = match reader.head()? {
                Head::Str(len) => Key::Name(reader.take(len as usize)?),
                _ => Key::Other(&self.bytes[self.nodes[key].at..self.nodes[value].at]),
            };
            members.push((key, value));
        }
        // A stable sort, so that the values of a repeated key stay in their order.
        members.sort_by_key(|(key, _)| *key);
        Ok(members)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Name(&'a [u8]),
    /// The bytes of the key.
    Other(&'a [u8]),
}

/// The bytes after the head of a scalar.
fn payload<'a>(reader: &mut Reader<'a>, head: Head) -> Result<&'a [u8], Error> {
    match head {
        Head::Str(len) | Head::Bin(len) | Head::Ext { len, .. } => reader.take(len as usize),
        _ => Ok(&[]),
    }
}

fn is_same_head(a: Head, b: Head) -> bool {
    let integer = |head| match head {
        Head::Uint(n) => Some(i128::from(n)),
        Head::Int(n) => Some(i128::from(n)),
        _ => None,
    };
    let float = |head| match head {
        Head::F32(n) => Some(f64::from(n)),
        Head::F64(n) => Some(n),
        _ => None,
    };
    match (float(a), float(b)) {
        (Some(a), Some(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => a == b || integer(a).is_some_and(|n| integer(b) == Some(n)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coding_does_not_count() {
        for (a, b) in [
            (b"\x05" as &[u8], b"\xcf\0\0\0\0\0\0\0\x05" as &[u8]),
            (b"\x05", b"\xd0\x05"),
            (b"\xff", b"\xd3\xff\xff\xff\xff\xff\xff\xff\xff"),
            (b"\xca\x3f\x80\0\0", b"\xcb\x3f\xf0\0\0\0\0\0\0"),
            (b"\xca\0\0\0\0", b"\xcb\x80\0\0\0\0\0\0\0"),
            (b"\xca\x7f\xc0\0\0", b"\xcb\x7f\xf8\0\0\0\0\0\0"),
            (b"\xa1a", b"\xdb\0\0\0\x01a"),
            (b"\xc4\x01a", b"\xc5\0\x01a"),
            (b"\xd4\x01a", b"\xc7\x01\x01a"),
            (b"\x92\x01\x90", b"\xdc\0\x02\xcc\x01\xdc\0\0"),
            (b"\x82\xa1a\x01\xa1b\x02", b"\x82\xa1b\x02\xa1a\x01"),
            (
                b"\x82\xa1a\x01\xa1b\x02",
                b"\xde\0\x02\xd9\x01b\xcc\x02\xa1a\x01",
            ),
            (
                b"\x82\xa1a\x82\xa1c\x91\x80\xa1d\x01\xa0\x02",
                b"\x82\xa0\x02\xa1a\x82\xa1d\x01\xa1c\x91\x80",
            ),
            (
                b"\x83\xa1a\x01\xa1b\x02\xa1a\x03",
                b"\x83\xa1b\x02\xa1a\x01\xa1a\x03",
            ),
            (
                b"\x83\x01\xa1x\xa1a\x02\x92\xc0\x80\x03",
                b"\x83\x92\xc0\x80\x03\xa1a\x02\x01\xa1x",
            ),
            (b"\xc1", b"\xc1"),
        ] {
            assert!(equal(a, b) && equal(b, a), "{a:?} {b:?}");
        }
    }

    #[test]
    fn another_value_is_another() {
        let values = [
            b"\xc0" as &[u8],
            b"\xc2",
            b"\xc3",
            b"\x00",
            b"\x01",
            b"\xff",
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\xcb\x3f\xf0\0\0\0\0\0\0",
            b"\xca\x3d\xcc\xcc\xcd",
            b"\xcb\x3f\xb9\x99\x99\x99\x99\x99\x9a",
            b"\xcb\x7f\xf8\0\0\0\0\0\0",
            b"\xa0",
            b"\xa1a",
            b"\xa1b",
            b"\xa2ab",
            b"\xc4\x00",
            b"\xc4\x01a",
            b"\xd4\x01a",
            b"\xd4\x02a",
            b"\xd4\x01b",
            b"\x90",
            b"\x91\x01",
            b"\x92\x01\x02",
            b"\x92\x02\x01",
            b"\x92\x91\x01\x02",
            b"\x80",
            b"\x81\xa1a\x01",
            b"\x81\xa1a\xcb\x3f\xf0\0\0\0\0\0\0",
            b"\x81\xa1b\x01",
            b"\x81\xc4\x01a\x01",
            b"\x82\xa1a\x01\xa1b\x01",
            b"\x82\xa1a\x01\xa1b\x02",
            b"\x82\xa1a\x02\xa1b\x01",
            b"\x82\xa1a\x01\xa1a\x02",
            b"\x82\xa1a\x02\xa1a\x01",
            b"",
            b"\xc1",
            b"\x92\x01",
            b"\x01\x01",
        ];
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(equal(a, b), i == j, "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_is_nested_or_large_takes_no_longer_than_its_length() {
        let nested = |last: &[u8]| {
            let mut value = b"\x82\xa1b\x02\xa1a".repeat(20_000);
            value.extend_from_slice(last);
            value
        };
        // The same values in another order.
        let turned = |last: &[u8]| {
            let mut value = b"\x82\xa1a".repeat(20_000);
            value.extend_from_slice(last);
            value.extend(b"\xa1b\x02".repeat(20_000));
            value
        };
        assert!(equal(&nested(b"\x01"), &turned(b"\xcc\x01")));
        assert!(!equal(&nested(b"\x01"), &turned(b"\x02")));
        let wide = |order: &mut dyn Iterator<Item = u32>| {
            let members = order.map(|i| [&[0xa4], &i.to_be_bytes()[..], &[0xc0]].concat());
            [
                &[0xdf, 0, 0, 0x4e, 0x20][..],
                &members.collect::<Vec<_>>().concat(),
            ]
            .concat()
        };
        assert!(equal(
            &wide(&mut (0..20_000)),
            &wide(&mut (0..20_000).rev())
        ));
    }
}
