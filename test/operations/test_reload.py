"""The HTTP transport is stopped, started and reloaded, and the library is reloaded, while clients work: no request is
lost."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest
import requests

from support import harness
from support.contract import GOOD
from support.harness import DEADLINE, HOST
from support.load import Load
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport

# What an operator types. A bare reload of the functions is taken up by the first call of a procedure.
RELOADS = {
    "http": "return authkv.http.reload{HTTP_IDLE_TIMEOUT = 20}",
    "library": "return authkv.restart()",
    "functions": "box.schema.func.reload('authkv') return authkv.check('x')",
}


@pytest.mark.parametrize("reload", RELOADS.values(), ids=RELOADS)
def test_a_reload_under_load_loses_no_request(instance, token, reload):
    console = ConsoleTransport(instance)
    with Load(instance, [HttpTransport] * 4 + [IprotoTransport] * 2, token) as load:
        for _ in range(3):
            console.evaluate(reload)
            load.advance()
    assert load.wrong == []
    console.close()


def test_a_library_that_was_reloaded_leaves_nothing_behind(instance):
    console = ConsoleTransport(instance)

    def threads():
        return [name for name in instance.threads() if name.startswith("authkv")]

    before = harness.settled(threads)
    for _ in range(3):
        console.evaluate("return authkv.restart()")
    harness.wait_until(lambda: threads() == before, "the threads of the older images have ended")
    console.close()


def test_a_stop_after_a_restart_finishes_the_requests_of_the_instance_before(make):
    """And does not wait for connections without a request."""
    # One thread and hashes that together take many times as long as a restart: when the first login is answered, the others
    # are in flight.
    instance = make(AUTHKV_CRYPTO_THREADS="1", AUTHKV_ARGON2_ITERATIONS="40", AUTHKV_SHUTDOWN_TIMEOUT="600").start()
    clients = [HttpTransport(instance) for _ in range(6)]
    assert clients[0].register("tester", GOOD, "Test", "Tester") == Ok()
    console, idle = ConsoleTransport(instance), HttpTransport(instance)
    assert idle.check("x") == Ok(False)
    with ThreadPoolExecutor(len(clients)) as pool:
        logins = [pool.submit(client.login, "tester", GOOD) for client in clients]
        wait(logins, return_when=FIRST_COMPLETED)
        console.evaluate("return authkv.restart()")
        assert not all(login.done() for login in logins)
        instance.stop()
        for client, login in zip(clients, logins, strict=True):
            assert_outcome(client, login.result(), Ok(A_TOKEN))
    for one in (*clients, console, idle):
        one.close()


def test_http_is_stopped_and_started_again(instance):
    console = ConsoleTransport(instance)
    url = f"{instance.url}/api/check/"
    kept = requests.Session()
    assert kept.post(url, json={"authorization": "x"}, timeout=DEADLINE).status_code == 200
    assert console.evaluate("return (authkv.http.stop())") == [True]
    with pytest.raises(requests.exceptions.ConnectionError):
        kept.post(url, json={"authorization": "x"}, timeout=DEADLINE)
    # The other transports go on.
    assert console.check("x") == Ok(False)
    assert console.evaluate("return authkv.http.start()") == [[f"{HOST}:{instance.http_port}"]]
    assert kept.post(url, json={"authorization": "x"}, timeout=DEADLINE).status_code == 200
    console.close()


def test_a_reload_moves_to_another_address_and_refuses_what_is_wrong(instance):
    console = ConsoleTransport(instance)
    port = harness.free_port()
    socket = instance.data_dir / "http.sock"
    old = f"{HOST}:{instance.http_port}"
    moved = console.evaluate(f"return authkv.http.reload{{HTTP_LISTEN = '{HOST}:{port},unix:{socket}'}}")
    assert moved == [[f"{HOST}:{port}", f"unix:{socket}"]] and socket.exists()
    assert requests.post(f"http://{HOST}:{port}/api/check", json={"authorization": "x"}, timeout=DEADLINE).ok
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"http://{old}/", timeout=DEADLINE)
    for wrong, part in [
        ("{HTTP_IDLE_TIMEOUT = 0}", "AUTHKV_HTTP_IDLE_TIMEOUT"),
        ("{TOKEN_TTL = 5}", "HTTP_"),
        ("{HTTP_LISTEN = '192.0.2.1:80'}", "cannot listen on 192.0.2.1:80"),
    ]:
        said = console.evaluate(f"return pcall(authkv.http.reload, {wrong})")
        assert said[0] is False and part in said[1]
    assert console.evaluate(f"return authkv.http.reload{{HTTP_LISTEN = '{old}'}}") == [[old]]
    assert not socket.exists()
    assert requests.post(f"http://{old}/api/check", json={"authorization": "x"}, timeout=DEADLINE).ok
    console.close()


# The settings of HTTP that the document shows, with values that no other setting has, and the failures that name them.
SHOWN = {
    "HTTP_HEADER_MAX": (4321, "431", "header_too_large"),
    "HTTP_HEADER_TIMEOUT": (3217, "408", "header_timeout"),
    "HTTP_BODY_TIMEOUT": (3218, "408", "body_timeout"),
    "HTTP_REQUESTS_MAX": (3219, "503", "overloaded"),
    "HTTP_CONNECTIONS_PER_ADDRESS": (3220, "429", "too_many_connections"),
}


def document(instance):
    return requests.get(f"http://{HOST}:{instance.http_port}/openapi.json", timeout=DEADLINE).json()


@pytest.mark.parametrize("name", SHOWN)
def test_the_document_tells_the_settings_of_a_reload(instance, name):
    console = ConsoleTransport(instance)
    value, status, code = SHOWN[name]

    def told():
        content = document(instance)["paths"]["/v1/login"]["post"]["responses"][status]["content"]
        return content["application/problem+json"]["examples"][code]["value"]["detail"]

    before = told()
    console.evaluate(f"return authkv.http.reload{{{name} = {value}}}")
    assert str(value) in told() and str(value) not in before
    console.evaluate(f"return authkv.http.reload{{{name} = ''}}")
    assert told() == before
    console.close()


def test_the_document_tells_the_settings_of_a_start_after_a_stop(make):
    instance = make(AUTHKV_KEY_MAX="77").start()
    console = ConsoleTransport(instance)

    def told():
        return document(instance)["components"]["schemas"]["NewPair"]["properties"]["key"]["maxLength"]

    assert told() == 77
    console.evaluate("authkv.stop()")
    address = f"{HOST}:{instance.http_port}"
    console.evaluate(f"authkv.start{{KEY_MAX = 78, HTTP_LISTEN = '{address}', DATA_DIR = '{instance.data_dir}'}}")
    assert told() == 78
    console.close()
