"""`/metrics`, `/v1/admin/metrics` and `authkv.metrics()`: each metric moves by what was done, and by nothing else."""

from __future__ import annotations

import random
import re
import shutil
import string
import subprocess

import pytest

from support import harness
from support.harness import ROOT, wait_until
from support.http2 import Client
from support.lua import lua
from support.metrics import NAMES, Counted, Measured, read_text, read_told, series
from support.people import PASSWORD, People
from support.sse import Stream
from support.tls import Secured
from support.transports import ConsoleTransport, HttpTransport, RockTransport, bearer

OPEN_METRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture(scope="module")
def instance():
    with Measured() as running:
        yield running


@pytest.fixture
def counted(people) -> Counted:
    return Counted(people.console)


def only(**labels: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(labels.items()))


def test_a_request_is_counted_by_route_method_and_status(people, token, counted):
    http = people.http
    assert http.request("PUT", "/v1/kv/a%2Fb", b'"a value"', bearer(token) | {"Content-Type": "application/json"}).status == 201
    for _ in range(3):
        assert http.request("GET", "/v1/kv/a%2Fb", headers=bearer(token)).status == 200
    assert http.request("GET", "/v1/kv/none", headers=bearer(token)).status == 404
    assert http.request("GET", "/v1/kv/none").status == 401
    assert http.request("PATCH", "/v1/kv/none").status == 405
    assert http.request("GET", "/nowhere").status == 404
    route = "/v1/kv/{key}"
    assert counted.since("authkv_http_requests_total") == {
        only(route=route, method="PUT", status="201"): 1,
        only(route=route, method="GET", status="200"): 3,
        only(route=route, method="GET", status="404"): 1,
        only(route=route, method="GET", status="401"): 1,
        only(route=route, method="PATCH", status="405"): 1,
        only(route="-", method="GET", status="404"): 1,
    }
    assert counted.since("authkv_http_request_duration_seconds_count") == {
        only(route=route, method="PUT"): 1,
        only(route=route, method="GET"): 5,
        only(route=route, method="PATCH"): 1,
        only(route="-", method="GET"): 1,
    }
    assert counted.since("authkv_http_request_body_bytes_total") == {only(route=route): 9}
    assert counted.since("authkv_http_response_body_bytes_total")[only(route=route)] > 3 * 9
    assert all(seconds > 0 for seconds in counted.since("authkv_http_request_duration_seconds_sum").values())


def test_an_operation_is_counted_by_transport_and_result(people, token, counted):
    for transport in ("http", "iproto", "console"):
        people.do(transport, "pair_put", token, "counted", 1)
        people.do(transport, "pair_get", token, "no such key")
        people.do(transport, "pair_get", "no-token", "counted")
    operations = counted.since("authkv_operations_total")
    expected = {}
    for transport in ("http", "iproto", "console"):
        expected |= {
            only(transport=transport, operation="pair_put", result="ok"): 1,
            only(transport=transport, operation="pair_get", result="no_such_key"): 1,
            only(transport=transport, operation="pair_get", result="unauthenticated"): 1,
        }
    # The call that this test has made before.
    expected[only(transport="console", operation="server_metrics", result="ok")] = 1
    assert operations == expected
    times = counted.since("authkv_operation_duration_seconds_count")
    assert times[only(operation="pair_put")] == 3 and times[only(operation="pair_get")] == 6


def test_a_call_that_is_malformed_is_counted_too(people, counted):
    iproto = people.transport("iproto")
    assert iproto.do("pair_get", "t", 7).name == "malformed"
    assert counted.since("authkv_operations_total")[only(transport="iproto", operation="pair_get", result="malformed")] == 1


def test_the_keys_of_a_batch_are_counted(people, token, counted):
    for keys in (1, 3, 40):
        people.do("http", "batch_get", token, [f"key{i}" for i in range(keys)])
    people.do("iproto", "batch_put", token, [{"key": f"key{i}", "value": i} for i in range(4)])
    assert counted.since("authkv_batch_keys_count") == {only(operation="batch_get"): 3, only(operation="batch_put"): 1}
    assert counted.since("authkv_batch_keys_sum") == {only(operation="batch_get"): 44, only(operation="batch_put"): 4}
    buckets = counted.since("authkv_batch_keys_bucket")
    assert [buckets.get(only(operation="batch_get", le=le), 0) for le in ("1", "2", "5", "20", "50", "+Inf")] == [1, 1, 2, 2, 3, 3]


