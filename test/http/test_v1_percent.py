"""Text of queries and forms that does not decode: with U+FFFD in its place other keys would be read, and a watch would be silent
for ever. Refused as in a path (RFC 3986 §2.1)."""

import pytest

from support.bulk import ask
from support.transports import TRANSPORTS, bearer
from support.v1 import problem

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NO_UTF8 = ["%FF", "%E6", "%E6%97", "a%C0%80", "%ED%A0%80", "%F5%80%80%80", "%80", "x%e6y"]
NO_CODES = ["%", "%4", "%zz", "%4g", "a%", "%%41", "%u0041", "% 41".replace(" ", "+"), "%-1", "%0x"]
PARAMETERS = [
    ("/v1/kv", "prefix"), ("/v1/kv", "from"), ("/v1/kv", "to"), ("/v1/kv", "after"), ("/v1/kv", "limit"),
    ("/v1/export", "prefix"), ("/v1/watch", "prefix"), ("/v1/watch", "after"), ("/v1/admin/users", "after"), ("/v1/kv/k", "if_revision"),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def pairs(people):
    """What would be found by mistake: keys that begin with U+FFFD, and the key that the text is taken literally for."""
    for one in ("\ufffd", "%zz", "k"):
        people.do("http", "pair_put", people.admin, one, 1)


@pytest.mark.parametrize("transport", [transport for transport in TRANSPORTS if transport in ("http", "rock")])
@pytest.mark.parametrize("path,name", PARAMETERS)
def test_a_query_that_does_not_decode_is_refused(people, transport, path, name):
    if transport == "rock" and path in ("/v1/export", "/v1/watch"):
        pytest.skip("it does not stream")
    for texts, why in ((NO_UTF8, "UTF-8"), (NO_CODES, "%")):
        for text in texts:
            response = people.transport(transport).request("GET", f"{path}?{name}={text}", None, bearer(people.admin))
            seen = problem(response, people.admin)
            assert (seen.name, response.status) == ("malformed", 400), text
            assert seen.message.startswith(f"{name} should ") and why in seen.message, text


@pytest.mark.parametrize("method,path", [("PUT", "/v1/kv/k"), ("DELETE", "/v1/kv/k"), ("POST", "/v1/import")])
def test_what_changes_something_is_refused_too(people, method, path):
    name = "if_revision" if method == "DELETE" else "mode"
    for text in NO_UTF8 + NO_CODES:
        seen = problem(ask(people, method, f"{path}?{name}={text}", people.admin, b"" if method == "POST" else b"2"), people.admin)
        assert seen.name == "malformed" and seen.message.startswith(f"{name} should "), text
    assert people.do("http", "pair_get", people.admin, "k").value["value"] == 1


@pytest.mark.parametrize("name", ["%FF", "pre%fix", "%zz", "prefix%", "%E6x"])
def test_a_name_that_does_not_decode_is_told_as_it_came(people, name):
    seen = problem(people.http.request("GET", f"/v1/kv?{name}=a", None, bearer(people.admin)), people.admin)
    assert seen.name == "malformed" and seen.message.startswith(f"The name {name} should "), seen


@pytest.mark.parametrize(
    "body", [b"token=%FF", b"token=%zz", b"token=\xff", b"token=a%4", b"token_type_hint=%E6&token=a", b"%FF=1&token=a"]
)
def test_a_form_that_does_not_decode_is_refused(people, body):
    for transport in [transport for transport in TRANSPORTS if transport in ("http", "rock")]:
        response = people.transport(transport).request("POST", "/v1/introspect", body, bearer(people.admin) | FORM)
        assert problem(response, people.admin).name == "malformed"


def test_what_decodes_is_read_as_before(people, token):
    for one in ("a b", "a+b", "ж🪲", "100%", "a&b=c", "\u2028"):
        people.do("http", "put", token, {f"plain/{one}": 1})
    for query, found in (
        ("a+b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("%D0%B6%f0%9F%aa%B2", "ж🪲"),
        ("100%25", "100%"),
        ("a%26b=c", "a&b=c"),
        ("%E2%80%A8", "\u2028"),
    ):
        response = people.http.request("GET", f"/v1/kv?keys_only=true&prefix=plain/{query}", None, bearer(token))
        assert response.json["keys"] == [f"plain/{found}"], query
