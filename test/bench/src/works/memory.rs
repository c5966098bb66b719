//! The memory that many pairs take, once, in processes of their own.

use super::data::{check, keys, pairs, plain, put_value, Pairs};
use super::Bound::AtMost;
use super::{Contender, Work, AUTHKV, REDIS};
use crate::drivers::pipeline::{Parse, Pipeline, Unit, Until};
use crate::drivers::{iproto, resp};
use crate::figures::{Figure, Figures};
use crate::options::measured;
use crate::subjects::authkv::{Authkv, CLIENT};
use crate::subjects::redis::Redis;
use crate::subjects::Lab;
use crate::usage::resident;
use crate::Result;
use rmpv::Value;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAIRS: usize = 1_000_000;
/// In one request.
const BATCH: usize = 100;
/// Until what is not needed any more has been given back.
const REST: Duration = Duration::from_secs(1);

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    let title = format!(
        "Memory for {PAIRS} pairs of 16 and 32 bytes, loaded over the server's own protocol"
    );
    let mut work = Work::new(lab, "memory", title);
    work.rounds = 1;
    work.warm_up = false;
    let contender = |name: &str, measure: fn(&Path) -> Result<Figures>| {
        let data = PathBuf::from(lab.data());
        Contender {
            name: name.to_owned(),
            run: Box::new(move |_| measure(&data)),
        }
    };
    work.contenders.push(contender(AUTHKV, authkv));
    lab.peer(REDIS, || {
        lab.redis()?;
        work.contenders.push(contender(REDIS, redis));
        work.goal(REDIS, Figure::Loaded, AtMost(1.0));
        Ok(())
    });
    Ok(vec![work])
}

fn authkv(data: &Path) -> Result<Figures> {
    let authkv = Authkv::start(data, &measured())?;
    let (port, pid) = (authkv.iproto, authkv.process.pid());
    let empty = resident(pid)?;
    let token = Value::from(authkv.token()?);
    let write = |pairs: Pairs| {
        let pairs = pairs.iter().map(put_value).collect();
        iproto::call("authkv.batch_put", vec![token.clone(), Value::Array(pairs)])
    };
    let connect = || iproto::connect(port, Some(CLIENT));
    let figures = load(pid, empty, &connect, iproto::parse, write)?;
    let last = pairs(PAIRS - BATCH, BATCH, 32);
    let keys = Value::Array(keys(&last).into_iter().map(Value::from).collect());
    let read = iproto::call("authkv.kv_get", vec![token, keys])?;
    check(&iproto::exchange(&mut connect()?, &read)?, &last, plain)?;
    Ok(figures)
}

fn redis(data: &Path) -> Result<Figures> {
    let redis = Redis::start(data, false)?;
    let pid = redis.process.pid();
    let empty = resident(pid)?;
    let connect = || resp::connect(redis.port);
    let write = |pairs: Pairs| {
        let words = pairs.iter().flat_map(|(key, value)| [key.as_str(), value]);
        Ok(resp::command(["MSET"].into_iter().chain(words)))
    };
    let figures = load(pid, empty, &connect, resp::parse, write)?;
    let last = pairs(PAIRS - BATCH, BATCH, 32);
    let keys = keys(&last);
    let read = resp::command(["MGET"].into_iter().chain(keys.iter().map(String::as_str)));
    check(&resp::exchange(&mut connect()?, &read)?, &last, plain)?;
    Ok(figures)
}

fn load(
    pid: u32,
    empty: f64,
    connect: &dyn Fn() -> Result<TcpStream>,
    parse: Parse,
    write: impl Fn(Pairs) -> Result<Unit>,
) -> Result<Figures> {
    let units = (0..PAIRS / BATCH)
        .map(|number| write(pairs(number * BATCH, BATCH, 32)))
        .collect::<Result<Vec<_>>>()?;
    let pipeline = Pipeline {
        connect,
        parse,
        units: &units,
        connections: 4,
        depth: 4,
    };
    pipeline.drive(Until::Sent)?;
    std::thread::sleep(REST);
    Ok(Figures::from([
        (Figure::Empty, empty),
        (Figure::Loaded, resident(pid)?),
    ]))
}
