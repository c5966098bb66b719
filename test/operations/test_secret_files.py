"""Secrets from files, as official images have them: AUTHKV_…_FILE names a file with the value of AUTHKV_…."""

import itertools
import os
import re
import threading

import pytest

from support import harness
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport

SECRETS = ["ADMIN_PASSWORD", "CLIENT_PASSWORD", "FOLLOWER_PASSWORD", "REPLICATION_PASSWORD"]


def in_files(tmp_path, ending: str = "\n") -> dict[str, str | None]:
    """Settings with each secret in a file."""
    settings: dict[str, str | None] = {}
    for name in SECRETS:
        path = tmp_path / name
        path.write_bytes((harness.ADMIN_PASSWORD if name == "ADMIN_PASSWORD" else f"S3cret-of-{name}").encode() + ending.encode())
        settings |= {f"AUTHKV_{name}": None, f"AUTHKV_{name}_FILE": str(path)}
    return settings


def line_of(said: str, part: str) -> str:
    return next(line for line in said.splitlines() if line.startswith("authkv: ") and part in line)


def test_every_setting_that_is_a_password_is_a_secret(instance):
    console = ConsoleTransport(instance)
    (secrets,) = console.evaluate("return require('authkv.native').secrets()")
    (settings,) = console.evaluate("return authkv.settings()")
    console.close()
    assert sorted(secrets) == SECRETS
    assert {row[0] for row in settings if row[0].endswith(("PASSWORD", "SECRET", "TOKEN"))} == set(SECRETS)


@pytest.mark.parametrize("ending", ["", "\n\n", "\r\n"])
def test_a_secret_is_what_its_file_has_without_line_ends(make, tmp_path, ending):
    instance = make(**in_files(tmp_path, ending)).start()
    http = HttpTransport(instance)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()
    console = ConsoleTransport(instance)
    for user, name in (("authkv", "CLIENT_PASSWORD"), ("authkv_follower", "FOLLOWER_PASSWORD")):
        options = f"{{user = '{user}', password = 'S3cret-of-{name}'}}"
        connect = f"local c = require('net.box').connect('{harness.HOST}:{instance.iproto_port}', {options})"
        assert console.evaluate(f"{connect} local ok = c:ping() c:close() return ok") == [True]
    assert console.evaluate("return os.getenv('AUTHKV_ADMIN_PASSWORD')") in ([], [None])
    # A restart of the library has them still.
    console.evaluate("return authkv.restart() ~= nil")
    console.close()
    assert "S3cret" not in instance.log() and harness.ADMIN_PASSWORD not in instance.log()


def test_a_secret_may_come_from_a_pipe(make):
    reader, writer = os.pipe()
    instance = make(AUTHKV_CLIENT_PASSWORD=None, AUTHKV_CLIENT_PASSWORD_FILE=f"/proc/{os.getpid()}/fd/{reader}")
    thread = threading.Thread(target=lambda: (os.write(writer, harness.CLIENT_PASSWORD.encode()), os.close(writer)))
    thread.start()
    instance.start()
    thread.join()
    os.close(reader)
    iproto = IprotoTransport(instance)
    assert_outcome(iproto, iproto.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    iproto.close()


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_given_twice_stops_the_start(make, tmp_path, name):
    settings = in_files(tmp_path) | {f"AUTHKV_{name}": "S3cret-given"}
    said = make(**settings).refuse_to_start()
    assert re.search(rf"AUTHKV_{name} and AUTHKV_{name}_FILE are both given", said), said
    assert "S3cret" not in said


def missing(path):
    path.unlink()


def directory(path):
    path.unlink()
    path.mkdir()


def empty(path):
    path.write_bytes(b"")


def only_a_line_end(path):
    path.write_bytes(b"\n")


def huge(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def no_text(path):
    path.write_bytes(b"S3cret\xff\n")


SPOILT = [missing, directory, empty, only_a_line_end, huge, no_text]


@pytest.mark.parametrize("name,spoil", list(zip(itertools.cycle(SECRETS), SPOILT, strict=False)))
def test_a_file_without_a_secret_stops_the_start_and_is_named(make, tmp_path, name, spoil):
    settings = in_files(tmp_path)
    spoil(tmp_path / name)
    line = line_of(make(**settings).refuse_to_start(), f"AUTHKV_{name}_FILE")
    assert str(tmp_path / name) in line and "S3cret" not in line, line


@pytest.mark.parametrize("content", [" S3cret-x", "S3cret-x ", "S3cret\x00x", "S3cret\nx", "S3cret\tx"])
def test_the_rules_for_texts_hold_for_files_too(make, tmp_path, content):
    settings = in_files(tmp_path)
    (tmp_path / "CLIENT_PASSWORD").write_text(content)
    line = line_of(make(**settings).refuse_to_start(), "AUTHKV_CLIENT_PASSWORD")
    assert "white space" in line or "control character" in line, line
    assert "S3cret" not in line


def test_an_empty_variable_is_no_file(make):
    instance = make(AUTHKV_CLIENT_PASSWORD_FILE="").start()
    assert instance.is_running()


@pytest.mark.parametrize("name", ["AUTHKV_TOKEN_ISSUER_FILE", "AUTHKV_BATCH_MAX_FILE", "AUTHKV_NOTHING_FILE"])
def test_what_is_no_secret_is_not_read_from_a_file(make, tmp_path, name):
    path = tmp_path / "value"
    path.write_text("10\n")
    assert f"{name} is not a setting" in make(keys=False, **{name: str(path)}).refuse_to_start()
