"""Each setting that `authkv.reload` changes is in force afterwards, and out of force once it is taken back; the others are
named with what they need."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass

import pytest
import requests
from h2.events import RemoteSettingsChanged, ResponseReceived

from support import harness
from support.contract import GOOD
from support.harness import CHEAP_HASHES, DEADLINE, HOST, Instance, free_port, wait_until
from support.http2 import Client as Http2
from support.load import Load
from support.outcome import Ok
from support.people import fresh
from support.quorum import lose_quorum, make_synchronous, regain_quorum
from support.split import auth_settings, kv_settings, log_in
from support.sse import Stream
from support.tls import Authority, Secured
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport, bearer


class Site:
    """An instance, and what the observations need of it."""

    def __init__(self, instance: Instance, directory):
        self.instance = instance
        self.console = ConsoleTransport(instance)
        self.authority = Authority(directory)
        self.cert, self.key = self.authority.issue("server")
        self.port, self.socket = free_port(), directory / "http.sock"
        self.token = self.user()[1]

    def lua(self, code: str):
        """The first value that a line of Lua returns."""
        found = self.console.evaluate(f"return {code}")
        return found[0] if found else None

    def reload(self, changes: dict) -> dict:
        listed = ", ".join(f"{name} = {'box.NULL' if value is None else repr(str(value))}" for name, value in changes.items())
        found = self.console.evaluate(f"return authkv.reload{{{listed}}}")
        assert isinstance(found[0], dict) and "applied" in found[0], found
        return found[0]

    def error(self, call: str) -> str | None:
        """The name of the error of a call of the console."""
        return self.lua(f"(function(found, err) return found == nil and err.name or 'none' end)({call})")

    def register(self, password: str = GOOD, name: str | None = None) -> str | None:
        login = name or fresh("user")
        user = f"{{login = '{login}', password = '{password}', name = 'Name', surname = 'Surname'}}"
        return self.error(f"authkv.register{user}")

    def user(self) -> tuple[str, str]:
        """The login and a token of a new user."""
        login = fresh("user")
        assert self.register(name=login) == "none"
        return login, self.lua(f"authkv.login('{login}', '{GOOD}').token")

    def hash(self) -> str:
        """The hash of a new password."""
        login, _ = self.user()
        found = f"local text = tostring(tuple) if text:find('{login}', 1, true) then return text end"
        return self.lua(f"(function() for _, tuple in box.space.user:pairs() do {found} end end)()")

    def marked(self, code: str = "") -> str:
        """What the log has got while this code ran."""
        mark, end = fresh("begin"), fresh("end")
        self.console.evaluate(f"require('log').error('{mark}') {code} require('log').error('{end}')")
        return wait_until(lambda: re.search(f"{mark}(.*?){end}", self.instance.log(), re.DOTALL), "the log has the line")[1]

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.instance.url + path, headers=headers, timeout=DEADLINE)

    def told(self, status: str, name: str) -> str:
        """What the document says of an error."""
        content = self.get("/openapi.json").json()["paths"]["/v1/login"]["post"]["responses"][status]["content"]
        return content["application/problem+json"]["examples"][name]["value"]["detail"]

    def connect(self) -> socket.socket:
        return socket.create_connection((HOST, self.instance.http_port), DEADLINE)


@dataclass
class Case:
    """`changes` are made, then `seen` gives true, which it does not before and after. `once`: what is seen before would take
    as long as the old limit."""

    changes: dict | Callable[[Site], dict]
    seen: Callable[[Site], object]
    once: bool = False


def expires(site: Site) -> bool:
    """Whether a token ends at once with its time."""
    site.reload({"TOKEN_TTL": 1})
    token = site.lua(f"authkv.login('admin', '{harness.ADMIN_PASSWORD}').token")
    site.reload({"TOKEN_TTL": None})
    end = time.time() + 2
    wait_until(lambda: time.time() > end, "the token has expired")
    return site.console.check(token) == Ok(False)


def ends_the_older(site: Site) -> bool:
    login, _ = site.user()
    first, _ = (site.lua(f"authkv.session.login('{login}', '{GOOD}').access_token") for _ in range(2))
    return site.console.check(first) == Ok(False)


def has_no_grace(site: Site) -> bool:
    login, _ = site.user()
    token = site.lua(f"authkv.session.login('{login}', '{GOOD}').refresh_token")
    uses = [site.error(f"authkv.session.refresh('{token}')") for _ in range(2)]
    return uses == ["none", "invalid_refresh_token"]


def is_closed(site: Site) -> bool:
    with closing(HttpTransport(site.instance)) as http_:
        return http_.register(fresh("user"), GOOD, "Name", "Surname") != Ok()


def requests_of_a_user(site: Site) -> list[str]:
    """The errors of three requests of a new user."""
    _, token = site.user()
    return [site.error(f"authkv.as('{token}').me()") for _ in range(3)]


def registrations(site: Site) -> list[int]:
    """The statuses of two registrations over HTTP."""
    users = [{"login": fresh("user"), "password": GOOD, "name": "Name", "surname": "Surname"} for _ in range(2)]
    return [requests.post(f"{site.instance.url}/v1/users", json=user, timeout=DEADLINE).status_code for user in users]


def failures(site: Site, count: int) -> str:
    """The error of a right login after so many wrong ones."""
    login, _ = site.user()
    for _ in range(count):
        site.error(f"authkv.login('{login}', 'Wr0ng-password')")
    return site.error(f"authkv.login('{login}', '{GOOD}')")


def counts_for_the_address(site: Site) -> bool:
    http_ = HttpTransport(site.instance)
    statuses = [http_.request("POST", "/api/login/", {"login": f"nobody{n}", "password": "Wr0ng-password"}).status for n in range(7)]
    http_.close()
    return 429 in statuses


def held(site: Site) -> Http2:
    """A client of HTTP/2 that has asked for an answer and takes nothing of it."""
    http2 = Http2(site, window=1)
    http2.ask("/api/read/", {"keys": ["held"]}, site.token)
    return http2


def hold(site: Site, **changes) -> dict:
    assert site.lua("authkv.put{['held'] = ('x'):rep(20000)} ~= nil")
    return secured(site, **changes)


def ends_in_time(site: Site) -> bool:
    """Whether a stop of HTTP waits no longer for an answer that nobody takes."""
    with closing(held(site)) as http2:
        http2.until(ResponseReceived)
        stopped = site.lua("authkv.http.stop()")
    site.console.evaluate("return authkv.http.start()")
    # With the old limit, the console would not have answered in time.
    return stopped is not None


def is_dropped(site: Site) -> bool:
    """Whether a connection ends whose answer nobody takes."""
    with closing(held(site)) as http2, suppress(OSError):
        while http2.socket.recv(1 << 16):
            pass
    return True


def second_watch(site: Site) -> int:
    with closing(Stream(site.instance, site.token)), closing(Stream(site.instance, site.token, ready=False)) as second:
        return second.response.status


def second_connection(site: Site) -> int:
    with site.connect() as first:
        first.sendall(b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.recv(12) == b"HTTP/1.1 200"
        with suppress(OSError, http.client.HTTPException):
            return site.get("/docs").status_code
        return 0


def has_ended(site: Site) -> bool:
    with site.connect() as idle:
        idle.sendall(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        while idle.recv(1 << 16):
            pass
    return True


def large_body(site: Site) -> int:
    body = {"keys": ["x" * (2 << 20)]}
    return requests.post(f"{site.instance.url}/api/read/", json=body, headers=bearer(site.token), timeout=DEADLINE).status_code


def secured(site: Site, **more) -> dict:
    address = f"{HOST}:{site.instance.http_port},https://{HOST}:{site.port}"
    return {"HTTP_LISTEN": address, "HTTP_TLS_CERT_FILE": site.cert, "HTTP_TLS_KEY_FILE": site.key, **more}


def over_tls(site: Site, **options) -> bool:
    try:
        url = f"https://{HOST}:{site.port}/api/check/"
        return requests.post(url, json={"authorization": "x"}, verify=str(site.authority.file), timeout=DEADLINE, **options).ok
    except requests.exceptions.RequestException:
        return False


def snapshots(site: Site) -> int:
    return len(list(site.instance.data_dir.glob("*.snap")))


def makes_a_snapshot(site: Site) -> bool:
    before = snapshots(site)
    site.lua(f"authkv.put{{['{fresh('k')}'] = 1}}")
    return wait_until(lambda: snapshots(site) != before, "a snapshot is made") is True


CASES = {
    # What the users notice.
    "REGISTRATION": Case({"REGISTRATION": "admin"}, is_closed),
    "DEFAULT_ROLE": Case({"DEFAULT_ROLE": "off"}, lambda s: s.error(f"authkv.as('{s.user()[1]}').get{{'a'}}") == "forbidden"),
    "PASSWORD_MIN": Case({"PASSWORD_MIN": 12}, lambda s: s.register() == "bad_password"),
    "PASSWORD_MAX": Case({"PASSWORD_MAX": 16}, lambda s: s.register("Longer-Passw0rd!!") == "bad_password"),
    "PASSWORD_CLASSES": Case({"PASSWORD_CLASSES": "none"}, lambda s: s.register("qjxzvkwpqoplm") == "none"),
    "LOGIN_FAILURES": Case({"LOGIN_FAILURES": 1}, lambda s: failures(s, 4) == "too_many_attempts"),
    "LOGIN_DELAY_MAX": Case({"LOGIN_DELAY_MAX": 0}, lambda s: failures(s, 7) == "none"),
    "LOGIN_DELAY_EXEMPT": Case({"LOGIN_DELAY_EXEMPT": "none"}, counts_for_the_address),
    "USERS_MAX": Case({"USERS_MAX": 1}, is_closed),
    "REQUESTS_PER_ADDRESS": Case(
        {"REQUESTS_PER_ADDRESS": "1/86400", "LOGIN_DELAY_EXEMPT": "none"}, lambda s: 429 in [s.get("/docs").status_code for _ in range(2)]
    ),
    "REQUESTS_PER_USER": Case({"REQUESTS_PER_USER": "2/86400"}, lambda s: "too_many_requests" in requests_of_a_user(s)),
    "REGISTRATIONS_PER_ADDRESS": Case(
        {"REGISTRATIONS_PER_ADDRESS": "1/86400", "LOGIN_DELAY_EXEMPT": "none"}, lambda s: 429 in registrations(s)
    ),
    # Tokens and keys.
    "TOKEN_TTL": Case({"TOKEN_TTL": 77}, lambda s: s.lua(f"authkv.login('admin', '{harness.ADMIN_PASSWORD}').expires_in") == 77),
    "TOKEN_LEEWAY": Case({"TOKEN_LEEWAY": 0}, expires),
    "REFRESH_TTL": Case(
        {"REFRESH_TTL": 99}, lambda s: s.lua(f"authkv.session.login('admin', '{harness.ADMIN_PASSWORD}').refresh_expires_in") == 99
    ),
    "REFRESH_GRACE": Case({"REFRESH_GRACE": 0}, has_no_grace),
    "SESSIONS_MAX": Case({"SESSIONS_MAX": 1}, ends_the_older),
    "TOKEN_ALGORITHM": Case({"TOKEN_ALGORITHM": "EdDSA"}, lambda s: s.lua("authkv.keys.rotate{publish = 0}.alg") == "EdDSA"),
    "KEY_PUBLISH": Case({"KEY_PUBLISH": 5000}, lambda s: s.lua("authkv.keys.rotate{}.signs_from > os.time() + 4000")),
    # Limits.
    "BATCH_MAX": Case({"BATCH_MAX": 2}, lambda s: s.error("authkv.get{'a', 'b', 'c'}") == "too_many_keys"),
    "KEY_MAX": Case({"KEY_MAX": 5}, lambda s: s.error("authkv.put{['123456'] = 1}") == "bad_key"),
    "JSON_DEPTH_MAX": Case({"JSON_DEPTH_MAX": 2}, lambda s: s.error("authkv.put{['deep'] = {{{{{1}}}}}}") not in ("none", "missing_keys")),
    "KV_INPUT_MAX": Case({"KV_INPUT_MAX": 1024}, lambda s: s.error("authkv.put{['large'] = ('x'):rep(2000)}") == "input_too_large"),
    "AUTH_INPUT_MAX": Case({"AUTH_INPUT_MAX": 1024}, lambda s: s.error("authkv.login('x', ('x'):rep(2000))") == "input_too_large"),
    "REPLY_MAX": Case(
        {"REPLY_MAX": 1024},
        lambda s: (s.lua("authkv.put{['reply'] = ('x'):rep(2000)} ~= nil"), s.error("authkv.get{'reply'}"))[1] == "reply_too_large",
    ),
    "WATCH_MAX": Case({"WATCH_MAX": 1}, lambda s: second_watch(s) == 503),
    # Hashes.
    "ARGON2_MEMORY": Case({"ARGON2_MEMORY": 128}, lambda s: "$m=128,t=1,p=1$" in s.hash()),
    "ARGON2_ITERATIONS": Case({"ARGON2_ITERATIONS": 3}, lambda s: "$m=64,t=3,p=1$" in s.hash()),
    "ARGON2_PARALLELISM": Case({"ARGON2_PARALLELISM": 2}, lambda s: "$m=64,t=1,p=2$" in s.hash()),
    # The log.
    "AUDIT_LOG": Case(
        {"AUDIT_LOG": "off"},
        lambda s: (
            "auth_register"
            not in s.marked(f"authkv.register{{login = '{fresh('audit')}', password = '{GOOD}', name = 'N', surname = 'S'}}")
        ),
    ),
    "LOG_LEVEL": Case({"LOG_LEVEL": "debug"}, lambda s: "a debug line" in s.marked("require('log').debug('a debug line')")),
    "LOG_FORMAT": Case({"LOG_FORMAT": "json"}, lambda s: '"message":' in s.marked("require('log').error('x')").replace(" ", "")),
    # Tarantool.
    "CONSISTENCY": Case({"CONSISTENCY": "linearizable"}, lambda s: s.error("authkv.get{'a'}") == "consistency_unavailable"),
    "READ_ONLY": Case({"READ_ONLY": "true"}, lambda s: s.error(f"authkv.put{{['{fresh('k')}'] = 1}}") == "read_only"),
    "CHECKPOINT_INTERVAL": Case({"CHECKPOINT_INTERVAL": 1}, makes_a_snapshot, once=True),
    "CHECKPOINT_COUNT": Case({"CHECKPOINT_COUNT": 7}, lambda s: s.lua("box.cfg.checkpoint_count") == 7),
    "CHECKPOINT_WAL_THRESHOLD": Case(
        {"CHECKPOINT_WAL_THRESHOLD": 1 << 20}, lambda s: s.lua("tonumber(box.cfg.checkpoint_wal_threshold)") == 1 << 20
    ),
    "SHUTDOWN_TIMEOUT": Case(lambda s: hold(s, SHUTDOWN_TIMEOUT=1), ends_in_time, once=True),
    # HTTP.
    "HTTP_LISTEN": Case(lambda s: {"HTTP_LISTEN": f"{HOST}:{s.instance.http_port},unix:{s.socket}"}, lambda s: s.socket.exists()),
    "HTTP_WORKERS": Case({"HTTP_WORKERS": 7}, lambda s: len([t for t in s.instance.threads() if "http" in t]) >= 7),
    "HTTP_HEADER_TIMEOUT": Case({"HTTP_HEADER_TIMEOUT": 3217}, lambda s: "3217" in s.told("408", "header_timeout")),
    "HTTP_BODY_TIMEOUT": Case({"HTTP_BODY_TIMEOUT": 3218}, lambda s: "3218" in s.told("408", "body_timeout")),
    "HTTP_HEADER_MAX": Case({"HTTP_HEADER_MAX": 1024}, lambda s: s.get("/docs", X="x" * 2000).status_code == 431),
    "HTTP_REQUESTS_MAX": Case({"HTTP_REQUESTS_MAX": 3219}, lambda s: "3219" in s.told("503", "overloaded")),
    "HTTP_CONNECTIONS_PER_ADDRESS": Case({"HTTP_CONNECTIONS_PER_ADDRESS": 1}, lambda s: second_connection(s) == 429),
    "HTTP_CONNECTIONS_MAX": Case({"HTTP_CONNECTIONS_MAX": 1}, lambda s: second_connection(s) == 503),
    "HTTP_IDLE_TIMEOUT": Case({"HTTP_IDLE_TIMEOUT": 1}, has_ended, once=True),
    "HTTP_WRITE_TIMEOUT": Case(lambda s: hold(s, HTTP_WRITE_TIMEOUT=1), is_dropped, once=True),
    "HTTP_MEMORY_MAX": Case({"HTTP_MEMORY_MAX": 1 << 20}, lambda s: large_body(s) == 503),
    "HTTP_CORS_ORIGINS": Case(
        {"HTTP_CORS_ORIGINS": "*"}, lambda s: "Access-Control-Allow-Origin" in s.get("/v1/me", Origin="https://a.example").headers
    ),
    "HTTP_COMPRESSION": Case({"HTTP_COMPRESSION": "off"}, lambda s: not is_compressed(s)),
    "HTTP_SERVER": Case({"HTTP_SERVER": "mine"}, lambda s: s.get("/docs").headers.get("Server") == "mine"),
    "HTTP_ADMIN_LISTEN": Case(lambda s: {"HTTP_ADMIN_LISTEN": f"unix:{s.socket}"}, lambda s: s.socket.exists()),
    "HTTP_HEALTH": Case({"HTTP_HEALTH": "on"}, lambda s: s.get("/livez").status_code == 200),
    "HTTP_DOCS": Case({"HTTP_DOCS": "off"}, lambda s: s.get("/docs").status_code == 404),
    "HTTP_ACCESS_LOG": Case({"HTTP_ACCESS_LOG": "off"}, lambda s: not logged(s)),
    "HTTP_TRUSTED_PROXIES and HTTP_FORWARDED_HEADER": Case(
        {"HTTP_TRUSTED_PROXIES": "127.0.0.0/8", "HTTP_FORWARDED_HEADER": "x-forwarded-for"}, lambda s: logged(s).startswith("192.0.2.77 ")
    ),
    "HTTP_TLS_CERT_FILE and HTTP_TLS_KEY_FILE": Case(secured, over_tls),
    "HTTP_TLS_CLIENT_CA_FILE": Case(
        lambda s: secured(s, HTTP_TLS_CLIENT_CA_FILE=s.authority.file), lambda s: over_tls(s, cert=client(s)) and not over_tls(s)
    ),
    "HTTP_TLS_CLIENT_AUTH": Case(lambda s: secured(s, HTTP_TLS_CLIENT_CA_FILE=s.authority.file, HTTP_TLS_CLIENT_AUTH="optional"), over_tls),
    "HTTP_STREAMS_MAX": Case(lambda s: secured(s, HTTP_STREAMS_MAX=7), lambda s: streams(s) == 7),
    "HTTP_ENGINE": Case({"HTTP_ENGINE": "rock"}, lambda s: s.get("/api/nothing").headers.get("Server") == "authkv"),
}

# Observed by tests of their own, below.
ELSEWHERE = {"COMMIT_TIMEOUT", "FOLLOW_MAX_LAG"}


def client(site: Site) -> tuple[str, str]:
    return tuple(map(str, site.authority.issue("client", client=True)))


def is_compressed(site: Site) -> bool:
    assert site.lua("authkv.put{['long'] = ('x'):rep(4000)} ~= nil")
    headers = bearer(site.token) | {"Accept-Encoding": "gzip"}
    answer = requests.post(f"{site.instance.url}/api/read/", json={"keys": ["long"]}, headers=headers, timeout=DEADLINE)
    assert answer.ok, answer.text
    return "Content-Encoding" in answer.headers


def logged(site: Site) -> str:
    """The line of the access log of a request from behind a proxy, without the time before it."""
    number = fresh("id").replace("/", "-")
    site.get("/v1/me", **{"X-Request-Id": number, "X-Forwarded-For": "192.0.2.77"})
    # Lines come to the log in their order.
    site.marked()
    line = next((line for line in site.instance.log().splitlines() if number in line), "")
    return line.partition("I> ")[2]


def streams(site: Site) -> int | None:
    try:
        http2 = Http2(site)
    except OSError:
        return None
    with closing(http2):
        http2.until(RemoteSettingsChanged)
        return http2.h2.remote_settings.max_concurrent_streams


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    settings = {
        "AUTHKV_HTTP_ACCESS_LOG": "all",
        "AUTHKV_SHUTDOWN_TIMEOUT": "3600",
        "AUTHKV_HTTP_IDLE_TIMEOUT": "3600",
        "AUTHKV_HTTP_WRITE_TIMEOUT": "3600",
        "AUTHKV_CHECKPOINT_INTERVAL": "0",
    }
    with Instance(**CHEAP_HASHES, **settings) as instance:
        site = Site(instance, tmp_path_factory.mktemp("site"))
        yield site
        site.console.close()


@pytest.mark.parametrize("name", CASES)
def test_a_setting_is_in_force_after_a_reload(site, name):
    if name == "HTTP_ENGINE" and not harness.has_rock():
        pytest.skip(harness.NO_ROCK)
    case = CASES[name]
    changes = case.changes(site) if callable(case.changes) else case.changes
    assert case.once or not case.seen(site)
    told = site.reload(changes)
    assert (sorted(told["applied"]), told["needs_restart"], told["needs_process_restart"]) == (sorted(changes), [], [])
    try:
        assert case.seen(site)
    finally:
        told = site.reload(dict.fromkeys(changes))
    assert sorted(told["applied"]) == sorted(changes)
    if not case.once:
        # What the old settings have begun, as a thread, may take a moment to end.
        wait_until(lambda: not case.seen(site), f"{name} is as it was before")


def listed(console) -> dict[str, str]:
    """When each setting takes effect."""
    return {row[0]: row[3] for row in console.evaluate("return authkv.settings()")[0]}


def test_every_setting_that_a_reload_changes_is_observed(site):
    observed = {name for key in CASES for name in key.split(" and ")} | ELSEWHERE
    assert {name for name, effect in listed(site.console).items() if effect == "reload"} == observed


def test_the_lag_of_a_follower_changes_while_it_runs(make):
    auth = make(**auth_settings()).start()
    kv = make(**kv_settings(auth, AUTHKV_FOLLOW_MAX_LAG="86400")).start()
    http_, console = HttpTransport(auth), ConsoleTransport(kv)
    token = log_in(http_)
    reads = f"return (select(2, authkv.as('{token}').get{{'a'}}) or {{}}).name"
    wait_until(lambda: console.evaluate(reads) == ["missing_keys"], "the follower knows the user")
    http_.close()
    auth.kill()
    assert console.evaluate(reads) == ["missing_keys"]
    assert console.evaluate("return authkv.reload{FOLLOW_MAX_LAG = 1}.applied") == [["FOLLOW_MAX_LAG"]]
    wait_until(lambda: console.evaluate(reads) == ["revocations_unknown"], "the follower refuses tokens")
    console.evaluate("return authkv.reload{FOLLOW_MAX_LAG = box.NULL}")
    assert console.evaluate(reads) == ["missing_keys"]
    console.close()


def test_the_time_that_a_commit_may_take_changes_while_it_runs(make, visit):
    people = visit(make(AUTHKV_COMMIT_TIMEOUT="3600", **CHEAP_HASHES).start())
    token = people.new().access
    make_synchronous(people)
    lose_quorum(people)
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(people.do, "http", "pair_put", token, "k", 1)
        wait_until(lambda: people.console.evaluate("return box.space.key_value_store:count()") == [1], "the commit has begun")
        assert people.console.evaluate("return authkv.reload{COMMIT_TIMEOUT = 1}.applied") == [["COMMIT_TIMEOUT"]]
        assert written.result().name == "outcome_unknown"
    regain_quorum(people)


# Other values for what needs more than a reload. `LAYOUT` alone changes nothing once an instance runs.
OTHERS = {
    "SERVICES": "kv",
    "DATA_DIR": "/nowhere",
    "LAYOUT": "authorization_tarantool",
    "IPROTO_LISTEN": "127.0.0.1:1",
    "CONSOLE_LISTEN": "off",
    "CLIENT_PASSWORD": "S3cret-a",
    "FOLLOWER_PASSWORD": "S3cret-b",
    "FOLLOW": None,
    "MEMTX_MEMORY": "300000000",
    "MEMTX_RESERVE": "0",
    "WAL_MODE": "fsync",
    "WAL_DIR_RESCAN_DELAY": "5",
    "FORCE_RECOVERY": "true",
    "MEMTX_MAX_TUPLE_SIZE": "2000000",
    "PRIVATE_KEY_FILE": "/nowhere/a",
    "PUBLIC_KEY_FILE": "/nowhere/b",
    "TRUSTED_ISSUERS": "/nowhere/c",
    "PASSWORD_DENYLIST": "/nowhere/d",
    "TOKEN_ISSUER": "another",
    "TOKEN_AUDIENCE": "another",
    "TOKEN_CACHE": "5",
    "LOG": "/tmp/authkv.log",
    "QUEUE": "5",
    "WATCH_BUFFER": "65536",
    "CRYPTO_THREADS": "7",
    "CRYPTO_QUEUE": "7",
    "KV_QUOTAS": "tmp/:10:1000",
    "LOGIN_FORM": "email",
    "NAME_FORM": "unicode",
    "REPLICATION": "127.0.0.1:1,127.0.0.1:2",
    "REPLICATION_PASSWORD": "S3cret-c",
    "REPLICATION_TIMEOUT": "0.5",
    "ELECTION_MODE": "candidate",
    "SYNCHRONOUS": "true",
    "WRITES": "forward",
    "INSTANCE_NAME": "one",
    "ADVERTISE": "https://one.example",
}


def test_a_setting_that_needs_more_is_named_with_what_it_needs(site):
    effects = listed(site.console)
    fixed = {name for name, effect in effects.items() if effect != "reload"}
    # The password of admin only matters until that user exists.
    assert fixed == OTHERS.keys() | {"ADMIN_PASSWORD"}
    others = {name: value for name, value in OTHERS.items() if value is not None}
    told = site.reload(others)
    assert told == {
        "applied": [],
        "needs_restart": sorted(name for name in others if effects[name] == "restart"),
        "needs_process_restart": sorted(name for name in others if effects[name] == "process"),
    }
    shown = {row[0]: row[1:] for row in site.lua("authkv.config()")}
    assert shown["QUEUE"] == ["8192", "default", "waits for authkv.restart()"]
    assert shown["WAL_MODE"] == ["write", "default", "waits for a start of the process"]
    assert shown["CLIENT_PASSWORD"] == ["<set>", "environment", "waits for authkv.restart()"]
    log = site.instance.log()
    assert "QUEUE takes effect with authkv.restart()" in log and "WAL_MODE takes effect with the next start of the process" in log
    assert "S3cret" not in log + str(told) + str(shown)
    # All can be taken back.
    assert site.reload(dict.fromkeys(others)) == {"applied": [], "needs_restart": [], "needs_process_restart": []}


def test_a_restart_applies_what_waits_for_it_and_nothing_that_waits_for_the_process(make):
    instance = make().start()
    console = ConsoleTransport(instance)
    console.evaluate("return authkv.reload{QUEUE = 77, DATA_DIR = '/nowhere', MEMTX_MEMORY = 300000000}")
    console.evaluate("return authkv.restart() ~= nil")
    shown = {row[0]: row[1:] for row in console.evaluate("return authkv.config()")[0]}
    assert shown["QUEUE"] == ["77", "call"]
    assert shown["DATA_DIR"] == [str(instance.data_dir), "environment", "waits for a start of the process"]
    assert shown["MEMTX_MEMORY"] == ["268435456", "default", "waits for a start of the process"]
    console.close()


WRONG = {
    "a value": ({"TOKEN_TTL": "soon"}, "AUTHKV_TOKEN_TTL"),
    "a name": ({"TOKEN_TLL": 5}, "did you mean AUTHKV_TOKEN_TTL?"),
    "together": ({"ARGON2_PARALLELISM": 16, "ARGON2_MEMORY": 64}, "AUTHKV_ARGON2_MEMORY should be at least"),
    "with the audit log": ({"LOG_LEVEL": "error"}, "would leave out the audit log"),
    "an address": ({"HTTP_LISTEN": "192.0.2.1:80"}, "cannot listen on 192.0.2.1:80"),
    "a certificate": (
        {"HTTP_LISTEN": "https://127.0.0.1:1", "HTTP_TLS_CERT_FILE": "/nowhere", "HTTP_TLS_KEY_FILE": "/nowhere"},
        "/nowhere",
    ),
    "a password": ({"FOLLOWER_PASSWORD": "S3cret\\n"}, "AUTHKV_FOLLOWER_PASSWORD"),
}


@pytest.mark.parametrize("changes,part", WRONG.values(), ids=WRONG)
def test_what_is_wrong_changes_nothing(site, changes, part):
    right = {"KEY_MAX": 7, "HTTP_SERVER": "mine", "CHECKPOINT_COUNT": 9, "ARGON2_MEMORY": 256}
    before = site.lua("authkv.config()")
    listed_ = ", ".join(f"{name} = '{value}'" for name, value in (right | changes).items())
    ok, said = site.console.evaluate(f"return pcall(authkv.reload, {{{listed_}}})")
    assert ok is False and part in said and "S3cret" not in said + site.instance.log()
    assert site.lua("authkv.config()") == before
    assert site.lua("box.cfg.checkpoint_count") == 2
    assert site.error("authkv.get{'12345678'}") == "missing_keys"
    assert "Server" not in site.get("/docs").headers
    assert "$m=64,t=1,p=1$" in site.hash()


@pytest.mark.parametrize("value", ["{}", "print", "{'a', 'b'}"])
def test_a_value_that_is_no_text_is_refused(site, value):
    for call in ("reload", "check_settings"):
        ok, said = site.console.evaluate(f"return pcall(authkv.{call}, {{CLIENT_PASSWORD = {value}}})")
        assert ok is False and said.startswith("AUTHKV_CLIENT_PASSWORD should be a text, a number or a boolean, not a "), said
    # Null is no value, and not a text either.
    assert site.lua("authkv.check_settings{CLIENT_PASSWORD = box.NULL}.client_password == ''") is True


def test_a_start_follows_a_stop_that_came_during_a_reload(make):
    instance = make(**CHEAP_HASHES).start()
    console = ConsoleTransport(instance)
    # Its first hash takes a while, in which the stop comes and ends.
    console.evaluate("require('fiber').new(function() done = {pcall(authkv.reload, {ARGON2_MEMORY = 65536, ARGON2_ITERATIONS = 60})} end)")
    console.evaluate("require('fiber').yield() assert(done == nil) authkv.stop()")
    done = wait_until(lambda: console.evaluate("return done")[0], "the reload has ended")
    assert done == [False, "authkv was stopped during the reload"]
    settings = f"HTTP_LISTEN = '{HOST}:{instance.http_port}', DATA_DIR = '{instance.data_dir}', ARGON2_MEMORY = 64"
    (told,) = console.evaluate(f"return authkv.start{{{settings}}}")
    assert told.get("http") and not told.get("already_started"), told
    with closing(HttpTransport(instance)) as http_:
        assert http_.request("GET", "/docs").status == 200
    console.close()


@pytest.mark.parametrize("wrong", ["5", "'TOKEN_TTL'", "{5}", "{[{}] = 1}"])
def test_a_call_of_another_form_says_what_it_takes(site, wrong):
    ok, said = site.console.evaluate(f"return pcall(authkv.reload, {wrong})")
    assert ok is False and "usage: authkv.reload" in said


def test_a_reload_under_load_loses_no_request(site):
    """Neither for what is in force at once nor with a new HTTP server."""
    with (
        Load(site.instance, [HttpTransport] * 3 + [IprotoTransport], site.token) as load,
        closing(Stream(site.instance, site.token)) as stream,
    ):
        for number in range(20):
            changes = {"TOKEN_TTL": 600 + number, "KEY_MAX": 900 + number, "CHECKPOINT_COUNT": 3 + number}
            assert len(site.reload(changes)["applied"]) == 3
            load.advance()
        # A watch goes on.
        assert stream.event() is not None
        for number in range(20):
            assert site.reload({"HTTP_SERVER": f"number {number}"})["applied"] == ["HTTP_SERVER"]
            load.advance()
    assert load.wrong == []
    site.reload(dict.fromkeys(["TOKEN_TTL", "KEY_MAX", "CHECKPOINT_COUNT", "HTTP_SERVER"]))


def test_a_reload_reads_the_file_and_the_secrets_again(make, tmp_path):
    path, secret = tmp_path / "authkv.yml", tmp_path / "secret"
    secret.write_text("S3cret-first")
    path.write_text("TOKEN_TTL: 60\nWAL_MODE: write\n")
    path.chmod(0o600)
    instance = make(
        AUTHKV_CONFIG=str(path), AUTHKV_CLIENT_PASSWORD=None, AUTHKV_CLIENT_PASSWORD_FILE=str(secret), AUTHKV_KEY_MAX="80"
    ).start()
    console = ConsoleTransport(instance)
    nothing = {"applied": [], "needs_restart": [], "needs_process_restart": []}
    assert console.evaluate("return authkv.reload()") == [nothing]
    path.write_text("TOKEN_TTL: 61\nWAL_MODE: fsync\nKEY_MAX: 90\nQUEUE: 99\n")
    secret.write_text("S3cret-second")
    expected = {"applied": ["TOKEN_TTL"], "needs_restart": ["CLIENT_PASSWORD", "QUEUE"], "needs_process_restart": ["WAL_MODE"]}
    assert console.evaluate("return authkv.reload()") == [expected]
    shown = {row[0]: row[1:] for row in console.evaluate("return authkv.config()")[0]}
    assert shown["TOKEN_TTL"] == ["61", f"file {path}"] and shown["KEY_MAX"] == ["80", "environment"]
    assert shown["CLIENT_PASSWORD"] == ["<set>", f"secret file {secret}", "waits for authkv.restart()"]
    # The environment has the name, so the file does not count; a call goes over both, until it is taken back.
    assert console.evaluate("return authkv.reload{KEY_MAX = 85, TOKEN_TTL = 62}.applied") == [["KEY_MAX", "TOKEN_TTL"]]
    path.write_text("TOKEN_TTL: 63\n")
    assert console.evaluate("return authkv.reload().applied") == [[]]
    assert console.evaluate("return authkv.reload{KEY_MAX = box.NULL, TOKEN_TTL = box.NULL}.applied") == [["KEY_MAX", "TOKEN_TTL"]]
    shown = {row[0]: row[1:] for row in console.evaluate("return authkv.config()")[0]}
    assert shown["TOKEN_TTL"] == ["63", f"file {path}"] and shown["KEY_MAX"] == ["80", "environment"]
    # What is wrong in the file changes nothing.
    path.write_text("TOKEN_TTL: S3cret: x\n")
    ok, said = console.evaluate("return pcall(authkv.reload)")
    assert ok is False and str(path) in said and "line 1" in said
    assert console.evaluate("return authkv.config()")[0] == [[name, *row] for name, row in shown.items()]
    assert "S3cret" not in instance.log() + said
    # The new password counts after the restart.
    path.write_text("")
    console.evaluate("return authkv.restart() ~= nil")
    iproto = IprotoTransport(instance, password="S3cret-second")
    iproto.close()
    console.close()


def test_a_reload_reads_certificates_again(tmp_path):
    secured_ = Secured(tmp_path)
    with secured_.instance as instance:
        console = ConsoleTransport(instance)

        def serial() -> str:
            with (
                socket.create_connection((HOST, secured_.port), DEADLINE) as plain,
                ssl._create_unverified_context().wrap_socket(plain) as tls,
            ):
                return tls.getpeercert(binary_form=True)

        before = serial()
        secured_.authority.issue("server")
        assert serial() == before
        console.evaluate("return authkv.reload()")
        assert serial() != before
        before = serial()
        secured_.key.write_text("nothing")
        ok, said = console.evaluate("return pcall(authkv.reload)")
        assert ok is False and str(secured_.key) in said
        assert serial() == before
        console.close()
