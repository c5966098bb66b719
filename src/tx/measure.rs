//! What Tarantool counts and measures, for scrapes. Evaluates Lua.

use super::source::is_split_brain;
use super::{log, lua, Tx};
use authkv_metrics::{list, Family};
use serde::de::DeserializeOwned;
use serde::Deserialize;

/// Numbers of Tarantool.
#[derive(Deserialize)]
struct Facts {
    lsn: u64,
    memtx: u64,
    memtx_max: u64,
    lua: f64,
    upstreams: Vec<Upstream>,
}

/// Another instance of the replica set, from which this one gets changes or did so.
#[derive(Deserialize)]
struct Upstream {
    id: u32,
    connected: bool,
    lag: Option<f64>,
    idle: Option<f64>,
}

/// The metrics that are Tarantool's numbers. Empty if it does not tell them. Does not yield.
pub fn metrics(tx: &Tx) -> Vec<Family> {
    let Some(facts) = ask::<Facts>(tx, "facts") else {
        return Vec::new();
    };
    let upstreams = |value: fn(&Upstream) -> Option<f64>| {
        let sample = |one: &Upstream| Some(([one.id.to_string().into()], value(one)?.into()));
        facts
            .upstreams
            .iter()
            .filter_map(sample)
            .collect::<Vec<_>>()
    };
    vec![
        list::WAL_ROWS.single(facts.lsn),
        list::MEMORY.labelled([("memtx", facts.memtx as f64), ("lua", facts.lua)]),
        list::MEMORY_MAX.labelled([("memtx", facts.memtx_max)]),
        list::REPLICATION_CONNECTED
            .family(upstreams(|one| Some(f64::from(u8::from(one.connected))))),
        list::REPLICATION_LAG.family(upstreams(|one| one.lag)),
        list::REPLICATION_IDLE.family(upstreams(|one| one.idle)),
        list::SPLIT_BRAIN.single(is_split_brain(tx)),
    ]
}

/// The metrics of Tarantool's module `metrics`, if it is loaded or built in, except for those of authkv. Calls its callbacks,
/// which may yield.
pub fn metrics_of_tarantool(tx: &Tx) -> Vec<Family> {
    ask(tx, "of_tarantool").unwrap_or_default()
}

/// What a function of `authkv.metrics` returns.
fn ask<T: DeserializeOwned>(tx: &Tx, function: &str) -> Option<T> {
    lua::ask(tx, "metrics", function)
        .map_err(|error| log::warn(&format!("metrics of Tarantool cannot be read: {error}")))
        .ok()
}
