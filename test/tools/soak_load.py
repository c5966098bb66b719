"""The load of `soak.py`: what clients do to an instance, good and bad, each checking what it is answered.

Every behaviour is a coroutine that runs once; `repeat` runs it again and again. A `Wrong` is a fault of the instance.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
import zlib

from support.contract import GOOD
from support.framing import FORMS
from support.transports import LOGOUT, written_status
from support.wire import CHECK, HEAD, NO, RESET, write_request

ANSWER_IN = 60
BIG = {f"big{n}": f"{n}" * 1_000_000 for n in range(4)}
GENERATION = 15


class Wrong(Exception):
    """The instance did what it may not do."""


class Connection:
    """One connection from an address of its own choice."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self.reader, self.writer = reader, writer

    async def send(self, raw: bytes) -> bool:
        """Whether the other side still takes it in."""
        try:
            self.writer.write(raw)
            await asyncio.wait_for(self.writer.drain(), ANSWER_IN)
        except ConnectionError:
            return False
        return True

    async def drip(self) -> None:
        while await self.send(b" "):
            await asyncio.sleep(0.5)

    async def answer(self, pause: float = 0) -> tuple[int, dict[str, str], bytes]:
        """The next answer; a body is read in pieces with pauses between them."""
        async with asyncio.timeout(ANSWER_IN if not pause else 600):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            status, left = int(head[0].split(" ")[1]), int(headers.get("content-length", 0))
            body = bytearray()
            while left > len(body):
                piece = await self.reader.read(min(65536, left - len(body)))
                if not piece:
                    raise Wrong(f"a body of {left} bytes ended after {len(body)}")
                body += piece
                await asyncio.sleep(pause)
        if status >= 500 and status not in (501, 505):
            raise Wrong(f"{head[0]}: {bytes(body[:200])!r}")
        return status, headers, bytes(body)

    async def expect(self, *expected: int | tuple[int, object]) -> None:
        """The next answer is one of these: a status, or a status and JSON."""
        status, _, body = await self.answer()
        if status not in expected and (status, json.loads(body or b"null")) not in expected:
            raise Wrong(f"{status} {body[:200]!r}, expected {str(expected)[:200]}")

    async def expect_end(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_IN):
                rest = await self.reader.read()
        except ConnectionError:
            return
        if rest:
            raise Wrong(f"more than one answer: {rest[:200]!r}")

    def reset(self) -> None:
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.writer.transport.abort()

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_) -> None:
        self.writer.close()


