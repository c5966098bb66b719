"""A bare connection, for bytes that no HTTP library would send, and a strict reader of what comes back."""

from __future__ import annotations

import json
import os
import re
import select
import socket
import struct
import time
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import pytest

from support.harness import HOST, Instance, wait_until

# Bounds a hang only; below the default idle timeout, so that a connection left open is seen as such.
DEADLINE = 20
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
RESET = struct.pack("ii", 1, 0)
BODY = b'{"authorization": "x"}'
NO = {"authorized": "NO"}
# A request, and its head so far as other lines may follow.
HEAD = b"POST /api/check HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n"
CHECK = HEAD + b"\r\n" + BODY


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, whole. Its head was found to be what RFC 9112 allows."""

    version: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for one, value in self.headers if one == name.lower()]

    def header(self, name: str) -> str | None:
        values = self.all(name)
        assert len(values) < 2, f"{name} twice: {self}"
        return values[0] if values else None

    def words(self, name: str) -> set[str]:
        """The members of a header that is a list, in lower case."""
        return {word.strip().lower() for value in self.all(name) for word in value.split(",")} - {""}

    @property
    def closes(self) -> bool:
        return "close" in self.words("Connection")

    @cached_property
    def json(self):
        assert self.header("Content-Type").partition(";")[0] == "application/json", self
        return json.loads(self.body)

    def seen(self) -> tuple[int, object]:
        return self.status, self.json

    def failure(self, path: str | None) -> str:
        """What is wrong, in the form that belongs to the path: a message alone, under /v1 a problem (RFC 9457), and both if
        the server cannot know it."""
        if path is not None and not path.startswith(("/v1", "/.well-known/")):
            assert self.json.keys() == {"message"}, self
            return self.json["message"]
        assert self.header("Content-Type") == "application/problem+json", self
        told = json.loads(self.body)
        members = {"type", "title", "status", "code", "detail"} | ({"message"} if path is None else set())
        assert told.keys() == members and told["status"] == self.status, self
        assert told.get("message", told["detail"]) == told["detail"] and told["detail"], self
        return told["detail"]

    def names(self, limit: int, setting: str, path: str | None = "/api/check") -> bool:
        """Whether this is a failure, and it says which limit was met: its value or its setting."""
        text = self.failure(path)
        return str(limit) in text or setting in text


class Wire:
    """One connection to an instance, or to the address that is given. A `narrow` one takes in little unread."""

    # Whether an answer that cannot have a body may say that its length is 0.
    may_say_length_0 = False

    def __init__(self, target: Instance | tuple | str, source: str | None = None, narrow: bool = False):
        address = (HOST, target.http_port) if isinstance(target, Instance) else target
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.socket.settimeout(DEADLINE)
        if narrow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        if self.socket.family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(address)
        self.file = self.socket.makefile("rb")

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def send(self, raw: bytes) -> bool:
        """Sends it all, unless the other side has gone, which its answer will explain."""
        try:
            self.socket.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def drip(self, raw: bytes) -> None:
        """Sends byte by byte, each in a segment of its own, until the other side has gone."""
        for byte in raw:
            if not self.send(bytes([byte])):
                return

    def _line(self) -> bytes:
        line = self.file.readline(65537)
        assert line.endswith(b"\r\n") and b"\r" not in line[:-2], f"a line of a head: {line!r}"
        return line[:-2]

    def answer(self, method: str = "GET") -> Answer:
        """The next answer; one of status 100 counts."""
        version, status, *_ = self._line().decode("ascii").split(" ", 2)
        assert re.fullmatch(r"HTTP/1\.[01]", version) and re.fullmatch(r"[1-5]\d\d", status), (version, status)
        headers = []
        while line := self._line():
            name, colon, value = line.partition(b":")
            assert colon and TOKEN.fullmatch(name) and not re.search(rb"[\0-\x08\x0a-\x1f\x7f]", value), line
            headers.append((name.decode().lower(), value.strip().decode()))
        head = Answer(version, int(status), tuple(headers), b"")
        return Answer(version, int(status), tuple(headers), self._body(head, method))

    def _body(self, head: Answer, method: str) -> bytes:
        length, coding = head.header("Content-Length"), head.header("Transfer-Encoding")
        assert length is None or coding is None, head
        if head.status < 200 or head.status == 204:
            assert coding is None and (length is None or (length == "0" and self.may_say_length_0)), f"RFC 9110 §8.6: {head}"
            return b""
        if method == "HEAD" or head.status == 304:
            return b""
        if coding is None:
            assert length is not None, f"an answer of no length: {head}"
            assert re.fullmatch(r"\d+", length), head
            return self._exactly(int(length))
        assert coding == "chunked" and head.version == "HTTP/1.1", head
        chunks = []
        while size := int(self._line(), 16):
            chunks.append(self._exactly(size))
            assert self._line() == b""
        assert self._line() == b"", "trailers"
        return b"".join(chunks)

    def _exactly(self, size: int) -> bytes:
        body = self.file.read(size)
        assert len(body) == size, f"the body ended after {len(body)} of {size} bytes"
        return body

    def final(self, method: str = "GET") -> Answer:
        """The next answer that is not 100 Continue."""
        while (answer := self.answer(method)).status == 100:
            pass
        return answer

    def rest(self) -> bytes:
        """All that still comes until the other side closes; fails where it does not close."""
        seen = bytearray()
        try:
            while chunk := self.file.read1(65536):
                seen += chunk
        except ConnectionResetError:
            pass
        except TimeoutError:
            pytest.fail(f"the connection is not closed; so far: {bytes(seen[:300])!r}")
        return bytes(seen)

    def is_readable(self) -> bool:
        """Whether an answer has begun to come, or the end."""
        return bool(select.select([self.socket], [], [], 0)[0])

    def finish(self) -> None:
        """Says that nothing more will be sent."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with an RST, as a process does that dies with bytes unread."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


