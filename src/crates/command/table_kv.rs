//! The rows of the table of operations (`table.rs`) that read and write pairs under `/v1`. Pure.

/// Calls a macro with the rows in brackets, with the rows of this file, and with `more` after them.
#[macro_export]
macro_rules! with_operations_on_pairs {
    ($callback:ident [$($others:tt)*] $($more:tt)*) => { $callback! {
        $($others)*
        /// `(token, keys, {strict, min_revision, timeout, consistency})` → `{pairs, missing}`. Yields for a new token, if a
        /// pair is not durable yet, and while the instance waits for changes.
        // With the keys, and whether all keys must exist.
        BatchGet [(Result<Keys, Error>, bool)] => batch_get {
            service: Kv, privilege: Token, lane: Inline, audited: false,
            console: &[owner("batch.get")],
            endpoints: &[post("/v1/batch/get").says(
                PAIRS, "Read many pairs",
                "The pairs, and the keys that are missing, both in the order of the request. Where a key may not be read, or \
                 one is missing and `strict` is asked for, nothing is returned.",
            )],
        }
        /// `(token, pairs, {mode, atomic, ttl, expires_at})` → `{committed, results, revision}`. Yields.
        BatchPut [(Result<Steps, Error>)] => batch_put {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("batch.put")],
            endpoints: &[
                post("/v1/import").named("kv_import").with_query(IMPORT).delivered(Delivery::Import).says(
                    BULK, "Import pairs",
                    "A line of JSON for each pair, as an export has them; blank lines are ignored. They are written as they \
                     come, up to 1000 in a transaction; what was written stays. Pairs that have expired are left out. There \
                     is a line of `progress` each second, and at the end one with `done`, or with the `error` of the line \
                     that stopped it; where nothing was sent before, that is a problem with the member `line`. The body may \
                     be in gzip, with `Content-Encoding: gzip`.",
                ),
                post("/v1/batch/put").says(
                    PAIRS, "Write many pairs, and learn what became of each",
                    "In one transaction. Where it is `atomic` and a pair is not written, none is: `committed` is false, the \
                     status is 200 all the same, and those with which nothing was wrong are `aborted`. A pair is replaced as \
                     a whole: without `ttl` it does not expire any more.",
                ),
            ],
        }
        /// `(token, keys, {atomic})` → `{committed, results, revision}`. Yields.
        BatchDelete [(Result<Steps, Error>)] => batch_delete {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("batch.delete")],
            endpoints: &[post("/v1/batch/delete").says(
                PAIRS, "Delete many keys, and learn what became of each",
                "In one transaction. Where it is `atomic` and a key may not be deleted, or is not at its revision, none is \
                 deleted. A key that is missing is no failure.",
            )],
        }
        /// `(token, {compare, success, failure})` → `{succeeded, results, revision}`. Yields.
        KvTxn [(Result<Txn, Error>)] => kv_txn {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("kv.txn")],
            endpoints: &[post("/v1/txn").says(
                PAIRS, "Compare, and do the one or the other",
                "In one transaction: where all comparisons hold, the operations of `success` are executed, else those of \
                 `failure`. They see what those before them have done. Where one fails, the whole request does, and nothing \
                 is written: so does a `put` or a `delete` whose `if_revision` is not that of the key. Every key of the \
                 request has to be permitted, whatever comes of the comparisons.",
            )],
        }
        /// `(token, {prefix, from, to, after, limit, keys_only, count, min_revision, timeout, consistency})` → `{pairs, next}`,
        /// `{keys, next}` or `{count}`. Yields as `batch_get` does, and between the slices of a count.
        KvList [(Result<Listing, Error>)] => kv_list {
            service: Kv, privilege: Token, lane: Scan, audited: false,
            console: &[owner("kv.list")],
            endpoints: &[
                get("/v1/export").named("kv_export").with_query(EXPORT).delivered(Delivery::Export).says(
                    BULK, "Export pairs",
                    "A line of JSON for each pair, in the order of the keys. Pages are read one by one, so that it is not of \
                     one moment. Only pairs that may be read come. Where it ends early, the last line has the problem as \
                     `error`.",
                ),
                get("/v1/kv").with_query(LISTING).says(
                    PAIRS, "List pairs, or keys, or count them",
                    "In the order of the bytes of the keys, page by page. Keys that may not be read are as if they were not \
                     there. A page ends at about 1 MiB of values too; `next` says where to go on.",
                ),
            ],
        }
        /// `(token, {prefix, from, to, limit, all})` → `{deleted, more, revision}`. Yields.
        KvDelete [(Result<Deletion, Error>)] => kv_delete {
            service: Kv, privilege: Token, lane: Purge, audited: false,
            console: &[owner("kv.delete")],
            endpoints: &[delete("/v1/kv").with_query(DELETION).says(
                PAIRS, "Delete the keys of a range",
                "It is not one transaction: keys are deleted in order, some hundred at a time, and others see the rest until \
                 then. All keys of the range have to be permitted for deletion, or none is deleted. Where `more` is true, \
                 the same request goes on. A failure after the first keys is told so, and what was deleted stays so.",
            )],
        }
        /// `(token, key, {by, ttl, expires_at})` → `{key, value, revision}`. Yields.
        // With one step.
        KvIncr [(Result<Steps, Error>)] => kv_incr {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("kv.incr")],
            endpoints: &[
                post("/v1/kv/{key}/incr").says(
                    ONE, "Add to a number",
                    "A key that does not exist counts as 0. The time at which the pair expires stays as it is; `ttl` and \
                     `expires_at` count where the key is new. The key has to be permitted for reading and writing. The body may \
                     be left out.",
                ),
                post("/v1/pair/incr").with_query(KEY).named("kv_incr_by_query").says(
                    ONE, "Add to a number, with the key in the query",
                    "For keys with slashes behind proxies that change paths. Otherwise the same as with the key in the path.",
                ),
            ],
        }
        /// `(token, {prefix, after, timeout})` → `{events, revision}`. Yields as `batch_get` does, and while it waits.
        KvWatch [(Result<Watching, Error>)] => kv_watch {
            service: Kv, privilege: Token, lane: Inline, audited: false,
            console: &[owner("kv.watch")],
            endpoints: &[get("/v1/watch").with_query(WATCH).delivered(Delivery::Watch).says(
                CHANGES, "Watch changes",
                "Server-sent events, in the order of the commits: `ready` with the revision after which they begin, then \
                 `put`, `delete` and `expire`. The id of each is its revision; a client that comes again with \
                 `Last-Event-ID` misses nothing. Only keys that may be read are told of. A comment comes where nothing \
                 happens for 15 seconds. The last event, if there is one, is `too_old`, where changes are no longer kept, or \
                 `error`; its data is the problem.",
            )],
        }
        /// `(token, key, {if_revision, min_revision, timeout, consistency})` → `{key, value, revision, expires_at, content_type}`.
        /// Yields as `batch_get` does.
        // With one step.
        PairGet [(Result<Steps, Error>)] => pair_get {
            service: Kv, privilege: Token, lane: Inline, audited: false,
            console: &[owner("pair.get")],
            endpoints: &[
                get("/v1/kv/{key}").with_query(READ).says(
                    ONE, "Read a value",
                    "The body is the value: bytes with the type with which they came, anything else as JSON. Its entity tag is \
                     the revision. HEAD is answered as well.",
                ),
                get("/v1/pair").with_query(KEY_READ).named("pair_get_by_query").says(
                    ONE, "Read a value, with the key in the query",
                    "For keys with slashes behind proxies that change paths. Otherwise the same as with the key in the path.",
                ),
            ],
        }
        /// `(token, key, value, {mode, if_revision, ttl, expires_at, content_type})` → `{key, revision, created}`. Yields.
        PairPut [(Result<Steps, Error>)] => pair_put {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("pair.put")],
            endpoints: &[
                put("/v1/kv/{key}").with(Input::Value).with_query(PAIR_OPTIONS).says(
                    ONE, "Write a value",
                    "The body is the value: with `application/json`, with `application/x-www-form-urlencoded` (what `curl -d` \
                     says of any body) and without a type it is read as JSON; with any other type its bytes are kept, and the \
                     type with them. The pair is replaced as a whole: without `ttl` it does not expire any more.",
                ),
                put("/v1/pair").with(Input::Value).with_query(KEY_PAIR_OPTIONS).named("pair_put_by_query").says(
                    ONE, "Write a value, with the key in the query",
                    "For keys with slashes behind proxies that change paths. Otherwise the same as with the key in the path.",
                ),
            ],
        }
        /// `(token, key, {if_revision})` → `{deleted, revision}`. Yields.
        PairDelete [(Result<Steps, Error>)] => pair_delete {
            service: Kv, privilege: Token, lane: Commit, audited: false,
            console: &[owner("pair.delete")],
            endpoints: &[
                delete("/v1/kv/{key}").with_query(IF_REVISION).says(
                    ONE, "Delete a key",
                    "The revision in the answer is that of the deletion.",
                ),
                delete("/v1/pair").with_query(KEY_IF_REVISION).named("pair_delete_by_query").says(
                    ONE, "Delete a key, with the key in the query",
                    "For keys with slashes behind proxies that change paths. Otherwise the same as with the key in the path.",
                ),
            ],
        }
        $($more)*
    } };
}
