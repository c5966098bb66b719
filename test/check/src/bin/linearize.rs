//! `make linearize`: concurrent clients of a real instance, over HTTP and iproto, whose histories have to be linearizable.
//!
//! `--histories N` (1000), `--kills K` to kill and restart the instance in the middle of every K-th (20; 0 for none),
//! `--seed S` of what the clients choose; what happens first is left to the machine. `--mvcc 1` to run with
//! `memtx_use_mvcc_engine`.

use authkv_check::args::numbers;
use authkv_check::client::{Address, Connection, Front};
use authkv_check::command::{Command, Put};
use authkv_check::instance::{End, Instance};
use authkv_check::linear::checker::{check, Verdict};
use authkv_check::linear::clients::{Client, State as Instances};
use authkv_check::linear::history::{describe, Keys, Operations};
use authkv_check::linear::spec::{Operation, State, Store};
use authkv_check::Result;
use fastrand::Rng;
use rmpv::Value;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Barrier;
use std::time::{Duration, Instant};

const HISTORIES: u64 = 1000;
const KILLS: u64 = 20;
const FRONTS: [Front; 4] = [Front::Http, Front::Iproto, Front::Http, Front::Iproto];
const OPERATIONS: usize = 12;

struct Lab {
    instance: Instance,
    address: Address,
    clients: Vec<Client>,
    random: Rng,
    /// How long the last history took that was not interrupted.
    usual: Duration,
}

fn main() -> Result<ExitCode> {
    let [histories, kills, seed, mvcc] = numbers(["histories", "kills", "seed", "mvcc"])?;
    let mvcc = mvcc.is_some_and(|mvcc| mvcc > 0);
    let (histories, kills) = (histories.unwrap_or(HISTORIES), kills.unwrap_or(KILLS));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let began = Instant::now();
    let mut lab = Lab::new(seed, mvcc)?;
    let (mut operations, mut unknown, mut killed) = (0, 0, 0);
    for number in 1..=histories {
        let kill = kills > 0 && number % kills == 0;
        let (start, history) = lab.history(number, kill)?;
        operations += history.len();
        unknown += history.iter().filter(|it| it.answered.is_none()).count();
        killed += u64::from(kill);
        let (what, order) = match check(&Store { dense: !kill }, &start, &history) {
            Verdict::Linearizable(_) => continue,
            Verdict::Not(order) => ("NOT linearizable", order),
            Verdict::Undecided => ("not decided", Vec::new()),
        };
        println!("{}", describe(&history, &order));
        println!("linearize: history {number} is {what}, killed: {kill}, seed {seed}");
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "linearize: {histories} histories are linearizable: {operations} operations, {killed} kills, \
         {unknown} unknown outcomes, mvcc {mvcc}, seed {seed}, {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

impl Lab {
    fn new(seed: u64, mvcc: bool) -> Result<Self> {
        let instance = Instance::start(mvcc)?;
        let address = Address::of(&instance)?;
        let mut random = Rng::with_seed(seed);
        let clients = FRONTS
            .into_iter()
            .zip(1..)
            .map(|(front, number)| Client::new(number, front, random.fork()))
            .collect();
        Ok(Self {
            instance,
            address,
            clients,
            random,
            usual: Duration::from_millis(5),
        })
    }

    /// The state before, and what the clients did, in the order of their calls; at last a read of everything.
    fn history(&mut self, number: u64, kill: bool) -> Result<(State, Operations)> {
        let keys = Keys::of(number);
        let before = State::after(self.last_revision()?);
        for client in &mut self.clients {
            client.connect(&self.address)?;
        }
        let state = Instances {
            up: AtomicBool::new(true),
            over: AtomicBool::new(false),
        };
        let delay = self.usual.mul_f64(self.random.f64());
        let all_at_once = Barrier::new(FRONTS.len() + 1);
        let (start, address, instance) = (Instant::now(), &self.address, &mut self.instance);
        let mut history = std::thread::scope(|scope| -> Result<Operations> {
            let threads: Vec<_> = self
                .clients
                .iter_mut()
                .map(|client| {
                    let (keys, state, all_at_once) = (&keys, &state, &all_at_once);
                    scope.spawn(move || {
                        all_at_once.wait();
                        client.run(keys, OPERATIONS, address, start, state)
                    })
                })
                .collect();
            all_at_once.wait();
            let restarted = match kill {
                true => {
                    std::thread::sleep(delay);
                    state.up.store(false, Ordering::Release);
                    instance.restart(End::Kill)
                }
                false => Ok(()),
            };
            state.over.store(restarted.is_err(), Ordering::Release);
            state.up.store(true, Ordering::Release);
            let mut history = Vec::new();
            for thread in threads {
                history.extend(thread.join().map_err(|_| "a client panicked")??);
            }
            restarted.map(|()| history)
        })?;
        if !kill {
            self.usual = start.elapsed();
        }
        let reader = &mut self.clients[number as usize % FRONTS.len()];
        let last = Operation::Read { list: false };
        history.extend(reader.perform(last, &keys, address, start, &state)?);
        history.sort_by_key(|entry| entry.called);
        Ok((before, history))
    }

    /// By a write of another key.
    fn last_revision(&self) -> Result<u64> {
        let write = Command::PairPut {
            put: Put::plain("scratch", 0),
            if_revision: Vec::new(),
            mode: None,
        };
        let outcome = Connection::open(Front::Http, &self.address)?.send(&write)?;
        let revision = outcome.member("revision").and_then(Value::as_u64);
        Ok(revision.ok_or_else(|| format!("a write was answered {outcome:?}"))?)
    }
}
