"""The file of AUTHKV_CONFIG, and which source of a setting counts: defaults, a layout, the file, the environment, secrets in
files, calls."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from support import harness
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport

SECRET = "S3cret-of-the-file!"

# Reads the sources as init.lua does, and prints what they are or what is wrong.
READ = """
package.cpath = 'target/release/lib?.so;' .. package.cpath
local authkv = require('authkv')
local environment = {}
for name, value in pairs(os.environ()) do environment[name] = name:match('^AUTHKV_') and value or nil end
local ok, found = pcall(function()
    local found = require('authkv.sources').new(environment, '.')()
    local ok, err = pcall(authkv.check_settings, found.settings)
    if not ok then error(require('authkv.sources').explain(err, found.from), 0) end
    return found
end)
local told = ok and {settings = found.settings, from = found.from, warnings = found.warnings} or {err = tostring(found)}
print('FOUND ' .. require('json').encode(told))
os.exit(0)
"""


def sources(config=None, **environment: str) -> dict:
    given = {name: value for name, value in harness.environment().items() if not name.startswith("AUTHKV_")} | environment
    if config is not None:
        given["AUTHKV_CONFIG"] = str(config)
    ran = subprocess.run(
        ["tarantool", "-e", READ], cwd=harness.ROOT, env=given, capture_output=True, text=True, timeout=harness.DEADLINE, check=False
    )
    assert ran.returncode == 0, ran.stderr + ran.stdout
    return json.loads(ran.stdout.partition("FOUND ")[2])


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "authkv.yml"

    def write(text: str | bytes):
        path.touch(mode=0o600)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def in_file(settings: dict) -> str:
    return "".join(f"{name}: {value}\n" for name, value in settings.items())


# What a file says, and the settings that come of it.
FORMS = {
    "plain": ("TOKEN_TTL: 600\n", {"TOKEN_TTL": "600"}),
    "off and on": ("AUDIT_LOG: off\nDEFAULT_ROLE: on\n", {"AUDIT_LOG": "off", "DEFAULT_ROLE": "on"}),
    "booleans": ("READ_ONLY: true\nFORCE_RECOVERY: false\n", {"READ_ONLY": "true", "FORCE_RECOVERY": "false"}),
    "quotes": ("TOKEN_ISSUER: 'a: b # c'\nTOKEN_AUDIENCE: \"x\"\n", {"TOKEN_ISSUER": "a: b # c", "TOKEN_AUDIENCE": "x"}),
    "numbers as texts": ("TOKEN_ISSUER: 010\nTOKEN_AUDIENCE: 1.50\n", {"TOKEN_ISSUER": "010", "TOKEN_AUDIENCE": "1.50"}),
    "a large number": ("TOKEN_ISSUER: 12345678901234567890\n", {"TOKEN_ISSUER": "12345678901234567890"}),
    "words that are booleans elsewhere": ("TOKEN_ISSUER: no\nTOKEN_AUDIENCE: yes\n", {"TOKEN_ISSUER": "no", "TOKEN_AUDIENCE": "yes"}),
    "a date": ("TOKEN_ISSUER: 2026-01-02\n", {"TOKEN_ISSUER": "2026-01-02"}),
    "null and nothing": ("TOKEN_TTL: null\nBATCH_MAX: ~\nKEY_MAX:\nSERVICES: ''\n", {}),
    "comments": ("# a\n---\nTOKEN_TTL: 60 # seconds\n\n  # b\n", {"TOKEN_TTL": "60"}),
    "a list": (
        "SERVICES: [auth, kv]\nPASSWORD_CLASSES:\n  - lower\n  - digit\n",
        {"SERVICES": "auth,kv", "PASSWORD_CLASSES": "lower,digit"},
    ),
    "a list at the margin": ("SERVICES:\n- auth\n- kv\n", {"SERVICES": "auth,kv"}),
    "addresses": ("HTTP_LISTEN: ['[::1]:8080', 127.0.0.1:8080]\n", {"HTTP_LISTEN": "[::1]:8080,127.0.0.1:8080"}),
    "ends of lines of Windows": ("TOKEN_TTL: 60\r\nKEY_MAX: 10\r\n", {"TOKEN_TTL": "60", "KEY_MAX": "10"}),
    "a byte order mark": (b"\xef\xbb\xbfTOKEN_TTL: 60\n", {"TOKEN_TTL": "60"}),
    "no end of the last line": ("TOKEN_TTL: 60", {"TOKEN_TTL": "60"}),
    "an empty file": ("", {}),
    "only comments": ("# nothing\n", {}),
}


@pytest.mark.parametrize("text,settings", FORMS.values(), ids=FORMS)
def test_a_file_says_what_the_environment_would(config, text, settings):
    found = sources(config(text))
    assert found.get("settings") == (settings or []), found
    assert set(dict(found["from"] or {}).values()) <= {f"file {config(text)}"}


# What a file says, and what the error has beside the path.
WRONG = {
    "an unknown name": ("TOKEN_TLL: 5\n", ["AUTHKV_TOKEN_TLL is not a setting", "did you mean AUTHKV_TOKEN_TTL?"]),
    "lower case": ("token_ttl: 5\n", ["AUTHKV_token_ttl is not a setting", "did you mean AUTHKV_TOKEN_TTL?"]),
    "the prefix": ("AUTHKV_KEY_MAX: 5\n", ["did you mean AUTHKV_KEY_MAX?"]),
    "the file itself": ("CONFIG: /etc/passwd\n", ["AUTHKV_CONFIG is not a setting"]),
    "a wrong value": ("TOKEN_TTL: 1h\n", ["TOKEN_TTL", "a whole number from 1 to 31536000"]),
    "a number with a point": ("TOKEN_TTL: 60.0\n", ["TOKEN_TTL", "a whole number from 1 to"]),
    "a number in base 16": ("TOKEN_TTL: 0x10\n", ["TOKEN_TTL", "a whole number from 1 to"]),
    "a boolean that is none": ("READ_ONLY: yes\n", ["READ_ONLY", "true or false"]),
    "twice": (f"CLIENT_PASSWORD: {SECRET}\nTOKEN_TTL: 5\nCLIENT_PASSWORD: {SECRET}2\n", ["line 3: CLIENT_PASSWORD is given in line 1 too"]),
    "a map": ("HTTP_LISTEN:\n  tls: {cert: x}\n", ["HTTP_LISTEN.tls: a setting has one value"]),
    "a map in braces": ("HTTP_LISTEN: {tls: x}\n", ["line 1: HTTP_LISTEN begins with a map"]),
    "a list in a list": ("SERVICES: [auth, [kv]]\n", ["SERVICES[2]: a setting has one value"]),
    "a map in a list": ("SERVICES:\n  - auth: kv\n", ["SERVICES[1]: a setting has one value"]),
    "a number in a list": ("SERVICES: [1]\n", ["SERVICES[1] should be a text"]),
    "an empty list": ("LOGIN_DELAY_EXEMPT: []\n", ["LOGIN_DELAY_EXEMPT is an empty list"]),
    "an anchor": ("SERVICES: &a [auth]\n", ["SERVICES begins with an anchor"]),
    "an alias": (f"CLIENT_PASSWORD: *{SECRET}\n", ["CLIENT_PASSWORD begins with an alias"]),
    "a tag": ("CLIENT_PASSWORD: !!binary aGk=\n", ["CLIENT_PASSWORD begins with a tag"]),
    "a merge": ("<<: {TOKEN_TTL: 5}\n", ["line 1: should be NAME: value"]),
    "a quoted name": ('TOKEN_TTL: 5\n"TOKEN_TTL": 6\n', ["line 2: should be NAME: value"]),
    "a name that is a list": ("? [a]\n: b\n", ["line 1"]),
    "several documents": ("TOKEN_TTL: 5\n---\nTOKEN_TTL: 6\n", ["line 2: should be NAME: value"]),
    "a directive": ("%YAML 1.1\n---\nTOKEN_TTL: 5\n", ["line 1: should be NAME: value"]),
    "a list of all": ("- TOKEN_TTL\n", ["line 1: should be NAME: value"]),
    "a text": ("TOKEN_TTL\n", ["line 1: should be NAME: value"]),
    "no space": ("TOKEN_TTL:5\n", ["line 1: should be NAME: value"]),
    "a tabulator": (f"CLIENT_PASSWORD:\n\t{SECRET}\n", ["is no YAML"]),
    "open quotes": (f'CLIENT_PASSWORD: "{SECRET}\n', ["is no YAML"]),
    "a colon": (f"CLIENT_PASSWORD: a: {SECRET}\n", ["line 1: this is no YAML"]),
    "a value on the next line": ("TOKEN_TTL:\n  5\n", ["line 1: the value of TOKEN_TTL should be on this line"]),
    "several lines": (f"CLIENT_PASSWORD: |\n  {SECRET}\n", ["CLIENT_PASSWORD", "white space"]),
    "zero bytes": (b'TOKEN_ISSUER: "a\\x00b"\n', ["TOKEN_ISSUER", "control character"]),
    "no UTF-8": (b"TOKEN_ISSUER: \xff\n", ["valid UTF-8"]),
    "UTF-16": ("TOKEN_TTL: 5\n".encode("utf-16"), ["valid UTF-8"]),
    "too large": (b"#" * 65_537, ["at most 65536 bytes"]),
    "brackets": ("SERVICES: " + "[" * 30_000 + "]" * 30_000, ["inside a list"]),
    "dashes": ("SERVICES:\n  " + "- " * 30_000, ["inside a list"]),
    "indented dashes": ("SERVICES:\n" + "".join(" " * n + "-\n" for n in range(1, 330)), ["SERVICES[1]: a setting has one value"]),
    "a billion laughs": ("A: &a [x, x]\nB: &b [*a, *a]\nC: [*b, *b]\n", ["line 1: A begins with an anchor"]),
    "laughs in a list": ("SERVICES:\n  - &a [x, x]\n  - &b [*a, *a]\n  - [*b, *b]\n", ["SERVICES[", "a setting has one value"]),
    "a secret and its file": (f"CLIENT_PASSWORD: {SECRET}\nCLIENT_PASSWORD_FILE: /x\n", ["CLIENT_PASSWORD and", "are both given"]),
    "a missing file of a secret": ("CLIENT_PASSWORD_FILE: /nowhere/x\n", ["cannot read /nowhere/x", "CLIENT_PASSWORD_FILE"]),
}


@pytest.mark.parametrize("text,parts", WRONG.values(), ids=WRONG)
def test_a_file_that_is_wrong_is_named_with_the_place_and_no_value(config, text, parts):
    path = config(text)
    err = sources(path).get("err")
    assert err is not None
    for part in [str(path), *parts]:
        assert part in err, err
    assert "S3cret" not in err


def missing(path):
    path.unlink()
    return "No such file"


def a_directory(path):
    path.unlink()
    path.mkdir()
    return "should be a file"


def a_device(path):
    path.unlink()
    path.symlink_to("/dev/zero")
    return "should be a file"


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)
    return "should be a file"


@pytest.mark.parametrize("spoil", [missing, a_directory, a_device, a_pipe])
def test_a_file_that_cannot_be_read_is_named(config, spoil):
    path = config("TOKEN_TTL: 5\n")
    part = spoil(path)
    err = sources(path)["err"]
    assert str(path) in err and "AUTHKV_CONFIG" in err and part in err, err


def test_a_later_source_counts(config, tmp_path):
    """A layout, the file, the environment, and files of secrets in both of them."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    path = config(
        in_file(
            {
                "LAYOUT": "key_value_tarantool",
                "SERVICES": "kv",
                "FOLLOW": "127.0.0.1:1",
                "TOKEN_TTL": 60,
                "BATCH_MAX": 7,
                "CLIENT_PASSWORD": "of-the-file",
                "FOLLOWER_PASSWORD_FILE": secret,
            }
        )
    )
    found = sources(path, AUTHKV_BATCH_MAX="9", AUTHKV_CLIENT_PASSWORD_FILE=str(secret), AUTHKV_KEY_MAX="")
    layout, file = "layout key_value_tarantool", f"file {path}"
    expected = {
        "LAYOUT": ("key_value_tarantool", file),
        "SERVICES": ("kv", file),
        "DATA_DIR": ("./var/key_value", layout),
        "HTTP_LISTEN": ("127.0.0.1:9080", layout),
        "FOLLOW": ("127.0.0.1:1", file),
        "TOKEN_TTL": ("60", file),
        "BATCH_MAX": ("9", "environment"),
        "CLIENT_PASSWORD": (SECRET, f"secret file {secret}"),
        "FOLLOWER_PASSWORD": (SECRET, f"secret file {secret}"),
    }
    for name, (value, source) in expected.items():
        assert (found["settings"].get(name), found["from"].get(name)) == (value, source), (name, found)
    assert "KEY_MAX" not in found["settings"]
    # A password in the environment counts, whatever way the file has it.
    found = sources(path, AUTHKV_FOLLOWER_PASSWORD="of-the-environment")
    assert (found["settings"]["FOLLOWER_PASSWORD"], found["from"]["FOLLOWER_PASSWORD"]) == ("of-the-environment", "environment")


