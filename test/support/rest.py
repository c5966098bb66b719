"""REST for one key, `/v1/kv/{key}`: how an operation of the common table is asked for there, and what its answers say.

The value of a pair is the body, its revision the ETag, and so on: here it becomes the pair that all other transports show.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, urlencode

from support.values import from_json, to_json

BYTES = "application/octet-stream"
# RFC 9110 §8.8.3: ours are always strong and always the revision.
ETAG = re.compile(r'"(\d+)"')
GUARDED = {
    "Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}  # fmt: skip


def path(key: str, **query) -> str:
    return f"/v1/kv/{quote(key, safe='')}{question(query)}"


def question(members: dict) -> str:
    """The query of these members: null is as if left out, and booleans are words."""
    given = {name: value for name, value in members.items() if value is not None}
    words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
    return f"?{urlencode(words)}" if words else ""


def condition(method: str, revision) -> dict:
    """The header of if_revision."""
    if revision is None:
        return {}
    if method == "PUT" and revision == 0:
        return {"If-None-Match": "*"}
    revisions = revision if isinstance(revision, list) else [revision]
    return {"If-Match": ", ".join(f'"{one}"' for one in revisions)}


def request(name: str, members: dict, options: dict) -> tuple[str, str, bytes | None, dict]:
    """Method, path, body and headers."""
    options = dict(options)
    method = {"pair_get": "GET", "pair_put": "PUT", "pair_delete": "DELETE"}[name]
    headers = condition(method, options.pop("if_revision", None))
    if method != "PUT":
        return method, path(members["key"], **options), None, headers
    value, content_type = members["value"], options.pop("content_type", None)
    if content_type is not None:
        assert isinstance(value, bytes), "over HTTP only bytes have a type of their own"
        headers["Content-Type"] = content_type
        return method, path(members["key"], **options), value, headers
    headers["Content-Type"] = "application/json"
    return method, path(members["key"], **options), json.dumps(to_json(value), ensure_ascii=False).encode(), headers


def revision(response) -> int:
    found = ETAG.fullmatch(response.headers["ETag"] or "")
    assert found, response.headers
    return int(found[1])


def value(response):
    """The value that a body is, and its content type where it has one of its own."""
    content_type = response.headers["Content-Type"]
    if content_type == "application/json":
        return from_json(json.loads(response.body)), None
    return response.body, None if content_type == BYTES else content_type


def pair(key: str, response) -> dict:
    """The pair that a GET shows."""
    for name, expected in GUARDED.items():
        assert response.headers.get_all(name) == [expected], response.headers
    shown, content_type = value(response)
    answer = {"key": key, "value": shown, "revision": revision(response)}
    if expires_at := response.headers["Authkv-Expires-At"]:
        answer["expires_at"] = json.loads(expires_at)
    if content_type is not None:
        answer["content_type"] = content_type
    return answer
