//! A read of many large values over HTTP, in bytes per second.

use super::data::{pairs, read_body};
use super::read::prepared;
use super::Bound::AtLeast;
use super::{Work, AUTHKV, HYPER};
use crate::drivers::http::Http;
use crate::figures::Figure;
use crate::subjects::Lab;
use crate::Result;

const KEYS: usize = 1000;
const SIZE: usize = 1024;
const CONNECTIONS: u32 = 16;

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    let title = format!("Read of {KEYS} values of 1 KB over HTTP, {CONNECTIONS} connections");
    let mut work = Work::new(lab, "large", title);
    let pairs = pairs(3_000_000, KEYS, SIZE);
    let authkv = lab.authkv()?;
    let read = prepared(authkv, &pairs)?;
    let (port, pid) = lab.floor(read.exchange()?.len())?;
    let constant = Http::new(port, "/api/read/", [read_body(&pairs)]);
    for (name, pid, requests) in [(AUTHKV, authkv.process.pid(), read), (HYPER, pid, constant)] {
        work.add(name, &[pid], move |seconds| {
            requests.drive(CONNECTIONS, seconds)
        });
    }
    work.goal(HYPER, Figure::Bytes, AtLeast(0.5));
    work.goal(HYPER, Figure::Cpu, None);
    Ok(vec![work])
}
