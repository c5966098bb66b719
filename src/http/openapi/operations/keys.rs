//! The keys that sign tokens. Pure.

use super::super::{description::*, failures::*, shapes::*};
use super::sessions::TIME;
use authkv_base::error::Error;
use authkv_command::{
    NewSigningKey, Outcome, RetiredSigningKey, SigningKey, SigningKeys, PUBLISH_MAX,
};
use authkv_token::key::{Algorithm, Jwk};
use serde_json::json;
use utoipa::openapi::schema::Type;

/// The keys of RFC 7638 §3.1, RFC 7517 §A.1 and RFC 8037 §A.2.
const RSA: &str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
const EC: &str = "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s";
const ED: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";

/// RFC 7517 §4, RFC 7518 §6, RFC 8037 §2.
pub fn key_set(_: &Context<'_>) -> Description {
    let some = |text: &str| Some(text.to_owned());
    // Shortened.
    let rsa = Jwk {
        n: some("0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1…"),
        e: some("AQAB"),
        ..jwk("RSA", "RS256", RSA)
    };
    let ec = Jwk {
        crv: Some("P-256"),
        x: some("MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"),
        y: some("4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"),
        ..jwk("EC", "ES256", EC)
    };
    let okp = Jwk {
        crv: Some("Ed25519"),
        x: some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
        ..jwk("OKP", "EdDSA", ED)
    };
    let keys = vec![rsa, ec, okp];
    let set = exact(
        "A set of keys (RFC 7517)",
        [("keys", list(named("Jwk")).into())],
    );
    answers_of("KeySet", set, [("keys", Outcome::KeySet { keys })]).with([
        ("Jwk", one_named(["RsaJwk", "EcJwk", "OkpJwk"])),
        ("RsaJwk", form("RSA", "RSA", "RS256", None, &["n", "e"])),
        (
            "EcJwk",
            form("ECDSA", "EC", "ES256", Some("P-256"), &["x", "y"]),
        ),
        (
            "OkpJwk",
            form("Ed25519", "OKP", "EdDSA", Some("Ed25519"), &["x"]),
        ),
    ])
}

fn jwk(kty: &'static str, alg: &'static str, kid: &str) -> Jwk {
    Jwk {
        kty,
        usage: "sig",
        alg,
        kid: kid.to_owned(),
        ..Jwk::default()
    }
}

fn form(about: &str, kty: &str, alg: &str, crv: Option<&str>, numbers: &[&str]) -> Shape {
    let kid = text("The id of the key, its thumbprint (RFC 7638)");
    let members = [
        ("kty", only(kty)),
        ("use", only("sig")),
        ("alg", only(alg)),
        ("kid", kid),
    ];
    let crv = crv.map(|crv| ("crv", only(crv)));
    let numbers = numbers.iter().map(|name| (*name, text("base64url")));
    let others = crv.into_iter().chain(numbers);
    closed(
        others.fold(object(about, members), |object, (name, shape)| {
            object.property(name, shape).required(name)
        }),
    )
}

pub fn key_list(_: &Context<'_>) -> Description {
    let key = |kid: &str, alg, signs_from, verifies_until| SigningKey {
        kid: kid.to_owned(),
        alg,
        created_at: signs_from,
        signs_from,
        verifies_until,
        signs: verifies_until.is_none(),
    };
    let old = key(RSA, Algorithm::Rs256, TIME - 1800, Some(TIME + 1830));
    let keys = vec![old, key(ED, Algorithm::EdDSA, TIME, None)];
    answers::<SigningKeys>([("keys", Outcome::Keys(SigningKeys { keys }))])
}

pub fn key_rotate(_: &Context<'_>) -> Description {
    let about = "Seconds from the publication of the new key to its first signature; those of the settings where none are given";
    let publish = count().maximum(Some(PUBLISH_MAX)).description(Some(about));
    let body = closed(with(of(Type::Object), [("publish", or_null(publish))]));
    let made = Outcome::Rotated(NewSigningKey {
        kid: ED.to_owned(),
        alg: Algorithm::EdDSA,
        signs_from: TIME + 300,
    });
    answers::<NewSigningKey>([("made", made)])
        .body("Rotation", body, json!({"publish": 600}))
        .optional()
        .fails([bad_option("publish", "from 0 to 86400 seconds")])
}

pub fn key_retire(_: &Context<'_>) -> Description {
    let retired = Outcome::Retired(RetiredSigningKey {
        kid: ED.to_owned(),
        verifies_until: TIME,
    });
    answers::<RetiredSigningKey>([("retired", retired)])
        .fails([Error::NoSuchSigningKey, Error::KeySigns])
}
