//! A batch read over HTTP.

use super::data::{
    check, mget, mset, object, pairs, plain, put_body, puts, ranges, read_body, Pairs, BATCH,
    CONNECTIONS,
};
use super::Bound::{AtLeast, AtMost};
use super::{Work, AGAINST, AUTHKV, ETCD, HYPER, REDIS, ROCK, WEBDIS};
use crate::drivers::http::Http;
use crate::drivers::pipeline::{Pipeline, Until};
use crate::drivers::resp;
use crate::figures::Figure;
use crate::subjects::authkv::Authkv;
use crate::subjects::etcd::encode;
use crate::subjects::redis::Redis;
use crate::subjects::Lab;
use crate::Result;
use serde_json::json;

/// ≤ so many µs of the tx thread for a batch.
const TX: f64 = 4.0;

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    let title = format!("Read of {BATCH} keys over HTTP, {CONNECTIONS} connections");
    let mut work = Work::new(lab, "read", title);
    let pairs = pairs(0, BATCH, 32);
    let read = prepared(lab.authkv()?, &pairs)?;
    let body = read.exchange()?;
    let (floor, pid) = lab.floor(body.len())?;
    add(&mut work, AUTHKV, &[lab.authkv()?.process.pid()], &read);
    if let Some(against) = lab.against()? {
        let read = prepared(against, &pairs)?;
        add(&mut work, AGAINST, &[against.process.pid()], &read);
        work.goal(AGAINST, Figure::Rate, None);
        work.goal(AGAINST, Figure::Cpu, None);
        work.goal(AGAINST, Figure::tx(), None);
    }
    let constant = Http::new(floor, "/api/read/", [read_body(&pairs)]);
    add(&mut work, HYPER, &[pid], &constant);
    work.goal(HYPER, Figure::Rate, AtLeast(0.85));
    work.goal(HYPER, Figure::Cpu, AtMost(1.3));
    lab.peer(ROCK, || {
        let (port, pid) = lab.rock()?;
        let write = json!({ "data": object(&pairs) }).to_string();
        Http::new(port, "/write", [write]).exchange()?;
        let read = Http::new(port, "/read", [read_body(&pairs)]);
        check(&read.exchange()?, &pairs, plain)?;
        add(&mut work, ROCK, &[pid], &read);
        work.goal(ROCK, Figure::Rate, AtLeast(5.5));
        Ok(())
    });
    lab.peer(WEBDIS, || {
        let webdis = lab.webdis()?;
        webdis.request([mset(&pairs)]).exchange()?;
        let read = webdis.request([mget(&pairs)]);
        check(&read.exchange()?, &pairs, plain)?;
        add(&mut work, WEBDIS, &webdis.pids(), &read);
        work.goal(WEBDIS, Figure::Rate, AtLeast(3.2));
        Ok(())
    });
    lab.peer(ETCD, || {
        let etcd = lab.etcd()?;
        etcd.request([puts(&pairs)]).exchange()?;
        let read = etcd.request([ranges(&pairs)]);
        check(&read.exchange()?, &pairs, encode)?;
        add(&mut work, ETCD, &[etcd.process.pid()], &read);
        work.goal(ETCD, Figure::Rate, AtLeast(55.0));
        Ok(())
    });
    lab.peer(REDIS, || {
        resp(&mut work, lab.redis()?, &pairs, CONNECTIONS as usize, 1)
    });
    work.goal_itself(Figure::tx(), AtMost(TX));
    Ok(vec![work])
}

/// The read of pairs that authkv has been given.
pub fn prepared(authkv: &Authkv, pairs: &Pairs) -> Result<Http> {
    authkv
        .request("/v1/batch/put", [put_body(pairs)])?
        .exchange()?;
    let read = authkv.request("/api/read/", [read_body(pairs)])?;
    check(&read.exchange()?, pairs, plain)?;
    Ok(read)
}

/// Adds Redis itself, for reference: `MGET` on so many connections, with so many on their way on each.
pub fn resp(
    work: &mut Work,
    redis: &Redis,
    pairs: &Pairs,
    connections: usize,
    depth: usize,
) -> Result<()> {
    let port = redis.port;
    let words = pairs.iter().flat_map(|(key, value)| [key.as_str(), value]);
    let write = resp::command(["MSET"].into_iter().chain(words));
    resp::exchange(&mut resp::connect(port)?, &write)?;
    let keys = pairs.iter().map(|(key, _)| key.as_str());
    let read = resp::command(["MGET"].into_iter().chain(keys));
    check(
        &resp::exchange(&mut resp::connect(port)?, &read)?,
        pairs,
        plain,
    )?;
    work.add(REDIS, &[redis.process.pid()], move |seconds| {
        Pipeline {
            connect: &|| resp::connect(port),
            parse: resp::parse,
            units: std::slice::from_ref(&read),
            connections,
            depth,
        }
        .drive(Until::Seconds(seconds))
    });
    work.goal(REDIS, Figure::Rate, None);
    Ok(())
}

/// Adds one that is driven by `wrk`.
pub fn add(work: &mut Work, name: &str, pids: &[u32], requests: &Http) {
    let requests = requests.clone();
    work.add(name, pids, move |seconds| {
        requests.drive(CONNECTIONS, seconds)
    });
}
