//! Bodies and answers of batches. Bytes are those of the JSON.

use authkv_base::error::Error;
use authkv_codec::json_write::{write, write_tagged};
use authkv_codec::msgpack::Reader;
use authkv_codec::types::Types;
use authkv_codec::{Allowed, Document, Rules};
use authkv_command::{Command, Operation};
use authkv_domain::{Keys, Limits, Steps};
use criterion::{BenchmarkId, Criterion, Throughput};
use serde_json::{json, Map, Value};
use std::hint::black_box;

/// Containers inside one another in a value.
const DEPTH: usize = 32;
const CONTRACT: Rules = Rules::json(DEPTH);
const V1: Rules = Rules {
    depth: DEPTH,
    allowed: Allowed::Types(Types::of_version(2, 10)),
};
const LIMITS: Limits = Limits {
    batch: 1000,
    key: 256,
};

/// Sixteen bytes.
fn key(number: usize) -> String {
    format!("key-{number:012}")
}

/// Text that needs no escapes.
fn value(size: usize) -> String {
    "The quick brown fox jumps over the lazy dog. "
        .chars()
        .cycle()
        .take(size)
        .collect()
}

fn pairs(count: usize, size: usize) -> Map<String, Value> {
    (0..count).map(|n| (key(n), value(size).into())).collect()
}

/// The keys of a batch of ten, from the body.
pub fn read_body(criterion: &mut Criterion) {
    let body = json!({ "keys": (0..10).map(key).collect::<Vec<_>>() }).to_string();
    let mut group = criterion.benchmark_group("codec/read body, 10 keys of 16 B");
    group.throughput(Throughput::Bytes(body.len() as u64));
    let contract = |body: &str| -> Result<Keys, Error> {
        let input = Document::from_json(body.as_bytes(), CONTRACT)?;
        match Command::decode(Operation::Get, &input, 0, &LIMITS)? {
            Command::Get(keys) => keys,
            other => panic!("{other:?}"),
        }
    };
    let v1 = |body: &str| -> Result<Keys, Error> {
        let input = Document::from_json_and(body.as_bytes(), V1, &[])?;
        match Command::decode(Operation::BatchGet, &input, 0, &LIMITS)? {
            Command::BatchGet(keys, _) => keys,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(contract(&body), v1(&body));
    assert_eq!(contract(&body).unwrap().len(), 10);
    group.bench_function("api", |bencher| bencher.iter(|| contract(black_box(&body))));
    group.bench_function("v1", |bencher| bencher.iter(|| v1(black_box(&body))));
}

/// The steps of a write of ten, from the body.
pub fn write_body(criterion: &mut Criterion) {
    let data = pairs(10, 32);
    let listed: Vec<Value> = data
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    let contract = |body: &str| -> Result<Steps, Error> {
        let input = Document::from_json(body.as_bytes(), CONTRACT)?;
        match Command::decode(Operation::Put, &input, 0, &LIMITS)? {
            Command::Put(steps) => steps,
            other => panic!("{other:?}"),
        }
    };
    let v1 = |body: &str| -> Result<Steps, Error> {
        let input = Document::from_json_and(body.as_bytes(), V1, &[])?;
        match Command::decode(Operation::BatchPut, &input, 0, &LIMITS)? {
            Command::BatchPut(steps) => steps,
            other => panic!("{other:?}"),
        }
    };
    let mut group = criterion.benchmark_group("codec/write body, 10 pairs of 16 B and 32 B");
    let body = json!({ "data": data }).to_string();
    assert_eq!(contract(&body).unwrap().len(), 10);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("api", |bencher| bencher.iter(|| contract(black_box(&body))));
    let body = json!({ "pairs": listed }).to_string();
    assert_eq!(v1(&body).unwrap().len(), 10);
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("v1", |bencher| bencher.iter(|| v1(black_box(&body))));
}

/// The JSON of what was found: a small answer and a large one.
pub fn answer(criterion: &mut Criterion) {
    for (count, size) in [(10, 32), (1000, 1024)] {
        let found = json!({ "data": pairs(count, size) });
        let bytes = rmp_serde::to_vec(&found).unwrap();
        let name = format!("codec/answer, {count} values of {size} B");
        let mut group = criterion.benchmark_group(name);
        for (profile, write) in [("api", write as Write), ("v1", write_tagged)] {
            let render = |bytes: &[u8]| {
                let mut out = Vec::with_capacity(bytes.len() * 5 / 4 + 16);
                write(&mut out, &mut Reader::new(bytes)).unwrap();
                out
            };
            let text = render(&bytes);
            assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), found);
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(profile), |bencher| {
                bencher.iter(|| render(black_box(&bytes)))
            });
        }
    }
}

type Write = fn(&mut Vec<u8>, &mut Reader<'_>) -> Result<(), Error>;