def test_waits_are_counted_by_lane(people, token, counted):
    people.do("http", "pair_get", token, "a")
    people.do("http", "pair_put", token, "a", 1)
    people.do("http", "kv_list", token, {})
    people.do("http", "session_login", "nobody", PASSWORD)
    assert counted.since("authkv_queue_wait_seconds_count") == {
        only(lane="inline"): 1,
        only(lane="commit"): 1,
        only(lane="scan"): 1,
        only(lane="crypto"): 1,
    }


def test_transactions_and_rows_are_counted(people, token, counted):
    for key in range(5):
        people.do("iproto", "pair_put", token, f"row{key}", 1)
    committed = counted.since("authkv_transactions_total")
    assert committed == {only(result="committed"): 5}
    # A pair, and the number of its revision.
    assert counted.since("authkv_wal_rows_total")[()] >= 5
    # One after the other, so each was the only one of its turn.
    assert counted.since("authkv_commit_batch_transactions_count") == {(): 5}
    assert counted.since("authkv_commit_batch_transactions_sum") == {(): 5}


def test_commits_that_share_a_write_are_one_batch(people, token, counted):
    # Fibers that begin in one turn, so that their commits go to the log of writes together.
    people.console.evaluate(
        f"local fiber, user, fibers = require('fiber'), authkv.as({lua(token)}), {{}} "
        "for i = 1, 10 do fibers[i] = fiber.new(function() assert(user.pair.put('together' .. i, 1)) end) fibers[i]:set_joinable(true) end "
        "for i = 1, 10 do fibers[i]:join() end return true"
    )
    assert counted.since("authkv_transactions_total") == {only(result="committed"): 10}
    assert counted.since("authkv_commit_batch_transactions_sum") == {(): 10}
    assert counted.since("authkv_commit_batch_transactions_count")[()] < 10


def test_logins_delays_and_revocations_are_counted(make):
    instance = make(**harness.CHEAP_HASHES, AUTHKV_LOGIN_FAILURES="3").start()
    people = People(instance)
    person = people.new()
    counted = Counted(people.console)
    people.do("http", "session_login", person.login, PASSWORD)
    for _ in range(3):
        assert people.do("http", "session_login", "nobody", PASSWORD).name == "invalid_credentials"
    assert counted.since("authkv_login_delays_total") == {(): 1}
    refused = people.do("http", "session_login", "nobody", PASSWORD).name
    logins = {dict(labels)["result"]: more for labels, more in counted.since("authkv_logins_total").items()}
    # On a slow machine the delay of a second may be over.
    more = {"delayed": 1} if refused == "too_many_attempts" else {"refused": 1}
    assert logins == {"succeeded": 1, "refused": 3 + more.get("refused", 0)} | ({"delayed": 1} if "delayed" in more else {})
    people.do("http", "auth_logout", person.access)
    people.do("http", "session_logout_all", person.log_in()["access_token"])
    people.do("http", "user_disable", people.admin, person.login)
    assert counted.since("authkv_revocations_total") == {only(kind="token"): 1, only(kind="user"): 2}
    people.close()


def test_look_ups_of_tokens_are_counted(people, counted):
    person = people.new()
    token = person.access
    before = counted.since("authkv_token_lookups_total")
    for _ in range(4):
        people.do("iproto", "user_me", token)
    people.do("iproto", "user_me", "a.b.c")
    after = counted.since("authkv_token_lookups_total")
    more = {dict(labels)["result"]: count - before.get(labels, 0) for labels, count in after.items()}
    assert more.get("verified") == 1 and more["refused"] == 1
    assert more.get("thread", 0) + more.get("shared", 0) == 3


def test_a_watch_is_a_stream_until_it_ends(people, token, counted):
    name, kind = "authkv_http_streams", only(kind="watch")
    watch = Stream(people.instance, token)
    wait_until(lambda: counted.since(name).get(kind) == 1, "the watch is counted")
    labels = only(route="/v1/watch", method="GET", status="200")
    assert labels not in counted.since("authkv_http_requests_total")
    watch.close()
    wait_until(lambda: kind not in counted.since(name), "the watch has ended")
    wait_until(lambda: counted.since("authkv_http_requests_total").get(labels) == 1, "its request is counted")


