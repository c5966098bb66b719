"""What an operator sees of the HTTP transport: the addresses it listens on, and its lines in the log."""

import json
import os
import socket
import stat
import subprocess
import uuid

import pytest

from support.contract import GOOD
from support.harness import DEADLINE, HOST, Instance, free_port, wait_until
from support.outcome import Ok
from support.transports import HttpTransport, bearer
from support.wire import BODY, CHECK, NO, Wire, held, post

SECRET = "Unseen-Passw0rd!"


def several(instance: Instance) -> list:
    """Sets the instance to listen at three addresses, and gives them."""
    ports = [instance.http_port, free_port()]
    path = str(instance.data_dir / "http.sock")
    instance.settings["AUTHKV_HTTP_LISTEN"] = f"{HOST}:{ports[0]},{HOST}:{ports[1]}, unix:{path}"
    return [(HOST, ports[0]), (HOST, ports[1]), path]


def test_every_address_that_is_set_is_served(make):
    instance = make()
    addresses = several(instance)
    instance.start()
    for address in addresses * 2:
        with Wire(address) as wire:
            wire.send(CHECK * 2)
            assert [wire.answer().seen(), wire.answer().seen()] == [(200, NO)] * 2
    curl = ["curl", "-sS", "--unix-socket", addresses[-1], "http://any.example/api/check/", "-d", BODY.decode()]
    assert json.loads(subprocess.run(curl, check=True, capture_output=True, timeout=DEADLINE).stdout) == NO
    instance.stop()
    assert not os.path.lexists(addresses[-1])
    for address in addresses:
        with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            Wire(address)


def test_a_socket_file_that_a_dead_process_left_is_replaced(make):
    instance = make()
    path = several(instance)[-1]
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    instance.start()
    instance.kill()
    assert stat.S_ISSOCK(os.lstat(path).st_mode)
    instance.start()
    with Wire(path) as wire:
        wire.send(CHECK)
        assert wire.answer().seen() == (200, NO)
    instance.stop()
    assert not os.path.lexists(path)


def test_a_socket_file_of_a_process_that_lives_is_left_to_it(make):
    first, second = make(), make()
    path = several(first)[-1]
    first.start()
    second.settings["AUTHKV_HTTP_LISTEN"] = f"unix:{path}"
    assert path in second.refuse_to_start()
    with Wire(path) as wire:
        wire.send(CHECK)
        assert wire.answer().seen() == (200, NO)


def test_a_file_that_is_no_socket_is_never_replaced(make):
    instance = make()
    path = instance.data_dir / "precious"
    path.write_text("data")
    instance.settings["AUTHKV_HTTP_LISTEN"] = f"unix:{path}"
    assert str(path) in instance.refuse_to_start()
    assert path.read_text() == "data"


def lines(instance: Instance, mark: str) -> list[str]:
    return [line for line in instance.log().replace("\\/", "/").splitlines() if mark in line]


def ask(instance: Instance, path: str, request_id: str, *lines: str) -> int:
    """The status of a request on a connection of its own."""
    with Wire(instance) as wire:
        wire.send(post(path, BODY, f"X-Request-Id: {request_id}", *lines))
        return wire.answer().status


def with_secrets(instance: Instance) -> list[str]:
    """Has a whole session served and requests with secrets everywhere refused; gives what may not be in the log."""
    query = uuid.uuid4().hex
    http = HttpTransport(instance)
    assert http.register("logged", GOOD, "Test", "Tester") == Ok()
    token = http.login("logged", GOOD).value
    http.login("logged", SECRET)
    http.put(token, {"logged": SECRET})
    http.get(token, ["logged"])
    http.check(token)
    for path in (f"/api/check/?{query}", f"/api/x?{query}", f"/{SECRET}/{token}", f"http://{HOST}/api/check?a#{query}"):
        http.request("POST", path, {"authorization": f"Bearer {token}"}, bearer(token))
    for line in ("Authorization : Bearer", "Authorization: \0", "Content-Length: 5\r\nX:", "Expect:", "X-Request-Id: x "):
        # One at a time is allowed, and the one before has its answer.
        assert ask(instance, f"/api/check?{query}", SECRET, f"{line} {token}") in (200, 400, 417)
    http.logout(token)
    http.close()
    return [GOOD, SECRET, query, token, *token.split(".")[1:]]


