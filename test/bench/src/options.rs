//! The command line.

use crate::Result;
use std::path::PathBuf;

pub const HELP: &str = "\
Measures authkv and its peers on this machine, in turn, as medians and ratios.

    make bench BENCH_ARGUMENTS=\"--only read,write --rounds 3 --seconds 2\"

  --only WORKS     these only, with commas between them: read, write, iproto, large, connections, memory, logins
  --rounds N       rounds of each work (5)
  --seconds N      seconds of each run (3)
  --against DIR    measure the authkv of another checkout too, in read, write and iproto
  --no-peers       authkv and the floors only
  --out DIR        where results.md, results.json and chart.svg go (target/bench-results)
  --help           this

AUTHKV_BENCH_ROOT=DIR measures the authkv of another checkout instead of this one.
A peer that is missing is left out. The Lua handler needs the `http` rock: `tarantoolctl` or `tt rocks install http`, or
AUTHKV_TEST_ROCK=<its directory>.
";

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    pub only: Vec<String>,
    pub rounds: usize,
    pub seconds: u32,
    pub against: Option<PathBuf>,
    pub peers: bool,
    pub out: PathBuf,
}

/// This checkout.
pub fn root() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or(root)
}

/// The checkout whose authkv is measured: this one, unless `AUTHKV_BENCH_ROOT` names another.
pub fn measured() -> PathBuf {
    std::env::var_os("AUTHKV_BENCH_ROOT").map_or_else(root, PathBuf::from)
}

impl Options {
    /// None where help is asked for. Errors: an unknown argument, a value that is none, a work not in `works`.
    pub fn parse(mut args: impl Iterator<Item = String>, works: &[&str]) -> Result<Option<Self>> {
        let mut options = Self {
            only: Vec::new(),
            rounds: 5,
            seconds: 3,
            against: None,
            peers: true,
            out: root().join("target/bench-results"),
        };
        while let Some(name) = args.next() {
            let mut value = || args.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--no-peers" => options.peers = false,
                "--only" => options.only = value()?.split(',').map(str::to_owned).collect(),
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                "--against" => options.against = Some(PathBuf::from(value()?).canonicalize()?),
                "--out" => options.out = PathBuf::from(value()?),
                _ => return Err(format!("{name}: unknown; see --help").into()),
            }
        }
        if let Some(odd) = options
            .only
            .iter()
            .find(|work| !works.contains(&work.as_str()))
        {
            return Err(format!("--only {odd}: not one of {}", works.join(", ")).into());
        }
        match options.rounds > 0 && options.seconds > 0 {
            true => Ok(Some(options)),
            false => Err("--rounds and --seconds are at least 1".into()),
        }
    }

    pub fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let parse = |line: &str| {
            let args = line.split_whitespace().map(str::to_owned);
            Options::parse(args, &["read", "write"])
        };
        let options = parse("--only write --rounds 2 --seconds 1")
            .unwrap()
            .unwrap();
        assert!(options.wants("write") && !options.wants("read"));
        assert_eq!((options.rounds, options.seconds), (2, 1));
        assert!(parse("").unwrap().unwrap().wants("read"));
        assert_eq!(parse("--help").unwrap(), None);
        for wrong in ["--only reads", "--rounds", "--rounds x", "--rounds 0", "7"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
