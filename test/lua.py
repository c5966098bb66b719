"""Lua text for values, where a test speaks to the console."""

from __future__ import annotations


def lua(value) -> str:
    """A Lua expression for a JSON value."""
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
            raw = value.encode() if isinstance(value, str) else value
            return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03}" for b in raw) + '"'
        case list() | tuple():
            return "{" + ", ".join(map(lua, value)) + "}"
        case dict() if not value:
            return "setmetatable({}, {__serialize = 'map'})"
        case dict():
            return "{" + ", ".join(f"[{lua(key)}] = {lua(one)}" for key, one in value.items()) + "}"
    raise TypeError(type(value))
