//! An upsert of a batch over HTTP: one transaction, with the log of writes.

use super::data::{
    batches, check, mget, mset, object, plain, put_body, puts, ranges, read_body, BATCH,
    CONNECTIONS,
};
use super::read::add;
use super::Bound::AtLeast;
use super::{Work, AGAINST, AUTHKV, ETCD, ROCK, WEBDIS};
use crate::drivers::http::Http;
use crate::figures::Figure;
use crate::subjects::authkv::Authkv;
use crate::subjects::etcd::encode;
use crate::subjects::Lab;
use crate::Result;
use serde_json::json;

/// Requests that are sent in turn.
const BODIES: usize = 300;
/// After the keys that are read.
const FIRST: usize = 1_000_000;

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    let title =
        format!("Upsert of {BATCH} pairs over HTTP, one transaction, {CONNECTIONS} connections");
    let mut work = Work::new(lab, "write", title);
    let batches = batches(FIRST, BODIES);
    let write = |authkv: &Authkv| -> Result<Http> {
        let write = authkv.request("/v1/batch/put", batches.iter().map(put_body))?;
        write.exchange()?;
        let read = authkv.request("/api/read/", [read_body(&batches[0])])?;
        check(&read.exchange()?, &batches[0], plain)?;
        Ok(write)
    };
    let authkv = lab.authkv()?;
    add(&mut work, AUTHKV, &[authkv.process.pid()], &write(authkv)?);
    if let Some(against) = lab.against()? {
        add(
            &mut work,
            AGAINST,
            &[against.process.pid()],
            &write(against)?,
        );
        work.goal(AGAINST, Figure::Rate, None);
        work.goal(AGAINST, Figure::Cpu, None);
    }
    let first = &batches[0];
    lab.peer(ROCK, || {
        let (port, pid) = lab.rock()?;
        let body = |pairs| json!({ "data": object(pairs) }).to_string();
        let write = Http::new(port, "/write", batches.iter().map(body));
        write.exchange()?;
        let read = Http::new(port, "/read", [read_body(first)]);
        check(&read.exchange()?, first, plain)?;
        add(&mut work, ROCK, &[pid], &write);
        work.goal(ROCK, Figure::Rate, AtLeast(4.5));
        Ok(())
    });
    lab.peer(WEBDIS, || {
        let webdis = lab.webdis()?;
        let write = webdis.request(batches.iter().map(mset));
        write.exchange()?;
        check(&webdis.request([mget(first)]).exchange()?, first, plain)?;
        add(&mut work, WEBDIS, &webdis.pids(), &write);
        work.goal(WEBDIS, Figure::Rate, AtLeast(1.8));
        Ok(())
    });
    lab.peer(ETCD, || {
        let etcd = lab.etcd()?;
        let write = etcd.request(batches.iter().map(puts));
        write.exchange()?;
        check(&etcd.request([ranges(first)]).exchange()?, first, encode)?;
        add(&mut work, ETCD, &[etcd.process.pid()], &write);
        work.goal(ETCD, Figure::Rate, None);
        Ok(())
    });
    Ok(vec![work])
}
