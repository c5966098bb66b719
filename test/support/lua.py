"""Lua text for values, where a test speaks to the console."""

from __future__ import annotations

import re
from decimal import Decimal
from uuid import UUID

from support.values import raw

_ESCAPED = re.compile(rb"[^ !#-\[\]-~]")


def lua(value) -> str:
    """A Lua expression for a value."""
    match value:
        case None:
            return "box.NULL"
        case bool():
            return str(value).lower()
        case int() if abs(value) <= 2**53:
            return str(value)
        case int():
            return f"{value}{'ULL' if value >= 2**63 else 'LL'}"
        case float():
            return f"({value!r})"
        case str() | bytes():
            written = raw(value) if isinstance(value, str) else value
            return '"' + _ESCAPED.sub(lambda one: b"\\%03d" % one[0][0], written).decode() + '"'
        case Decimal():
            return f"require('decimal').new({lua(str(value))})"
        case UUID():
            return f"require('uuid').fromstr({lua(str(value))})"
        case list() | tuple():
            return "{" + ", ".join(map(lua, value)) + "}"
        case dict() if not value:
            return "setmetatable({}, {__serialize = 'map'})"
        case dict():
            return "{" + ", ".join(f"[{lua(key)}] = {lua(one)}" for key, one in value.items()) + "}"
    raise TypeError(type(value))