def overload(instance: Instance, request_id: str) -> None:
    """Has a request refused with 503, where one is allowed at a time."""
    with held(instance) as wire:
        assert ask(instance, "/api/check?secret=1", request_id) == 503
        wire.send(CHECK[-1:])
        assert wire.answer().seen() == (200, NO)


@pytest.mark.parametrize("access,log_format", [
    (None, None), ("off", "json"), ("errors", "json"), ("errors", "plain"), ("all", "plain"), ("all", "json"),
])  # fmt: skip
def test_the_log_says_what_was_asked_for_and_never_a_secret(make, access, log_format):
    instance = make(AUTHKV_HTTP_REQUESTS_MAX="1", AUTHKV_HTTP_ACCESS_LOG=access, AUTHKV_LOG_FORMAT=log_format).start()
    secrets = with_secrets(instance)
    mark = uuid.uuid4().hex
    overload(instance, f"{mark}-503")
    for path, status in (("/api/check?secret=1", 200), ("/api/read", 422), ("/x?secret=1", 404)):
        assert ask(instance, path, f"{mark}-{status}") == status
    if access == "all":
        wait_until(lambda: lines(instance, f"{mark}-404"), "the last request is in the log")
        assert all("/api/check" in line and "200" in line for line in lines(instance, f"{mark}-200"))
        assert lines(instance, f"{mark}-200") and lines(instance, f"{mark}-422")
    if access != "off":
        wait_until(lambda: lines(instance, f"{mark}-503"), "what was refused is in the log")
    instance.stop()
    assert access != "off" or not lines(instance, mark)
    failed = [line for line in lines(instance, mark) if " 503 " in line or '"status":503' in line]
    assert failed == lines(instance, f"{mark}-503")
    assert access == "all" or lines(instance, mark) == failed
    for secret in [*secrets, "secret=1"]:
        assert not lines(instance, secret), secret
    if log_format == "json":
        for line in lines(instance, mark):
            entry = json.loads(line)
            assert entry["request_id"].startswith(mark) and entry["level"] == "INFO" and entry["status"], line


def test_each_request_has_a_line_of_its_own(make):
    instance = make(AUTHKV_HTTP_ACCESS_LOG="all", AUTHKV_LOG_FORMAT="json").start()
    marks = [uuid.uuid4().hex for _ in range(50)]
    with Wire(instance) as wire:
        wire.send(b"".join(CHECK.replace(b"Host", f"X-Request-Id: {mark}\r\nHost".encode()) for mark in marks))
        assert [wire.answer().status for _ in marks] == [200] * 50
    wait_until(lambda: lines(instance, marks[-1]), "the last request is in the log")
    assert [len(lines(instance, mark)) for mark in marks] == [1] * 50


def test_what_a_client_sends_cannot_break_a_line_of_the_log(make):
    instance = make(AUTHKV_HTTP_ACCESS_LOG="all", AUTHKV_LOG_FORMAT="json").start()
    mark = uuid.uuid4().hex
    texts = ("%0a2026-11-22%20authkv:%20ready", '"}{"a":1', "%1b[31m", "'%s%n{}%c'", '\\"', "\\", "%22%5c%00", "x" * 4000)
    for text in texts:
        assert ask(instance, f"/api/{mark}{text}", f"{mark}{text}") in (400, 404)
        assert ask(instance, f"/api/check?{text}", f"{mark}:{text}") in (200, 400)
        with Wire(instance) as wire:
            wire.send(f"{mark} /api/check HTTP/1.1\r\nHost: {text}\r\n\r\n".encode())
            assert wire.answer().status in (400, 405)
    assert ask(instance, "/api/check", f"{mark}-end") == 200
    wait_until(lambda: lines(instance, f"{mark}-end"), "the last request is in the log")
    written = [line for line in instance.log().splitlines() if "microseconds" in line or mark in line]
    assert len(written) == 3 * len(texts) + 1
    for line in written:
        assert isinstance(json.loads(line), dict) and "\x1b" not in line, line
