"""A store that its users have filled: everything about users, tokens, roles and keys still works, and so do deletes.

Clients fill memory by values of all sizes at once, and go on overwriting while the rest of the test is done.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
from contextlib import contextmanager

import pytest
import requests

from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, wait_until
from support.people import OTHER_PASSWORD, PASSWORD
from support.transports import IprotoTransport

FULL = 507
# What the log says when pairs are refused from then on, and when they are not any more.
SHORT, ENOUGH = "memory is full up to the reserve", "there is memory again"
# From one byte to the most that a tuple can have. Each kind of client has its own.
SIZES = {
    "all": [1, 3, 10, 25, 60, 100, 200, 333, 700, 1500, 3000, 6000, 12_000, 25_000, 50_000, 120_000, 300_000, 1_000_000],
    "tiny": [1, 2, 3, 4, 5, 6, 7, 8],
    "small": [20, 50, 90, 130, 170, 210, 250, 290, 330],
    "large": [10_000, 11_500, 13_000, 16_000, 20_000, 64_000, 250_000],
}


class Api:
    """The HTTP API for one client."""

    def __init__(self, instance, token: str = ""):
        self.base = instance.url
        self.session = requests.Session()
        self.session.trust_env = False
        self.token = token

    def call(self, method: str, path: str, body=None, **headers) -> requests.Response:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.session.request(method, self.base + path, data=data, headers=headers, timeout=60)

    def log_in(self, login: str, password: str) -> dict:
        answer = self.call("POST", "/v1/login", {"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        return answer.json()


class Flood:
    """Clients that write values of these sizes for as long as they are let, one for each token."""

    def __init__(self, instance, tokens: list[str], sizes: list[int]):
        clients = len(tokens)
        self.stop = threading.Event()
        self.refused = [0] * clients
        self.written = [0] * clients
        self.wrong: list = []
        self.threads = [
            threading.Thread(target=self.work, args=(instance, token, sizes, number), daemon=True) for number, token in enumerate(tokens)
        ]
        for thread in self.threads:
            thread.start()

    def work(self, instance, token, sizes, number):
        api, rng = Api(instance, token), random.Random(number)
        for count in itertools.count():
            if self.stop.is_set():
                return
            size = rng.choice(sizes)
            kind = rng.random()
            if kind < 0.4 and size < 3000:
                pairs = [{"key": f"{number}/{count}/{n}", "value": "v" * size} for n in range(3000 // size + 1)]
                answer = api.call("POST", "/v1/batch/put", {"pairs": pairs})
            else:
                # One of its own that is there already, with another size, or one more.
                key = f"{number}/{rng.randrange(count + 1) if kind < 0.6 else count}"
                path = f"/v1/kv/{key.replace('/', '%2F')}{'?ttl=86400' if kind > 0.9 else ''}"
                answer = api.call("PUT", path, b"v" * size, **{"Content-Type": "application/octet-stream"})
            if answer.status_code == FULL:
                self.refused[number] += 1
            elif answer.status_code in (200, 201):
                self.refused[number] = 0
                self.written[number] += 1
            elif answer.status_code != 401:
                self.wrong.append(answer.text)

    def is_over(self) -> bool:
        """Whether nothing of any size was taken for a while."""
        return all(refused > 30 for refused in self.refused)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert not self.wrong, self.wrong[:3]


@contextmanager
def filled(instance, users: dict[str, Api], sizes: list[int]):
    """The store, full, while the clients go on."""
    flood = Flood(instance, 2 * [users["mallory"].token, users["eve"].token], sizes)
    try:
        wait_until(flood.is_over, "the store is full", 240)
        yield flood
    finally:
        flood.end()


@pytest.fixture
def start(make):
    def start(memory: int = 32 << 20, **settings):
        settings = {**CHEAP_HASHES, "AUTHKV_KEY_PUBLISH": "0", "AUTHKV_TOKEN_ALGORITHM": "ES256", **settings}
        return make(AUTHKV_MEMTX_MEMORY=str(memory), **settings).start()

    return start


def people_of(instance, *logins: str) -> tuple[Api, dict[str, Api], dict[str, dict]]:
    """The administrator, and users with their sessions."""
    admin = Api(instance)
    admin.log_in("admin", ADMIN_PASSWORD)
    users, sessions = {}, {}
    for login in logins:
        body = {"login": login, "password": PASSWORD, "name": "Bob", "surname": "Stone"}
        assert admin.call("POST", "/v1/admin/users", body).status_code == 201
        users[login] = Api(instance)
        sessions[login] = users[login].log_in(login, PASSWORD)
    return admin, users, sessions


def defend(instance, users: dict[str, Api], sessions: dict[str, dict]) -> None:
    """All that has to work in a full store. `mallory` is one who fills it, with `eve`."""

    def done(api: Api, method: str, path: str, body=None, status: int = 200):
        answer = api.call(method, path, body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    fresh = Api(instance)
    fresh.log_in("admin", ADMIN_PASSWORD)
    bob = users["bob"]
    renewed = done(bob, "POST", "/v1/refresh", {"refresh_token": sessions["bob"]["refresh_token"]}).json()
    bob.token = renewed["access_token"]
    again = Api(instance)
    again.log_in("bob", PASSWORD)
    done(again, "GET", "/api/logout/")
    done(fresh, "POST", "/v1/admin/keys/rotate", {"publish": 0})
    keys = done(fresh, "GET", "/v1/admin/keys").json()["keys"]
    idle = next(key["kid"] for key in keys if not key["signs"])
    role = [{"prefix": f"some/longer/prefix/of/keys/{n}/", "read": True, "write": True} for n in range(150)]
    for name, permissions in [("small", role[:1]), ("medium", role[:20]), ("large", role)]:
        done(fresh, "PUT", f"/v1/admin/roles/{name}", {"permissions": permissions})
        done(fresh, "PUT", f"/v1/admin/users/bob/roles/{name}")
        done(fresh, "DELETE", f"/v1/admin/users/bob/roles/{name}")
        done(fresh, "DELETE", f"/v1/admin/roles/{name}")
    done(bob, "PUT", "/v1/me/password", {"old_password": PASSWORD, "new_password": OTHER_PASSWORD})
    done(fresh, "PUT", "/v1/admin/users/bob/password", {"password": PASSWORD})
    bob.log_in("bob", PASSWORD)
    done(bob, "POST", "/v1/logout/all")
    for number in range(60):
        body = {"login": f"guest{number}", "password": PASSWORD, "name": "Guest", "surname": "Guest"}
        done(fresh, "POST", "/v1/admin/users", body, 201)
    done(fresh, "POST", "/v1/admin/users/bob/logout")
    done(fresh, "POST", "/v1/admin/users/mallory/disable")
    assert users["mallory"].call("GET", "/v1/me").status_code == 401
    done(fresh, "POST", "/v1/admin/users/mallory/enable")
    users["mallory"].log_in("mallory", PASSWORD)
    done(fresh, "DELETE", "/v1/admin/users/bob")
    for number in range(60):
        done(fresh, "DELETE", f"/v1/admin/users/guest{number}")
    delete_by_every_way(instance, users["mallory"])
    # Last, because it ends the tokens of those who write.
    done(fresh, "POST", f"/v1/admin/keys/{idle}/retire")


def listed(api: Api, limit: int) -> list[str]:
    answer = api.call("GET", f"/v1/kv?limit={limit}&keys_only=true")
    assert answer.status_code == 200, answer.text
    return answer.json()["keys"]


def delete_by_every_way(instance, api: Api) -> None:
    """Deletes pairs, while others go on writing."""
    keys = listed(api, 400)
    assert len(keys) == 400
    one, many, stepped, called = keys[:100], keys[100:200], keys[200:300], keys[300:]
    for key in one:
        answer = api.call("DELETE", f"/v1/kv/{key.replace('/', '%2F')}")
        assert answer.status_code == 200, answer.text
    for body, path in [
        ({"keys": many}, "/v1/batch/delete"),
        ({"success": [{"op": "delete", "key": key} for key in stepped]}, "/v1/txn"),
    ]:
        answer = api.call("POST", path, body)
        assert answer.status_code == 200, answer.text
    iproto = IprotoTransport(instance)
    for key in called:
        seen = iproto.do("pair_delete", api.token, key)
        assert seen.value["deleted"], seen
    iproto.close()


@pytest.mark.parametrize("kind", SIZES)
def test_a_full_store_is_defended(start, kind):
    instance = start()
    _, users, sessions = people_of(instance, "mallory", "eve", "bob")
    with filled(instance, users, SIZES[kind]) as flood:
        assert sum(flood.written) > 20
        defend(instance, users, sessions)
        defended = Api(instance)
        defended.log_in("admin", ADMIN_PASSWORD)
        assert defended.call("DELETE", "/v1/admin/users/mallory").status_code == 200
        wait_until(lambda: users["mallory"].call("GET", "/v1/me").status_code == 401, "mallory is gone", 5)
    eve = users["eve"]
    eve.log_in("eve", PASSWORD)
    while keys := listed(eve, 1000):
        assert eve.call("POST", "/v1/batch/delete", {"keys": keys}).status_code == 200
    wait_until(lambda: eve.call("PUT", "/v1/kv/free", b"1").status_code == 201, "pairs are taken again", 10)
    stranger = {"login": "stranger", "password": PASSWORD, "name": "Some", "surname": "Body"}
    assert Api(instance).call("POST", "/v1/users", stranger).status_code == 201


def test_an_administrator_adds_users_where_strangers_cannot(start):
    """Strangers fill memory by registering; what is left is not theirs."""
    instance = start()
    admin, users, _ = people_of(instance, "mallory", "eve")
    body = {"password": PASSWORD, "name": "Some", "surname": "Body"}
    with filled(instance, users, SIZES["all"]):
        refused = 0
        for number in range(5000):
            answer = Api(instance).call("POST", "/v1/users", body | {"login": f"s{number}"})
            refused = refused + 1 if answer.status_code == FULL else 0
            if refused == 20:
                break
        assert refused == 20, "strangers can register for ever"
        for number in range(30):
            answer = admin.call("POST", "/v1/admin/users", body | {"login": f"new{number}"})
            assert answer.status_code == 201, answer.text


def test_failed_logins_are_counted_though_memory_is_full(start):
    instance = start()
    admin, users, _ = people_of(instance, "mallory", "eve")
    with filled(instance, users, SIZES["all"]):
        pass
    # An administrator's changes take of the reserve, until it is no longer whole.
    permissions = [{"prefix": f"some/longer/prefix/of/keys/{n}/", "read": True, "write": True} for n in range(150)]
    for number in range(5000):
        if SHORT in instance.log().rpartition(ENOUGH)[2]:
            break
        answer = admin.call("PUT", f"/v1/admin/roles/role{number}", {"permissions": permissions})
        assert answer.status_code == 200, answer.text
    # Nothing frees memory any more, and neither this login nor this address has a count yet.
    answers = [Api(instance).call("POST", "/v1/login", {"login": "nobody", "password": "Wr0ng-password!"}) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {401, 429}
    assert "failed logins cannot be written (storage_full)" in instance.log()


@pytest.mark.parametrize("reserve", ["-1", "16777217", "much"])
def test_a_reserve_beyond_half_of_memory_stops_the_start(make, reserve):
    said = make(AUTHKV_MEMTX_MEMORY="33554432", AUTHKV_MEMTX_RESERVE=reserve).refuse_to_start()
    assert "AUTHKV_MEMTX_RESERVE" in said and "16777216" in said
