"""Clients of export and import, over HTTP with bodies of no known size, and the pairs they carry."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode
from uuid import UUID

from support import v1
from support.clock import FAR
from support.harness import DEADLINE, HOST
from support.outcome import ANY, Refusal
from support.transports import Response, bearer

NDJSON = "application/x-ndjson"
COUNTS = ("lines", "written", "exists", "missing", "forbidden", "too_large", "expired")
MANY = 20_000
# mode, what becomes of a key that exists and of one that does not
MODES = {None: ("written", "written"), "upsert": ("written", "written"), "insert": ("exists", "written"), "replace": ("written", "missing")}


def counts(**given: int) -> dict:
    return dict.fromkeys(COUNTS, 0) | given


def is_complete(last: dict, done: dict) -> bool:
    """Whether the last line of an import has these counts, and the revision of what was written, if anything was."""
    return last.keys() - {"revision"} == {"done"} and last["done"] == done and has_revision(last)


def has_revision(last: dict) -> bool:
    """Whether there is a revision, which is above 0. There is none if no batch was written; which lines were in it does not count."""
    return ("revision" in last or not last["done"]["written"]) and last.get("revision", 1) > 0


def line(key: str, value=1, **more) -> bytes:
    return json.dumps({"key": key, "value": value, **more}, ensure_ascii=False).encode() + b"\n"


def chunks(body: bytes, size: int = 60_000):
    """A body whose size is not said before, in pieces that end wherever they end."""
    for at in range(0, len(body), size):
        yield body[at : at + size]


@dataclass(frozen=True)
class Imported:
    """An answer to an import: what it told on the way, and its last line."""

    response: Response
    progress: list[dict]
    last: dict

    @property
    def done(self) -> dict:
        assert self.last.keys() - {"revision"} == {"done"} and tuple(self.last["done"]) == COUNTS, self.last
        assert has_revision(self.last)
        return self.last["done"]

    @property
    def failure(self) -> tuple[str, int, dict]:
        """The name of the error, its line, and the counts so far."""
        assert self.last.keys() - {"revision"} == {"error", "line", "done"} and has_revision(self.last), self.last
        v1.assert_members(self.last["error"])
        return self.last["error"]["code"], self.last["line"], self.last["done"]


def ask(people, method: str, path: str, token: str | None, body=None, headers: dict | None = None, **query) -> Response:
    """A request over a connection of its own, whose body is sent chunked where it is no bytes."""
    connection = http.client.HTTPConnection(HOST, people.instance.http_port, timeout=DEADLINE)
    given = {name: value for name, value in query.items() if value is not None}
    path = f"{path}?{urlencode(given)}" if given else path
    content = {} if body is None else {"Content-Type": NDJSON}
    chunked = body is not None and not isinstance(body, bytes)
    if chunked:
        content["Transfer-Encoding"] = "chunked"
    who = bearer(token) if token is not None else {}
    try:
        connection.request(method, path, body, who | content | (headers or {}), encode_chunked=chunked)
        response = connection.getresponse()
        return Response(response.status, response.headers, response.read())
    finally:
        connection.close()


def lines(body: bytes) -> list:
    assert body == b"" or body.endswith(b"\n"), body[-200:]
    return [json.loads(one) for one in body.splitlines()]


def export(people, token: str, prefix: str | None = "", **headers) -> Response:
    response = ask(people, "GET", "/v1/export", token, headers=headers, prefix=prefix)
    assert response.status == 200, response
    assert response.headers.get_content_type() == NDJSON
    return response


def send(people, token: str, body, **query) -> Imported:
    response = ask(people, "POST", "/v1/import", token, body, **query)
    assert response.status == 200, response
    assert response.headers.get_content_type() == NDJSON
    *progress, last = lines(response.body)
    for one in progress:
        assert one.keys() == {"progress"} and tuple(one["progress"]) == COUNTS, one
    return Imported(response, [one["progress"] for one in progress], last)


def refused(people, token: str | None, body, more: set = frozenset(), **query) -> Refusal:
    """An import that fails before anything was answered."""
    return v1.problem(ask(people, "POST", "/v1/import", token, body, **query), token, more)


def read(people, token: str, prefix: str) -> dict:
    """All pairs below a prefix by their keys, without revisions."""
    pairs, after = {}, None
    while not pairs or after is not None:
        page = people.expect("iproto", ANY, "kv_list", token, {"prefix": prefix, "limit": 1000, "after": after})
        pairs |= {one["key"]: {name: one[name] for name in one.keys() - {"key", "revision"}} for one in page["pairs"]}
        after = page["next"]
        if not page["pairs"]:
            break
    return pairs


VALUES = {
    "null": None, "true": True, "text": "ж\n\u2028\"", "empty": "", "u64": 2**64 - 1, "i64": -(2**63), "double": 0.1, "whole_double": 1.0,
    "array": [1, [None, {}]], "map": {"z": 1, "a": {"b": []}}, "bytes": b"\x00\xff\n", "decimal": Decimal("1.50"), "uuid": UUID(int=7),
    "like_a_form": {"$binary": "AP8="}, "like_a_map": {"$map": 1}, "types_inside": [{"a": b"\x01"}, Decimal(-3)], "long": "x" * 500_000,
    "longer": "y" * 900_000,
}  # fmt: skip


def keep(people, token: str, prefix: str) -> None:
    """Pairs of every kind."""
    people.expect("iproto", ANY, "batch_put", token, [{"key": f"{prefix}{name}", "value": value} for name, value in VALUES.items()])
    more = [
        {"key": f"{prefix}typed", "value": b"\x89PNG", "content_type": "image/png"},
        {"key": f"{prefix}ends", "value": 1, "expires_at": FAR + 0.25},
        {"key": f"{prefix}both", "value": b"", "content_type": "a/b", "expires_at": FAR}, {"key": f"{prefix}a\nb ж", "value": 1},
    ]  # fmt: skip
    people.expect("iproto", ANY, "batch_put", token, more)
