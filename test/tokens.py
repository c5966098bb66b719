"""Tokens that must not be accepted, each wrong in one way, made from a good one and the instance's own key."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

NAMES = (
    "revoked",
    "expired",
    "without_exp",
    "without_jti",
    "tampered_claims",
    "tampered_signature",
    "signed_by_another_key",
    "signed_with_the_public_key_as_secret",
    "of_algorithm_none",
    "of_algorithm_rs512",
    "of_two_parts",
    "of_no_parts",
    "empty",
)


def bad_tokens(data_dir: Path, good: str, revoked: str) -> dict[str, str]:
    """All of NAMES. `good` has to be valid, `revoked` has to be revoked already."""
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    head, body, signature = good.split(".")
    key = (data_dir / "jwt_private.pem").read_bytes()
    public = (data_dir / "jwt_public.pem").read_bytes()
    another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    del header["alg"]

    def signed(with_claims: dict, with_key=key, algorithm: str = "RS256") -> str:
        return jwt.encode(with_claims, with_key, algorithm, headers=header)

    def without(name: str) -> dict:
        return {claim: value for claim, value in claims.items() if claim != name}

    # jwt refuses to sign with a PEM file as the secret, which is exactly what an attacker would do.
    hs256 = _part(header | {"alg": "HS256"}) + "." + body
    mac = _base64(hmac.new(public, hs256.encode(), hashlib.sha256).digest())
    past = int(time.time()) - 7200
    flipped = ("A" if signature[10] != "A" else "B").join((signature[:10], signature[11:]))
    tokens = {
        "revoked": revoked,
        "expired": signed(claims | {"iat": past, "nbf": past, "exp": past + 1800}),
        "without_exp": signed(without("exp")),
        "without_jti": signed(without("jti")),
        "tampered_claims": f"{head}.{_part(claims | {'username': 'admin', 'sub': 'admin'})}.{signature}",
        "tampered_signature": f"{head}.{body}.{flipped}",
        "signed_by_another_key": signed(claims, another),
        "signed_with_the_public_key_as_secret": f"{hs256}.{mac}",
        "of_algorithm_none": f"{_part(header | {'alg': 'none'})}.{body}.",
        "of_algorithm_rs512": signed(claims, algorithm="RS512"),
        "of_two_parts": f"{head}.{body}",
        "of_no_parts": "token",
        "empty": "",
    }
    assert tuple(tokens) == NAMES
    return tokens


def resigned(data_dir: Path, good: str) -> str:
    """`good` with the same claims, signed again the way the bad tokens are: it has to be accepted, or the
    bad ones might be refused for how they are made."""
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    return jwt.encode(claims, (data_dir / "jwt_private.pem").read_bytes(), "RS256", headers=header)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value: dict) -> str:
    return _base64(json.dumps(value).encode())
