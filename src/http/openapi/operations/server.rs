//! The instance itself. Pure.

use super::super::{description::*, parameters::*, shapes::*};
use authkv_command::Outcome;
use authkv_metrics::{list as metrics, Bucket, Metrics, Value};
use utoipa::openapi::schema::{AdditionalProperties, Type};

pub fn server_metrics(_: &Context<'_>) -> Description {
    let number = |about: &str| described(of(Type::Number), about);
    let bucket = [
        ("le", number("The upper bound").into()),
        (
            "count",
            count()
                .description(Some("How many values are at most that"))
                .into(),
        ),
    ];
    let labels = AdditionalProperties::RefOr(text(""));
    let labels = of(Type::Object).additional_properties(Some(labels));
    let sample = exact_and(
        "A number, or a histogram",
        [("labels", labels.into())],
        [
            ("value", number("Of any other type than a histogram").into()),
            (
                "count",
                count()
                    .description(Some("How many values a histogram has"))
                    .into(),
            ),
            ("sum", number("The sum of these values").into()),
            ("buckets", list(named("MetricBucket")).into()),
        ],
    );
    let kinds = one_of(&["counter", "gauge", "histogram", "untyped"]);
    let metric = [
        ("name", text("")),
        ("type", kinds.into()),
        ("help", text("What it counts or measures")),
        (
            "samples",
            list(named("MetricSample"))
                .description(Some("One for each set of labels"))
                .into(),
        ),
    ];
    let all = [("metrics", list(named("Metric")).into())];
    let example = vec![
        metrics::TX_UP.single(true),
        metrics::BATCH_KEYS.labelled([("kv_get", keys())]),
    ];
    let outcome = Outcome::Metrics(Metrics { metrics: example });
    let about = "Whether those of Tarantool's module `metrics` are included, if it is loaded";
    answers_of("ServerMetrics", exact("", all), [("metrics", outcome)])
        .with([
            ("Metric", exact("", metric)),
            ("MetricSample", sample),
            ("MetricBucket", exact("", bucket)),
        ])
        .parameters([query("tarantool", about, of(Type::Boolean))])
}

fn keys() -> Value {
    let bucket = |le, count| Bucket { le, count };
    Value::Histogram {
        count: 3,
        sum: 14.0,
        buckets: vec![bucket(1.0, 1), bucket(10.0, 2)],
    }
}
