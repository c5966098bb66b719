"""A client of Server-Sent Events, as much of it as `/v1/watch` needs, which fails where the stream breaks their format.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlencode

from support import v1
from support.harness import DEADLINE, Instance
from support.outcome import Refusal
from support.transports import Response, bearer
from support.values import from_json

FIELDS = {"id", "event", "data", "retry"}
TYPES = {"put": {"type", "key", "revision", "value"}, "delete": {"type", "key", "revision"}, "expire": {"type", "key", "revision"}}


@dataclass(frozen=True)
class Event:
    """One event, its data as JSON has it."""

    name: str
    id: str | None
    data: dict
    retry: str | None = None

    @property
    def change(self) -> tuple:
        """What a change is about: its kind, its key, and the value of a put."""
        told = self.data
        assert told["type"] == self.name and self.id == str(told["revision"]), self
        must = TYPES[self.name]
        assert must <= told.keys() <= must | ({"expires_at", "content_type"} if self.name == "put" else set()), self
        return (self.name, told["key"], *([from_json(told["value"])] if self.name == "put" else []))


class Stream:
    """One `GET /v1/watch`. Reading waits as long as it has to, or `timeout` seconds."""

    def __init__(self, instance: Instance, token: str | None, last_event_id=None, ready: bool = True, timeout: float = DEADLINE, **query):
        self.connection = http.client.HTTPConnection(instance.host, instance.http_port, timeout=timeout)
        headers = bearer(token) if token is not None else {}
        if last_event_id is not None:
            headers["Last-Event-ID"] = str(last_event_id)
        given = {name: value for name, value in query.items() if value is not None}
        self.connection.request("GET", f"/v1/watch?{urlencode(given)}", headers=headers | {"Accept": "text/event-stream"})
        self.response = self.connection.getresponse()
        self.comments = 0
        self.last: int | None = None
        if ready:
            assert self.response.status == 200, self.response.read()
            assert self.response.headers["Content-Type"].partition(";")[0] == "text/event-stream"
            assert self.response.headers.get_all("Cache-Control") == ["no-store, no-transform"]
            assert self.response.headers.get_all("X-Accel-Buffering") == ["no"]
            self.first = self.event()
            assert self.first.name == "ready" and self.first.retry == "1000", self.first
            assert self.first.data == {"revision": int(self.first.id)}, self.first

    @property
    def revision(self) -> int:
        """The revision that the stream began at."""
        return self.first.data["revision"]

    def refusal(self, token: str | None = None) -> Refusal:
        """The failure that came in place of a stream."""
        assert self.response.status >= 400, self.response.status
        return v1.problem(Response(self.response.status, self.response.headers, self.response.read()), token)

    def _line(self) -> str | None:
        raw = self.response.readline()
        if not raw:
            return None
        assert raw.endswith(b"\n") and b"\0" not in raw, raw[:200]
        return raw.decode().rstrip("\r\n")

    def event(self) -> Event | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        while (line := self._line()) is not None:
            if line.startswith(":"):
                self.comments += 1
                continue
            if line:
                name, _, value = line.partition(":")
                assert name in FIELDS and name not in fields, line
                fields[name] = value.removeprefix(" ")
                continue
            if fields:
                return self._event(fields)
        assert not fields, f"the stream ended within an event: {fields}"
        return None

    def _event(self, fields: dict[str, str]) -> Event:
        event = Event(fields["event"], fields.get("id"), json.loads(fields["data"]), fields.get("retry"))
        if event.name in TYPES:
            # An id is where to go on: it never goes back, nor stands still.
            assert self.last is None or int(event.id) > self.last, (event, self.last)
            self.last = int(event.id)
        return event

    def changes(self, count: int) -> list[tuple]:
        """The next so many changes, in the order they come."""
        return [self._change() for _ in range(count)]

    def _change(self) -> tuple:
        event = self.event()
        assert event is not None and event.name in TYPES, event
        return event.change

    def comment(self) -> None:
        """Waits for a line that says only that the stream is alive."""
        line = self._line()
        while line == "":
            line = self._line()
        assert line is not None and line.startswith(":"), line

    def ending(self) -> Event:
        """The last event, after which the stream ends; changes before it are passed over."""
        last = None
        while (event := self.event()) is not None:
            last = event
        assert last is not None, "the stream ended without a word"
        return last

    def problem(self, name: str) -> dict:
        """The problem that ends the stream, told by an event of this name."""
        event = self.ending()
        assert event.name == name, event
        v1.assert_members(event.data)
        return event.data

    def close(self) -> None:
        # The response holds the socket too.
        self.response.close()
        self.connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_) -> None:
        self.close()
