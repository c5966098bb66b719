//! Quotas of prefixes. Pure.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use authkv_command::{Outcome, QuotaPage, QuotaUse};
use utoipa::openapi::schema::Type;

pub fn quota_list(_: &Context<'_>) -> Description {
    let used = |prefix: &str, pairs, bytes| QuotaUse {
        quota: "users/*/".to_owned(),
        prefix: prefix.to_owned(),
        pairs,
        pairs_max: Some(1000),
        bytes,
        bytes_max: None,
    };
    let page = |next: Option<&str>| {
        Outcome::Quotas(QuotaPage {
            quotas: vec![used("users/alice/", 7, 420)],
            next: next.map(str::to_owned),
        })
    };
    let about = "The list begins after this prefix, which need not exist: what the list before said as `next`";
    answers::<QuotaPage>([
        ("more", page(Some("users/alice/"))),
        ("the_last", page(None)),
    ])
    .parameters([query("after", about, of(Type::String)), limit()])
    .fails([BAD_LIMIT])
}
