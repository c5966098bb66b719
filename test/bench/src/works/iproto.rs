//! A batch read over iproto: our procedure with a token, the same in Lua without one, and selects of single keys.

use super::data::{check, keys, pairs, plain, Pairs, BATCH, CONNECTIONS};
use super::read::{prepared, resp};
use super::Bound::AtLeast;
use super::{Work, AGAINST, AUTHKV, REDIS};
use crate::drivers::iproto::{call, connect, exchange, parse, selects, User};
use crate::drivers::pipeline::{Pipeline, Unit, Until};
use crate::figures::Figure;
use crate::subjects::authkv::{Authkv, CLIENT};
use crate::subjects::lua::SPACE;
use crate::subjects::Lab;
use crate::Result;
use rmpv::Value;

const PROCEDURE: &str = "Lua procedure without a token";
const SELECTS: &str = "ten selects, pipelined";

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    let shapes = [
        ("iproto", CONNECTIONS as usize, 1),
        ("iproto-pipelined", 4, 16),
    ];
    shapes
        .into_iter()
        .map(|(id, connections, depth)| work(lab, id, connections, depth))
        .collect()
}

fn work(lab: &Lab, id: &'static str, connections: usize, depth: usize) -> Result<Work> {
    let title = format!(
        "Read of {BATCH} keys over iproto, {connections} connections, {depth} at a time on each"
    );
    let mut work = Work::new(lab, id, title);
    let pairs = pairs(0, BATCH, 32);
    let mut add = |name: &str, port, user: Option<User>, pid, unit: Unit| -> Result<()> {
        let answer = exchange(&mut connect(port, user)?, &unit)?;
        check(&answer, &pairs, plain)?;
        work.add(name, &[pid], move |seconds| {
            Pipeline {
                connect: &|| connect(port, user),
                parse,
                units: std::slice::from_ref(&unit),
                connections,
                depth,
            }
            .drive(Until::Seconds(seconds))
        });
        Ok(())
    };
    let authkv = lab.authkv()?;
    let pid = authkv.process.pid();
    add(
        AUTHKV,
        authkv.iproto,
        Some(CLIENT),
        pid,
        get(authkv, &pairs)?,
    )?;
    let against = lab.against()?;
    if let Some(against) = against {
        let pid = against.process.pid();
        add(
            AGAINST,
            against.iproto,
            Some(CLIENT),
            pid,
            get(against, &pairs)?,
        )?;
    }
    let lua = lab.lua()?;
    let pid = lua.process.pid();
    let (data, keys) = (map(&pairs), keys(&pairs));
    exchange(&mut connect(lua.iproto, None)?, &call("write", vec![data])?)?;
    let list = Value::Array(keys.iter().map(|key| key.as_str().into()).collect());
    add(PROCEDURE, lua.iproto, None, pid, call("read", vec![list])?)?;
    add(SELECTS, lua.iproto, None, pid, selects(SPACE, &keys)?)?;
    work.goal(PROCEDURE, Figure::Rate, AtLeast(1.6));
    work.goal(SELECTS, Figure::Rate, AtLeast(3.0));
    work.goal_itself(Figure::tx(), None);
    if against.is_some() {
        work.goal(AGAINST, Figure::Rate, None);
        work.goal(AGAINST, Figure::Cpu, None);
        work.goal(AGAINST, Figure::tx(), None);
    }
    lab.peer(REDIS, || {
        resp(&mut work, lab.redis()?, &pairs, connections, depth)
    });
    Ok(work)
}

/// The call of our procedure, once the pairs are there.
fn get(authkv: &Authkv, pairs: &Pairs) -> Result<Unit> {
    prepared(authkv, pairs)?;
    let keys = keys(pairs).into_iter().map(Value::from).collect();
    call(
        "authkv.kv_get",
        vec![authkv.token()?.into(), Value::Array(keys)],
    )
}

fn map(pairs: &Pairs) -> Value {
    let member = |(key, value): &(String, String)| (key.as_str().into(), value.as_str().into());
    Value::Map(pairs.iter().map(member).collect())
}
