//! All metrics of authkv: their names, types, labels and meanings. `documentation/metrics.md` has this list as a table.
//!
//! Names follow the rules of Prometheus: base units, and `_total` for what only grows. The values of a label come from a list
//! in the code, or from the configuration of a cluster: no client can add one.

use crate::{Family, Kind, Label, Labels, Sample, Value};
use std::borrow::Cow;

/// A metric of the list.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it counts or measures, as a sentence of Markdown without a full stop.
    pub help: &'static str,
}

impl Metric {
    /// The family with these samples: the values of the labels in the order of their names, and the value.
    pub fn family<const N: usize>(
        &'static self,
        samples: impl IntoIterator<Item = ([Cow<'static, str>; N], Value)>,
    ) -> Family {
        let sample = |(labels, value): ([Cow<'static, str>; N], Value)| {
            let names = self.labels.iter().map(|name| Cow::Borrowed(*name));
            Sample {
                labels: Labels(names.zip(labels).collect::<Vec<Label>>()),
                value,
            }
        };
        Family {
            name: self.name.into(),
            kind: self.kind,
            help: self.help.into(),
            samples: samples.into_iter().map(sample).collect(),
        }
    }

    /// The family of a metric without labels.
    pub fn single(&'static self, value: impl Into<Value>) -> Family {
        self.family([([], value.into())])
    }

    /// The family of a metric with one label.
    pub fn labelled<V: Into<Value>>(
        &'static self,
        samples: impl IntoIterator<Item = (&'static str, V)>,
    ) -> Family {
        self.family(
            samples
                .into_iter()
                .map(|(label, value)| ([label.into()], value.into())),
        )
    }
}

/// Puts families into the order of the list. Families of one name become one.
pub fn arrange(mut families: Vec<Family>) -> Vec<Family> {
    families.sort_by_key(|family| ALL.iter().position(|one| one.name == family.name));
    families.dedup_by(|later, earlier| {
        let same = later.name == earlier.name;
        if same {
            earlier.samples.append(&mut later.samples);
        }
        same
    });
    families
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $labels:expr, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub static $constant: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &$labels, help: $help };
        )+

        /// All metrics.
        pub static ALL: &[&Metric] = &[$(&$constant),+];
    };
}

metrics! {
    BUILD_INFO = Gauge "authkv_build_info" ["version", "tarantool"],
        "Always 1. The labels are the versions of authkv and of Tarantool";
    START_TIME = Gauge "authkv_start_time_seconds" [],
        "When the instance was started, in seconds since 1970";
    TX_UP = Gauge "authkv_tx_up" [],
        "Whether the tx thread has answered this scrape. If it is 0, the metrics that only tx knows are missing";
    READ_ONLY = Gauge "authkv_read_only" [],
        "Whether the instance is read-only";

    HTTP_REQUESTS = Counter "authkv_http_requests_total" ["route", "method", "status"],
        "Answered requests over HTTP. `route` is the path as the API describes it, `page` for the pages of `/docs`, and `-` for any other path. `method` is `other` for a method that HTTP does not define";
    HTTP_REQUEST_DURATION = Histogram "authkv_http_request_duration_seconds" ["route", "method"],
        "The time from the end of the header to the answer; for an answer in pieces, to its last piece";
    HTTP_REQUEST_BODY = Counter "authkv_http_request_body_bytes_total" ["route"],
        "Bytes of the bodies of requests";
    HTTP_RESPONSE_BODY = Counter "authkv_http_response_body_bytes_total" ["route"],
        "Bytes of the bodies of answers, before compression";
    HTTP_CONNECTIONS = Gauge "authkv_http_connections" [],
        "Open connections over HTTP";
    HTTP_CONNECTIONS_MAX = Gauge "authkv_http_connections_max" [],
        "The most connections over HTTP that may be open";
    HTTP_CONNECTION_ATTEMPTS = Counter "authkv_http_connection_attempts_total" ["result"],
        "Connections over HTTP by what became of them: `accepted`, `refused` because there were too many, `refused_address` because there were too many from the same address";
    HTTP_IN_FLIGHT = Gauge "authkv_http_requests_in_flight" [],
        "Requests over HTTP between their header and their answer";
    HTTP_IN_FLIGHT_MAX = Gauge "authkv_http_requests_in_flight_max" [],
        "`AUTHKV_HTTP_REQUESTS_MAX`";
    HTTP_STREAMS = Gauge "authkv_http_streams" ["kind"],
        "Answers in pieces that are being sent: watches, exports, and imports that report their progress";

    OPERATIONS = Counter "authkv_operations_total" ["transport", "operation", "result"],
        "Operations by the name of the procedure, over HTTP, over iproto and from the console. `result` is `ok` or the name of the error. A request over HTTP that is refused before it reaches tx is none; one that takes several commands, as a watch does, is several";
    OPERATION_DURATION = Histogram "authkv_operation_duration_seconds" ["operation"],
        "The time of an operation on tx from its beginning to its outcome. For an operation that does not yield, the tx thread is busy for this time; others wait in it for the log of writes and for other threads";
    BATCH_KEYS = Histogram "authkv_batch_keys" ["operation"],
        "Keys of the operations that take many";
    FORWARDED = Counter "authkv_forwarded_total" ["result"],
        "Requests, and batches of imports, that a read-only instance had for the leader, if `WRITES` is `forward`: `answered` by the leader, whatever the answer; `refused`: the leader was out of reach, or does not lead any more, and has done nothing; `unknown`: the answer is lost. The leader counts the operation";

    QUEUE_JOBS = Gauge "authkv_queue_jobs" [],
        "Requests over HTTP that were queued for tx and have no answer yet";
    QUEUE_JOBS_MAX = Gauge "authkv_queue_jobs_max" [],
        "`AUTHKV_QUEUE`";
    QUEUE_REFUSED = Counter "authkv_queue_refused_total" [],
        "Requests that were refused because the queue for tx was full";
    QUEUE_WAIT = Histogram "authkv_queue_wait_seconds" ["lane"],
        "The time from the queuing of a request for tx to its beginning, by the fibers that execute it: `inline` for what does not yield, `commit`, `scan`, `crypto`";

    FRESH_WAIT = Histogram "authkv_fresh_wait_seconds" ["result"],
        "The time that requests have waited until this instance had data that was fresh enough: `ready`, or `failed` because that took too long, the client went away or the instance stopped";

    TRANSACTIONS = Counter "authkv_transactions_total" ["result"],
        "Transactions of authkv: `committed`, `aborted` by a conflict and tried again, `failed` because the log of writes could not be written";
    COMMIT_BATCH = Histogram "authkv_commit_batch_transactions" [],
        "Transactions of authkv whose commits ended in the same turn of Tarantool's event loop. They shared a write of the log. Tarantool has no number of its writes";
    WAL_ROWS = Counter "authkv_wal_rows_total" [],
        "Rows that this instance has written to the log of writes (`box.info.lsn`), those of others than authkv included";

    TOKEN_LOOKUPS = Counter "authkv_token_lookups_total" ["result"],
        "Look-ups of access tokens: `thread` and `shared` were found in the cache of the thread or of all threads, `verified` is a new token whose signature was verified, `refused` a new token that is not valid";
    TOKEN_CACHE = Gauge "authkv_token_cache_tokens" [],
        "Verified tokens in the cache of all threads";
    TOKEN_CACHE_MAX = Gauge "authkv_token_cache_tokens_max" [],
        "`AUTHKV_TOKEN_CACHE`";
    LOGINS = Counter "authkv_logins_total" ["result"],
        "Proofs of a password, for a login or a change of the password: `succeeded`, `refused` for a wrong login or password, `delayed` after too many failures, `failed` for any other reason";
    LOGIN_DELAYS = Counter "authkv_login_delays_total" [],
        "Failed logins that began a delay, or made it longer";
    REVOCATIONS = Counter "authkv_revocations_total" ["kind"],
        "Operations that ended tokens before their time: `token` for one token or one session, `user` for all tokens of a user";

    POOL_THREADS = Gauge "authkv_pool_threads" ["pool"],
        "Threads of a pool: `crypto` hashes and signs, `verify` verifies tokens, `keys` makes keys";
    POOL_BUSY = Gauge "authkv_pool_busy_threads" ["pool"],
        "Threads of a pool that work";
    POOL_QUEUED = Gauge "authkv_pool_queued" ["pool"],
        "Pieces of work that wait for a thread of a pool";
    POOL_QUEUED_MAX = Gauge "authkv_pool_queued_max" ["pool"],
        "How many may wait";
    POOL_REFUSED = Counter "authkv_pool_refused_total" ["pool"],
        "Pieces of work that were refused because too many waited";

    PAIRS = Gauge "authkv_pairs" [],
        "Pairs, those included that have expired and were not removed yet";
    PAIRS_EXPIRING = Gauge "authkv_pairs_expiring" [],
        "Pairs that have a time at which they expire";
    EXPIRY_BACKLOG = Gauge "authkv_expiry_backlog_seconds" [],
        "For how long the oldest pair has expired that was not removed yet; 0 if there is none";
    USERS = Gauge "authkv_users" [],
        "Users";
    SESSIONS = Gauge "authkv_sessions" [],
        "Sessions, those included that have ended and were not removed yet";
    REVOCATIONS_KEPT = Gauge "authkv_revocations_kept" [],
        "Revocations that are kept until their tokens expire";
    LOGIN_ATTEMPTS = Gauge "authkv_login_attempts" [],
        "Counts of failed logins, and records of the addresses of users";

    MEMORY = Gauge "authkv_memory_bytes" ["kind"],
        "Memory: `allocator` is what the library has from the system, `http` bodies and answers above 16 KiB, `watches` changes that clients have not taken, `memtx` tuples and indexes, `lua` objects of Lua";
    MEMORY_MAX = Gauge "authkv_memory_max_bytes" ["kind"],
        "The limits of the kinds that have one";

    REPLICATION_CONNECTED = Gauge "authkv_replication_connected" ["id"],
        "Whether the instance gets changes from the other instance of its replica set with this id";
    REPLICATION_LAG = Gauge "authkv_replication_lag_seconds" ["id"],
        "How much later than on the other instance its last change was applied here";
    REPLICATION_IDLE = Gauge "authkv_replication_idle_seconds" ["id"],
        "How long ago the other instance was last heard of";
    SPLIT_BRAIN = Gauge "authkv_split_brain" [],
        "Whether another instance of the replica set writes too, so that nothing is written here, or its changes are refused by Tarantool for this reason";
    REVISIONS_REPEATED = Counter "authkv_revisions_repeated_total" [],
        "Transactions from other instances whose revisions had been given before";
    FOLLOW_LAG = Gauge "authkv_follow_lag_seconds" [],
        "How long ago all revocations of the authorization instance, or of the leader, were known, on an instance that follows one; at first the time since the start";
    FOLLOW_LAG_MAX = Gauge "authkv_follow_lag_max_seconds" [],
        "`AUTHKV_FOLLOW_MAX_LAG`: beyond it, tokens are refused";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn families_are_arranged_as_the_list_is() {
        let memory = |kind| MEMORY.labelled([(kind, 1u64)]);
        let families = vec![memory("http"), TX_UP.single(true), memory("memtx")];
        let arranged = arrange(families);
        assert_eq!(arranged[0], TX_UP.single(true));
        assert_eq!(
            arranged[1..],
            [MEMORY.labelled([("http", 1u64), ("memtx", 1)])]
        );
    }

    #[test]
    fn names_are_unique_and_say_the_unit() {
        // OpenMetrics knows a counter by its name without the suffix.
        let names = ALL.iter().map(|one| one.name.trim_end_matches("_total"));
        let names: BTreeSet<_> = names.collect();
        assert_eq!(names.len(), ALL.len());
        for metric in ALL {
            let name = metric.name;
            assert!(name.starts_with("authkv_"), "{name}");
            assert_eq!(
                metric.kind == Kind::Counter,
                name.ends_with("_total"),
                "{name}"
            );
            assert!(!metric.help.ends_with('.'), "{name}");
        }
    }
}
