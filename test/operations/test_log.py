"""The log as settings: where it goes, which lines it has, and that it is opened again when it has been moved away."""

import json
import select
import signal
import socket

import pytest

from support import harness
from support.contract import GOOD
from support.outcome import Ok, Refusal
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport

INVALID = [
    ("stdout", ["stderr", "a path", "pipe:", "syslog:"]),
    ("sylog:identity=authkv", ["syslog:"]),
    ("syslog:ident=authkv", ["syslog:"]),
    ("file:", ["file:path"]),
    ("| /bin/cat", ["pipe:command"]),
]


@pytest.mark.parametrize("value,allowed", INVALID)
def test_a_log_that_tarantool_does_not_know_stops_the_start(make, value, allowed):
    said = make(keys=False, AUTHKV_LOG=value).refuse_to_start()
    line = next(line for line in said.splitlines() if "AUTHKV_LOG is" in line)
    assert all(part in line for part in allowed), line


@pytest.mark.parametrize("value", ["warning", "INFO", "8", "-1", "5.0"])
def test_a_level_that_tarantool_does_not_know_stops_the_start(make, value):
    said = make(keys=False, AUTHKV_LOG_LEVEL=value).refuse_to_start()
    line = next(line for line in said.splitlines() if "AUTHKV_LOG_LEVEL" in line)
    assert "verbose" in line and "0 to 7" in line


@pytest.mark.parametrize("level", ["warn", "4", "fatal", "0"])
def test_a_level_that_would_leave_out_the_audit_log_stops_the_start(make, level):
    said = make(keys=False, AUTHKV_LOG_LEVEL=level).refuse_to_start()
    line = next(line for line in said.splitlines() if "AUTHKV_LOG_LEVEL" in line)
    assert "AUTHKV_AUDIT_LOG=off" in line


def test_json_over_syslog_stops_the_start(make):
    said = make(keys=False, AUTHKV_LOG="syslog:identity=authkv", AUTHKV_LOG_FORMAT="json").refuse_to_start()
    assert "AUTHKV_LOG_FORMAT" in said and "AUTHKV_LOG is syslog" in said


@pytest.mark.parametrize("level,verbose", [("verbose", True), ("5", False)])
def test_the_log_has_the_lines_of_its_level_and_worse(make, level, verbose):
    instance = make(AUTHKV_LOG_LEVEL=level).start()
    console = ConsoleTransport(instance)
    console.evaluate("local log = require('log') log.verbose('a verbose line') log.info('an info line') log.warn('a warn line')")
    console.close()
    harness.wait_until(lambda: "a warn line" in instance.log(), "the line is logged")
    assert "an info line" in instance.log()
    assert ("a verbose line" in instance.log()) is verbose


def test_a_level_above_info_leaves_the_rest_out(make):
    instance = make(AUTHKV_LOG_LEVEL="error", AUTHKV_AUDIT_LOG="off").start()
    console = ConsoleTransport(instance)
    console.evaluate("local log = require('log') log.warn('a warn line') log.error('an error line')")
    console.close()
    harness.wait_until(lambda: "an error line" in instance.log(), "the line is logged")
    assert "a warn line" not in instance.log()


@pytest.mark.parametrize("form,format_", [("{}", "plain"), ("file:{}", "json")])
def test_a_file_that_was_moved_away_is_opened_again_at_sighup(make, tmp_path, form, format_):
    path, moved = tmp_path / "authkv.log", tmp_path / "authkv.log.1"
    instance = make(AUTHKV_LOG=form.format(path), AUTHKV_LOG_FORMAT=format_, AUTHKV_HTTP_ACCESS_LOG="all").start()
    http = HttpTransport(instance)
    http.register("bob1", GOOD, "Bob", "Stone")
    harness.wait_until(lambda: "/api/register" in path.read_text(), "the request is logged")
    path.rename(moved)
    http.check("before")
    harness.wait_until(lambda: "/api/check" in moved.read_text(), "the request is logged where the file is now")
    assert not path.exists()

    instance.send_signal(signal.SIGHUP)
    harness.wait_until(path.exists, "the file is opened again")
    before = moved.read_text()
    http.login("bob1", GOOD)
    harness.wait_until(lambda: "/api/login" in path.read_text(), "the request is logged in the new file")
    http.close()
    instance.stop()
    assert moved.read_text() == before
    # The audit log and the access log go there too, and whole lines only.
    lines = path.read_text().splitlines()
    assert any("login" in line and "audit" in line for line in lines), lines
    if format_ == "json":
        assert all(json.loads(line) for line in lines)


def test_sighup_without_a_file_changes_nothing(instance):
    instance.send_signal(signal.SIGHUP)
    http = HttpTransport(instance)
    assert http.request("GET", "/api/check", b"").status == 405
    http.close()
    assert instance.is_running()


def test_what_a_read_only_instance_refuses_leaves_no_line_of_tarantool(make):
    """Any client could fill the disk with them."""
    instance = make().start()
    http = HttpTransport(instance)
    assert isinstance(http.register("somebody", GOOD, "Bob", "Stone"), Ok)
    token = http.login("somebody", GOOD).value
    http.close()
    instance.stop()
    instance.settings["AUTHKV_READ_ONLY"] = "true"
    instance.start()
    http, iproto = HttpTransport(instance), IprotoTransport(instance)
    for transport in (http, iproto):
        for _ in range(3):
            for seen in (
                transport.register("another", GOOD, "Bob", "Stone"),
                transport.do("session_login", "somebody", GOOD),
                transport.logout(token),
                transport.put(token, {"a": 1}),
            ):
                assert isinstance(seen, Refusal) and "read-only" in seen.message, seen
            assert isinstance(transport.login("somebody", "wrong-Passw0rd"), Refusal)
        transport.close()
    assert "Can't modify data" not in instance.present_log()


def test_a_command_gets_the_log(make, tmp_path):
    path = tmp_path / "piped"
    instance = make(AUTHKV_LOG=f"pipe:cat > {path}").start()
    harness.wait_until(lambda: path.exists() and "ready to accept requests" in path.read_text(), "the command has the lines")
    instance.stop()


def test_syslog_gets_the_log(make, tmp_path):
    path = tmp_path / "syslog"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(path))
        syslog.settimeout(harness.DEADLINE)
        instance = make(AUTHKV_LOG=f"syslog:identity=shop,server=unix:{path}").start()
        console = ConsoleTransport(instance)
        # Nobody has read so far, and what a full queue does not take is lost.
        while select.select([syslog], [], [], 0)[0]:
            syslog.recv(65536)
        console.evaluate("require('log').info('a line for syslog')")
        said = b""
        while b"a line for syslog" not in said:
            said = syslog.recv(65536)
        assert b"shop[" in said
        console.close()
        instance.stop()


def test_a_directory_that_is_missing_stops_the_start(make, tmp_path):
    path = tmp_path / "no" / "authkv.log"
    assert str(path) in make(AUTHKV_LOG=str(path)).refuse_to_start()
