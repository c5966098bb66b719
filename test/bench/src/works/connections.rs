//! The batch read over HTTP by more and more connections. What the client and the kernel lose shows at the floor, which
//! is driven in the same way.

use super::data::{pairs, read_body, BATCH};
use super::read::prepared;
use super::Bound::AtLeast;
use super::{Base, Goal, Work, AUTHKV, HYPER};
use crate::drivers::http::Http;
use crate::figures::Figure;
use crate::subjects::Lab;
use crate::Result;

const CONNECTIONS: [u32; 4] = [64, 256, 1000, 5000];

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    let title = format!("Read of {BATCH} keys over HTTP, by the number of connections");
    let mut work = Work::new(lab, "connections", title);
    let pairs = pairs(0, BATCH, 32);
    let authkv = lab.authkv()?;
    let read = prepared(authkv, &pairs)?;
    let (port, floor) = lab.floor(read.exchange()?.len())?;
    let constant = Http::new(port, "/api/read/", [read_body(&pairs)]);
    let name = |who: &str, connections| format!("{who}, {connections} connections");
    for connections in CONNECTIONS {
        for (who, pid, requests) in [
            (AUTHKV, authkv.process.pid(), &read),
            (HYPER, floor, &constant),
        ] {
            let requests = requests.clone();
            work.add(name(who, connections), &[pid], move |seconds| {
                requests.drive(connections, seconds)
            });
            work.goals.push(Goal {
                contender: name(who, connections),
                base: Base::Peak(CONNECTIONS.map(|number| name(who, number)).into()),
                figure: Figure::Rate,
                bound: (who == AUTHKV).then_some(AtLeast(0.8)),
            });
        }
    }
    Ok(vec![work])
}