def test_connections_are_counted(people, counted):
    http = HttpTransport(people.instance)
    http.request("GET", "/nowhere")
    assert counted.since("authkv_http_connections") == {(): 1}
    assert counted.since("authkv_http_connection_attempts_total") == {only(result="accepted"): 1}
    http.close()
    wait_until(lambda: not counted.since("authkv_http_connections"), "the connection is closed")


def test_a_refused_connection_is_counted(make):
    instance = make(AUTHKV_HTTP_CONNECTIONS_PER_ADDRESS="1").start()
    console = ConsoleTransport(instance)
    wait_until(lambda: not Counted(console).read()[series("authkv_http_connections")], "the probe of the start has gone")
    counted = Counted(console)
    one, other = HttpTransport(instance), HttpTransport(instance)
    one.request("GET", "/nowhere")
    assert other.request("GET", "/nowhere").status == 429
    assert counted.since("authkv_http_connection_attempts_total") == {only(result="accepted"): 1, only(result="refused_address"): 1}
    for transport in (one, other, console):
        transport.close()


def test_data_is_measured(people, token, counted):
    people.new()
    people.do("iproto", "pair_put", token, "measured", 1)
    people.do("iproto", "pair_put", token, "measured for a while", 1, {"ttl": 1000})
    assert counted.since("authkv_users") == {(): 1}
    assert counted.since("authkv_pairs") == {(): 2}
    assert counted.since("authkv_pairs_expiring") == {(): 1}
    now = counted.read()
    for kind in ("allocator", "memtx", "lua"):
        assert now[series("authkv_memory_bytes", kind=kind)] > 100_000, kind
    assert now[series("authkv_pool_threads", pool="crypto")] >= 1
    assert now[series("authkv_expiry_backlog_seconds")] < 100


def test_requests_over_http_2_are_counted(tmp_path):
    secured = Secured(tmp_path)
    with secured.instance:
        console = ConsoleTransport(secured.instance)
        counted = Counted(console)
        client = Client(secured)
        stream = client.begin("/v1/me", end=True, method="GET")
        assert client.whole(stream)[0] == 401
        client.close()
        labels = only(route="/v1/me", method="GET", status="401")
        wait_until(lambda: counted.since("authkv_http_requests_total") == {labels: 1}, "the request is counted")
        console.close()


@pytest.mark.skipif(not harness.has_rock(), reason=harness.NO_ROCK)
def test_requests_on_the_rock_are_counted(people, token, counted):
    rock = RockTransport(people.instance)
    assert rock.request("GET", "/v1/me", headers=bearer(token)).status == 200
    assert counted.since("authkv_http_requests_total") == {only(route="/v1/me", method="GET", status="200"): 1}
    assert counted.since("authkv_operations_total")[only(transport="http", operation="user_me", result="ok")] == 1
    rock.close()


def test_clients_add_no_labels(people, token):
    http, iproto = people.http, people.transport("iproto")
    letters, chance = string.ascii_letters, random.Random(7)

    def word() -> str:
        return "".join(chance.choices(letters, k=chance.randint(3, 12)))

    def everything(times: int):
        for _ in range(times):
            http.request(chance.choice(["GET", word().upper()]), f"/{word()}/{word()}")
            http.request("GET", f"/v1/kv/{word()}", headers=bearer(token))
            http.do("session_login", word(), word())
            iproto.do("pair_get", word(), word())

    everything(5)
    counted = Counted(people.console)
    everything(1000)
    now = counted.read()
    # How many series there are grows by none but the statuses and methods of the lists.
    assert len(now) - len(counted.before) < 40
    texts = {value for _, labels in now for _, value in labels}
    assert {dict(labels)["method"] for name, labels in now if name == "authkv_http_requests_total"} <= {
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other",
    }  # fmt: skip
    assert len(texts) < 400


