//! Families as text: in the text format of Prometheus, or as OpenMetrics.

use crate::{Family, Kind, Label, Sample, Value};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    prometheus_text, text, DescriptorEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// A format, which is chosen by the header `Accept`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// OpenMetrics if the header asks for it by name and with no lower weight than text, as Prometheus does.
    pub fn accepted(accept: &str) -> Self {
        let weight = |name: &str| {
            let ranges = accept
                .split(',')
                .map(|range| range.split(';').map(str::trim));
            ranges
                .filter_map(|mut range| {
                    let is_it = range.next()?.eq_ignore_ascii_case(name);
                    let weight = range.find_map(|parameter| parameter.strip_prefix("q="));
                    is_it.then(|| weight.map_or(Some(1.0), |weight| weight.parse().ok()))?
                })
                .fold(0.0, f64::max)
        };
        let open = weight("application/openmetrics-text");
        match open > 0.0 && open >= weight("text/plain") {
            true => Self::OpenMetrics,
            false => Self::Prometheus,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of these families. A family without samples is left out.
pub fn write(families: Vec<Family>, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    let written = match format {
        Format::Prometheus => prometheus_text::encode(&mut text, &registry),
        Format::OpenMetrics => text::encode(&mut text, &registry),
    };
    // Writing to a string cannot fail.
    debug_assert!(written.is_ok());
    text
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in self.0.iter().filter(|family| !family.samples.is_empty()) {
            let name = &*family.name;
            // The encoder adds the suffix of counters.
            let (name, kind) = match (family.kind, name.strip_suffix("_total")) {
                (Kind::Counter, Some(name)) => (name, MetricType::Counter),
                (Kind::Gauge, _) => (name, MetricType::Gauge),
                (Kind::Histogram, _) => (name, MetricType::Histogram),
                (Kind::Counter | Kind::Untyped, _) => (name, MetricType::Unknown),
            };
            let help = family.help.replace(['\n', '\\'], " ");
            let mut encoder = encoder.encode_descriptor(name, &help, None, kind)?;
            for Sample { labels, value } in &family.samples {
                let labels: Vec<(&str, &str)> = labels.0.iter().map(borrowed).collect();
                match labels.is_empty() {
                    true => write_value(&mut encoder, kind, value)?,
                    false => write_value(&mut encoder.encode_family(&labels)?, kind, value)?,
                }
            }
        }
        Ok(())
    }
}

fn borrowed((name, value): &Label) -> (&str, &str) {
    (name, value)
}

fn write_value(encoder: &mut MetricEncoder, kind: MetricType, value: &Value) -> fmt::Result {
    match value {
        Value::Number { value } if kind == MetricType::Counter => {
            encoder.encode_counter::<NoLabelSet, f64, f64>(value, None)
        }
        Value::Number { value } => encoder.encode_gauge(value),
        Value::Histogram {
            count,
            sum,
            buckets,
        } => {
            // The encoder adds the buckets up.
            let mut below = 0;
            let mut each: Vec<(f64, u64)> = Vec::with_capacity(buckets.len());
            for bucket in buckets {
                each.push((bucket.le, bucket.count.saturating_sub(below)));
                below = bucket.count;
            }
            encoder.encode_histogram::<NoLabelSet>(*sum, *count, &each, None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::{BATCH_KEYS, BUILD_INFO, QUEUE_JOBS, QUEUE_REFUSED};
    use crate::Bucket;

    fn families() -> Vec<Family> {
        let histogram = Value::Histogram {
            count: 3,
            sum: 4.5,
            buckets: vec![Bucket { le: 0.5, count: 1 }, Bucket { le: 2.0, count: 2 }],
        };
        vec![
            QUEUE_JOBS.single(3u64),
            QUEUE_REFUSED.single(7u64),
            BATCH_KEYS.labelled([("kv_get", histogram)]),
            BUILD_INFO.family::<2>([]),
        ]
    }

    fn without_comments(text: &str) -> Vec<&str> {
        text.lines()
            .filter(|line| !line.starts_with("# HELP"))
            .collect()
    }

    #[test]
    fn families_are_written_in_both_formats() {
        let text = write(families(), Format::Prometheus);
        assert_eq!(
            without_comments(&text),
            [
                "# TYPE authkv_queue_jobs gauge",
                "authkv_queue_jobs 3.0",
                "# TYPE authkv_queue_refused_total counter",
                "authkv_queue_refused_total 7.0",
                "# TYPE authkv_batch_keys histogram",
                r#"authkv_batch_keys_bucket{operation="kv_get",le="0.5"} 1"#,
                r#"authkv_batch_keys_bucket{operation="kv_get",le="2"} 2"#,
                r#"authkv_batch_keys_bucket{operation="kv_get",le="+Inf"} 3"#,
                r#"authkv_batch_keys_sum{operation="kv_get"} 4.5"#,
                r#"authkv_batch_keys_count{operation="kv_get"} 3"#,
            ]
        );
        let text = write(families(), Format::OpenMetrics);
        assert!(
            text.contains("# TYPE authkv_queue_refused counter\nauthkv_queue_refused_total 7.0\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn the_format_is_the_one_that_the_client_prefers() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        for (accept, format) in [
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("text/plain", Format::Prometheus),
            (
                "application/openmetrics-text; version=1.0.0",
                Format::OpenMetrics,
            ),
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            (
                "application/openmetrics-text;q=0.1, text/plain",
                Format::Prometheus,
            ),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
