"""The setting of Tarantool that says whether it puts an array around what a C function returns to IPROTO_CALL."""

from __future__ import annotations

import pytest

from support.harness import version
from support.transports import ConsoleTransport

# The setting; None is the default of the version.
COMPAT = [None, "old", "new"]


def has_compat() -> bool:
    return version() >= (2, 11)


def set_compat(console: ConsoleTransport, setting: str | None) -> bool:
    """Sets it while the instance runs. Returns whether results are bare now. What the version does not have is skipped."""
    if not has_compat():
        if setting is not None:
            pytest.skip("Tarantool before 2.11 has no compat")
        return False
    done = console.evaluate(f"require('compat').c_func_iproto_multireturn = '{setting or 'default'}' return true")
    assert done == [True], done
    return setting == "new" or (setting is None and version() >= (3,))
