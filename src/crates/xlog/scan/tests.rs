use super::*;
use crate::sample::{record, META};
use std::io::Cursor;

fn end(parts: &[&[u8]]) -> End {
    scan(Cursor::new(parts.concat())).unwrap().end
}

const HEAD: u64 = META.len() as u64;

fn rows() -> (Vec<u8>, Vec<u8>) {
    (record(&[1; 700]), record(b"the second"))
}

#[test]
fn a_file_of_whole_records_is_whole() {
    let (first, second) = rows();
    assert_eq!(end(&[META]), End::Whole);
    assert_eq!(end(&[META, &EOF_MARKER]), End::Whole);
    assert_eq!(end(&[META, &first, &second]), End::Whole);
    assert_eq!(end(&[META, &first, &second, &EOF_MARKER]), End::Whole);
}

#[test]
fn a_file_that_ends_anywhere_is_torn_behind_its_last_whole_record() {
    let (first, second) = rows();
    let bytes = [META, &first, &second, &EOF_MARKER].concat();
    let ends = [
        HEAD,
        HEAD + first.len() as u64,
        HEAD + (first.len() + second.len()) as u64,
    ];
    for length in 0..=bytes.len() {
        let last = ends.iter().rfind(|end| **end <= length as u64);
        let expected = match last {
            Some(end) if *end == length as u64 => End::Whole,
            _ if length == bytes.len() => End::Whole,
            _ => End::Torn {
                at: last.copied().unwrap_or(0),
            },
        };
        assert_eq!(end(&[&bytes[..length]]), expected, "{length}");
    }
}

#[test]
fn zeros_from_anywhere_to_the_end_are_torn() {
    let (first, second) = rows();
    let bytes = [META, &first, &second].concat();
    let ends = [HEAD, HEAD + first.len() as u64];
    for from in 0..bytes.len() - 1 {
        let mut torn = bytes.clone();
        torn[from..].fill(0);
        torn.resize(bytes.len() + 4096, 0);
        let at = ends.iter().rfind(|end| **end <= from as u64);
        let at = at.copied().unwrap_or(0);
        assert_eq!(end(&[&torn]), End::Torn { at }, "{from}");
    }
}

#[test]
fn an_unwritten_sector_of_the_last_record_is_torn() {
    let last = record(&[1; 5000]);
    let bytes = [META, &last].concat();
    for sector in 0..bytes.len() / 512 {
        let mut torn = bytes.clone();
        torn[sector * 512..][..512].fill(0);
        let at = if sector == 0 { 0 } else { HEAD };
        assert_eq!(end(&[&torn]), End::Torn { at }, "{sector}");
    }
}

#[test]
fn nothing_is_torn_that_a_whole_record_follows() {
    let (first, second) = rows();
    let at = HEAD + first.len() as u64;
    for damage in [&[0; 4096][..], &[0], &first[..300], &first[..5], b"garbage"] {
        let next = Some(at + damage.len() as u64);
        let expected = End::Damaged { at, next };
        assert_eq!(end(&[META, &first, damage, &second]), expected);
        assert_eq!(end(&[META, &first, damage, &second, &[0; 9]]), expected);
        assert_eq!(end(&[META, &first, damage, &EOF_MARKER]), expected);
    }
    let head = End::Damaged {
        at: 0,
        next: Some(512),
    };
    assert_eq!(end(&[&[0; 512], &second]), head);
}

#[test]
fn a_changed_byte_of_the_last_record_is_damage_and_not_torn() {
    let (first, second) = rows();
    let bytes = [META, &first, &second].concat();
    let at = HEAD + first.len() as u64;
    // The length may say then that the file ends early.
    let length = 4..9;
    for changed in (0..second.len()).filter(|changed| !length.contains(changed)) {
        let mut bytes = bytes.clone();
        bytes[at as usize + changed] ^= 0x20;
        // The unused checksum and the padding are not checked by Tarantool either.
        let is_seen = !(9..10).contains(&changed) && changed < 15 || changed >= HEADER;
        let expected = match is_seen {
            true => End::Damaged { at, next: None },
            false => continue,
        };
        assert_eq!(end(&[&bytes]), expected, "{changed}");
    }
}

#[test]
fn what_is_no_log_is_damage() {
    assert_eq!(
        end(&[b"a text of somebody\n\n"]),
        End::Damaged { at: 0, next: None }
    );
}

#[test]
fn a_record_across_pieces_and_windows_is_found_behind_damage() {
    for length in [PIECE - 1, PIECE, PIECE + 1, 2 * WINDOW as usize] {
        for zeros in [PIECE - 2, PIECE - 1, PIECE, PIECE + 1, WINDOW as usize] {
            let expected = End::Damaged {
                at: HEAD,
                next: Some(HEAD + zeros as u64),
            };
            assert_eq!(
                end(&[META, &vec![0; zeros], &record(&vec![3; length])]),
                expected
            );
        }
    }
}

#[test]
fn beginnings_of_many_records_are_not_read_for_ever() {
    let fake = &record(&vec![5; 1 << 20])[..HEADER];
    let fakes = fake.repeat((1 << 21) / HEADER);
    let expected = End::Damaged {
        at: HEAD,
        next: None,
    };
    assert_eq!(end(&[META, &[0; 512], &fakes]), expected);
}

#[test]
fn a_record_in_a_value_of_a_torn_one_is_no_whole_record_of_the_log() {
    let inner = record(b"of a client");
    let outer = record(&[b"before", &inner[..], &[b'x'; 900]].concat());
    for length in HEADER + 7 + inner.len()..outer.len() {
        let torn = &outer[..length];
        assert_eq!(end(&[META, torn]), End::Torn { at: HEAD }, "{length}");
        let zeros = length + 20 < outer.len();
        if zeros {
            assert_eq!(end(&[META, torn, &[0; 4096]]), End::Torn { at: HEAD });
        }
    }
    // A length that was changed is damage: the records behind it go on to the end of the file.
    let mut changed = record(b"first");
    changed[5] ^= 0x40;
    let next = Some(HEAD + changed.len() as u64);
    for rest in [&b""[..], &inner, &inner[..7], &EOF_MARKER, &[0; 512]] {
        let expected = End::Damaged { at: HEAD, next };
        assert_eq!(end(&[META, &changed, &inner, rest]), expected);
    }
}
