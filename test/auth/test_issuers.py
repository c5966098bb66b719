"""Tokens of other issuers: what is accepted, which user it makes, and how it ends.

The attacks that authkv's own tokens withstand run over these too, in `test_attacks.py`. How keys are fetched is in
`test_issuer_keys.py`.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from support.contract import GOOD
from support.harness import CHEAP_HASHES, DEADLINE, ROOT, Instance, wait_until
from support.outcome import A_TIME, ANY, Ok, Refused
from support.people import (
    FORBIDDEN,
    INVALID_CREDENTIALS,
    NEEDS_ADMIN,
    NO_SUCH_USER,
    PASSWORD,
    UNAUTHENTICATED,
    People,
    allow,
    forbidden,
    fresh,
    permission,
    roles,
)
from support.provider import AUDIENCE, CLIENT, PREFIX, Provider, jwk_of, make_key, trusting
from support.split import auth_settings, kv_settings, once_known, refused, when_following
from support.transports import TRANSPORTS, HttpTransport

NOT_OFFERED = Refused("not_offered", "This instance does not offer this service")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")


def in_file(provider: Provider, **members) -> dict:
    """An entry whose keys are in a file."""
    return provider.entry(keys={"file": provider.key_file()}, **members)


@dataclass
class World:
    """An instance that trusts these providers."""

    people: People
    corp: Provider
    local: Provider
    roles: Provider
    ids: Provider
    bare: Provider
    curve: Provider


@pytest.fixture(scope="module")
def providers() -> dict[str, Provider]:
    names = ("corp", "local", "roles", "ids", "bare")
    return {name: Provider(name) for name in names} | {"curve": Provider("curve", "ES256")}


@pytest.fixture(scope="module")
def settings(providers, tmp_path_factory) -> dict:
    entries = [
        in_file(providers["corp"]),
        in_file(providers["local"], login_prefix="", create=False),
        in_file(
            providers["roles"], login_prefix="roles:", clients=[CLIENT, "other"], lifetime_max=3600,
            roles_claim=["realm_access", "roles"], roles={"boss": "admin", "reader": ["readers", "missing"]},
            header_members=["x5t"], required_claims={"tenant": 7}, types=["JWT", None],
        ),
        in_file(providers["ids"], login_prefix="ids:", token="id", login_claim="email", audience=[CLIENT]),
        in_file(providers["bare"], login_prefix="bare:", create=False),
        in_file(providers["curve"], login_prefix="curve:"),
    ]  # fmt: skip
    return CHEAP_HASHES | {"AUTHKV_LOGIN_FAILURES": "1000"} | trusting(tmp_path_factory.mktemp("issuers"), *entries)


@pytest.fixture(scope="module")
def world(people, providers) -> World:
    assert people.do("console", "put", people.admin, {"k": 1}) == Ok([])
    return World(people, **providers)


# A user of another issuer at the first request.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_user_is_made_at_the_first_request(world, transport):
    people, sub = world.people, fresh("sub")
    token = world.corp.token(sub, given_name="Ann", family_name="O'Neill Жук")
    people.expect("http", Refused("no_such_user", "There is no such user"), "user_get", people.admin, PREFIX + sub)
    people.expect(transport, Ok({"k": 1}), "get", token, ["k"])
    user = {
        "login": PREFIX + sub, "name": "Ann", "surname": "O'Neill Жук", "created_at": A_TIME, "disabled": False, "roles": roles(),
        "email_verified": False,
    }  # fmt: skip
    people.everywhere(Ok(user), "user_get", people.admin, PREFIX + sub)
    me = people.do(transport, "user_me", token).value
    assert me["login"] == PREFIX + sub and me["permissions"] == [permission("", True, True)]
    people.assert_holds(token)
    assert world.people.instance.log().count(f"the user {PREFIX}{sub} of the issuer {world.corp.issuer} was made") == 1


def test_concurrent_first_requests_make_one_user(world):
    sub = fresh("sub")
    token = world.corp.token(sub)
    url, headers = f"{world.people.instance.url}/v1/me", {"Authorization": f"Bearer {token}"}
    with ThreadPoolExecutor(16) as pool:
        seen = [one.status_code for one in pool.map(lambda _: requests.get(url, headers=headers, timeout=DEADLINE), range(32))]
    assert seen == [200] * 32
    assert world.people.instance.log().count(f"the user {PREFIX}{sub} of") == 1


def test_a_user_who_is_not_to_be_made_is_not_let_in(world):
    sub = fresh("sub")
    world.people.assert_fails(world.bare.token(sub))
    world.people.expect("http", Refused("no_such_user", "There is no such user"), "user_get", world.people.admin, f"bare:{sub}")


def test_an_issuer_without_a_prefix_speaks_of_local_users(world):
    person = world.people.new()
    world.people.assert_holds(world.local.token(person.login))
    world.people.assert_fails(world.local.token(fresh("sub")))
    assert world.people.do("http", "user_me", world.local.token("admin")).value["roles"] == ["admin"]


def test_an_address_is_one_user_in_whatever_case_an_issuer_writes_it(world):
    people, name = world.people, fresh("Sub")
    logins = {people.do("http", "user_me", id_token(world, email=of(f"{name}@Example.com"))).value["login"]
              for of in (str, str.lower, str.upper)}  # fmt: skip
    assert logins == {f"ids:{name.lower()}@example.com"}
    # Of other claims the case counts.
    assert people.do("http", "user_me", world.corp.token(f"{name}@Example.com")).value["login"] == f"{PREFIX}{name}@Example.com"


def test_an_issuer_without_a_prefix_speaks_of_addresses_without_case(make, visit, tmp_path):
    provider = Provider("mail")
    issuers = trusting(tmp_path, in_file(provider, login_prefix="", create=False))
    people = visit(make(AUTHKV_LOGIN_FORM="email", **CHEAP_HASHES, **issuers).start())
    people.expect("http", ANY, "user_register", "Ann@example.com", PASSWORD, "Ann", "Poe")
    for sub in ("ann@example.com", "Ann@Example.COM"):
        assert people.do("http", "user_me", provider.token(sub)).value["login"] == "ann@example.com"


def test_a_user_of_another_issuer_has_no_password(world):
    people, sub = world.people, fresh("sub")
    people.assert_holds(world.corp.token(sub))
    for password in ("!", "", GOOD):
        people.everywhere(INVALID_CREDENTIALS, "session_login", PREFIX + sub, password)


def test_what_another_issuer_calls_admin_is_not_ours(world):
    people = world.people
    token = world.corp.token("admin")
    assert people.do("http", "user_me", token).value["login"] == f"{PREFIX}admin"
    people.everywhere(NEEDS_ADMIN, "user_list", token)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_token_is_introspected_as_our_own_is(world, transport):
    claims = world.corp.claims(fresh("sub"))
    token = world.corp.token(**claims)
    login = PREFIX + claims["sub"]
    expected = {
        "active": True, "token_type": "Bearer", "username": login, "sub": login, "nbf": claims["iat"],
        "email_verified": False,
        **{name: claims[name] for name in ("iss", "aud", "jti", "iat", "exp")},
    }  # fmt: skip
    world.people.expect(transport, Ok(expected), "session_introspect", world.people.admin, token)


# Roles.


def of_roles(world: World, *names: str, **members) -> str:
    return world.roles.token(fresh("sub"), {"typ": "JWT"}, realm_access={"roles": list(names)}, tenant=7, **members)


def test_roles_come_from_a_claim_by_a_map(world):
    people = world.people
    people.administer("role_set", "readers", [permission("r/", read=True)])
    for names, expected in ((["boss"], ["admin"]), (["reader", "boss"], ["admin", "readers"]), (["admin", "default", "x"], [])):
        token = of_roles(world, *names)
        assert sorted(people.do("http", "user_me", token).value["roles"]) == expected
        # They are those of the token, not of the user.
        login = people.do("http", "user_me", token).value["login"]
        assert people.do("http", "user_get", people.admin, login).value["roles"] == []
        for transport in TRANSPORTS:
            listed = people.do(transport, "user_list", token)
            assert isinstance(listed, Ok) == ("admin" in expected), transport


def test_roles_that_are_granted_count_beside_those_of_the_token(world):
    people = world.people
    token = of_roles(world, "reader")
    login = people.do("http", "user_me", token).value["login"]
    people.administer("role_grant", login, "admin")
    assert sorted(people.do("http", "user_me", token).value["roles"]) == ["admin", "readers"]
    people.administer("role_revoke", login, "admin")
    people.everywhere(NEEDS_ADMIN, "user_list", token)


# Tokens of three languages.


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_login_with_its_prefix_counts_in_permissions_and_for_proxies(world, transport):
    people, sub = world.people, fresh("sub")
    # In keys a login stands with its colon percent-encoded.
    token, own = world.corp.token(sub), f"users/{PREFIX.replace(':', '%3A')}{sub}/"
    people.assert_holds(token)
    people.administer("role_set", "default", [])
    role = people.role(allow("rw", prefix="users/{login}/"))
    people.administer("role_grant", PREFIX + sub, role)
    people.expect(transport, ANY, "pair_put", token, f"{own}a", 1)
    people.expect(transport, forbidden("read", "users/a"), "pair_get", token, "users/a")
    assert isinstance(people.do(transport, "auth_access", token, {"key": f"{own}a", "access": "write", "role": role}), Ok)
    people.expect(transport, forbidden("write", "users/a"), "auth_access", token, {"key": "users/a", "access": "write"})
    people.expect(transport, FORBIDDEN, "kv_delete", token, {"prefix": "users/"})
    assert people.do(transport, "kv_delete", token, {"prefix": own}).value["deleted"] == 1
    people.administer("role_set", "default", [permission("", True, True)])


def test_a_user_without_a_password_gets_no_one_time_token(world):
    people, sub = world.people, fresh("sub")
    people.assert_holds(world.corp.token(sub))
    people.everywhere(NO_SUCH_USER, "user_reset_token", people.admin, PREFIX + sub)


def sign_in_python(provider: Provider, header: dict, claims: dict) -> str:
    return jwt.encode(claims, provider.keys[provider.kid], header["alg"], headers=header)


def run(command: list[str], given: dict) -> str:
    return subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True, cwd=ROOT / "test").stdout


def sign_in_javascript(provider: Provider, header: dict, claims: dict) -> str:
    key = provider.keys[provider.kid]
    of = {"RS": jwt.algorithms.RSAAlgorithm, "PS": jwt.algorithms.RSAAlgorithm, "ES": jwt.algorithms.ECAlgorithm}
    jwk = json.loads(of.get(header["alg"][:2], jwt.algorithms.OKPAlgorithm).to_jwk(key))
    jwk.pop("key_ops", None)
    return run(["node", "npm/sign.mjs"], {"key": jwk, "header": header, "claims": claims})


def sign_in_ruby(provider: Provider, header: dict, claims: dict) -> str:
    key = provider.keys[provider.kid].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return run(["ruby", "support/sign.rb"], {"key": key.decode(), "header": header, "claims": claims})


# Ruby signs with Ed25519 only with a gem that Debian does not have.
LANGUAGES = {
    "python": (sign_in_python, "python3", ALGORITHMS),
    "javascript": (sign_in_javascript, "node", ALGORITHMS),
    "ruby": (sign_in_ruby, "ruby", ALGORITHMS[:-1]),
}  # fmt: skip


@pytest.fixture(scope="module")
def signers(tmp_path_factory):
    """An instance that trusts a provider for each algorithm."""
    made = {algorithm: Provider(algorithm.lower(), algorithm) for algorithm in ALGORITHMS}
    entries = [in_file(provider, login_prefix=f"{algorithm}:") for algorithm, provider in made.items()]
    with Instance(**CHEAP_HASHES, **trusting(tmp_path_factory.mktemp("signers"), *entries)) as instance:
        people = People(instance)
        yield people, made
        people.close()


@pytest.mark.parametrize("language, algorithm", [(name, one) for name, (_, _, known) in LANGUAGES.items() for one in known])
def test_tokens_of_other_languages_are_accepted(signers, language, algorithm):
    people, made = signers
    sign, program, _ = LANGUAGES[language]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    provider = made[algorithm]
    sub = fresh(language)
    token = sign(provider, {"alg": algorithm, "typ": "at+jwt", "kid": provider.kid}, provider.claims(sub))
    people.assert_holds(token)
    assert people.do("http", "user_me", token).value["login"] == f"{algorithm}:{sub}"
    # Of another claim under that signature, nothing holds.
    head, _, signature = token.split(".")
    other = base64.urlsafe_b64encode(json.dumps(provider.claims(sub, exp=int(time.time()) + 700)).encode()).rstrip(b"=").decode()
    people.expect("http", Ok(False), "check", f"{head}.{other}.{signature}")


def test_a_key_is_for_the_algorithms_of_its_issuer_only(signers):
    """RFC 8725 §3.1: the same key, with another algorithm of its type."""
    people, made = signers
    for algorithm, other in (("RS256", "PS256"), ("PS256", "RS256"), ("RS256", "RS512"), ("PS384", "PS512")):
        provider = made[algorithm]
        people.expect("http", Ok(False), "check", provider.token(fresh("sub"), algorithm=other))
        people.expect("http", Ok(True), "check", provider.token(fresh("sub")))


# What is refused, each with a twin that is made the same way and right.


def mine(world: World, **members) -> str:
    return world.corp.token(fresh("sub"), **members)


def theirs(world: World, header: dict | None = None, **members) -> str:
    return world.roles.token(fresh("sub"), {"typ": "JWT"} | (header or {}), **({"tenant": 7} | members))


def id_token(world: World, header: dict | None = None, **members) -> str:
    mail = {"email": f"{fresh('sub')}@example.com", "email_verified": True, "aud": CLIENT, "client_id": None, "nonce": "n", "at_hash": "h"}
    return world.ids.token(fresh("sub"), {"typ": "JWT"} | (header or {}), **(mail | members))


def now(seconds: int) -> int:
    return int(time.time()) + seconds


Make = Callable[[World], str]
REFUSED: dict[str, tuple[Make, Make]] = {
    # RFC 7519 §4.1, RFC 9068 §4.
    "iss_with_a_slash_more": (lambda w: mine(w, iss=w.corp.issuer + "/"), mine),
    "iss_in_upper_case": (lambda w: mine(w, iss=w.corp.issuer.upper()), mine),
    "iss_in_a_list": (lambda w: raw(w, "{", iss=[w.corp.issuer]), mine),
    "aud_of_another": (lambda w: mine(w, aud="https://other.example"), lambda w: mine(w, aud=["https://other.example", AUDIENCE])),
    "aud_of_authkv_itself": (lambda w: mine(w, aud="authkv"), mine),
    "aud_of_another_type": (lambda w: mine(w, aud=[AUDIENCE, 1]), mine),
    "aud_that_is_empty": (lambda w: mine(w, aud=[]), mine),
    "without_iat": (lambda w: mine(w, iat=None), mine),
    "iat_in_the_future": (lambda w: mine(w, iat=now(90)), lambda w: mine(w, iat=now(10))),
    "iat_as_text": (lambda w: mine(w, iat=str(now(0))), lambda w: mine(w, iat=now(0) - 0.5)),
    "exp_before_iat": (lambda w: mine(w, iat=now(5), exp=now(1)), lambda w: mine(w, iat=now(0), exp=now(1))),
    "nbf_in_the_future": (lambda w: mine(w, nbf=now(90)), lambda w: mine(w, nbf=now(10))),
    "good_for_too_long": (lambda w: mine(w, exp=now(86_500)), lambda w: mine(w, exp=now(86_390))),
    "jti_of_another_type": (lambda w: mine(w, jti=7), lambda w: mine(w, jti=None)),
    "jti_that_is_long": (lambda w: mine(w, jti="j" * 257), lambda w: mine(w, jti="j" * 256)),
    # ID tokens and others, RFC 8725 §3.11, 3.12.
    "an_id_token_by_nonce": (lambda w: mine(w, nonce="n"), mine),
    "an_id_token_by_at_hash": (lambda w: mine(w, at_hash="h"), mine),
    "an_id_token_by_c_hash": (lambda w: mine(w, c_hash="h"), mine),
    "an_id_token_by_typ": (lambda w: mine(w, header={"typ": "JWT"}), lambda w: mine(w, header={"typ": "application/AT+JWT"})),
    "an_id_token_by_its_claim_typ": (lambda w: mine(w, typ="ID"), lambda w: mine(w, typ="Bearer")),
    "an_id_token_by_token_use": (lambda w: mine(w, token_use="id"), lambda w: mine(w, token_use="access")),
    "a_refresh_token": (lambda w: mine(w, typ="Refresh"), mine),
    "a_logout_token": (lambda w: mine(w, events={}), mine),
    "a_logout_token_by_typ": (lambda w: mine(w, header={"typ": "logout+jwt"}), mine),
    "a_token_bound_to_a_key": (lambda w: mine(w, cnf={"jkt": "x"}), mine),
    "an_access_token_for_an_id_token": (lambda w: id_token(w, {"typ": "at+jwt"}), id_token),
    "an_access_token_for_an_id_token_by_its_claim": (lambda w: id_token(w, typ="Bearer"), lambda w: id_token(w, typ="ID")),
    # The client: OpenID Connect Core §3.1.3.7, 4 and 5; RFC 9068 §2.2.
    "client_id_of_another": (lambda w: theirs(w, client_id="evil"), theirs),
    "azp_of_another": (lambda w: theirs(w, client_id=None, azp="evil"), lambda w: theirs(w, client_id=None, azp="other")),
    "azp_of_another_beside_a_right_client_id": (lambda w: theirs(w, azp="evil"), lambda w: theirs(w, azp=CLIENT)),
    "no_client": (lambda w: theirs(w, client_id=None), theirs),
    "azp_of_another_type": (lambda w: theirs(w, azp=[CLIENT]), theirs),
    "id_token_for_several_without_azp": (
        lambda w: id_token(w, aud=[CLIENT, "x"]), lambda w: id_token(w, aud=[CLIENT, "x"], azp=CLIENT)),
    "id_token_of_another_azp": (lambda w: id_token(w, azp="x"), lambda w: id_token(w, azp=CLIENT)),
    # What the file of issuers asks for.
    "a_required_claim_that_is_missing": (lambda w: theirs(w, tenant=None), theirs),
    "a_required_claim_of_another_value": (lambda w: theirs(w, tenant="7"), theirs),
    "typ_that_is_not_in_types": (lambda w: theirs(w, {"typ": "at+jwt"}), lambda w: theirs(w, {"typ": None})),
    "a_lifetime_above_that_of_the_issuer": (lambda w: theirs(w, exp=now(3700)), lambda w: theirs(w, exp=now(3590))),
    "a_header_member_that_is_not_allowed": (lambda w: theirs(w, {"x5c": []}), lambda w: theirs(w, {"x5t": "thumbprint"})),
    "crit_of_an_allowed_member": (lambda w: theirs(w, {"x5t": "a", "crit": ["x5t"]}), lambda w: theirs(w, {"x5t": "a"})),
    # The login.
    "an_email_that_is_not_verified": (lambda w: id_token(w, email_verified=False), id_token),
    "an_email_verified_as_text": (lambda w: id_token(w, email_verified="true"), id_token),
    "no_email": (lambda w: id_token(w, email=None), id_token),
    **{f"an_email_that_is_{what}": (lambda w, text=text: id_token(w, email=text), id_token) for what, text in [
        ("a_login", "admin"), ("a_local_part", "admin@"), ("of_a_host", "admin@localhost"), ("two", "a@example.com@example.com"),
    ]},
    **{f"sub_with_{what}": (lambda w, bad=bad: w.corp.token(bad), mine) for what, bad in [
        ("a_slash", "a/b"), ("a_colon", "a:b"), ("a_space", "a b"), ("a_nul", "a\0b"), ("another_script", "аlice"),
        ("dots_alone", ".."), ("braces", "{login}"), ("nothing", ""), ("too_much", "a" * 129), ("a_line", "a\nb"),
    ]},
    # The form: RFC 8725 §3.9, nested and encrypted tokens.
    "a_member_twice_below": (
        lambda w: raw(w, '{"realm_access": {"roles": [], "roles": ["boss"]}, '), lambda w: raw(w, '{"realm_access": {"roles": []}, ')),
    "a_token_in_a_token": (lambda w: nested(w, {"cty": "JWT"}), mine),
    "a_token_in_a_token_that_does_not_say_so": (lambda w: nested(w, {}), mine),
    "five_parts": (lambda w: ".".join([*mine(w).split(".")[:2], "AA", "AA", "AA"]), mine),
}  # fmt: skip


def raw(world: World, start: str, **members) -> str:
    """A token whose claims begin with this text."""
    claims = json.dumps(world.corp.claims(fresh("sub"), **members))
    return signed(world.corp, {"alg": "RS256", "typ": "at+jwt", "kid": world.corp.kid}, start + claims[1:])


def nested(world: World, header: dict) -> str:
    return signed(world.corp, {"alg": "RS256", "typ": "at+jwt", "kid": world.corp.kid} | header, json.dumps(mine(world)))


def signed(provider: Provider, header: dict, payload: str) -> str:
    return jwt.PyJWS().encode(payload.encode(), provider.keys[provider.kid], header["alg"], headers=header)


@pytest.mark.parametrize("what", REFUSED)
def test_a_token_that_is_not_for_us_is_refused_and_its_twin_accepted(world, what):
    bad, good = REFUSED[what]
    people = world.people
    token = bad(world)
    for transport in TRANSPORTS:
        people.expect(transport, Ok(False), "check", token)
        people.expect(transport, UNAUTHENTICATED, "get", token, ["k"])
    people.expect("http", Ok({"active": False}), "session_introspect", people.admin, token)
    people.assert_holds(good(world))


def test_a_refused_token_is_explained_in_the_log_and_not_to_the_client(world):
    provider = world.bare
    seen = world.people.http.request("GET", "/v1/me", headers={"authorization": f"Bearer {provider.token(aud='other')}"})
    assert seen.status == 401 and b"aud" not in seen.body
    line = f"tokens that name the issuer {provider.issuer} were refused, the last one because: "
    wait_until(lambda: line in world.people.instance.log(), "the log says why a token was refused")


# One issuer is not another.


def test_a_key_of_one_issuer_signs_nothing_of_another(world):
    people, corp, other = world.people, world.corp, world.bare
    for signer, said in ((corp, other), (other, corp)):
        for kid in (signer.kid, said.kid):
            token = said.token(fresh("sub"), {"kid": kid}, key=signer.keys[signer.kid])
            people.expect("http", Ok(False), "check", token)
    own = jwt.decode(people.admin, options={"verify_signature": False})
    # As authkv itself, by a key of another issuer.
    people.expect("http", Ok(False), "check", jwt.encode(
        own, corp.keys[corp.kid], "RS256", headers={"kid": corp.kid, "typ": "at+jwt"}))  # fmt: skip
    # As another issuer, by authkv's key.
    private = (people.instance.data_dir / "jwt_private.pem").read_bytes()
    for kid in (corp.kid, jwt.get_unverified_header(people.admin)["kid"]):
        token = jwt.encode(corp.claims(), private, "RS256", headers={"kid": kid, "typ": "at+jwt"})
        people.expect("http", Ok(False), "check", token)


# How tokens end.


def later(people: People, make: Callable[[], str]) -> str:
    """A token that is issued after the second in which others ended, and holds."""
    made = []

    def holds() -> bool:
        made.append(make())
        return people.sees("http", Ok(True), "check", made[-1])

    wait_until(holds, "a token that is issued later holds")
    return made[-1]


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("operation", ["logout", "auth_logout"])
def test_a_logout_ends_the_token_and_no_other(world, transport, operation):
    people, sub = world.people, fresh("sub")
    one, other = world.corp.token(sub), world.corp.token(sub)
    again = world.corp.token(sub, jti=jwt.decode(one, options={"verify_signature": False})["jti"], exp=now(500))
    for token in (one, other, again):
        people.assert_holds(token)
    people.expect(transport, Ok() if operation == "logout" else Ok({"revoked": True}), operation, one)
    # Another token of that id is that token.
    people.assert_fails(one)
    people.assert_fails(again)
    people.assert_holds(other)
    # The id of a token of another issuer is another.
    twin = world.roles.token(sub, {"typ": "JWT"}, tenant=7, jti=jwt.decode(one, options={"verify_signature": False})["jti"])
    people.assert_holds(twin)


def test_a_logout_without_jti_ends_what_was_signed(world):
    """Of one message there may be several valid signatures: for ECDSA, anybody makes a second one from the first."""
    people, sub = world.people, fresh("sub")
    token = world.curve.token(sub, jti=None)
    message, _, signature = token.rpartition(".")
    raw_signature = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = (int.from_bytes(half, "big") for half in (raw_signature[:32], raw_signature[32:]))
    assert decode_dss_signature(encode_dss_signature(r, s)) == (r, s)
    second = base64.urlsafe_b64encode(r.to_bytes(32, "big") + (order - s).to_bytes(32, "big")).rstrip(b"=").decode()
    twin = f"{message}.{second}"
    assert twin != token
    people.assert_holds(twin)
    people.assert_holds(token)
    people.expect("http", Ok({"revoked": True}), "auth_logout", token)
    people.assert_fails(token)
    people.assert_fails(twin)
    people.assert_holds(world.curve.token(sub, jti=None, exp=now(599)))


ENDINGS = {
    "logout_all": lambda people, login, token: people.expect("http", Ok({"revoked": True}), "session_logout_all", token),
    "logout_by_the_administrator": lambda people, login, token: people.administer("user_logout", login),
    "disabling_and_enabling": lambda people, login, token: (
        people.administer("user_disable", login), people.administer("user_enable", login)),
    "deletion": lambda people, login, token: people.administer("user_delete", login),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_all_tokens_of_a_user_ends_those_that_were_issued_before(world, ending):
    people, sub = world.people, fresh("sub")
    before = [world.corp.token(sub, iat=now(-seconds)) for seconds in (0, 1, 300)]
    for token in before:
        people.assert_holds(token)
    twin = world.corp.token(fresh("sub"))
    people.assert_holds(twin)
    ENDINGS[ending](people, PREFIX + sub, before[0])
    # Also one that was not seen before.
    for token in (*before, world.corp.token(sub, iat=now(-200))):
        people.assert_fails(token)
    after = later(people, lambda: world.corp.token(sub))
    people.assert_holds(after)
    for token in before:
        people.assert_fails(token)
    people.assert_holds(twin)


def test_a_disabled_user_stays_out(world):
    people, sub = world.people, fresh("sub")
    token = world.corp.token(sub)
    people.assert_holds(token)
    people.administer("user_disable", PREFIX + sub)
    people.assert_fails(token)
    # As one issued a second later is.
    people.assert_fails(world.corp.token(sub, iat=now(5)))


def test_a_user_who_is_made_again_has_no_role_of_before(world):
    people, sub = world.people, fresh("sub")
    people.assert_holds(world.corp.token(sub))
    people.administer("role_grant", PREFIX + sub, "admin")
    people.administer("user_delete", PREFIX + sub)
    token = later(people, lambda: world.corp.token(sub))
    people.everywhere(NEEDS_ADMIN, "user_list", token)


def test_endings_outlive_a_restart_and_a_restart_reads_the_file_again(make, visit, tmp_path):
    provider, second = Provider("corp"), Provider("second")
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, in_file(provider))).start())
    tokens = {name: provider.token(fresh("sub")) for name in ("revoked", "ended", "good")}
    for token in tokens.values():
        people.assert_holds(token)
    people.expect("http", Ok({"revoked": True}), "auth_logout", tokens["revoked"])
    people.expect("http", Ok({"revoked": True}), "session_logout_all", tokens["ended"])
    of_second = second.token()
    people.assert_fails(of_second)
    trusting(tmp_path, in_file(provider), in_file(second, login_prefix="second:"))
    for restart in (lambda: people.console.evaluate("authkv.restart()"), people.restart):
        restart()
        people.assert_fails(tokens["revoked"])
        people.assert_fails(tokens["ended"])
        people.assert_holds(tokens["good"])
        people.assert_holds(of_second)
    trusting(tmp_path, in_file(second, login_prefix="second:"))
    people.console.evaluate("authkv.restart()")
    wait_until(lambda: people.sees("http", Ok(False), "check", tokens["good"]), "the issuer is not trusted any more")
    people.assert_fails(tokens["good"])
    people.assert_holds(of_second)


def test_a_restore_ends_what_was_issued_before(make, visit, tmp_path):
    provider = Provider("corp")
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, in_file(provider))).start())
    sub = fresh("sub")
    token = provider.token(sub)
    people.assert_holds(token)
    people.console.evaluate("authkv.restored()")
    people.__dict__.pop("admin", None)
    people.assert_fails(token)
    people.assert_fails(provider.token(fresh("sub"), iat=now(-100)))
    people.assert_holds(later(people, lambda: provider.token(sub)))


# Two processes.


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    """Two processes that trust the same issuers."""
    provider, bare = Provider("corp"), Provider("bare")
    directory = tmp_path_factory.mktemp("split")
    trusted = trusting(directory, in_file(provider), in_file(bare, login_prefix="bare:", create=False))
    with Instance(**auth_settings(), **CHEAP_HASHES, **trusted) as auth, Instance(**kv_settings(auth), **trusted) as kv:
        people, second = People(auth), HttpTransport(kv)
        when_following(second, people.admin)
        assert once_known(second, "put", people.admin, {"k": 1}) == Ok([])
        yield people, second, provider, bare
        people.close()
        second.close()


def test_a_follower_verifies_tokens_of_other_issuers_itself(split):
    people, kv, provider, bare = split
    token = provider.token(fresh("sub"))
    assert once_known(kv, "put", token, {fresh("k"): 1}) == Ok([])
    # It has not been at the authorization instance yet, and is not made by a follower.
    login = PREFIX + jwt.decode(token, options={"verify_signature": False})["sub"]
    people.expect("http", Refused("no_such_user", "There is no such user"), "user_get", people.admin, login)
    for bad in (bare.token(fresh("sub")), provider.token(aud="other")):
        assert refused(once_known(kv, "get", bad, ["k"]), kv, UNAUTHENTICATED)


@pytest.mark.parametrize("ending", ["auth_logout", *ENDINGS, "disabling"])
def test_what_ends_a_token_is_followed(split, ending):
    people, kv, provider, _ = split
    sub = fresh("sub")
    token = provider.token(sub)
    people.expect("http", Ok(True), "check", token)
    assert isinstance(people.do("http", "user_me", token), Ok)
    assert isinstance(once_known(kv, "get", token, ["k"]), Ok)
    if ending == "auth_logout":
        people.expect("http", Ok({"revoked": True}), "auth_logout", token)
    elif ending == "disabling":
        people.administer("user_disable", PREFIX + sub)
    else:
        ENDINGS[ending](people, PREFIX + sub, token)
    has_ended = lambda: refused(once_known(kv, "get", token, ["k"]), kv, UNAUTHENTICATED)  # noqa: E731
    wait_until(has_ended, "the follower knows that the token has ended")


def test_roles_of_users_of_other_issuers_are_followed(split):
    people, kv, provider, _ = split
    sub = fresh("sub")
    token = provider.token(sub)
    assert isinstance(people.do("http", "user_me", token), Ok)
    people.administer("role_set", "default", [])
    wait_until(lambda: not isinstance(once_known(kv, "put", token, {"k": 1}), Ok), "the default role has no keys")
    people.administer("role_grant", PREFIX + sub, "admin")
    wait_until(lambda: isinstance(once_known(kv, "put", token, {"k": 1}), Ok), "the role is followed")
    people.administer("role_set", "default", [permission("", True, True)])


def test_what_a_follower_does_not_offer_it_does_not_offer_to_these_tokens(split):
    _, kv, provider, _ = split
    for operation in ("auth_logout", "user_me", "session_logout_all"):
        assert refused(kv.do(operation, provider.token()), kv, NOT_OFFERED)


# The file.

BAD_FILES = {
    "no_json": ("{", "not JSON"),
    "a_member_twice": ('{"issuers": [], "issuers": []}', "stands twice"),
    "no_list": ({"issuers": {}}, "invalid type"),
    "an_unknown_member": ({"issuers": [], "more": 1}, "more"),
}
BAD_ENTRIES = {
    "an_unknown_member": ({"audiences": ["x"]}, "audiences"),
    "no_audience": ({"audience": []}, "audience"),
    "no_prefix": ({"login_prefix": None}, "login_prefix"),
    "a_prefix_without_colon": ({"login_prefix": "corp"}, "login_prefix"),
    "an_empty_prefix_with_create": ({"login_prefix": ""}, "login_prefix"),
    "hs256": ({"algorithms": ["HS256"]}, "algorithms"),
    "none": ({"algorithms": ["none"]}, "algorithms"),
    "jku": ({"header_members": ["jku"]}, "jku"),
    "crit": ({"header_members": ["crit"]}, "crit"),
    "roles_without_a_claim": ({"roles": {"a": "b"}}, "roles_claim"),
    "our_own_issuer": ({"issuer": "authkv"}, "AUTHKV_TOKEN_ISSUER"),
    "http": ({"keys": {"url": "http://id.example/jwks"}}, "https"),
    "a_password": ({"keys": {"url": "https://u:secret@id.example/jwks"}}, "no user"),
    "file_and_url": ({"keys": {"url": "https://id.example/", "file": "x"}}, "url or file"),
    "a_file_that_is_missing": ({"keys": {"file": "missing.json"}}, "missing.json"),
    "a_ca_that_is_missing": ({"keys": {"url": "https://id.example/", "ca_file": "missing.pem"}}, "missing.pem"),
    "too_many_bytes": ({"keys": {"url": "https://id.example/", "bytes_max": 1}}, "bytes_max"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*BAD_FILES, *BAD_ENTRIES, "the_same_issuer_twice", "the_same_prefix_twice", "no_file"])
def test_a_file_that_is_wrong_stops_the_start_and_is_named(make, tmp_path, name):
    provider, other = Provider("corp"), Provider("other")
    if name in BAD_FILES:
        content, said = BAD_FILES[name]
        text = content if isinstance(content, str) else json.dumps(content)
    elif name in BAD_ENTRIES:
        members, said = BAD_ENTRIES[name]
        text = json.dumps({"issuers": [in_file(provider) | members if None not in members.values() else in_file(provider, **members)]})
    else:
        second = in_file(provider, login_prefix="other:") if name == "the_same_issuer_twice" else in_file(other)
        said = {"the_same_issuer_twice": "its issuer is that", "the_same_prefix_twice": "its login_prefix is that"}.get(name, "cannot read")
        text = json.dumps({"issuers": [in_file(provider), second]})
    file = tmp_path / "issuers.json"
    if name != "no_file":
        file.write_text(text)
    log = make(**CHEAP_HASHES, AUTHKV_TRUSTED_ISSUERS=str(file)).refuse_to_start()
    assert str(file.parent) in log and said in log and "secret" not in log, log


KEY_SETS = {
    "no_json": ("{", "not JSON"),
    "no_keys": ('{"keys": {}}', "list keys"),
    "a_member_twice": ('{"keys": [], "keys": []}', "stands twice"),
    "two_keys_of_one_id": (lambda p: p.key_set()["keys"] + [jwk_of(make_key("RS256"), kid=p.kid)], "two keys"),
    **{name: (lambda p, change=change: [jwk_of(p.keys[p.kid], **({"kid": p.kid} | change))], said) for name, change, said in [
        ("use_enc", {"use": "enc"}, "(use)"), ("use_of_another_type", {"use": ["sig"]}, "(use)"),
        ("key_ops_of_encryption", {"key_ops": ["encrypt"]}, "(key_ops)"), ("alg_of_another", {"alg": "RS512"}, "no algorithm"),
        ("alg_none", {"alg": "none"}, "no algorithm"), ("no_kid", {"kid": None}, "no kid"),
        ("a_long_kid", {"kid": "k" * 257}, "(kid)"), ("a_private_key", {"d": "AQAB"}, "private"),
        ("kty_oct", {"kty": "oct", "k": "AQAB"}, "shared"), ("kty_unknown", {"kty": "rsa"}, "not known"),
        ("an_even_exponent", {"e": "Ag"}, "exponent"), ("a_modulus_that_is_short", {"n": "AQAB"}, "bits"),
        ("no_base64url", {"n": "+/=="}, "base64url"),
    ]},
    "a_point_off_the_curve": (lambda p: [jwk_of(make_key("ES256"), kid="x", y="AA" * 21 + "A")], "not on the curve"),
    "too_many": (lambda p: [{"kid": str(n)} for n in range(65)], "more than 64"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEY_SETS)
def test_a_key_that_is_not_for_this_is_left_out(make, tmp_path, name):
    content, said = KEY_SETS[name]
    provider = Provider("corp")
    file = tmp_path / "keys.json"
    file.write_text(content if isinstance(content, str) else json.dumps({"keys": content(provider)}))
    entry = provider.entry(keys={"file": "keys.json"}, algorithms=["RS256", "ES256"])
    log = make(**CHEAP_HASHES, **trusting(tmp_path, entry)).refuse_to_start()
    assert str(file) in log and said in log, log
