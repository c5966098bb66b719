//! Checks that names are distinct. Usually they are. Pure.

use std::collections::HashSet;

/// Whether no name appears twice.
pub fn are_distinct<'a>(names: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> bool {
    let (mut few, mut many) = ([0; 16], Vec::new());
    let marks = match few.get_mut(..names.len()) {
        Some(few) => few,
        None => {
            many.resize(names.len(), 0);
            &mut many[..]
        }
    };
    for (place, name) in marks.iter_mut().zip(names.clone()) {
        *place = mark(name);
    }
    // Sorting numbers is faster than hashing names, and no choice of names makes it slow.
    marks.sort_unstable();
    if marks.is_sorted_by(|one, next| one < next) {
        return true;
    }
    let mut seen = HashSet::with_capacity(names.len());
    let mut names = names;
    names.all(|name| seen.insert(name))
}

/// A number made of the length, the first and the last bytes. Equal names have equal marks; different names seldom do.
fn mark(name: &[u8]) -> u64 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (first, last) = match (name.first_chunk(), name.last_chunk()) {
        (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
        _ => (
            0,
            name.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)),
        ),
    };
    first ^ last.wrapping_mul(MIX).rotate_left(32) ^ name.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_anywhere_are_distinct() {
        let of = |names: &[&str]| are_distinct(names.iter().map(|name| name.as_bytes()));
        let long = |middle| format!("12345678{middle}12345678");
        let (one, other) = (long("a"), long("b"));
        assert!(of(&[]) && of(&[""]) && of(&["", "a", "b", "ab", "ba", "\0a"]));
        assert!(of(&[&one, &other, "1234567812345678", "12345678"]));
        assert!(!of(&[&one, &other, "x", &one]));
        assert!(!of(&["", "a", ""]));
        let many: Vec<String> = (0..1000).map(|i| format!("same{i:04}same-same")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(of(&many));
        many.push("same0500same-same");
        assert!(!of(&many));
    }
}
