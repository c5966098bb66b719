"""Tokens that must not be accepted, each wrong in one way, made from a good one and the instance's own key.

`ATTACKS` pairs each with a twin that is made the same way and right, or it might be refused for how it is made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

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


# A token that is looked at, and does not hold anywhere.
GARBAGE = "eyJhbGciOiJSUzI1NiJ9.e30.AAAA"


def kid(token: str) -> str:
    """The name of the key that a token says it is signed with."""
    return jwt.get_unverified_header(token)["kid"]


class Forge:
    """What an attacker may try with a good token of an instance, and what only who holds its key can do."""

    def __init__(self, data_dir: Path, good: str):
        self.header = jwt.get_unverified_header(good)
        self.claims = jwt.decode(good, options={"verify_signature": False})
        self.good = good
        self.private = serialization.load_pem_private_key((data_dir / "jwt_private.pem").read_bytes(), None)
        self.public_pem = (data_dir / "jwt_public.pem").read_bytes()

    @cached_property
    def other(self) -> rsa.RSAPrivateKey:
        """A key that is not the instance's."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_der(self) -> bytes:
        return self.private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def rs256(self, text: bytes, key=None) -> bytes:
        return (key or self.private).sign(text, padding.PKCS1v15(), hashes.SHA256())

    def with_header(self, sign=None, **members) -> str:
        """The token with these members of its header; one that is None is left out."""
        return self.raw(_changed(self.header, members), self.claims, sign)

    def with_claims(self, sign=None, **members) -> str:
        """The token with these claims; one that is None is left out."""
        return self.raw(self.header, _changed(self.claims, members), sign)

    def raw(self, header: dict | str, claims: dict | str, sign=None) -> str:
        """A token of these parts, which may be JSON as text, signed for good unless told otherwise."""
        return self.of_parts(*(_base64((one if isinstance(one, str) else json.dumps(one)).encode()) for one in (header, claims)), sign)

    def of_parts(self, header: str, claims: str, sign=None) -> str:
        """A token of these parts, encoded already."""
        text = f"{header}.{claims}"
        return f"{text}.{_base64((sign or self.rs256)(text.encode()))}"

    def encoded(self, change: Callable[[str], str], part: int) -> str:
        """A token one part of which is encoded otherwise, and signed the way it is."""
        parts = [_part(self.header), _part(self.in_need_of_padding)]
        if part == 2:
            whole = self.of_parts(*parts).rpartition(".")
            return f"{whole[0]}.{change(whole[2])}"
        parts[part] = change(parts[part])
        return self.of_parts(*parts)

    @cached_property
    def in_need_of_padding(self) -> dict:
        """Claims whose JSON leaves bits over, and whose encoding differs in the standard alphabet."""
        for more in ("~" * n for n in range(3, 6)):
            claims = self.claims | {"more": more}
            if len(_part(claims)) % 4:
                return claims
        raise AssertionError("no such claims")

    def padded_to(self, length: int) -> str:
        """A token of this many bytes, by spaces in its JSON."""

        def encoded(size: int) -> int:
            return -(-size * 4 // 3)

        rest = length - len(self.good.rpartition(".")[2]) - 2
        claims = json.dumps(self.claims)
        # Four characters are three bytes, so that not every length is one of the claims alone.
        for header in (json.dumps(self.header) + " " * n for n in range(3)):
            for spaces in range(rest):
                if encoded(len(header)) + encoded(len(claims) + spaces) == rest:
                    return self.raw(header, claims + " " * spaces)
        raise AssertionError(f"no token of {length} bytes")


@dataclass(frozen=True)
class Attack:
    """A token that must be refused, and its twin that must be accepted."""

    token: Callable[[Forge], str]
    twin: Callable[[Forge], str] = lambda forge: forge.with_claims()


def _changed(members: dict, changes: dict) -> dict:
    return {name: value for name, value in (members | changes).items() if value is not None}


def _now() -> int:
    return int(time.time())


def _hs256(secret: bytes) -> Callable[[Forge], str]:
    return lambda forge: forge.with_header(lambda text: hmac.new(secret, text, hashlib.sha256).digest(), alg="HS256")


def _twice(members: dict, name: str, first, second) -> str:
    """JSON in which a member stands twice, the good value last."""
    text = json.dumps(_changed(members, {name: None}))
    return f"{{{json.dumps(name)}: {json.dumps(first)}, {text[1:-1]}, {json.dumps(name)}: {json.dumps(second)}}}"


def _escaped(members: dict, name: str, first) -> str:
    """JSON in which a member stands twice, once under a name with an escape."""
    return f'{{"\\u{ord(name[0]):04x}{name[1:]}": {json.dumps(first)}, {json.dumps(members)[1:]}'


def _trailing_bits(text: str) -> str:
    """The same bytes to a lax decoder: a bit is set that belongs to no byte."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    assert len(text) % 4, "every bit belongs to a byte"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]


def _standard(text: str) -> str:
    changed = text.replace("-", "+").replace("_", "/")
    assert changed != text
    return changed


def _swapped(forge: Forge, **claims) -> str:
    """Other claims under the good signature."""
    head, _, signature = forge.good.split(".")
    return f"{head}.{_part(forge.claims | claims)}.{signature}"


def _jwk(key) -> dict:
    return json.loads(RSAAlgorithm.to_jwk(key.public_key()))


def _by_other(forge: Forge) -> Callable[[bytes], bytes]:
    return lambda text: forge.rs256(text, forge.other)


def _es256(forge: Forge) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return forge.with_header(lambda text: ECAlgorithm(ECAlgorithm.SHA256).sign(text, key), alg="ES256")


def _like(forge: Forge) -> str:
    return forge.encoded(str, 0)


# Claims that other issuers may leave out (RFC 7519 §4.1).
OPTIONAL = {"without_nbf", "without_jti"}

ATTACKS = {
    # RFC 8725 §2.1: the algorithm is the key's, not the token's.
    **{f"alg_{name or 'empty'}": Attack(lambda forge, name=name: forge.with_header(lambda _: b"", alg=name))
       for name in ("none", "None", "NONE", "nOnE", "")},
    "alg_none_with_the_good_signature": Attack(lambda forge: forge.with_header(alg="none")),
    "alg_missing": Attack(lambda forge: forge.with_header(alg=None)),
    "alg_of_another_type": Attack(lambda forge: forge.with_header(alg=["RS256"])),
    "alg_in_lower_case": Attack(lambda forge: forge.with_header(alg="rs256")),
    "hs256_by_the_public_key_in_pem": Attack(lambda forge: _hs256(forge.public_pem)(forge)),
    "hs256_by_the_public_key_in_pem_without_its_newline": Attack(lambda forge: _hs256(forge.public_pem.strip())(forge)),
    "hs256_by_the_public_key_in_der": Attack(lambda forge: _hs256(forge.public_der)(forge)),
    "hs256_by_nothing": Attack(_hs256(b"")),
    "es256": Attack(_es256),
    "eddsa": Attack(lambda forge: forge.with_header(ed25519.Ed25519PrivateKey.generate().sign, alg="EdDSA")),
    "rs384": Attack(lambda forge: forge.with_header(
        lambda text: forge.private.sign(text, padding.PKCS1v15(), hashes.SHA384()), alg="RS384")),
    "ps256": Attack(lambda forge: forge.with_header(
        lambda text: forge.private.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()), alg="PS256")),
    # The signature.
    "another_keys_signature": Attack(lambda forge: forge.with_claims(_by_other(forge))),
    "no_signature": Attack(lambda forge: forge.with_claims(lambda _: b"")),
    "a_signature_of_zeros": Attack(lambda forge: forge.with_claims(lambda _: bytes(256))),
    "a_signature_cut_short": Attack(lambda forge: forge.with_claims(lambda text: forge.rs256(text)[:-1])),
    "a_signature_with_more": Attack(lambda forge: forge.with_claims(lambda text: forge.rs256(text) + b"\0")),
    "a_signature_of_other_claims": Attack(lambda forge: forge.with_claims(lambda text: forge.rs256(text + b"x"))),
    "swapped_payload": Attack(lambda forge: _swapped(forge, username="admin", sub="admin")),
    "swapped_expiry": Attack(lambda forge: _swapped(forge, exp=_now() + 86400), lambda forge: forge.with_claims(exp=_now() + 1700)),
    "two_parts": Attack(lambda forge: forge.good.rpartition(".")[0]),
    "four_parts": Attack(lambda forge: forge.good + "."),
    "five_parts": Attack(lambda forge: forge.good + ".AA.AA"),
    # Times, RFC 7519 §4.1: the clocks may differ by 30 seconds.
    "expired": Attack(lambda forge: forge.with_claims(iat=_now() - 1900, nbf=_now() - 1900, exp=_now() - 35),
                      lambda forge: forge.with_claims(iat=_now() - 1800, nbf=_now() - 1800, exp=_now() - 5)),
    "not_yet_valid": Attack(lambda forge: forge.with_claims(nbf=_now() + 90), lambda forge: forge.with_claims(nbf=_now() + 15)),
    "exp_as_text": Attack(lambda forge: forge.with_claims(exp=str(forge.claims["exp"]))),
    "exp_negative": Attack(lambda forge: forge.with_claims(exp=-1)),
    "exp_beyond_all_numbers": Attack(lambda forge: forge.raw(forge.header, json.dumps(forge.claims | {"exp": 0}).replace(
        '"exp": 0', '"exp": 1e400'))),
    # Claims.
    **{f"without_{name}": Attack(lambda forge, name=name: forge.with_claims(**{name: None}))
       for name in ("iss", "aud", "sub", "jti", "nbf", "exp")},
    "wrong_iss": Attack(lambda forge: forge.with_claims(iss="https://example.com")),
    "wrong_aud": Attack(lambda forge: forge.with_claims(aud="another")),
    "wrong_aud_in_a_list": Attack(lambda forge: forge.with_claims(aud=["another", "authkv2"])),
    "sub_of_nobody": Attack(lambda forge: forge.with_claims(sub="nobody0", username="nobody0", email="nobody0")),
    "sub_of_another_type": Attack(lambda forge: forge.with_claims(sub=1)),
    "two_sub": Attack(lambda forge: forge.raw(forge.header, _twice(forge.claims, "sub", "admin", forge.claims["sub"]))),
    "two_equal_sub": Attack(lambda forge: forge.raw(forge.header, _twice(forge.claims, "sub", *[forge.claims["sub"]] * 2))),
    "two_exp": Attack(lambda forge: forge.raw(forge.header, _twice(forge.claims, "exp", 1, forge.claims["exp"]))),
    "two_jti": Attack(lambda forge: forge.raw(forge.header, _twice(forge.claims, "jti", "x", forge.claims["jti"]))),
    "two_sub_by_an_escape": Attack(lambda forge: forge.raw(forge.header, _escaped(forge.claims, "sub", "admin"))),
    "two_unknown_claims": Attack(lambda forge: forge.raw(forge.header, _twice(forge.claims, "x", 1, 2))),
    "claims_that_are_a_list": Attack(lambda forge: forge.raw(forge.header, json.dumps([forge.claims]))),
    "claims_that_are_text": Attack(lambda forge: forge.raw(forge.header, json.dumps(json.dumps(forge.claims)))),
    "claims_with_more_behind": Attack(lambda forge: forge.raw(forge.header, json.dumps(forge.claims) + "{}")),
    "claims_that_are_no_utf8": Attack(lambda forge: forge.of_parts(
        _part(forge.header), _base64(json.dumps(forge.claims).encode()[:-1] + b', "x": "\xff"}'))),
    # The header: exactly alg, typ and kid.
    "typ_jwt": Attack(lambda forge: forge.with_header(typ="JWT")),
    "typ_of_an_id_token": Attack(lambda forge: forge.with_header(typ="id+jwt")),
    "typ_missing": Attack(lambda forge: forge.with_header(typ=None)),
    **{f"kid_{what}": Attack(lambda forge, kid=kid: forge.with_header(kid=kid)) for what, kid in [
        ("unknown", "unknown"), ("empty", ""), ("missing", None), ("of_another_type", 0), ("that_is_a_list", []),
        ("of_a_path", "../../jwt_private.pem"), ("of_the_public_key_file", "jwt_public.pem"), ("of_a_device", "/dev/null"),
        ("of_a_query", "' OR 1=1 --"), ("of_a_command", "|id"), ("with_a_nul", "x\0"), ("that_is_long", "k" * 2000),
    ]},
    "kid_of_a_device_whose_content_is_the_secret": Attack(lambda forge: forge.with_header(
        lambda text: hmac.new(b"", text, hashlib.sha256).digest(), alg="HS256", kid="/dev/null")),
    "two_alg": Attack(lambda forge: forge.raw(_twice(forge.header, "alg", "none", "RS256"), forge.claims)),
    "two_kid": Attack(lambda forge: forge.raw(_twice(forge.header, "kid", "x", forge.header["kid"]), forge.claims)),
    "two_alg_by_an_escape": Attack(lambda forge: forge.raw(_escaped(forge.header, "alg", "none"), forge.claims)),
    **{f"header_with_{name}": Attack(lambda forge, name=name, value=value: forge.with_header(**{name: value}))
       for name, value in [
           ("crit", ["exp"]), ("b64", True), ("jku", "http://127.0.0.1:9/jwks.json"), ("x5u", "http://127.0.0.1:9/x.pem"),
           ("x5c", []), ("x5t", "x"), ("zip", "DEF"), ("cty", "JWT"), ("enc", "A128GCM"), ("unknown", 1),
       ]},
    "header_with_an_unknown_crit": Attack(lambda forge: forge.with_header(crit=["unknown"], unknown=1)),
    "header_with_no_crit": Attack(lambda forge: forge.with_header(crit=[])),
    "header_with_the_key_that_signed": Attack(lambda forge: forge.with_header(_by_other(forge), jwk=_jwk(forge.other))),
    "header_with_the_right_key": Attack(lambda forge: forge.with_header(jwk=_jwk(forge.private))),
    "header_that_is_a_list": Attack(lambda forge: forge.raw(json.dumps([forge.header]), forge.claims)),
    # The encoding, RFC 7515 §2: base64url without padding, and one text for each value.
    **{f"{what}_{kind}": Attack(lambda forge, change=change, part=part: forge.encoded(change, part), _like)
       for part, what in enumerate(("header", "claims", "signature"))
       for kind, change in [
           ("padded", lambda text: text + "=" * (-len(text) % 4 or 4)), ("padded_by_one", lambda text: text + "="),
           ("with_a_character_too_many", lambda text: text + "A" * ((1 - len(text)) % 4)),
       ]},
    "claims_with_trailing_bits": Attack(lambda forge: forge.encoded(_trailing_bits, 1), _like),
    "signature_with_trailing_bits": Attack(lambda forge: forge.encoded(_trailing_bits, 2), _like),
    "claims_in_the_standard_alphabet": Attack(lambda forge: forge.encoded(_standard, 1), _like),
    "signature_in_the_standard_alphabet": Attack(lambda forge: forge.encoded(_standard, 2), _like),
    # The length.
    "longer_than_8_kib": Attack(lambda forge: forge.padded_to(8193), lambda forge: forge.padded_to(8192)),
    "far_longer": Attack(lambda forge: forge.padded_to(15_000), lambda forge: forge.padded_to(6000)),
}  # fmt: skip
