"""The ring of keys: rotation without a restart, the published set, algorithms, and keys that are retired."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time

import jwt
import pytest

from support.clock import moment, pass_by
from support.harness import CHEAP_HASHES, wait_until, write_key_pair
from support.load import Load
from support.outcome import A_TEXT, A_TIME, Like, Ok, Refused
from support.people import PASSWORD, People, session_answer
from support.tokens import kid
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS
from support.v1 import OWNER

ALGORITHMS = ["RS256", "ES256", "EdDSA"]


def published(people: People, transport: str = "http") -> dict[str, dict]:
    """The keys of the set by their ids."""
    keys = people.expect(transport, Ok(Like("a key set", bool)), "key_set")["keys"]
    assert len({key["kid"] for key in keys}) == len(keys)
    return {key["kid"]: key for key in keys}


def verified(people: People, token: str) -> dict:
    """The claims of a token, as another service verifies it by the published set."""
    key = published(people)[kid(token)]
    return jwt.decode(token, jwt.PyJWK(key), algorithms=[key["alg"]], audience="authkv", issuer="authkv")


def signing(people: People) -> str:
    """The id of the key that signs, which there is exactly one of."""
    listed = people.expect("owner", Ok(Like("keys", bool)), "key_list", OWNER)["keys"]
    (key,) = [key for key in listed if key["signs"]]
    return key["kid"]


def rotate(people: People, transport: str = "http", **options) -> str:
    """Makes a new key and gives its id."""
    made = people.expect(transport, Ok({"kid": A_TEXT, "alg": A_TEXT, "signs_from": A_TIME}), "key_rotate", people.admin, options)
    return made["kid"]


@pytest.fixture
def started(make, visit):
    """Starts an instance of a test's own, with cheap hashes. Its first key is RSA; those of ES256 are made in no time."""
    quick = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256"}
    return lambda **settings: visit(make(**(quick | settings)).start())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_of_each_algorithm_verify_by_the_published_set(started, algorithm):
    people = started(keys=False, AUTHKV_TOKEN_ALGORITHM=algorithm)
    person = people.new()
    for token in (person.access, person.api_token):
        assert jwt.get_unverified_header(token)["alg"] == algorithm
        assert verified(people, token)["sub"] == person.login
        people.assert_holds(token)
    (key,) = published(people).values()
    assert (key["alg"], key["use"]) == (algorithm, "sig")
    assert key["kty"] == {"RS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}[algorithm]
    assert key.get("crv") == {"RS256": None, "ES256": "P-256", "EdDSA": "Ed25519"}[algorithm]
    people.restart()
    people.assert_holds(person.access)
    people.assert_fails(person.access[:-4] + "AAAA")


@pytest.mark.parametrize("other", ALGORITHMS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_rotation_may_change_the_algorithm_and_refuses_no_token(started, algorithm, other):
    people = started(keys=algorithm == "RS256", AUTHKV_TOKEN_ALGORITHM=algorithm)
    before = people.new()
    people.assert_holds(before.access)
    people.restart(AUTHKV_TOKEN_ALGORITHM=other)
    assert kid(people.new().access) == kid(before.access), "the setting is for keys that are made"
    new = rotate(people, publish=0)
    after = people.new()
    assert kid(after.access) == new != kid(before.access)
    assert jwt.get_unverified_header(after.access)["alg"] == other
    for _ in range(2):
        for person in (before, after):
            people.assert_holds(person.access)
            assert verified(people, person.access)["sub"] == person.login
        people.restart()


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_new_key_is_published_before_it_signs(started, transport):
    people = started()
    old = kid(people.admin)
    new = rotate(people, transport)
    assert new != old and new not in ("", None)
    for one in TRANSPORTS:
        assert published(people, one).keys() == {old, new}
        assert kid(people.do(one, "session_login", people.new().login, PASSWORD).value["access_token"]) == old
    (listed,) = [key for key in people.administer("key_list")["keys"] if key["kid"] == new]
    assert listed["signs"] is False and abs(listed["signs_from"] - time.time() - 300) < 30
    assert signing(people) == old


def test_the_setting_says_how_long_a_key_is_published_before_it_signs(started):
    people = started(AUTHKV_KEY_PUBLISH="1")
    old, new = kid(people.admin), rotate(people)
    person = people.new()
    seen = set()

    def signs_anew() -> bool:
        seen.add(kid(person.log_in()["access_token"]))
        return seen == {old, new} or seen == {new}

    wait_until(signs_anew, "the new key signs")
    assert signing(people) == new


class LogIns(Load):
    """Clients that log in and refresh over a transport of their own, and check the tokens they have been given so far."""

    def __init__(self, instance, transports, logins: list[str]):
        super().__init__(instance, transports, "")
        self.logins = logins
        self.tokens: list[str] = []

    def once(self, transport, number):
        login = self.logins[number], PASSWORD
        session, token = transport.do("session_login", *login), transport.login(*login)
        if not isinstance(session, Ok) or not isinstance(token, Ok):
            return session, token
        refreshed = transport.do("session_refresh", session.value["refresh_token"])
        if not isinstance(refreshed, Ok):
            return refreshed
        # Those of /api are kept: a user's sessions are limited.
        self.tokens.append(token.value)
        some = [refreshed.value["access_token"], session.value["access_token"], *self.tokens[:: len(self.tokens) // 20 + 1]]
        return [one for one in some if transport.check(one) != Ok(True)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_rotation_under_load_refuses_no_token(started, algorithm):
    people = started(AUTHKV_TOKEN_ALGORITHM=algorithm)
    transports = list(TRANSPORTS.values())
    with LogIns(people.instance, transports, [people.new().login for _ in transports]) as load:
        kids = [signing(people)]
        for publish in (0, 1, 0):
            kids.append(rotate(people, publish=publish))
            wait_until(lambda: load.wrong or signing(people) == kids[-1], "the new key signs")
            load.advance()
    assert load.wrong == []
    assert {kid(token) for token in load.tokens} == set(kids)
    assert all(people.http.check(token) == Ok(True) for token in load.tokens)
    for token in {kid(token): token for token in load.tokens}.values():
        people.assert_holds(token)
        verified(people, token)


def test_a_rotation_over_every_transport_leaves_one_key_that_signs(started):
    people = started()
    kids = [signing(people), *(rotate(people, transport, publish=0) for transport in ADMIN_TRANSPORTS)]
    assert len(set(kids)) == len(kids) and signing(people) == kids[-1]
    listed = people.administer("key_list")["keys"]
    assert {key["kid"] for key in listed} == set(kids) == published(people).keys()
    for key in listed:
        assert (key["verifies_until"] is None) == key["signs"], key


@pytest.mark.parametrize("stop", ["stop", "kill"])
def test_the_ring_survives_a_restart(started, stop):
    people = started()
    first = people.new()
    people.assert_holds(first.access)
    rotate(people, publish=0)
    second = people.new()
    people.assert_holds(second.access)
    pending = rotate(people)
    before = people.administer("key_list"), published(people)
    people.close()
    getattr(people.instance, stop)()
    people.instance.start()
    assert (people.administer("key_list"), published(people)) == before and pending in before[1]
    for person in (first, second):
        people.assert_holds(person.access)
    assert kid(people.new().access) == kid(second.access)


def test_an_old_key_goes_once_no_token_of_it_can_hold(started):
    people = started(AUTHKV_TOKEN_TTL="2", AUTHKV_TOKEN_LEEWAY="0")
    old, new = signing(people), rotate(people, "owner", publish=0)
    assert published(people).keys() == {old, new}
    # A minute more is for requests that are under way.
    wait_until(lambda: published(people).keys() == {new}, "the old key is no longer published", 90)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_tokens_of_a_retired_key_fail_at_once_and_stay_so(started, transport):
    people = started()
    person = people.new()
    old = kid(person.access)
    people.assert_holds(person.access)
    new = rotate(people, publish=0)
    del people.admin  # it is of the old key
    people.assert_holds(people.admin)
    people.assert_holds(person.access)
    seen = people.expect(transport, Ok({"kid": old, "verifies_until": A_TIME}), "key_retire", people.admin, old)
    assert seen["verifies_until"] <= time.time() + 1
    for _ in range(2):
        people.assert_fails(person.access)
        assert published(people).keys() == {new}
        people.restart()
    # The session goes on: its refresh token is no token of that key.
    session = people.expect("http", Ok(session_answer()), "session_refresh", person.refresh)
    people.assert_holds(session["access_token"])


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_key_that_signs_is_not_retired(started, transport):
    people = started()
    old = signing(people)
    people.expect(transport, Refused("key_signs", "This key signs tokens: rotate first"), "key_retire", people.admin, old)
    rotate(people)
    people.expect(transport, Refused("key_signs"), "key_retire", people.admin, old)
    people.assert_holds(people.admin)


def test_private_keys_are_for_the_owner_only(started):
    """And what is published or listed, or logged, holds none."""
    people = started(keys=False)
    rotate(people, publish=0)
    private = [path for path in people.instance.data_dir.rglob("*.pem") if b"PRIVATE KEY" in path.read_bytes()]
    assert private and not any(path.stat().st_mode & 0o077 for path in private)
    assert "PRIVATE KEY" not in people.instance.log()
    for answer in (people.administer("key_list"), people.http.do("key_set").value):
        assert "PRIVATE" not in str(answer) and not any("d" in key for key in answer["keys"])


def test_a_reload_keeps_the_ring(started):
    people = started()
    person = people.new()
    people.assert_holds(person.access)
    new = rotate(people, publish=0)
    people.console.evaluate("return authkv.restart() ~= nil")
    people.assert_holds(person.access)
    assert kid(person.log_in()["access_token"]) == new


def test_a_key_that_waits_does_not_sign_after_one_that_was_made_later(started):
    people = started()
    waiting = rotate(people, publish=2)
    urgent = rotate(people, publish=0)
    assert signing(people) == urgent
    pass_by(moment(2))  # the turn of the key that waited
    assert signing(people) == urgent and waiting in published(people)


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_a_key_that_will_sign_is_not_retired(started, transport):
    """Or nothing would sign once the older one has ended."""
    people = started()
    waiting = rotate(people)
    people.expect(transport, Refused("key_signs"), "key_retire", OWNER if transport == "owner" else people.admin, waiting)
    assert waiting in published(people)


def test_a_read_only_instance_whose_key_nobody_knows_signs_nothing_and_makes_none(started):
    """What it would sign would hold nowhere else."""
    people = started()
    person = people.new()
    known = person.access
    people.close()
    people.instance.stop()
    write_key_pair(people.instance.data_dir)
    people.instance.settings["AUTHKV_READ_ONLY"] = "true"
    people.instance.start()
    for operation in ("session_login", "login"):
        people.expect("http", Refused("no_signing_key"), operation, person.login, person.password)
    people.expect("owner", Refused("read_only"), "key_rotate", OWNER, {})
    people.assert_holds(known)
    assert not (people.instance.data_dir / "keys").exists()


def key_files(people: People) -> set[str]:
    """The ids of the private keys in the directory of rotated keys, drafts included."""
    return {file.name.removesuffix(".pem") for file in (people.instance.data_dir / "keys").glob("*")}


def rows(people: People) -> set[str]:
    """The ids of the keys in the space that are not retired."""
    script = (
        "local all = {} for _, row in box.space.authkv_token_key:pairs() do if row[2] ~= 0 then all[#all + 1] = row[1] end end return all"
    )
    return set(people.console.evaluate(script)[0])


def killed(people: People) -> None:
    people.close()
    people.instance.kill()
    people.instance.start()


def suppressed(work) -> None:
    """Does something that a kill may end."""
    with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
        work()


def test_a_kill_in_a_rotation_leaves_no_private_key_without_a_row(started):
    people = started()
    person = people.new()
    people.assert_holds(person.access)
    for _ in range(5):
        before = key_files(people)
        asked = threading.Thread(target=lambda: suppressed(lambda: rotate(People(people.instance), publish=0)))
        asked.start()
        wait_until(lambda: key_files(people) > before, "there is a file", every=0)
        people.instance.kill()
        asked.join()
        people.close()
        people.instance.start()
        assert key_files(people) <= rows(people)
        people.assert_holds(person.access)
        assert isinstance(people.do("http", "session_login", person.login, PASSWORD), Ok)


@pytest.mark.parametrize("named", [True, False])
def test_a_start_removes_private_keys_without_a_row_and_nothing_else(started, named):
    """A row that is gone, one that is retired, and the beginning of a file: what a kill can leave at any moment."""
    people = started()
    person = people.new()
    people.assert_holds(person.access)
    lost, retired, used, last = (rotate(people, publish=0) for _ in range(4))
    directory = people.instance.data_dir / "keys"
    files = {kid: (directory / f"{kid}.pem").read_bytes() for kid in (lost, retired, used, last)}
    people.administer("key_retire", retired)
    people.console.evaluate(f"box.space.authkv_token_key:delete('{lost}')")
    (directory / f"{retired}.pem").write_bytes(files[retired])
    (directory / f"{used}.pem.new").write_bytes(files[used][:100])
    people.close()
    people.instance.stop()
    if named:
        people.instance.settings["AUTHKV_PRIVATE_KEY_FILE"] = str(directory / f"{lost}.pem")
        people.instance.settings["AUTHKV_PUBLIC_KEY_FILE"] = str(people.instance.data_dir / "other.pem")
    people.instance.start()
    assert key_files(people) == {used, last} | ({lost} if named else set())
    assert (directory / f"{used}.pem").read_bytes() == files[used]
    assert f"the private key {retired} is removed" in people.instance.log()
    people.assert_holds(person.access)
    # Twice is like once.
    killed(people)
    assert key_files(people) == {used, last} | ({lost} if named else set())


def test_no_private_key_is_removed_where_the_data_is_lost(started):
    """Whoever has lost the data still has the keys: they may have a back-up of the data."""
    people = started()
    kids = {rotate(people, publish=0) for _ in range(2)}
    people.close()
    people.instance.stop()
    for file in (*people.instance.data_dir.glob("*.snap"), *people.instance.data_dir.glob("*.xlog")):
        file.unlink()
    people.instance.start()
    assert key_files(people) == kids