@pytest.mark.parametrize(
    "mode,text,warns", [(0o644, "CLIENT_PASSWORD: x\n", True), (0o640, "CLIENT_PASSWORD: x\n", False), (0o644, "KEY_MAX: 5\n", False)]
)
def test_a_file_with_a_secret_that_everybody_may_read_is_warned_of(config, mode, text, warns):
    path = config(text)
    path.chmod(mode)
    warnings = sources(path)["warnings"]
    assert [str(path) in warning for warning in warnings] == [True] * warns


def rows(console) -> dict[str, list]:
    return {row[0]: row[1:] for row in console.evaluate("return authkv.config()")[0]}


def test_an_instance_starts_from_a_file_and_shows_where_each_setting_comes_from(make, config):
    path = config(in_file({"TOKEN_TTL": 77, "ADMIN_PASSWORD": f"'{harness.ADMIN_PASSWORD}'", "HTTP_CORS_ORIGINS": "'*'"}))
    path.chmod(0o644)
    instance = make(AUTHKV_CONFIG=str(path), AUTHKV_ADMIN_PASSWORD=None, AUTHKV_MEMTX_MEMORY="67108864").start()
    http, console = HttpTransport(instance), ConsoleTransport(instance)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    assert console.evaluate(f"return authkv.login('admin', '{harness.ADMIN_PASSWORD}').expires_in") == [77]
    shown = rows(console)
    (listed,) = console.evaluate("return authkv.settings()")
    assert list(shown) == [row[0] for row in listed]
    assert shown["TOKEN_TTL"] == ["77", f"file {path}"]
    assert shown["ADMIN_PASSWORD"] == ["<set>", f"file {path}"]
    assert shown["CLIENT_PASSWORD"] == ["<set>", "environment"]
    assert shown["FOLLOWER_PASSWORD"] == ["<none>", "default"]
    assert shown["KEY_MAX"] == ["1024", "default"]
    # What is worked out.
    assert shown["MEMTX_RESERVE"] == [str(6 << 20), "default"]
    assert shown["CONSOLE_LISTEN"] == [str(instance.data_dir / "console.sock"), "default"]
    assert shown["CRYPTO_THREADS"][0].isdigit()
    # One line for each setting in the console.
    assert "- ['TOKEN_TTL', '77', " in console.show("return authkv.config()")
    # A call is a source too.
    console.evaluate("return authkv.reload{KEY_MAX = 9}")
    assert rows(console)["KEY_MAX"] == ["9", "call"]
    console.evaluate("return authkv.reload{KEY_MAX = box.NULL}")
    assert rows(console)["KEY_MAX"] == ["1024", "default"]
    said = instance.log() + console.show("return authkv.config()")
    assert f"{path} has a secret, and everybody may read it" in said
    assert harness.ADMIN_PASSWORD not in said and harness.CLIENT_PASSWORD not in said
    http.close()
    console.close()


def test_a_wrong_file_stops_the_start(make, config):
    path = config(f"CLIENT_PASSWORD: {SECRET}\nTOKEN_TTL: forever\n")
    said = make(AUTHKV_CONFIG=str(path), AUTHKV_CLIENT_PASSWORD=None).refuse_to_start()
    assert f"(TOKEN_TTL in {path})" in said and "a whole number from 1 to" in said
    assert "S3cret" not in said
