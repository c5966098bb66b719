"""Keys that would verify what nobody has signed, or whose private half anybody finds, wherever they come from."""

from __future__ import annotations

import base64
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from support.harness import wait_until
from support.outcome import Ok
from support.transports import ConsoleTransport, HttpTransport

P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
ED_PRIME = 2**255 - 19
PRIVATE_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NUMBERS = PRIVATE_RSA.private_numbers()
MODULUS = NUMBERS.public_numbers.n


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pem(label: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    lines = "".join(text[i : i + 64] + "\n" for i in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n"


def spki(identifier: str, key: bytes) -> str:
    return pem("PUBLIC KEY", der(0x30, bytes.fromhex(identifier) + der(3, b"\0" + key)))


def rsa_public(modulus: int, exponent: int = 65537) -> str:
    return spki("300d06092a864886f70d0101010500", der(0x30, integer(modulus) + integer(exponent)))


def p256_public(x: int, y: int) -> str:
    return spki("301306072a8648ce3d020106082a8648ce3d030107", b"\4" + x.to_bytes(32, "big") + y.to_bytes(32, "big"))


def ed_public(key: bytes) -> str:
    return spki("300506032b6570", key)


def ed_point(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


POINT = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
# Of order 8; the others of small order are (0, 1), (0, -1) and those with y = 0.
OF_ORDER_8 = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
PUBLIC = {
    "p256_off_curve": (p256_public(POINT.x, POINT.y ^ 1), "not on the curve"),
    "p256_other_x": (p256_public((POINT.x + 1) % P256_PRIME, POINT.y), "not on the curve"),
    "p256_zero": (p256_public(0, 0), "not on the curve"),
    "p256_coordinate_not_below_prime": (p256_public(5, 2**256 - 1), "not on the curve"),
    "p256_at_infinity": (spki("301306072a8648ce3d020106082a8648ce3d030107", b"\0"), "no point"),
    "rsa_even": (rsa_public(MODULUS + 1), "even"),
    "rsa_even_shifted": (rsa_public(MODULUS << 8), "even"),
    "rsa_divided_by_3": (rsa_public(MODULUS - MODULUS % 3 + (0 if (MODULUS - MODULUS % 3) % 2 else 3)), "3 divides"),
    "rsa_divided_by_65521": (rsa_public((MODULUS >> 16) // 2 * 2 * 65521 + 65521), "divides"),
    "rsa_square": (rsa_public(NUMBERS.p**2), "square"),
    "rsa_exponent_1": (rsa_public(MODULUS, 1), "exponent"),
    "rsa_exponent_even": (rsa_public(MODULUS, 65536), "exponent"),
    "rsa_exponent_too_large": (rsa_public(MODULUS, 2**64 + 1), "exponent"),
    "rsa_1024": (rsa_public(2**1023 + 1), "1024 bits, but should have 2048 to 4096"),
    "rsa_4104": (rsa_public(2**4103 + 1), "4104 bits, but should have 2048 to 4096"),
    "ed_identity": (ed_public(ed_point(1)), "small order"),
    "ed_order_2": (ed_public(ed_point(ED_PRIME - 1)), "small order"),
    "ed_order_4": (ed_public(ed_point(0)), "small order"),
    "ed_order_8": (ed_public(OF_ORDER_8), "small order"),
    "ed_identity_not_canonical": (ed_public(ed_point(ED_PRIME + 1)), "canonical"),
    "ed_sign_of_zero": (ed_public(ed_point(1, 1)), "canonical"),
    "ed_off_curve": (ed_public(ed_point(2)), "not on the curve"),
    "ed_short": (ed_public(b"\1" * 31), "32 bytes"),
    "p384": (
        ec.generate_private_key(ec.SECP384R1()).public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode(),
        "is not a public key in PEM",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", PUBLIC)
def test_a_bad_public_key_stops_the_start(make, tmp_path, kind):
    text, what = PUBLIC[kind]
    file = tmp_path / "public.pem"
    file.write_text(text)
    instance = make(
        keys=False,
        AUTHKV_SERVICES="kv",
        AUTHKV_PUBLIC_KEY_FILE=str(file),
        AUTHKV_ADMIN_PASSWORD=None,
    )
    said = instance.refuse_to_start()
    assert str(file) in said and what in said, said


def private_rsa(p: int, q: int, modulus: int) -> str:
    """PKCS #1, whose parts may not fit together."""
    d = pow(65537, -1, (p - 1) * (q - 1))
    numbers = [0, modulus, 65537, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]
    return pem("RSA PRIVATE KEY", der(0x30, b"".join(integer(number) for number in numbers)))


def private_ec(of, public) -> str:
    """A private key of the one with the point of the other."""
    point = public.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    own = of.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    whole = of.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem("PRIVATE KEY", whole.replace(own, point))


PRIVATE = {
    "rsa_even": (private_rsa(NUMBERS.p, NUMBERS.q, MODULUS + 1), "even"),
    "rsa_other_modulus": (private_rsa(NUMBERS.p, NUMBERS.q, MODULUS + 2 * NUMBERS.p + 2), ""),
    "ec_other_point": (
        private_ec(ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())),
        "do not fit together",
    ),
}  # fmt: skip


@pytest.mark.parametrize("place", ["setting", "ring"])
@pytest.mark.parametrize("kind", PRIVATE)
def test_a_bad_private_key_stops_the_start(make, tmp_path, kind, place):
    text, what = PRIVATE[kind]
    instance = make(keys=True)
    file = tmp_path / "private.pem"
    if place == "ring":
        ring = instance.data_dir / "keys"
        ring.mkdir()
        file = ring / "mine.pem"
    else:
        instance.settings["AUTHKV_PRIVATE_KEY_FILE"] = str(file)
    file.write_text(text)
    said = instance.refuse_to_start()
    assert file.name in said and what in said, said
    assert text.splitlines()[2] not in said


def test_a_bad_key_in_the_space_verifies_nothing(instance):
    """It may come from an instance that is followed or replicated, or from whoever writes to the space."""
    http, console = HttpTransport(instance), ConsoleTransport(instance)
    assert http.register("victim", "Passw0rd!", "Some", "Body") == Ok()
    good = http.login("victim", "Passw0rd!").value
    claims = jwt.decode(good, options={"verify_signature": False})
    # With the identity as the key, S = 0 and R = the identity hold for every message.
    forged_signature = base64.urlsafe_b64encode(ed_point(1) + bytes(32)).rstrip(b"=").decode()
    text = ed_public(ed_point(1)).replace("\n", "\\n")
    x = base64.urlsafe_b64encode(ed_point(1)).rstrip(b"=").decode()
    digest = __import__("hashlib").sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode()).digest()
    kid = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    now = int(time.time())
    console.evaluate(f"return box.space.authkv_token_key:replace{{'{kid}', box.NULL, 1000000, \"{text}\", {now}, {now - 100}}} ~= nil")
    head = base64.urlsafe_b64encode(f'{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}'.encode()).rstrip(b"=").decode()
    forged = f"{head}.{good.split('.')[1]}.{forged_signature}"
    wait_until(lambda: "authkv_token_key holds a key that cannot be read" in instance.log(), "the key is left out")
    assert http.check(forged) == Ok(False)
    assert http.check(good) == Ok(True), claims
    http.close()
    console.close()
