//! The results, as people and programs read them.

mod chart;
mod markdown;

use crate::machine::Machine;
use crate::works::Outcome;
use crate::Result;
use serde::Serialize;
use std::path::Path;

/// All there is to say.
#[derive(Debug, Serialize)]
pub struct Report {
    pub machine: Machine,
    pub rounds: usize,
    pub seconds: u32,
    /// What is missing, and why.
    pub notes: Vec<String>,
    pub works: Vec<Outcome>,
}

impl Report {
    /// In Markdown.
    pub fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// Writes `results.md`, `results.json` with all rounds, and `chart.svg`.
    pub fn write(&self, directory: &Path) -> Result<()> {
        std::fs::create_dir_all(directory)?;
        std::fs::write(directory.join("results.md"), self.markdown())?;
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        std::fs::write(directory.join("results.json"), json)?;
        Ok(std::fs::write(
            directory.join("chart.svg"),
            chart::svg(self),
        )?)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::figures::{spread, Figure, Figures};
    use crate::works::{Compared, Measured};

    /// Of one work: ours, another with a goal, and one that has failed.
    pub fn example() -> Report {
        let measured = |name: &str, rate: f64| Measured {
            name: name.to_owned(),
            medians: Figures::from([(Figure::Rate, rate), (Figure::Cpu, 20.0)]),
            runs: Vec::new(),
            failure: None,
        };
        let failed = Measured {
            failure: Some("of 7 requests 1 were refused".to_owned()),
            medians: Figures::new(),
            ..measured("lost & found", 0.0)
        };
        let compared = Compared {
            contender: "authkv".to_owned(),
            base: Some("other".to_owned()),
            figure: Figure::Rate,
            ratio: spread(&[2.0, 2.5, 3.0]).unwrap(),
            goal: Some("≥ 3".to_owned()),
            reached: Some(false),
        };
        Report {
            machine: Machine {
                cpu: "a CPU".to_owned(),
                cores: 2,
                kernel: "6".to_owned(),
                versions: [("wrk".to_owned(), "4.1.0".to_owned())].into(),
                commit: Some("abc".to_owned()),
                against: None,
                unix_time: 0,
            },
            rounds: 3,
            seconds: 1,
            notes: vec!["Left out: etcd: it is not installed".to_owned()],
            works: vec![Outcome {
                id: "read",
                title: "Read".to_owned(),
                contenders: vec![
                    measured("authkv", 50_000.0),
                    measured("other", 20_000.0),
                    failed,
                ],
                comparisons: vec![compared],
            }],
        }
    }

    #[test]
    fn the_json_has_every_figure_by_its_name() {
        let json = serde_json::to_value(example()).unwrap();
        let work = &json["works"][0];
        assert_eq!(
            work["contenders"][0]["medians"]["requests_per_second"],
            50_000.0
        );
        assert_eq!(work["comparisons"][0]["ratio"]["median"], 2.5);
        assert_eq!(work["comparisons"][0]["reached"], false);
        assert_eq!(json["machine"]["versions"]["wrk"], "4.1.0");
    }
}
