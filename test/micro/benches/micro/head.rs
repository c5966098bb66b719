//! The head of a request in HTTP/1.1: where it ends, and what is in it.

use super::token;
use authkv_wire::h1::head::{self, Finder, Framing};
use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, Criterion, Throughput};
use std::hint::black_box;

/// What a client library sends before the body of a batch read.
fn request() -> String {
    format!(
        "POST /api/read/ HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: python-requests/2.32.3\r\n\
         Accept-Encoding: gzip, deflate, br\r\nAccept: */*\r\nConnection: keep-alive\r\n\
         Content-Type: application/json\r\nAuthorization: Bearer {}\r\nContent-Length: 199\r\n\r\n",
        token::issue()
    )
}

fn read(input: &mut BytesMut) -> head::Request {
    let end = Finder::default().find(input).unwrap().unwrap();
    let raw: Bytes = input.split_to(end).freeze();
    head::parse(&raw).unwrap()
}

pub fn parse(criterion: &mut Criterion) {
    let text = request();
    let fresh = || BytesMut::from(text.as_bytes());
    assert_eq!(read(&mut fresh()).framing, Framing::Length(199));
    let mut group = criterion.benchmark_group("http");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("head of a batch read", |bencher| {
        bencher.iter_batched_ref(fresh, |input| read(black_box(input)), BatchSize::SmallInput)
    });
}
