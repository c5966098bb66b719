//! The works: who is measured at what, and with which goals.

mod connections;
mod data;
mod iproto;
mod large;
mod logins;
mod memory;
mod read;
mod run;
mod write;

pub use run::{Compared, Measured, Outcome};

use crate::figures::{Figure, Figures};
use crate::subjects::Lab;
use crate::usage::around;
use crate::Result;

pub const AUTHKV: &str = "authkv";
pub const AGAINST: &str = "authkv of the other checkout";
pub const ROCK: &str = "Lua handler on the http rock";
pub const WEBDIS: &str = "Webdis + Redis";
pub const ETCD: &str = "etcd's gateway";
pub const HYPER: &str = "bare hyper, constant body";
pub const REDIS: &str = "Redis over RESP";

/// One thing to do, and those who do it.
pub struct Work {
    pub id: &'static str,
    pub title: String,
    pub rounds: usize,
    /// Whether there is a short round before the first.
    pub warm_up: bool,
    pub contenders: Vec<Contender>,
    pub goals: Vec<Goal>,
}

/// One who is measured.
pub struct Contender {
    pub name: String,
    pub run: Box<dyn Fn(u32) -> Result<Figures>>,
}

/// What is compared, and what it should be.
pub struct Goal {
    pub contender: String,
    pub base: Base,
    pub figure: Figure,
    pub bound: Option<Bound>,
}

/// What a figure is divided by.
pub enum Base {
    Contender(String),
    /// The largest of these.
    Peak(Vec<String>),
    /// Nothing: the figure counts by itself.
    One,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Starts who is needed, and checks their answers.
pub type Prepare = fn(&Lab) -> Result<Vec<Work>>;

/// Each by its name, in the order in which they run.
pub const ALL: [(&str, Prepare); 7] = [
    ("read", read::works),
    ("write", write::works),
    ("iproto", iproto::works),
    ("large", large::works),
    ("connections", connections::works),
    ("memory", memory::works),
    ("logins", logins::works),
];

impl Work {
    fn new(lab: &Lab, id: &'static str, title: impl Into<String>) -> Self {
        Self {
            id,
            title: title.into(),
            rounds: lab.options.rounds,
            warm_up: true,
            contenders: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Adds one whose processes are `pids`. `drive` is given the seconds, and tells the number of requests.
    fn add(
        &mut self,
        name: impl Into<String>,
        pids: &[u32],
        drive: impl Fn(u32) -> Result<(f64, Figures)> + 'static,
    ) {
        let pids = pids.to_vec();
        self.contenders.push(Contender {
            name: name.into(),
            run: Box::new(move |seconds| around(&pids, || drive(seconds))),
        });
    }

    /// Adds a goal of authkv against another.
    fn goal(&mut self, base: &str, figure: Figure, bound: impl Into<Option<Bound>>) {
        self.goals.push(Goal {
            contender: AUTHKV.to_owned(),
            base: Base::Contender(base.to_owned()),
            figure,
            bound: bound.into(),
        });
    }

    /// Adds a goal of a figure of authkv by itself.
    fn goal_itself(&mut self, figure: Figure, bound: impl Into<Option<Bound>>) {
        self.goals.push(Goal {
            contender: AUTHKV.to_owned(),
            base: Base::One,
            figure,
            bound: bound.into(),
        });
    }
}