class Load:
    """What every behaviour needs: where the instance is, a token, and random numbers."""

    def __init__(self, address: tuple[str, int], sources: list[str], seed: int):
        self.address, self.sources = address, sources
        self.random = random.Random(seed)
        self.token = ""
        self.made = 0

    async def connect(self, narrow: bool = False) -> Connection:
        one = socket.socket()
        one.setblocking(False)
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if narrow:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.bind((self.random.choice(self.sources), 0))
        await asyncio.get_running_loop().sock_connect(one, self.address)
        return Connection(*await asyncio.open_connection(sock=one, limit=65536))

    def request(self, path: str, body: object, *lines: str) -> bytes:
        raw = json.dumps(body).encode()
        head = [f"POST /api/{path} HTTP/1.1", "Host: x", f"Authorization: Bearer {self.token}", *lines]
        return "\r\n".join([*head, f"Content-Length: {len(raw)}", "", ""]).encode() + raw

    async def login(self) -> None:
        async with await self.connect() as one:
            await one.send(self.request("login", {"login": "soak", "password": GOOD}))
            status, _, body = await one.answer()
            if status != 201:
                raise Wrong(f"login: {status} {body!r}")
            self.token = json.loads(body)["token"]

    def fresh_keys(self, count: int) -> list[str]:
        """Keys nobody has used; `soak.py` deletes those of past generations, so that the space does not grow."""
        self.made += 1
        prefix = f"t{int(time.time()) // GENERATION}-{id(self)}-{self.made}-{self.random.getrandbits(40)}"
        return [f"{prefix}-{n}" for n in range(count)]

    async def good(self) -> None:
        """A client that does everything right, and is answered right, over one connection."""
        async with await self.connect() as one:
            for _ in range(20):
                keys = self.fresh_keys(self.random.choice((1, 5, 50)))
                data = {key: [key, self.random.random(), {"a": None}] for key in keys}
                await one.send(self.request("write", {"data": data}))
                await one.expect((201, {"status": "success"}))
                await one.send(self.request("read", {"keys": keys}))
                await one.expect((200, {"data": data}))
                await one.send(self.request("write", {"data": dict.fromkeys(keys, 0)}))
                await one.expect((201, {"status": written_status(keys)}))
                await one.send(self.request("read", {"keys": [keys[0], "no"]}))
                await one.expect((400, {"message": "These keys don't exist: no"}))
                await one.send(self.request("read", {"keys": keys}).replace(b"Bearer e", b"Bearer f"))
                await one.expect((401, {"message": "You are not authorized! Please, sign in or sign up"}))
                await asyncio.sleep(self.random.random() / 50)

    async def session(self) -> None:
        """A token is given, counts, and no longer counts after its logout."""
        own = Load(self.address, self.sources, self.random.getrandbits(32))
        await own.login()
        async with await own.connect() as one:
            bearer = {"authorization": f"Bearer {own.token}"}
            await one.send(own.request("check", bearer))
            await one.expect((200, {"authorized": "YES"}))
            await one.send(f"GET /api/logout HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {own.token}\r\n\r\n".encode())
            await one.expect((200, {"message": LOGOUT}))
            await one.send(own.request("check", bearer))
            await one.expect((200, NO))
        await asyncio.sleep(1)

    async def pipelined(self) -> None:
        async with await self.connect() as one:
            raw = b"".join(self.request("read", {"keys": [f"no{n}"]}) if n % 2 else CHECK for n in range(20))
            size = self.random.choice((1, 10, 100, len(raw)))
            for at in range(0, len(raw), size):
                one.writer.write(raw[at : at + size])
            for n in range(20):
                await one.expect((400, {"message": f"These keys don't exist: no{n}"}) if n % 2 else (200, NO))

    async def churn(self) -> None:
        async with await self.connect() as one:
            await one.send(CHECK)
            await one.expect((200, NO))

    async def reset(self) -> None:
        raw = self.random.choice((CHECK, self.request("read", {"keys": ["big0"]}), CHECK * 20))
        one = await self.connect()
        await one.send(raw[: self.random.randrange(len(raw) + 1)])
        await asyncio.sleep(self.random.choice((0, 0, 0.01, 0.1)))
        one.reset()

    async def slow(self) -> None:
        """A head or a body that never ends, a byte at a time."""
        async with await self.connect() as one:
            await one.send(self.random.choice((HEAD, HEAD + b"X: y", HEAD[:-4] + b"16384\r\n\r\n")))
            dripping = asyncio.create_task(one.drip())
            try:
                await one.expect(408)
            finally:
                dripping.cancel()
            await one.expect_end()

    async def half_closed(self) -> None:
        async with await self.connect() as one:
            await one.send(CHECK * 3)
            one.writer.write_eof()
            for _ in range(3):
                await one.expect((200, NO))
            await one.expect_end()

    async def oversize(self) -> None:
        async with await self.connect() as one:
            status, raw = self.random.choice((
                (431, HEAD + b"X: " + b"x" * 100_000), (431, HEAD + b"X: y\r\n" * 10_000),
                (413, HEAD[:-4] + b"99999999\r\n\r\n"), (413, HEAD[:-20] + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + b" " * 0xFFFFF),
            ))  # fmt: skip
            await one.send(raw)
            await one.expect(status)

    async def smuggle(self) -> None:
        raw, statuses = self.random.choice(list(FORMS.values()))
        async with await self.connect() as one:
            await one.send(raw + write_request(self.token, "smuggled"))
            await one.expect(*statuses)
            await one.expect_end()

    async def garbage(self) -> None:
        async with await self.connect() as one:
            await one.send(bytes([self.random.choice(b"\0\x16\xff{")]) + self.random.randbytes(self.random.randrange(2000)))
            await one.send(b"\r\n\r\n")
            await one.expect(400)
            await one.expect_end()

    async def read_slowly(self) -> None:
        async with await self.connect(narrow=True) as one:
            await one.send(self.request("read", {"keys": list(BIG)}))
            status, _, body = await one.answer(pause=0.02)
            if status != 200 or json.loads(body)["data"] != BIG:
                raise Wrong(f"a big answer: {status}, {len(body)} bytes")

    async def read_compressed(self) -> None:
        async with await self.connect() as one:
            await one.send(self.request("read", {"keys": list(BIG)}, "Accept-Encoding: gzip"))
            status, headers, body = await one.answer()
            if headers.get("content-encoding") == "gzip":
                body = zlib.decompress(body, 31)
            if status != 200 or json.loads(body)["data"] != BIG:
                raise Wrong(f"a compressed answer: {status}, {len(body)} bytes")
        await asyncio.sleep(0.5)

    async def never_read(self) -> None:
        one = await self.connect(narrow=True)
        await one.send(self.request("read", {"keys": ["big1"]}))
        await asyncio.sleep(self.random.choice((0.1, 1, 30)))
        one.reset()

    async def idle(self) -> None:
        """A connection that stands until it is closed for that; half of them are used before."""
        async with await self.connect() as one:
            if self.random.random() < 0.5:
                await one.send(CHECK)
                await one.expect((200, NO))
            rest = await one.reader.read()
            if rest:
                raise Wrong(f"an idle connection was told {rest[:200]!r}")