def test_all_ways_tell_the_same(instance, people):
    of_http = people.http.request("GET", "/v1/admin/metrics", headers=bearer(people.admin)).json
    of_iproto = people.do("iproto", "server_metrics", people.admin).value
    (of_console,) = people.console.evaluate("return authkv.metrics()")
    of_prometheus = instance.scrape()
    names = [metric["name"] for metric in of_http["metrics"]]
    assert names == [name for name in NAMES if name in names]
    assert names == [metric["name"] for metric in of_iproto["metrics"]] == [metric["name"] for metric in of_console["metrics"]]
    # A single instance follows nobody, and forwards nothing.
    elsewhere = {"authkv_follow_lag_seconds", "authkv_follow_lag_max_seconds", "authkv_forwarded_total"}
    assert set(NAMES) - set(names) == elsewhere
    told = read_told(of_http)
    ours = {key for key in of_prometheus if key[0].startswith("authkv_")}
    missing = told.keys() - ours
    assert not missing
    for gauge in ("authkv_users", "authkv_pairs", "authkv_start_time_seconds"):
        assert told[series(gauge)] == of_prometheus[series(gauge)]


def test_metrics_are_for_administrators(people, token):
    assert people.http.request("GET", "/v1/admin/metrics").status == 401
    assert people.http.request("GET", "/v1/admin/metrics", headers=bearer(token)).status == 403
    assert people.do("iproto", "server_metrics", token).name == "role_required"


def test_the_main_listener_has_no_page(people):
    assert people.http.request("GET", "/metrics").status == 404


def test_the_format_is_the_one_that_is_asked_for(instance):
    plain = instance.get("/metrics")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE authkv_operations_total counter" in plain.body.decode()
    open_metrics = instance.get("/metrics", Accept=OPEN_METRICS)
    assert open_metrics.headers["Content-Type"] == f"{OPEN_METRICS}; charset=utf-8"
    text = open_metrics.body.decode()
    assert text.endswith("# EOF\n") and "# TYPE authkv_operations counter" in text
    assert {name for name, _ in read_text(text)} == {name for name, _ in read_text(plain.body.decode())}


@pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool: install prometheus")
def test_promtool_finds_nothing(instance, people, token):
    people.do("http", "batch_get", token, ["a"])
    # Tarantool's own, where its module is there, break rules of Prometheus.
    lines = instance.get("/metrics").body.decode().splitlines(True)
    ours = "".join(line for line in lines if re.match(r"(# \w+ )?authkv_", line))
    checked = subprocess.run(["promtool", "check", "metrics"], input=ours, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_scrape_while_tx_is_stuck_has_the_rest(instance, people):
    assert instance.scrape()[series("authkv_tx_up")] == 1
    # Longer than a scrape waits, and not for ever.
    stuck = ConsoleTransport(instance)
    stuck.send("local clock = require('clock') local till = clock.monotonic() + 6 while clock.monotonic() < till do end return true")
    numbers = wait_until(lambda: (told := instance.scrape())[series("authkv_tx_up")] == 0 and told, "a scrape without tx")
    names = {name for name, _ in numbers}
    assert "authkv_http_requests_total" in names and "authkv_queue_jobs" in names
    assert "authkv_pairs" not in names and "authkv_build_info" in names
    wait_until(lambda: instance.scrape()[series("authkv_tx_up")] == 1, "tx answers again")
    stuck.close()


def test_one_version(instance, people):
    (version,) = people.console.evaluate("return authkv.version()")
    info = next(dict(labels) for name, labels in instance.scrape() if name == "authkv_build_info")
    assert info["version"] == version
    assert people.http.request("GET", "/openapi.json").json["info"]["version"] == version
    assert f'\nversion = "{version}"\n' in (ROOT / "Cargo.toml").read_text()
    (tarantool,) = people.console.evaluate("return _TARANTOOL")
    assert info["tarantool"] == tarantool


def test_a_restart_goes_on_counting(instance, people, token, counted):
    people.do("http", "pair_get", token, "a")
    people.console.evaluate("return authkv.restart()")
    people.do("http", "pair_get", token, "a")
    operations = counted.since("authkv_operations_total")
    assert sum(more for labels, more in operations.items() if dict(labels)["operation"] == "pair_get") == 2
    assert counted.since("authkv_start_time_seconds")


# Whether Tarantool has the module, or finds the rock.
_FIND = "os.exit(pcall(require, 'metrics') and 0 or 1)"


def has_module() -> bool:
    return subprocess.run(["tarantool", "-e", _FIND], env=harness.environment(), check=False).returncode == 0


NO_MODULE = "there is no module metrics: Tarantool 2.11.1 or newer has it, or LUA_PATH names the rock"


@pytest.mark.skipif(not has_module(), reason=NO_MODULE)
def test_tarantools_module_and_authkv_have_each_others_metrics(make_measured):
    instance = make_measured().start()
    console = ConsoleTransport(instance)
    console.evaluate(
        "local metrics = require('metrics') metrics.enable_default_metrics() "
        "metrics.counter('shop_orders', 'Orders'):inc(3, {city = 'Omsk'}) metrics.histogram('shop_seconds', 'Times', {1, 2}):observe(1.5) "
        "metrics.summary('shop_waits', 'Waits', {[0.5] = 0.01}):observe(7) return true"
    )
    # A scrape is counted itself.
    instance.scrape()
    numbers = instance.scrape()
    assert numbers[series("shop_orders", city="Omsk")] == 3
    assert numbers[series("shop_seconds_bucket", le="2")] == 1 and numbers[series("shop_seconds_count")] == 1
    assert numbers[series("shop_waits_count")] == 1
    assert any(name.startswith("tnt_info_") for name, _ in numbers)
    # The other way: its own page has authkv's, once.
    (page,) = console.evaluate("return require('metrics.plugins.prometheus').collect_http().body")
    theirs = read_text(page)
    assert theirs[series("authkv_tx_up")] == 1 and theirs[series("shop_orders", city="Omsk")] == 3
    assert {name for name, _ in theirs if name.startswith("authkv_")} == {name for name, _ in numbers if name.startswith("authkv_")}
    # A second scrape of each is the same.
    assert {name for name, _ in instance.scrape()} == {name for name, _ in numbers}
    assert len(re.findall("^# TYPE authkv_tx_up ", page, re.MULTILINE)) == 1
    # After a restart, and after the module has forgotten everything.
    console.evaluate("authkv.restart() require('metrics').clear() authkv.restart()")
    (page,) = console.evaluate("return require('metrics.plugins.prometheus').collect_http().body")
    assert read_text(page)[series("authkv_tx_up")] == 1
    # As JSON.
    (told,) = console.evaluate("require('metrics').gauge('shop_open', 'Open'):set(1) return authkv.metrics{tarantool = true}")
    assert read_told(told)[series("shop_open")] == 1
    console.close()


@pytest.mark.skipif(not has_module(), reason=NO_MODULE)
def test_the_module_tells_its_metrics_to_whoever_asks_and_though_authkv_fails(make_measured):
    instance = make_measured().start()
    console = ConsoleTransport(instance)
    page = "require('metrics.plugins.prometheus').collect_http().body"
    console.evaluate("require('metrics').gauge('shop_open', 'Open'):set(1)")
    # What the module tells of Tarantool needs the right to read.
    console.evaluate("box.schema.user.create('shop') box.schema.user.grant('shop', 'read', 'universe')")
    instance.scrape()
    (text,) = console.evaluate(f"return box.session.su('shop', function() return {page} end)")
    assert read_text(text)[series("authkv_tx_up")] == 1
    console.evaluate("metrics_of_authkv = authkv.metrics authkv.metrics = function() error('Broken') end")
    (text,) = console.evaluate(f"return {page}")
    assert read_text(text)[series("shop_open")] == 1 and series("authkv_tx_up") not in read_text(text)
    console.evaluate("authkv.metrics = metrics_of_authkv authkv.stop()")
    (text,) = console.evaluate(f"return {page}")
    assert read_text(text)[series("shop_open")] == 1
    console.close()


@pytest.mark.skipif(harness.version() >= (2, 11), reason="this Tarantool has the module built in")
def test_the_module_is_not_loaded(people, instance):
    instance.scrape()
    assert people.console.evaluate("return package.loaded.metrics == nil") == [True]


@pytest.fixture
def make_measured():
    made = []

    def make(**settings) -> Measured:
        made.append(Measured(**settings))
        return made[-1]

    yield make
    for one in made:
        one.dispose()
