"""A way between two instances that delays or holds what one of them sends."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress

from support.harness import HOST, free_port

SIZE = 65536
# How long a thread waits before it looks whether the link was closed.
LOOK = 0.02


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
        self._server = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def hold(self) -> None:
        self._held.set()

    def release(self) -> None:
        self._held.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                with suppress(OSError):
                    server = socket.create_connection((HOST, self.target))
                    self._sockets += [client, server]
                    is_late = threading.Event()
                    threading.Thread(target=self._forth, args=(client, server, is_late), daemon=True).start()
                    threading.Thread(target=self._back, args=(server, client, is_late), daemon=True).start()
                    continue
                client.close()

    def _forth(self, client: socket.socket, server: socket.socket, is_late: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(SIZE):
                if self.slow in data:
                    is_late.set()
                server.sendall(data)
        _end(client, server)

    def _back(self, server: socket.socket, client: socket.socket, is_late: threading.Event) -> None:
        late: deque[tuple[float, bytes]] = deque()
        with suppress(OSError):
            server.settimeout(LOOK)
            while not self._closed.is_set():
                with suppress(TimeoutError):
                    if not (data := server.recv(SIZE)):
                        break
                    late.append((time.monotonic(), data))
                while late and (not is_late.is_set() or self._is_due(late[0][0])):
                    client.sendall(late.popleft()[1])
        _end(client, server)

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
