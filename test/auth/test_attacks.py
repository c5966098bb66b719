"""Attacks on tokens, over every transport: each is refused, and its twin, made the same way and right, is accepted.

They run over authkv's own tokens, and over those of another issuer that the instance trusts.
"""

from __future__ import annotations

import jwt
import pytest

from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, write_key_pair
from support.outcome import Ok
from support.people import INVALID_CREDENTIALS, INVALID_REFRESH_TOKEN, OTHER_PASSWORD, PASSWORD, UNAUTHENTICATED, People, Person
from support.provider import Provider, trusting
from support.tokens import ATTACKS, OPTIONAL, Forge
from support.transports import TRANSPORTS, bearer

# The longest token that a transport takes in a header of HTTP, where other headers stand beside it.
IN_A_HEADER = 3000


@pytest.fixture(scope="module")
def issuer(tmp_path_factory) -> Provider:
    """Another issuer, whose key is in a directory in the way that an instance has its own."""
    provider = Provider("corp")
    provider.keys = {provider.kid: write_key_pair(provider.directory)}
    return provider


@pytest.fixture(scope="module")
def settings(issuer, tmp_path_factory) -> dict:
    entry = issuer.entry(keys={"file": issuer.key_file()}, login_prefix="", create=False)
    return CHEAP_HASHES | trusting(tmp_path_factory.mktemp("issuers"), entry)


@pytest.fixture(scope="module")
def victim(people) -> Person:
    people.administer("role_set", "default", [{"prefix": "", "read": True, "write": True}])
    assert people.do("console", "put", people.admin, {"k": 1}) == Ok([])
    return people.new()


@pytest.fixture(scope="module", params=["session", "api", "issuer"])
def forge(request, people, victim, issuer) -> Forge:
    """A forger with a token of a session of /v1, with one of /api, and with one of another issuer."""
    if request.param == "issuer":
        return Forge(issuer.directory, issuer.token(victim.login, nbf=issuer.claims()["iat"]))
    return Forge(people.instance.data_dir, victim.access if request.param == "session" else victim.api_token)


def assert_refused(people: People, transport: str, token: str) -> None:
    people.expect(transport, Ok(False), "check", token)
    people.expect(transport, Ok({"active": False}), "session_introspect", people.admin, token)
    if people.transport(transport).is_http and len(token) > IN_A_HEADER:
        return
    for operation, *args in (
        ("get", ["k"]), ("put", {"written": 1}), ("user_me",), ("logout",), ("auth_logout",), ("user_list",), ("auth_access", {}),
        ("api_key_create", "x"),
    ):  # fmt: skip
        people.expect(transport, UNAUTHENTICATED, operation, token, *args)


def assert_accepted(people: People, transport: str, token: str, login: str) -> None:
    people.expect(transport, Ok(True), "check", token)
    assert people.do(transport, "session_introspect", people.admin, token).value["sub"] == login
    if people.transport(transport).is_http and len(token) > IN_A_HEADER:
        return
    people.expect(transport, Ok({"k": 1}), "get", token, ["k"])
    assert people.do(transport, "user_me", token).value["login"] == login
    assert people.do(transport, "auth_access", token, {}).value["login"] == login


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_token_is_refused_and_its_twin_accepted(people, victim, forge, transport, attack):
    forged, twin = ATTACKS[attack].token(forge), ATTACKS[attack].twin(forge)
    assert forged != twin
    if attack in OPTIONAL and forge.claims["iss"] != "authkv":
        assert_accepted(people, transport, forged, victim.login)
        return
    assert_refused(people, transport, forged)
    assert_accepted(people, transport, twin, victim.login)
    # What is remembered of the twin does not help the other, nor the other way round.
    assert_refused(people, transport, forged)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_name_in_a_token_is_not_another_than_its_subject(people, victim, forge, transport):
    """Only who holds the key can make one; the subject counts."""
    odd = forge.with_claims(username="admin", email="admin")
    if people.sees(transport, Ok(True), "check", odd):
        assert people.do(transport, "user_me", odd).value["login"] == victim.login


def test_nothing_was_written_with_a_forged_token(people, victim):
    """Runs after the attacks above, in the order of the file."""
    assert people.console.evaluate("return box.space.key_value_store:get('written') == nil") == [True]
    assert people.instance.is_running()


