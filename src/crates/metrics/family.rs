//! Metrics as they were at one moment. Pure.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// What the instance counts and measures
#[derive(Debug, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// In the order of `documentation/metrics.md`; those of Tarantool's module last
    pub metrics: Vec<Family>,
}

/// A metric, with a sample for each set of labels
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    pub name: Cow<'static, str>,
    #[serde(rename = "type")]
    pub kind: Kind,
    pub help: Cow<'static, str>,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
    Untyped,
}

/// A number, or a histogram
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub labels: Labels,
    #[serde(flatten)]
    pub value: Value,
}

/// The name and the value of a label.
pub type Label = (Cow<'static, str>, Cow<'static, str>);

/// Labels in their order. A map in JSON and msgpack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(pub Vec<Label>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Number {
        #[serde(serialize_with = "number")]
        value: f64,
    },
    Histogram {
        /// How many values were counted
        count: u64,
        /// The sum of the values
        #[serde(serialize_with = "number")]
        sum: f64,
        buckets: Vec<Bucket>,
    },
}

/// How many values are at most `le`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    #[serde(serialize_with = "number")]
    pub le: f64,
    pub count: u64,
}

impl Kind {
    /// The name of the type in the text format of Prometheus.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Untyped => "untyped",
        }
    }
}

impl Value {
    /// Whether it is a histogram without values.
    pub fn is_empty(&self) -> bool {
        matches!(self, Value::Histogram { count: 0, .. })
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Number {
            value: value as f64,
        }
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        (value as u64).into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        u64::from(value).into()
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Number { value }
    }
}

/// Writes whole numbers without a fraction.
fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    /// Numbers up to this one are exact.
    const EXACT: f64 = (1u64 << 53) as f64;
    match *value {
        whole if whole.fract() == 0.0 && (0.0..=EXACT).contains(&whole) => {
            serializer.serialize_u64(whole as u64)
        }
        value => serializer.serialize_f64(value),
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = std::collections::BTreeMap::<String, String>::deserialize(deserializer)?;
        let label = |(name, value): (String, String)| (name.into(), value.into());
        Ok(Self(map.into_iter().map(label).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_an_object_of_json() {
        let sample = |label: &'static str, value| Sample {
            labels: Labels(vec![("route".into(), label.into())]),
            value,
        };
        let family = Family {
            name: "a_seconds".into(),
            kind: Kind::Histogram,
            help: "Times".into(),
            samples: vec![
                sample("/a", 3u64.into()),
                sample(
                    "/b",
                    Value::Histogram {
                        count: 2,
                        sum: 1.5,
                        buckets: vec![Bucket { le: 0.5, count: 1 }],
                    },
                ),
            ],
        };
        let text = serde_json::to_string(&family).unwrap();
        assert_eq!(
            text,
            r#"{"name":"a_seconds","type":"histogram","help":"Times","samples":[{"labels":{"route":"/a"},"value":3},{"labels":{"route":"/b"},"count":2,"sum":1.5,"buckets":[{"le":0.5,"count":1}]}]}"#
        );
        assert_eq!(serde_json::from_str::<Family>(&text).unwrap(), family);
    }
}
