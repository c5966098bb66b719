"""The split layout, one of whose instances was restored from a back-up."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial

import pytest

from support.backups import QUICK, back_up, in_console, put_back
from support.harness import DEADLINE, wait_until
from support.lua import lua
from support.outcome import ANY, Ok
from support.people import UNAUTHENTICATED, People, permission
from support.split import UNKNOWN, auth_settings, kv_settings, once_known, refused, when_following
from support.transports import HttpTransport

SPACES = ("revoked_token", "authkv_subject", "authkv_role", "authkv_token_key")


def rows(instance, space: str) -> list:
    return in_console(instance, f"box.space.{space}:select()").value


class Split:
    """Both instances, a back-up of the first, and what came after it."""

    def __init__(self, make, tmp_path):
        self.auth = make(**auth_settings(), **QUICK).start()
        self.auth_people = People(self.auth)
        self.kv = make(**kv_settings(self.auth, AUTHKV_FOLLOW_MAX_LAG="1", **QUICK)).start()
        self.http = HttpTransport(self.kv)
        people = self.auth_people
        self.person, self.disabled = people.new(), people.new()
        self.old = self.person.access
        self.role = people.role(permission("k", read=True, write=True))
        when_following(self.http, self.old)
        assert self.http.put(self.old, {"k": 1}) == Ok([])
        back_up(self.auth, tmp_path / "auth", "{keys = true}")
        back_up(self.kv, tmp_path / "kv", "{keys = true}")
        self.directory = tmp_path
        # The future that will be lost.
        self.of_disabled = self.disabled.access
        people.administer("user_disable", self.disabled.login)
        people.administer("role_delete", self.role)
        people.administer("key_rotate", {"publish": 0})
        self.lost_person = people.new()
        self.lost = self.lost_person.access
        self.await_token(self.lost)
        people.administer("user_logout", people.new().login)
        self.followed()

    def await_token(self, token: str) -> None:
        wait_until(lambda: isinstance(self.http.get(token, ["k"]), Ok), "the token is accepted")

    def is_over(self, token: str) -> bool:
        """Whether the follower refuses the token, and not only because it knows nothing yet."""
        return refused(once_known(self.http, "get", token, ["k"]), self.http, UNAUTHENTICATED)

    def is_followed(self) -> bool:
        return all(rows(self.auth, space) == rows(self.kv, space) for space in SPACES)

    def followed(self) -> None:
        wait_until(self.is_followed, "the follower has what the other one has, and nothing else")

    def forget_generation(self) -> None:
        """Makes the data of both what an older version would have made, in the back-up too."""
        self.http.close()
        self.kv.stop()
        self.auth_people.close()
        self.auth.stop()
        for instance in (self.auth, self.kv):
            script = (
                f"box.cfg{{memtx_dir = {lua(str(instance.data_dir))}, wal_dir = {lua(str(instance.data_dir))}, log_level = 1}} "
                "box.space.authkv_sequence:delete('generation') box.space.authkv_sequence:delete('followed_generation') os.exit(0)"
            )
            subprocess.run(["tarantool", "-e", script], check=True, timeout=DEADLINE)
        self.auth.start()
        shutil.rmtree(self.directory / "auth")
        back_up(self.auth, self.directory / "auth", "{keys = true}")
        del self.auth_people.__dict__["admin"]
        self.auth_people.administer("user_logout", self.auth_people.new().login)
        self.kv.start()
        self.http = HttpTransport(self.kv)
        self.followed()

    def restore_auth(self, with_manifest: bool = True) -> People:
        self.auth_people.close()
        self.auth.stop()
        put_back(self.directory / "auth", self.auth, with_manifest).start()
        del self.auth_people.__dict__["admin"]
        return self.auth_people

    def assert_goes_on(self) -> None:
        """Nothing of before holds, and what is new does."""
        self.followed()
        for token in (self.old, self.lost, self.of_disabled):
            assert self.is_over(token)
        # Who was disabled in the future that was lost is not any more.
        for person in (self.person, self.disabled):
            token = self.auth_people.expect("http", ANY, "session_login", person.login, person.password)["access_token"]
            self.await_token(token)
            self.auth_people.expect("http", Ok({"revoked": True}), "auth_logout", token)
            wait_until(partial(self.is_over, token), "the logout is known")
        self.followed()

    def close(self) -> None:
        self.http.close()
        self.auth_people.close()


@pytest.fixture
def split(make, tmp_path):
    split = Split(make, tmp_path)
    yield split
    split.close()


def test_a_follower_forgets_what_only_the_lost_future_had(split):
    split.restore_auth()
    split.assert_goes_on()
    # It knows so after a start, too.
    split.http.close()
    split.kv.stop()
    split.kv.start()
    split.http = HttpTransport(split.kv)
    split.assert_goes_on()


def test_a_follower_that_was_down_meanwhile_forgets_it_too(split):
    split.http.close()
    split.kv.stop()
    split.restore_auth()
    split.kv.start()
    split.http = HttpTransport(split.kv)
    split.assert_goes_on()


def test_a_follower_takes_nothing_older_until_the_restore_is_told(split):
    known = {space: rows(split.kv, space) for space in SPACES}
    people = split.restore_auth(with_manifest=False)
    wait_until(lambda: "knows fewer changes than were heard from it" in split.kv.log(), "the follower says what is wrong")
    wait_until(lambda: refused(split.http.get(split.lost, ["k"]), split.http, UNKNOWN), "tokens are refused")
    assert {space: rows(split.kv, space) for space in SPACES} == known
    assert isinstance(in_console(people.instance, "authkv.restored()"), Ok)
    split.assert_goes_on()


@pytest.mark.parametrize("generation", ["a generation", "none, as data of older versions"])
def test_a_follower_can_be_told_to_follow_older_data(split, generation):
    if generation != "a generation":
        split.forget_generation()
    people = split.restore_auth(with_manifest=False)
    wait_until(lambda: "knows fewer changes than were heard from it" in split.kv.log(), "the follower says what is wrong")
    assert isinstance(in_console(split.kv, "authkv.restored()"), Ok)
    token = people.expect("http", ANY, "session_login", split.person.login, split.person.password)["access_token"]
    split.await_token(token)
    split.followed()


def test_a_restored_follower_hears_what_has_happened_meanwhile(split):
    people, first = split.auth_people, split.person.log_in()
    split.await_token(first["access_token"])
    revision = split.http.do("pair_put", first["access_token"], "k", 3).value["revision"]
    people.expect("http", Ok({"revoked": True}), "auth_logout", split.old)
    split.http.close()
    split.kv.stop()
    put_back(split.directory / "kv", split.kv).start()
    split.http = HttpTransport(split.kv)
    assert split.is_over(split.old) and split.is_over(split.of_disabled)
    # Its own restore ends no token of the other instance, and gives no revision twice.
    assert split.http.get(first["access_token"], ["k"]) == Ok({"k": 1})
    assert split.http.do("pair_put", first["access_token"], "k", 4).value["revision"] > revision
    split.followed()