# What ends the tokens of a person, as the person or as the administrator, and whether the old password still logs in.
ENDINGS = {
    "logout_all": lambda people, one: people.expect("http", Ok({"revoked": True}), "session_logout_all", one.access),
    "change_of_password": lambda people, one: people.expect(
        "http", Ok({"changed": True}), "user_password", one.access, PASSWORD, OTHER_PASSWORD),
    "reset_of_password": lambda people, one: people.administer("user_set_password", one.login, OTHER_PASSWORD),
    "reset_to_the_same_password": lambda people, one: people.administer("user_set_password", one.login, PASSWORD),
    "logout_by_the_administrator": lambda people, one: people.administer("user_logout", one.login),
    "disabling": lambda people, one: people.administer("user_disable", one.login),
    "disabling_and_enabling": lambda people, one: (
        people.administer("user_disable", one.login), people.administer("user_enable", one.login)),
    "deletion": lambda people, one: people.administer("user_delete", one.login),
    "deletion_and_a_new_user_of_that_login": lambda people, one: (
        people.administer("user_delete", one.login),
        people.expect("http", Ok({"login": one.login}), "user_register", one.login, PASSWORD, "Bob", "Stone")),
    "deletion_and_a_new_user_by_api": lambda people, one: (
        people.administer("user_delete", one.login), people.http.register(one.login, PASSWORD, "Bob", "Stone")),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_tokens_that_have_ended_are_refused_over_every_transport_by_the_next_request(people, ending):
    """Every transport knows the tokens by then, so that what one remembers of them would show."""
    person, twin = people.new("admin"), people.new("admin")
    second = person.log_in()
    ended = [person.access, second["access_token"], person.api_token]
    for token in (*ended, twin.access, twin.api_token):
        people.assert_holds(token)
    resigned = Forge(people.instance.data_dir, person.access).with_claims(jti="another")
    people.assert_holds(resigned)
    ENDINGS[ending](people, person)
    for token in (*ended, resigned):
        people.assert_fails(token)
        people.everywhere(UNAUTHENTICATED, "user_list", token)
    for token in (person.refresh, second["refresh_token"]):
        people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", token)
    for token in (twin.access, twin.api_token):
        people.assert_holds(token)


@pytest.mark.parametrize("ending", [name for name in ENDINGS if "deletion" not in name and name != "disabling"])
def test_tokens_of_a_login_after_an_ending_hold_at_once(people, ending):
    """Also within the second in which the others ended."""
    person = people.new()
    people.assert_holds(person.access)
    ENDINGS[ending](people, person)
    if "password" in ending and "same" not in ending:
        people.expect("http", INVALID_CREDENTIALS, "session_login", person.login, PASSWORD)
        person.password = OTHER_PASSWORD
    session = person.log_in()
    people.assert_holds(session["access_token"])
    people.assert_fails(person.access)


def test_a_new_user_of_an_old_login_has_none_of_its_roles(people):
    person = people.new("admin")
    people.assert_holds(person.access)
    people.administer("user_delete", person.login)
    assert people.http.register(person.login, PASSWORD, "Bob", "Stone") == Ok()
    fresh = Person(people, person.login)
    people.assert_holds(fresh.access)
    assert set(people.do("http", "user_me", fresh.access).value["roles"]) <= {"default"}
    people.assert_fails(person.access)


def test_ended_tokens_stay_so_after_a_restart(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    ended = []
    for end in ENDINGS.values():
        person = people.new()
        ended += [person.access, person.api_token]
        end(people, person)
    logged_out = people.new()
    people.expect("http", Ok({"revoked": True}), "auth_logout", logged_out.access)
    holding = people.new()
    people.assert_holds(holding.access)
    for stop in (people.instance.stop, people.instance.kill):
        people.close()
        stop()
        people.instance.start()
        for token in (*ended, logged_out.access):
            people.assert_fails(token)
        people.assert_holds(holding.access)


def test_a_token_of_one_instance_is_refused_at_another(people, make, visit):
    """The other has a key of its own, and a user of the same login."""
    other = visit(make(**CHEAP_HASHES).start())
    assert jwt.get_unverified_header(people.admin)["kid"] != jwt.get_unverified_header(other.admin)["kid"]
    people.assert_holds(people.admin)
    other.assert_holds(other.admin)
    other.assert_fails(people.admin)
    people.assert_fails(other.admin)


@pytest.mark.parametrize("name", ["AUTHKV_TOKEN_ISSUER", "AUTHKV_TOKEN_AUDIENCE"])
def test_a_token_of_an_instance_with_the_same_key_is_refused_where_its_issuer_or_audience_is_another(make, visit, tmp_path, name):
    write_key_pair(tmp_path)
    files = {"AUTHKV_PRIVATE_KEY_FILE": str(tmp_path / "jwt_private.pem"), "AUTHKV_PUBLIC_KEY_FILE": str(tmp_path / "jwt_public.pem")}
    ours, theirs = (visit(make(keys=False, **files, **setting, **CHEAP_HASHES).start()) for setting in ({}, {name: "https://auth.example"}))
    for one, other in ((ours, theirs), (theirs, ours)):
        one.assert_holds(one.admin)
        other.assert_fails(one.admin)
    claims = jwt.decode(theirs.admin, options={"verify_signature": False})
    assert claims[name.removeprefix("AUTHKV_TOKEN_")[:3].lower()] == "https://auth.example"


def test_a_session_of_one_instance_is_refused_at_another(people, make, visit):
    other = visit(make(**CHEAP_HASHES).start())
    session = other.http.do("session_login", "admin", ADMIN_PASSWORD).value
    people.everywhere(INVALID_REFRESH_TOKEN, "session_refresh", session["refresh_token"])
    assert isinstance(other.do("http", "session_refresh", session["refresh_token"]), Ok)


@pytest.mark.parametrize("name", ["alg_none", "kid_of_a_path", "header_with_jku", "two_sub", "longer_than_8_kib"])
def test_a_forged_token_is_answered_without_a_word_on_why(people, victim, name):
    forge = Forge(people.instance.data_dir, victim.access)
    seen = {
        people.http.request("POST", "/api/check", {"authorization": f"Bearer {token}"}).body for token in (ATTACKS[name].token(forge), "x")
    }
    assert seen == {b'{"authorized":"NO"}'}
    if name != "longer_than_8_kib":
        answers = {people.http.request("GET", "/v1/me", headers=bearer(token)).body for token in (ATTACKS[name].token(forge), "x.y.z")}
        assert len(answers) == 1
