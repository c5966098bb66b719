"""A bare iproto client for what connectors refuse to send: broken arguments, wrong types, requests without rights."""

from __future__ import annotations

import base64
import hashlib
import socket

import msgpack

from support.harness import CLIENT_PASSWORD, DEADLINE, HOST, Instance
from support.outcome import Ok, Refusal
from support.transports import refusal

SELECT, INSERT, AUTH, EVAL, CALL, EXECUTE = 0x01, 0x02, 0x07, 0x08, 0x0A, 0x0B
CODE, SYNC = 0x00, 0x01
SPACE_ID, INDEX_ID, LIMIT, OFFSET, ITERATOR, KEY = 0x10, 0x11, 0x12, 0x13, 0x14, 0x20
TUPLE, FUNCTION_NAME, USER_NAME, EXPRESSION = 0x21, 0x22, 0x23, 0x27
DATA, ERROR_TEXT, SQL_TEXT, SQL_BIND, OPTIONS = 0x30, 0x31, 0x40, 0x41, 0x2B
FAILED = 0x8000
# Tarantool's own codes.
INVALID_MSGPACK, ACCESS_DENIED = 20, 42


class RawIproto:
    """One connection; without a user it stays the guest it begins as."""

    def __init__(self, instance: Instance, user: str | None = "authkv", password: str = CLIENT_PASSWORD):
        self.socket = socket.create_connection((HOST, instance.iproto_port), timeout=DEADLINE)
        greeting = self._read(128)
        if user is not None:
            scramble = _scramble(password.encode(), base64.b64decode(greeting[64:108])[:20])
            seen = self.request(AUTH, {USER_NAME: user, TUPLE: ["chap-sha1", scramble]})
            assert isinstance(seen, Ok), seen

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise ConnectionError("closed by the instance")
            data += chunk
        return bytes(data)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, kind: int, body: dict | bytes) -> Ok | Refusal:
        """One request and its answer. A closed connection raises ConnectionError."""
        packet = msgpack.packb({CODE: kind, SYNC: 1}) + (body if isinstance(body, bytes) else msgpack.packb(body))
        self.send(b"\xce" + len(packet).to_bytes(4, "big") + packet)
        size = int.from_bytes(self._read(5)[1:], "big")
        unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=0, unicode_errors="surrogateescape")
        unpacker.feed(self._read(size))
        header, *rest = unpacker
        body = rest[0] if rest else {}
        if header[CODE] >= FAILED:
            return refusal(header[CODE] - FAILED, body[ERROR_TEXT])
        return Ok(body.get(DATA))

    def call(self, procedure: str, args: bytes) -> Ok | Refusal:
        """A call whose arguments are these bytes, whatever they are. A procedure in C gives `[[result]]`."""
        body = b"\x82" + bytes([FUNCTION_NAME]) + msgpack.packb(procedure) + bytes([TUPLE]) + args
        return self.request(CALL, body)

    def evaluate(self, expression: str) -> Ok | Refusal:
        return self.request(EVAL, {EXPRESSION: expression, TUPLE: []})

    def execute(self, sql: str) -> Ok | Refusal:
        return self.request(EXECUTE, {SQL_TEXT: sql, SQL_BIND: [], OPTIONS: []})

    def select(self, space: int, limit: int = 1) -> Ok | Refusal:
        every = 2
        return self.request(SELECT, {SPACE_ID: space, INDEX_ID: 0, LIMIT: limit, OFFSET: 0, ITERATOR: every, KEY: []})

    def insert(self, space: int, row: list) -> Ok | Refusal:
        return self.request(INSERT, {SPACE_ID: space, TUPLE: row})

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> RawIproto:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _scramble(password: bytes, salt: bytes) -> bytes:
    """The proof of a password that chap-sha1 sends."""
    once = hashlib.sha1(password).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))
