"""Values as Python has them: what msgpack, the JSON of /v1 and Lua make of them.

`bytes` are msgpack's bin, `Decimal` and `UUID` Tarantool's extensions, `ExtType` any other one. A string that is no UTF-8
is a `str` whose other bytes are surrogates (`surrogateescape`), which JSON shows as bytes.
"""

from __future__ import annotations

import base64
import binascii
from decimal import Decimal
from uuid import UUID

import msgpack
from msgpack import ExtType
from tarantool.msgpack_ext import decimal as ext_decimal
from tarantool.msgpack_ext import uuid as ext_uuid

DECIMAL, UUID_TYPE, DATETIME, INTERVAL = 1, 2, 4, 6
# An object of one member with such a name means something in the JSON of /v1.
WRAPPERS = ("$binary", "$decimal", "$uuid", "$datetime", "$ext", "$map")


def _default(value):
    match value:
        case Decimal():
            return ExtType(DECIMAL, ext_decimal.encode(value, None, max_digits=38))
        case UUID():
            return ExtType(UUID_TYPE, ext_uuid.encode(value, None))
    raise TypeError(type(value))


def _extension(code: int, data: bytes):
    match code:
        case 1:
            return ext_decimal.decode(data, None)
        case 2:
            return ext_uuid.decode(data, None)
    return ExtType(code, data)


def pack(value) -> bytes:
    return msgpack.packb(value, default=_default, unicode_errors="surrogateescape")


def unpack(data: bytes):
    return msgpack.unpackb(data, ext_hook=_extension, unicode_errors="surrogateescape", strict_map_key=False)


def unpacker(_connection=None) -> msgpack.Unpacker:
    """For the connector of PyPI, whose own one takes no string that is no UTF-8."""
    return msgpack.Unpacker(ext_hook=_extension, unicode_errors="surrogateescape", strict_map_key=False, max_buffer_size=0)


def raw(text: str) -> bytes:
    """The bytes of a string, whatever they are."""
    return text.encode("utf-8", "surrogateescape")


def broken(data: bytes) -> str:
    """A string of these bytes, whatever they are."""
    return data.decode("utf-8", "surrogateescape")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def to_json(value):
    """What the JSON of /v1 says for a value."""
    match value:
        case bytes():
            return {"$binary": _base64(value)}
        case Decimal():
            return {"$decimal": str(value)}
        case UUID():
            return {"$uuid": str(value)}
        case ExtType(code, data):
            return {"$ext": {"type": code, "data": _base64(data)}}
        case str() if not _is_utf8(value):
            return {"$binary": _base64(raw(value))}
        case list() | tuple():
            return [to_json(one) for one in value]
        case dict():
            written = {key: to_json(one) for key, one in value.items()}
            return {"$map": written} if len(value) == 1 and next(iter(value)) in WRAPPERS else written
    return value


def from_json(value):
    """The value that the JSON of /v1 says. What only looks like a wrapper fails: the instance has to escape it."""
    if isinstance(value, list):
        return [from_json(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1 or next(iter(value)) not in WRAPPERS:
        return {key: from_json(one) for key, one in value.items()}
    ((name, inner),) = value.items()
    match name:
        case "$binary":
            return _bytes(inner)
        case "$decimal":
            return Decimal(inner)
        case "$uuid":
            return UUID(inner)
        case "$ext":
            assert inner.keys() == {"type", "data"}, value
            return _extension(inner["type"], _bytes(inner["data"]))
        case "$map":
            assert isinstance(inner, dict) and len(inner) == 1 and next(iter(inner)) in WRAPPERS, value
            return {key: from_json(one) for key, one in inner.items()}
    raise AssertionError(f"nothing else reads {value}")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise AssertionError(f"not base64: {text}") from error


def nested(depth: int) -> list:
    """Arrays inside one another."""
    value = []
    for _ in range(depth - 1):
        value = [value]
    return value
