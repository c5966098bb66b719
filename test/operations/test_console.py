"""The Lua facade as a person sees it in the console: help, readable results, errors as values, owner and user."""

import re
import shutil
import subprocess

from support import harness
from support.contract import GOOD, INVALID_CREDENTIALS, LOGIN_TAKEN, NO_KEYS, UNAUTHENTICATED, missing, repeated
from support.outcome import A_TOKEN, Ok, Refused, assert_outcome
from support.transports import ConsoleTransport, HttpTransport


def test_the_start_says_how_to_reach_the_console(instance):
    """With a tool that comes with this Tarantool: the command is run where the tool is."""
    [command] = [line.removeprefix("console ").strip() for line in instance.log().splitlines() if line.startswith("console ")]
    tool, *_ = command.split()
    assert tool == harness.tool(), command
    assert command.endswith(str(instance.console_path)), command
    if shutil.which(tool):
        seen = subprocess.run(
            command.split(), input="6 * 7 + box.cfg.readahead * 0\n", capture_output=True, text=True, timeout=harness.DEADLINE, check=True
        )
        assert "- 42" in seen.stdout, seen


def test_a_relative_path_of_the_console_is_no_name_of_an_application(console):
    expected = {
        "tt": {
            "a.sock": "tt connect ./a.sock",
            "./a": "tt connect ./a",
            "../a": "tt connect ../a",
            "/a": "tt connect /a",
            ".a/b": "tt connect ./.a/b",
        },
        "tarantoolctl": {path: f"tarantoolctl connect unix/:{path}" for path in ("a.sock", "./a", "../a", "/a", ".a/b")},
    }[harness.tool()]
    for path, command in expected.items():
        assert console.evaluate(f"return require('authkv.tools').connect('{path}')") == [command]


def test_who_names_one_tool_names_the_other():
    """Every page, and every text of the code, that has a command with tarantoolctl has one with tt."""
    pages = [*harness.ROOT.glob("README*.md"), *harness.ROOT.glob("documentation/**/*.md")]
    for page in pages:
        text = page.read_text()
        assert ("tarantoolctl" in text) == bool(re.search(r"\btt (connect|rocks)", text)), page
    for file in [harness.ROOT / "init.lua", *harness.ROOT.glob("tarantool_infra/**/*.lua"), *harness.ROOT.glob("src/**/*.rs")]:
        assert "tarantoolctl" not in file.read_text() or file.name == "tools.lua", file


def test_help_lists_every_command(console):
    shown = console.show("authkv.help()")
    for command in ("register", "login", "logout", "check", "get", "put", "as", "help"):
        assert f"authkv.{command}" in shown, command


def test_the_facade_is_a_module_too(console):
    assert console.evaluate("return require('authkv') == authkv") == [True]


def test_the_owner_reads_and_writes_without_a_token(console):
    assert console.outcome("authkv.put{own_a = 1, own_b = {x = {1, box.NULL}}}") == Ok({"written": 2, "existing": []})
    assert console.outcome("authkv.put{own_a = 2, own_c = 3}") == Ok({"written": 1, "existing": ["own_a"]})
    assert console.outcome("authkv.get{'own_a', 'own_b'}") == Ok({"own_a": 1, "own_b": {"x": [1, None]}})
    for call, expected in [
        ("authkv.get{'own_a', 'no'}", missing("no")),
        ("authkv.get{'own_a', 'own_a'}", repeated("own_a")),
        ("authkv.get{}", NO_KEYS),
        ("authkv.put{}", NO_KEYS),
        ("authkv.put{[''] = 1}", Refused("bad_key")),
    ]:
        assert_outcome(console, console.outcome(call), expected)


def test_results_read_well(console):
    console.evaluate("authkv.put{shown = {a = 1, list = {'x', 'y'}}}")
    assert console.evaluate("return authkv.get{'shown'}") == [{"shown": {"a": 1, "list": ["x", "y"]}}]
    assert console.evaluate("return authkv.put{shown = 1}") == [{"written": 0, "existing": ["shown"]}]
    assert console.evaluate("return authkv.check('x')") == [{"authorized": False}]


def test_an_error_is_a_second_value_that_reads_well(console):
    value, error = console.evaluate("return authkv.get{'absent'}")
    assert value is None and "These keys don't exist: absent" in str(error)
    assert console.evaluate("local _, err = authkv.get{'absent'} return err.code, err.name, err.message") == [
        20012, "missing_keys", "These keys don't exist: absent",
    ]  # fmt: skip


def test_a_user_goes_through_the_whole_of_it(instance, console):
    person = f"{{login = 'carol', password = '{GOOD}', name = 'Carol', surname = 'Stone'}}"
    assert console.outcome(f"authkv.register{person}") == Ok({"login": "carol"})
    assert_outcome(console, console.outcome(f"authkv.register{person}"), LOGIN_TAKEN)
    assert_outcome(console, console.login("carol", "wrong"), INVALID_CREDENTIALS)
    token = console.login("carol", GOOD).value
    assert_outcome(console, Ok(token), Ok(A_TOKEN))
    user = f"authkv.as('{token}')"
    assert console.outcome(f"{user}.check()").value["login"] == "carol"
    assert console.outcome(f"{user}.put{{carols = 'own'}}") == Ok({"written": 1, "existing": []})
    assert console.outcome(f"{user}.get{{'carols'}}") == Ok({"carols": "own"})
    http = HttpTransport(instance)
    assert http.get(token, ["carols"]) == Ok({"carols": "own"})
    assert console.outcome(f"{user}.logout()") == Ok({"revoked": True})
    assert_outcome(console, console.outcome(f"{user}.get{{'carols'}}"), UNAUTHENTICATED)
    assert_outcome(console, console.outcome(f"{user}.logout()"), UNAUTHENTICATED)
    assert console.outcome(f"{user}.check()") == Ok({"authorized": False})
    assert http.check(token) == Ok(False)
    http.close()


def test_the_console_adds_one_global_only(console):
    (names,) = console.evaluate("local names = {} for name in pairs(_G) do table.insert(names, name) end return names")
    assert {name for name in names if "authkv" in name.lower()} == {"authkv"}


def test_a_restart_serves_the_same_data_over_http_again(make):
    instance = make().start()
    console, http = ConsoleTransport(instance), HttpTransport(instance)
    http.register("bob1", GOOD, "Bob", "Stone")
    token = http.login("bob1", GOOD).value
    assert http.put(token, {"k": 1}) == Ok([])
    http.close()
    for _ in range(2):
        console.evaluate("return authkv.restart() ~= nil")
        http = HttpTransport(instance)
        assert http.get(token, ["k"]) == Ok({"k": 1})
        assert console.outcome("authkv.get{'k'}") == Ok({"k": 1})
        http.close()
    console.close()


def test_the_table_of_the_facade_shows_no_password(console):
    shown = console.show("authkv")
    assert "login" in shown
    assert harness.ADMIN_PASSWORD not in shown and harness.CLIENT_PASSWORD not in shown
