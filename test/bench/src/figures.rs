//! What is measured, and how rounds are put together: medians, and ratios of neighbours.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// One measured quantity. The order is that of the columns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Requests per second.
    Rate,
    /// Latencies in µs.
    P50,
    P99,
    P999,
    /// CPU time of all the server's processes per request, user and system, in µs.
    Cpu,
    /// CPU time per request, in µs, of the threads of this name.
    Thread(String),
    /// Bytes of answers per second.
    Bytes,
    /// Resident bytes before loading.
    Empty,
    /// Resident bytes after loading.
    Loaded,
}

/// Of one run, or the medians of several.
pub type Figures = BTreeMap<Figure, f64>;

/// Of the ratios of all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Figure {
    /// The thread that works on spaces, Tarantool's own.
    pub fn tx() -> Self {
        Self::Thread("tx".to_owned())
    }

    /// The value with its unit, as people read it.
    pub fn show(&self, value: f64) -> String {
        match self {
            Self::Rate | Self::Cpu | Self::Thread(_) if value < 1000.0 => format!("{value:.1}"),
            Self::Bytes => whole(value / 1e6),
            Self::Empty | Self::Loaded => whole(value / f64::from(1 << 20)),
            _ => whole(value),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => to.write_str("req/s"),
            Self::P50 => to.write_str("p50 µs"),
            Self::P99 => to.write_str("p99 µs"),
            Self::P999 => to.write_str("p99.9 µs"),
            Self::Cpu => to.write_str("CPU µs/req"),
            Self::Thread(name) => write!(to, "CPU µs/req of {name}"),
            Self::Bytes => to.write_str("MB/s"),
            Self::Empty => to.write_str("RSS empty, MiB"),
            Self::Loaded => to.write_str("RSS, MiB"),
        }
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = match self {
            Self::Rate => "requests_per_second",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::P999 => "p999_us",
            Self::Cpu => "cpu_us_per_request",
            Self::Thread(name) => {
                return format!("cpu_us_per_request_{name}").serialize(serializer)
            }
            Self::Bytes => "answer_bytes_per_second",
            Self::Empty => "resident_bytes_empty",
            Self::Loaded => "resident_bytes_loaded",
        };
        serializer.serialize_str(name)
    }
}

/// Without a fraction, with a comma before every three digits.
fn whole(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The median of each figure that every run has.
pub fn medians(runs: &[Figures]) -> Figures {
    let Some(first) = runs.first() else {
        return Figures::new();
    };
    first
        .keys()
        .filter_map(|figure| {
            let all: Option<Vec<f64>> = runs.iter().map(|run| run.get(figure).copied()).collect();
            Some((figure.clone(), spread(&all?)?.median))
        })
        .collect()
}

/// None where there is nothing to take it of.
pub fn spread(values: &[f64]) -> Option<Spread> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        1 => sorted[middle],
        _ => (sorted.get(middle.checked_sub(1)?)? + sorted[middle]) / 2.0,
    };
    Some(Spread {
        median,
        min: *sorted.first()?,
        max: *sorted.last()?,
    })
}

/// The value below which `share` of the sorted values are.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_one_or_between_the_two_in_the_middle() {
        let of = |values: &[f64]| spread(values).map(|spread| spread.median);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(3.0));
        assert_eq!(of(&[9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(of(&[9.0, 1.0, 5.0, 7.0]), Some(6.0));
    }

    #[test]
    fn figures_are_shown_in_their_units() {
        assert_eq!(Figure::Rate.show(1_234_567.0), "1,234,567");
        assert_eq!(Figure::Rate.show(12.34), "12.3");
        assert_eq!(Figure::P99.show(123.4), "123");
        assert_eq!(Figure::Loaded.show(f64::from(3 << 20)), "3");
    }

    #[test]
    fn medians_are_of_each_figure_by_itself() {
        let run = |rate, cpu| Figures::from([(Figure::Rate, rate), (Figure::Cpu, cpu)]);
        let runs = [run(1.0, 30.0), run(3.0, 10.0), run(2.0, 20.0)];
        assert_eq!(medians(&runs), run(2.0, 20.0));
        assert_eq!(medians(&[]), Figures::new());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<u32> = (1..=1000).collect();
        assert_eq!(percentile(&sorted, 0.5), 500.0);
        assert_eq!(percentile(&sorted, 0.99), 990.0);
        assert_eq!(percentile(&sorted, 0.999), 999.0);
        assert_eq!(percentile(&[], 0.5), 0.0);
        assert_eq!(percentile(&[7], 0.999), 7.0);
    }
}
