"""A way between two instances that delays, holds or cuts off what one of them sends."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

from support.harness import HOST, free_port

SIZE = 65536
# How long a thread waits before it looks whether the link was closed.
LOOK = 0.02


@dataclass(frozen=True)
class _Link:
    """A connection: both its ends, whether it is slow, and the answers on their way with the times at which they came."""

    client: socket.socket
    server: socket.socket
    is_slow: threading.Event = field(default_factory=threading.Event)
    late: deque[tuple[float, bytes]] = field(default_factory=deque)


class SlowLink:
    """Listens on `port` and passes everything on to `target` and back. If the client of a connection has sent the word `slow`, what
    comes back is late by `delay` seconds; while the link is held, nothing does."""

    def __init__(self, target: int, slow: bytes):
        self.target, self.slow = target, slow
        self.delay = 0.0
        self.port = free_port()
        self._held = threading.Event()
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._links: list[_Link] = []
        self._server = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def hold(self) -> None:
        self._held.set()

    def release(self) -> None:
        self._held.clear()

    def holds(self) -> bool:
        """Whether an answer has come that is not passed on yet."""
        return any(link.late for link in self._links)

    def release_and_cut(self) -> None:
        """Ends the slow connections, and what they hold is lost. New connections are not held."""
        for link in self._links:
            if link.is_slow.is_set():
                _end(link.client, link.server)
        self.release()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with suppress(OSError):
                    server = socket.create_connection((HOST, self.target))
                    self._sockets += [client, server]
                    link = _Link(client, server)
                    self._links.append(link)
                    threading.Thread(target=self._forth, args=(link,), daemon=True).start()
                    threading.Thread(target=self._back, args=(link,), daemon=True).start()
                    continue
                client.close()

    def _forth(self, link: _Link) -> None:
        with suppress(OSError):
            while data := link.client.recv(SIZE):
                if self.slow in data:
                    link.is_slow.set()
                link.server.sendall(data)
        _end(link.client, link.server)

    def _back(self, link: _Link) -> None:
        late = link.late
        with suppress(OSError):
            link.server.settimeout(LOOK)
            while not self._closed.is_set():
                with suppress(TimeoutError):
                    if not (data := link.server.recv(SIZE)):
                        break
                    late.append((time.monotonic(), data))
                while late and (not link.is_slow.is_set() or self._is_due(late[0][0])):
                    link.client.sendall(late.popleft()[1])
        late.clear()
        _end(link.client, link.server)

    def _is_due(self, came: float) -> bool:
        return not self._held.is_set() and time.monotonic() >= came + self.delay

    def close(self) -> None:
        self._closed.set()
        self._server.close()
        _end(*self._sockets)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
