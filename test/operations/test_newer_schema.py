"""A restart with a build whose schema is newer than that of the Lua code in the process. The test makes the process an older one:
its data and its code know less."""

from __future__ import annotations

import pytest

from support.builds import Builds
from support.harness import ADMIN_PASSWORD, wait_until
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport

# A space that the last version has added, and the version before it.
AGE = """
local schema = require('authkv.schema')
local older = schema.VERSION - 1
box.space.authkv_secret:drop()
box.space._schema:replace({'authkv', older})
schema.VERSION, schema.upgrade = older, function()
    if schema.version() > older then
        error('the data is newer: install a newer authkv', 0)
    end
end
package.preload['authkv.tools'], package.loaded['authkv.tools'] = nil, nil
"""
RESTART = "local ok, result = pcall(authkv.restart) return ok, type(result) ~= 'table' and result or nil"


@pytest.fixture
def console(make, tmp_path):
    """The console of an instance whose process is older than its library."""
    one = make()
    one.start()
    console = ConsoleTransport(one)
    console.instance = one
    console.version = console.evaluate("return box.space._schema:get('authkv')[2]")
    assert console.evaluate(" ".join(AGE.split())) == []
    Builds(tmp_path, console).put_another()
    yield console
    console.close()


def serves(instance) -> None:
    for transport in (HttpTransport, IprotoTransport):
        one = transport(instance)
        assert_outcome(one, one.login("admin", ADMIN_PASSWORD), Ok(A_TOKEN))
        one.close()


def test_a_restart_brings_the_data_up_to_the_new_build(console):
    assert console.evaluate(RESTART)[0] is True
    assert console.evaluate("return box.space._schema:get('authkv')[2], box.space.authkv_secret:count()") == [*console.version, 1]
    serves(console.instance)
    # The process knows the new schema from now on.
    assert console.evaluate(RESTART)[0] is True
    serves(console.instance)
    # And what the build asks of modules that the process did not have.
    assert console.evaluate("return type(require('authkv.tools').connect)") == ["function"]


def test_a_read_only_instance_says_that_the_leader_comes_first(console):
    console.evaluate("box.cfg{read_only = true}")
    done, why = console.evaluate(RESTART)
    assert done is False and "start the leader with this authkv first" in why
    console.evaluate("box.cfg{read_only = false}")
    assert console.evaluate(RESTART)[0] is True
    serves(console.instance)


def test_what_the_code_of_the_process_cannot_tell_is_not_logged_again_and_again(console):
    def lines() -> int:
        return console.instance.log().count("source.contact failed")

    console.evaluate("require('authkv.source').contact = nil")
    assert console.evaluate(RESTART)[0] is True
    seen = wait_until(lines, "the log has a line")
    # Longer than the pause between two looks at the leader.
    console.evaluate("require('fiber').sleep(1)")
    assert lines() == seen
    serves(console.instance)