def held(instance: Instance) -> Wire:
    """A request that certainly counts and lacks its last byte, which is that of CHECK: a body is asked for once its request
    counts. Waits while one that has ended without an answer has its place still."""

    def begun() -> Wire | None:
        wire = Wire(instance)
        wire.send(CHECK[: -len(BODY)].replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        if wire.answer().status == 100:
            wire.send(BODY[:-1])
            return wire
        wire.close()
        return None

    return wait_until(begun, "a place for a request")


def post(path: str, body: bytes, *lines: str, version: str = "1.1") -> bytes:
    """A whole request, with these lines in its head."""
    head = [f"POST {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *lines, "", ""]
    return "\r\n".join(head).encode() + body


def write_request(token: str, key: str) -> bytes:
    """A whole request that writes `key`: what is smuggled, to see afterwards whether it was served."""
    return post("/api/write", json.dumps({"data": {key: 1}}).encode(), f"Authorization: Bearer {token}")


def all_is_read(instance: Instance) -> bool:
    """Whether the instance has accepted every connection and read every byte sent to its port."""
    port = f":{instance.http_port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    # Column 1 is the local address, 4 the queues, tx:rx; of a listening socket rx counts what is not accepted.
    return not any(row[1].endswith(port) and int(row[4].split(":")[1], 16) for row in rows)


def in_lockstep(instance: Instance, wires: list[Wire], pieces: list[list[bytes]]) -> None:
    """Sends each wire its pieces, the next one only once the instance has read those before it."""
    for step in zip_longest(*pieces, fillvalue=b""):
        for wire, piece in zip(wires, step, strict=True):
            wire.send(piece)
        end = time.monotonic() + DEADLINE
        while not all_is_read(instance):
            assert time.monotonic() < end, "the instance does not read what was sent"


def rss(instance: Instance) -> int:
    """Bytes of memory that the process has."""
    status = Path(f"/proc/{instance.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def descriptors(instance: Instance) -> int:
    return len(os.listdir(f"/proc/{instance.process.pid}/fd"))
