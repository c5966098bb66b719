//! The words for them.

use super::super::tags::{ONE, PAIRS};
use super::streams;
use authkv_command::Operation;
use authkv_wire::routes::{Delivery, Route};

/// The id of the operation, tag, summary and description.
pub fn of_route(route: &Route) -> [&'static str; 4] {
    use Operation::*;
    if route.delivery != Delivery::Whole {
        return streams::words(route);
    }
    let (tag, summary, description) = match route.operation {
        BatchGet => (
            PAIRS,
            "Read many pairs",
            "The pairs, and the keys that are missing, both in the order of the request. Where a key may not be read, or \
             one is missing and `strict` is asked for, nothing is returned.",
        ),
        BatchPut => (
            PAIRS,
            "Write many pairs, and learn what became of each",
            "In one transaction. Where it is `atomic` and a pair is not written, none is: `committed` is false, the status \
             is 200 all the same, and those with which nothing was wrong are `aborted`. A pair is replaced as a whole: \
             without `ttl` it does not expire any more.",
        ),
        BatchDelete => (
            PAIRS,
            "Delete many keys, and learn what became of each",
            "In one transaction. Where it is `atomic` and a key may not be deleted, or is not at its revision, none is \
             deleted. A key that is missing is no failure.",
        ),
        KvTxn => (
            PAIRS,
            "Compare, and do the one or the other",
            "In one transaction: where all comparisons hold, the operations of `success` are executed, else those of \
             `failure`. They see what those before them have done. Where one fails, the whole request does, and nothing \
             is written: so does a `put` or a `delete` whose `if_revision` is not that of the key. Every key of the request has \
             to be permitted, whatever comes of the comparisons.",
        ),
        KvList => (
            PAIRS,
            "List pairs, or keys, or count them",
            "In the order of the bytes of the keys, page by page. Keys that may not be read are as if they were not there. \
             A page ends at about 1 MiB of values too; `next` says where to go on.",
        ),
        KvIncr => (
            ONE,
            "Add to a number",
            "A key that does not exist counts as 0. The time at which the pair expires stays as it is; `ttl` and \
             `expires_at` count where the key is new. The key has to be permitted for reading and writing. The body may \
             be left out.",
        ),
        PairGet => (
            ONE,
            "Read a value",
            "The body is the value: bytes with the type with which they came, anything else as JSON. Its entity tag is the \
             revision. HEAD is answered as well.",
        ),
        PairPut => (
            ONE,
            "Write a value",
            "The body is the value: with `application/json`, with `application/x-www-form-urlencoded` (what `curl -d` says \
             of any body) and without a type it is read as JSON; with any other type its bytes are kept, and the type with \
             them. The pair is replaced as a whole: without `ttl` it does not expire any more.",
        ),
        PairDelete => (
            ONE,
            "Delete a key",
            "The revision in the answer is that of the deletion.",
        ),
        _ => ("", "", ""),
    };
    [route.operation.row().name, tag, summary, description]
}
