//! The instance itself. Pure.

use super::super::{description::*, parameters::*, shapes::*};
use authkv_command::{Cluster, Leader, Member, Outcome};
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

pub fn server_cluster(_: &Context<'_>) -> Description {
    let uuid = |digit: &str| {
        format!(
            "{0}{0}-{1}-4{2}-8{2}-{0}{1}",
            digit.repeat(4),
            digit.repeat(4),
            digit.repeat(3)
        )
    };
    let member = |id: u64, name: &str, status: &str, heard: Option<f64>| Member {
        id,
        uuid: uuid(&id.to_string()),
        name: name.to_owned(),
        leads: id == 1,
        status: Some(status.to_owned()),
        lag: heard,
        idle: heard,
    };
    let leader = Leader {
        name: "one".to_owned(),
        uuid: uuid("1"),
        http: Some("http://10.0.0.1:8080".to_owned()),
    };
    let seen = Cluster {
        instance: "two".to_owned(),
        leads: false,
        leader: Some(leader),
        election_mode: "candidate".to_owned(),
        term: 3,
        quorum: 2,
        members: vec![
            member(1, "one", "follow", Some(0.5)),
            member(2, "two", "self", None),
        ],
    };
    answers::<Cluster>([("two_instances", Outcome::Cluster(seen))])
}

fn keys() -> Value {
    let bucket = |le, count| Bucket { le, count };
    Value::Histogram {
        count: 3,
        sum: 14.0,
        buckets: vec![bucket(1.0, 1), bucket(10.0, 2)],
    }
}
