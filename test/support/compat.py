"""The setting of Tarantool that says whether it puts an array around what a C function returns to IPROTO_CALL."""

from __future__ import annotations

import pytest

from support.fronts import ConsoleFront

# The setting; None is the default of the version.
COMPAT = [None, "old", "new"]


def version(console: ConsoleFront) -> tuple[int, ...]:
    (text,) = console.evaluate("return _TARANTOOL")
    return tuple(map(int, text.split("-")[0].split(".")))


def has_compat(console: ConsoleFront) -> bool:
    return version(console) >= (2, 11)


def set_compat(console: ConsoleFront, setting: str | None) -> bool:
    """Sets it while the instance runs. Returns whether results are bare now. What the version does not have is skipped."""
    if not has_compat(console):
        if setting is not None:
            pytest.skip("Tarantool before 2.11 has no compat")
        return False
    done = console.evaluate(f"require('compat').c_func_iproto_multireturn = '{setting or 'default'}' return true")
    assert done == [True], done
    return setting == "new" or (setting is None and version(console) >= (3,))
