//! Changes of pairs that replication brings: they are told to watches as on the instance that made them.
//!
//! A deletion has no revision of its own in the log. It is worked out of the last revision of the transaction, because each
//! change takes the next one, and checked against those of the pairs that were put.

use super::event::{Event, Events};
use super::{KeyValues, Stored};
use crate::tx::{log, note_split, Replicated, Tx};
use authkv_base::error::Error;
use authkv_codec::msgpack::Reader;
use authkv_domain::Change;

impl KeyValues {
    /// Takes transactions in the order of their commits. `follows`: all later ones will be told. If one is missing, or its
    /// revisions are unclear, watches that have not seen all before it get `too_old`. Does not yield.
    pub fn replicated(
        &self,
        tx: &Tx,
        follows: bool,
        transactions: &[Replicated],
    ) -> Result<(), Error> {
        let changes = self.changes.get(tx);
        if follows && !changes.follows.get() {
            // Read-only from now on, so that only one writes.
            note_split(tx, false);
            changes.could_write.set(false);
            self.catch_up(tx)?;
        }
        for one in transactions {
            if one.last <= one.before {
                let repeated = self.repeated.get(tx);
                repeated.set(repeated.get() + 1);
                log::error(&format!(
                    "another instance has given revision {} although {} had been given: two instances have written at a time",
                    one.last, one.before
                ));
            }
            let Some(is_next) = changes.revisions.take(one.before, one.last) else {
                continue;
            };
            let mut feed = changes.feed.borrow_mut();
            match events(one).filter(|_| is_next) {
                Some(events) => {
                    let ticket = feed.commit(events, one.last);
                    feed.end(ticket, true);
                }
                None => feed.begin_after(one.last),
            }
        }
        changes.follows.set(follows);
        if let (Some(quotas), false) = (&self.quotas, transactions.is_empty()) {
            quotas.mark_stale(tx);
        }
        self.tell(tx);
        Ok(())
    }
}

/// The events, or `None` if their revisions are unclear.
fn events(of: &Replicated) -> Option<Events> {
    let mut revisions = Vec::with_capacity(of.changes.len());
    // From the last one on, because numbers before the first one may have been skipped.
    let mut next = of.last + 1;
    for (index, (kind, tuple, had_expired)) in of.changes.iter().enumerate().rev() {
        let revision = next.checked_sub(1)?;
        next = revision;
        if *kind != Change::Put as u8 {
            revisions.push((revision, None));
            continue;
        }
        if Stored::read(tuple).ok()?.revision != revision {
            return None;
        }
        // The pair that was replaced had expired, so its end has the number before, if there is room for it.
        let room = match index.checked_sub(1).map(|before| &of.changes[before]) {
            None => revision > of.before + 1,
            Some((kind, tuple, _)) if *kind == Change::Put as u8 => {
                Stored::read(tuple).ok()?.revision + 1 < revision
            }
            // It cannot be told.
            Some(_) if *had_expired => return None,
            Some(_) => false,
        };
        let expired = (*had_expired && room).then(|| revision - 1);
        next = expired.unwrap_or(next);
        revisions.push((revision, expired));
    }
    let mut events = Events::default();
    for ((kind, tuple, _), (revision, expired)) in of.changes.iter().zip(revisions.iter().rev()) {
        let key = key_of(tuple)?;
        if let Some(expired) = expired {
            events.push(&Event {
                revision: *expired,
                change: Change::Expire,
                tuple: &key,
            });
        }
        let all = [Change::Put, Change::Delete, Change::Expire];
        let change = all.into_iter().find(|one| *one as u8 == *kind)?;
        let tuple = match change {
            Change::Put => tuple,
            _ => &key[..],
        };
        events.push(&Event {
            revision: *revision,
            change,
            tuple,
        });
    }
    (next > of.before).then_some(events)
}

/// The key of a tuple, as a one-element array.
fn key_of(tuple: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(tuple);
    reader.head().ok()?;
    Some([b"\x91", reader.value().ok()?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_bytes::ByteBuf;

    type Row = (u8, ByteBuf, bool);

    fn put(key: &[u8; 3], revision: u64, had_expired: bool) -> Row {
        let mut tuple = Vec::new();
        Stored::encode(&mut tuple, key, b"\x07", revision, (None, b""));
        (Change::Put as u8, tuple.into(), had_expired)
    }

    fn removed(change: Change) -> Row {
        let (_, tuple, _) = put(b"\x91\xa1k", 1, false);
        (change as u8, tuple, false)
    }

    fn told(before: u64, last: u64, changes: Vec<Row>) -> Option<Vec<(Change, u64)>> {
        let events = events(&Replicated {
            before,
            last,
            changes,
        })?;
        Some(
            events
                .iter()
                .map(|one| (one.change, one.revision))
                .collect(),
        )
    }

    #[test]
    fn removals_get_the_revisions_between_those_of_puts() {
        use Change::{Delete, Expire, Put};
        let key = b"\x91\xa1k";
        let changes = vec![put(key, 11, false), removed(Delete), put(key, 13, false)];
        let all = vec![(Put, 11), (Delete, 12), (Put, 13)];
        assert_eq!(told(10, 13, changes), Some(all));
        let changes = vec![removed(Expire), removed(Expire)];
        // Numbers of commits that failed are skipped.
        assert_eq!(
            told(10, 19, changes),
            Some(vec![(Expire, 18), (Expire, 19)])
        );
        let changes = vec![put(key, 11, false), put(key, 13, true)];
        let all = vec![(Put, 11), (Expire, 12), (Put, 13)];
        assert_eq!(told(10, 13, changes), Some(all));
        assert_eq!(
            told(10, 12, vec![put(key, 12, true)]),
            Some(vec![(Expire, 11), (Put, 12)])
        );
        assert_eq!(
            told(11, 12, vec![put(key, 12, true)]),
            Some(vec![(Put, 12)])
        );
        assert_eq!(told(10, 12, vec![]), Some(vec![]));
    }

    #[test]
    fn revisions_that_do_not_fit_are_unclear() {
        let key = b"\x91\xa1k";
        assert_eq!(told(10, 13, vec![put(key, 12, false)]), None);
        assert_eq!(
            told(12, 13, vec![removed(Change::Delete), put(key, 13, false)]),
            None
        );
    }
}
