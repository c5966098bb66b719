//! Runs a work: every contender in turn, round by round.

use super::{Base, Bound, Work};
use crate::figures::{medians, spread, Figure, Figures, Spread};
use serde::Serialize;
use std::io::Write;

/// What a work has shown.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub id: &'static str,
    pub title: String,
    pub contenders: Vec<Measured>,
    pub comparisons: Vec<Compared>,
}

/// What one contender has shown.
#[derive(Debug, Serialize)]
pub struct Measured {
    pub name: String,
    pub medians: Figures,
    /// Of each round.
    pub runs: Vec<Figures>,
    /// Why there are none.
    pub failure: Option<String>,
}

/// A ratio of two figures, and what it should be.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub contender: String,
    /// None: the figure itself.
    pub base: Option<String>,
    pub figure: Figure,
    pub ratio: Spread,
    pub goal: Option<String>,
    pub reached: Option<bool>,
}

impl Outcome {
    /// Whether a run of any contender does not count.
    pub fn has_failed(&self) -> bool {
        self.contenders
            .iter()
            .any(|contender| contender.failure.is_some())
    }
}

impl Work {
    /// One that fails is left out from then on, and says why.
    pub fn run(&self, seconds: u32) -> Outcome {
        let mut measured: Vec<Measured> = self
            .contenders
            .iter()
            .map(|contender| Measured {
                name: contender.name.clone(),
                medians: Figures::new(),
                runs: Vec::new(),
                failure: None,
            })
            .collect();
        let first = usize::from(!self.warm_up);
        for round in first..=self.rounds {
            eprint!("\r{}: round {round} of {} ", self.id, self.rounds);
            let _ = std::io::stderr().flush();
            for (contender, measured) in self.contenders.iter().zip(&mut measured) {
                // The first round is a short one, to warm up, and counts only where it fails.
                let seconds = if round == 0 { 1 } else { seconds };
                match &measured.failure {
                    Some(_) => continue,
                    None => match (contender.run)(seconds) {
                        Ok(_) if round == 0 => (),
                        Ok(figures) => measured.runs.push(figures),
                        Err(error) => measured.failure = Some(error.to_string()),
                    },
                }
            }
        }
        eprintln!();
        for measured in &mut measured {
            match &measured.failure {
                Some(failure) => {
                    eprintln!("{}: {failure}", measured.name);
                    measured.runs.clear();
                }
                None => measured.medians = medians(&measured.runs),
            }
        }
        Outcome {
            id: self.id,
            title: self.title.clone(),
            comparisons: self.compare(&measured),
            contenders: measured,
        }
    }

    fn compare(&self, measured: &[Measured]) -> Vec<Compared> {
        let runs_of = |name: &str| {
            let found = measured.iter().find(|measured| measured.name == name);
            found
                .map(|measured| measured.runs.as_slice())
                .unwrap_or_default()
        };
        let compare = |goal: &super::Goal| {
            let of = |runs: &[Figures], round: usize| runs.get(round)?.get(&goal.figure).copied();
            let runs = runs_of(&goal.contender);
            let ratios: Option<Vec<f64>> = (0..runs.len())
                .map(|round| {
                    let base = match &goal.base {
                        Base::Contender(name) => of(runs_of(name), round)?,
                        Base::Peak(names) => names
                            .iter()
                            .filter_map(|name| of(runs_of(name), round))
                            .fold(0.0, f64::max),
                        Base::One => 1.0,
                    };
                    Some(of(runs, round)? / base)
                })
                .collect();
            let ratio = spread(&ratios?)?;
            Some(Compared {
                contender: goal.contender.clone(),
                base: match &goal.base {
                    Base::Contender(name) => Some(name.clone()),
                    Base::Peak(_) => Some("its peak".to_owned()),
                    Base::One => None,
                },
                figure: goal.figure.clone(),
                ratio,
                goal: goal.bound.map(|bound| bound.to_string()),
                reached: goal.bound.map(|bound| bound.holds(ratio.median)),
            })
        };
        self.goals.iter().filter_map(compare).collect()
    }
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(to, "≥ {least}"),
            Self::AtMost(most) => write!(to, "≤ {most}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Contender, Goal};
    use super::*;
    use std::cell::Cell;

    fn contender(name: &str, rates: &'static [f64]) -> Contender {
        let round = Cell::new(0);
        let run = move |_| match rates.get(round.replace(round.get() + 1)) {
            Some(rate) => Ok(Figures::from([(Figure::Rate, *rate)])),
            None => Err("no answer".into()),
        };
        Contender {
            name: name.to_owned(),
            run: Box::new(run),
        }
    }

    #[test]
    fn ratios_are_of_the_same_round_and_who_fails_does_not_count() {
        let goal = |base| Goal {
            contender: "ours".to_owned(),
            base,
            figure: Figure::Rate,
            bound: Some(Bound::AtLeast(2.0)),
        };
        let theirs = |name: &str| goal(Base::Contender(name.to_owned()));
        let both = vec!["ours".to_owned(), "theirs".to_owned()];
        let work = Work {
            id: "read",
            title: "Read".to_owned(),
            rounds: 3,
            warm_up: false,
            contenders: vec![
                contender("ours", &[10.0, 40.0, 90.0]),
                contender("theirs", &[10.0, 20.0, 30.0]),
                contender("broken", &[10.0]),
            ],
            goals: vec![
                theirs("theirs"),
                theirs("broken"),
                goal(Base::Peak(both)),
                goal(Base::One),
            ],
        };
        let outcome = work.run(1);
        let medians: Vec<_> = outcome
            .comparisons
            .iter()
            .map(|one| (one.ratio.median, one.reached))
            .collect();
        assert_eq!(
            medians,
            [(2.0, Some(true)), (1.0, Some(false)), (40.0, Some(true))]
        );
        assert!(outcome.has_failed() && outcome.contenders[2].runs.is_empty());
    }
}
