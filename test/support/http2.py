"""HTTP/2 over TLS: a client that may send any frames, and an instance that has something for it."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events

from support.contract import GOOD
from support.harness import DEADLINE, HOST
from support.tls import Secured
from support.transports import HttpTransport

# Of an instance that gives clients little time and room.
LITTLE = {
    "AUTHKV_HTTP_WRITE_TIMEOUT": "2",
    "AUTHKV_HTTP_BODY_TIMEOUT": "3",
    "AUTHKV_HTTP_REQUESTS_MAX": "4",
}


class Client:
    """One connection, with windows as large as `window` bytes."""

    def __init__(self, secured, window: int = 65535):
        context = ssl.create_default_context(cafile=secured.authority.file)
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection((HOST, secured.port), timeout=DEADLINE)
        self.socket = context.wrap_socket(plain, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        # What is sent is not checked: it is wrong on purpose.
        config = h2.config.H2Configuration(header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        # What has come, and nobody has looked at.
        self.events: deque[h2.events.Event] = deque()
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def begin(self, path: str, token: str | None = None, end: bool = False, extra=(), method: str = "POST") -> int:
        """Sends a head and returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", "localhost"), (":path", path)]
        head += [("authorization", f"Bearer {token}")] if token else []
        self.h2.send_headers(stream, [*head, *extra], end_stream=end)
        self.flush()
        return stream

    def ask(self, path: str, body, token: str | None = None) -> int:
        stream = self.begin(path, token)
        self.h2.send_data(stream, json.dumps(body).encode(), end_stream=True)
        self.flush()
        return stream

    def ask_value(self, path: str, value: bytes, token: str) -> int:
        stream = self.begin(path, token, method="PUT")
        self.h2.send_data(stream, value, end_stream=True)
        self.flush()
        return stream

    def until(self, wanted, stream: int | None = None):
        """The next event of this kind, on this stream; None if the stream or the connection ends before."""
        while True:
            while self.events:
                event = self.events.popleft()
                if isinstance(event, wanted) and (stream is None or event.stream_id == stream):
                    return event
                if isinstance(event, h2.events.ConnectionTerminated):
                    return None
                if isinstance(event, h2.events.StreamReset) and event.stream_id == stream:
                    return None
            try:
                data = self.socket.recv(65536)
                if not data:
                    return None
            except OSError:
                return None
            self.events.extend(self.h2.receive_data(data))
            # What has come is to be seen, even if nothing can be sent any more.
            with contextlib.suppress(OSError):
                self.flush()

    def status(self, stream: int) -> int | None:
        event = self.until(h2.events.ResponseReceived, stream)
        return event and int(dict(event.headers)[":status"])

    def body(self, stream: int) -> bytes:
        """The rest of an answer whose head was read."""
        body = b""
        while True:
            event = self.until((h2.events.DataReceived, h2.events.StreamEnded), stream)
            if not isinstance(event, h2.events.DataReceived):
                return body
            self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            body += event.data

    def whole(self, stream: int) -> tuple[int, bytes]:
        """The status and the body of an answer, which has to end as it should."""
        status, body = None, b""
        kinds = h2.events.ResponseReceived, h2.events.DataReceived, h2.events.StreamEnded
        while not isinstance(event := self.until(kinds, stream), h2.events.StreamEnded):
            assert event is not None, "the answer is cut"
            if isinstance(event, h2.events.ResponseReceived):
                status = int(dict(event.headers)[":status"])
            else:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
                self.flush()
                body += event.data
        return status, body

    def close(self):
        self.socket.close()


@contextmanager
def known(directory: Path, **settings: str) -> Iterator[Secured]:
    """An instance that knows the user `tester`, whose `token` it has, and two values of 1 MB."""
    secured = Secured(directory, **settings)
    with secured.instance:
        http = HttpTransport(secured.instance)
        http.register("tester", GOOD, "Test", "Tester")
        secured.token = http.login("tester", GOOD).value
        for key in "ab":
            http.put(secured.token, {key: "x" * 1_000_000})
        http.close()
        yield secured
