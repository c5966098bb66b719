"""How the keys of other issuers are fetched: a provider that rotates its keys, goes away, or answers as it should not."""

from __future__ import annotations

import json
import select
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import jwt
import pytest

from support.harness import CHEAP_HASHES, free_port, wait_until
from support.outcome import Ok
from support.people import People, fresh
from support.provider import Provider, jwk_of, make_key, send, trusting
from support.tls import Authority


@pytest.fixture
def provider():
    with Provider("corp", "ES256") as provider:
        yield provider


@pytest.fixture
def people(make, visit, provider, tmp_path) -> People:
    """An instance that has fetched the keys of the provider."""
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, provider.entry())).start())
    when_accepted(people, provider)
    return people


def accepts(people: People, token: str) -> bool:
    return people.sees("http", Ok(True), "check", token)


def when_accepted(people: People, provider: Provider) -> None:
    wait_until(lambda: accepts(people, provider.token(fresh("sub"))), "the keys are fetched")


def when_said(people: People, text: str) -> None:
    wait_until(lambda: text in people.instance.log(), f"the log says {text!r}")


def test_a_key_set_is_fetched_with_its_tag_and_not_sent_again(people, provider):
    wait_until(lambda: any(seen.get("If-None-Match") for seen in provider.seen), "it is asked whether it has changed")
    assert "If-None-Match" not in provider.seen[0]
    assert provider.seen[0]["Host"] == f"127.0.0.1:{provider.port}"
    assert "Authorization" not in provider.seen[0] and "Accept-Encoding" not in provider.seen[0]
    before = len(provider.seen)
    wait_until(lambda: len(provider.seen) > before + 1, "it is asked again and again")
    assert accepts(people, provider.token())
    assert people.instance.log().count("1 keys of the issuer") == 1


def test_a_key_that_is_not_known_is_fetched_at_once_and_the_old_one_ends(make, visit, provider, tmp_path):
    entry = provider.entry()
    entry["keys"] |= {"refresh_min": 3600, "refresh_max": 3600}
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, entry)).start())
    when_accepted(people, provider)
    old = provider.token(fresh("sub"))
    people.assert_holds(old)
    provider.rotate()
    assert accepts(people, old), "nobody has asked for the new key yet"
    when_accepted(people, provider)
    # Also where it was remembered.
    people.assert_fails(old)


def test_a_key_that_comes_back_verifies_again(people, provider):
    token, keys = provider.token(fresh("sub")), provider.keys
    people.assert_holds(token)
    provider.rotate()
    wait_until(lambda: not accepts(people, token), "the key is gone")
    provider.keys = keys
    wait_until(lambda: accepts(people, token), "the key is back")
    people.assert_holds(token)


def test_tokens_of_unknown_keys_lead_to_few_fetches(make, visit, provider, tmp_path):
    entry = provider.entry()
    entry["keys"] |= {"refresh_min": 3600, "refresh_max": 3600, "refetch_pause": 2}
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, entry)).start())
    when_accepted(people, provider)
    begun, before = time.monotonic(), len(provider.seen)
    key = make_key("ES256")
    while len(provider.seen) < before + 2:
        for number in range(50):
            assert not accepts(people, provider.token(header={"kid": f"unknown{number}"}, key=key))
    # Two pauses have to pass for two fetches; how many more fit in is up to the machine.
    assert len(provider.seen) - before <= (time.monotonic() - begun) / 2 + 1
    assert accepts(people, provider.token())


def test_the_last_keys_stay_while_the_provider_is_away_and_over_a_restart(people, provider):
    token = provider.token(fresh("sub"))
    provider.stop()
    when_said(people, "were not fetched, and the last ones stay in force: cannot connect")
    people.assert_holds(token)
    for restart in (lambda: people.console.evaluate("authkv.restart()"), people.restart):
        restart()
        assert accepts(people, provider.token(fresh("sub")))
    assert people.instance.log().count("1 keys of the issuer https://corp.example/realms/one were kept") == 2
    provider.start()
    when_said(people, "are fetched again")
    provider.rotate()
    when_accepted(people, provider)


def test_a_start_does_not_wait_for_a_provider(make, visit, tmp_path):
    provider = Provider("corp", "ES256")
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, provider.entry())).start())
    assert not accepts(people, provider.token())
    with provider:
        when_accepted(people, provider)


def test_kept_keys_are_those_of_their_url(make, visit, provider, tmp_path):
    people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, provider.entry())).start())
    when_accepted(people, provider)
    entry = provider.entry()
    entry["keys"]["url"] = f"http://127.0.0.1:{free_port()}/jwks"
    trusting(tmp_path, entry)
    people.restart()
    assert not accepts(people, provider.token())


def test_a_kept_file_that_is_damaged_is_named_and_does_not_stop_a_start(people, provider):
    provider.stop()
    # A fetch that had begun may still write the file.
    people.close()
    people.instance.stop()
    (file,) = (people.instance.data_dir / "issuers").glob("*.json")
    file.write_text(file.read_text()[:50])
    people.instance.start()
    when_said(people, str(file))
    assert not accepts(people, provider.token())
    provider.start()
    when_accepted(people, provider)


def drip(request: BaseHTTPRequestHandler) -> None:
    """A body that never ends, a byte at a time."""
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    with suppress(OSError):
        while True:
            request.wfile.write(b" ")
            request.wfile.flush()
            # A pause, unless the other side closes.
            select.select([request.connection], [], [], 0.05)


def hold(request: BaseHTTPRequestHandler) -> None:
    """No answer, until the other side closes."""
    request.connection.recv(1)


def flood(request: BaseHTTPRequestHandler) -> None:
    """A body without a length that is far larger than the limit."""
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    with suppress(OSError):
        for _ in range(10_000):
            request.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")


def flood_the_header(request: BaseHTTPRequestHandler) -> None:
    with suppress(OSError):
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            request.wfile.write(b"x-%d: %s\r\n" % (number, b"y" * 1000))


def cut_short(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b'{"keys": [')
    request.close_connection = True


def redirect(to: str):
    return lambda request: send(request, 302, Location=to)


def body(text: str | bytes, **headers: str):
    raw = text if isinstance(text, bytes) else text.encode()
    return lambda request: send(request, 200, raw, **headers)


ANSWERS = {
    "status_500": (lambda request: send(request, 500, b"{}"), "it answered 500"),
    "status_404": (lambda request: send(request, 404, b'{"keys": []}'), "it answered 404"),
    "status_204": (lambda request: send(request, 204), "it answered 204"),
    "redirect_to_another_host": (redirect("https://evil.example/jwks"), "redirects are not followed"),
    "redirect_to_itself": (redirect("/jwks"), "redirects are not followed"),
    "no_answer": (hold, "no answer in 1 s"),
    "slow_loris": (drip, "no answer in 1 s"),
    "huge_by_its_length": (lambda request: send(request, 200, b" " * 300_000), "more than 262144 bytes"),
    "huge_without_a_length": (flood, "more than 262144 bytes"),
    "a_huge_header": (flood_the_header, "were not fetched"),
    "cut_short": (cut_short, "were not fetched"),
    "no_http": (lambda request: request.wfile.write(b"nonsense\r\n\r\n"), "were not fetched"),
    "invalid_json": (body('{"keys": ['), "not JSON"),
    "html": (body("<html></html>", **{"Content-Type": "text/html"}), "not JSON"),
    "no_utf8": (body(b'{"keys": [], "x": "\xff"}'), "not UTF-8"),
    "a_member_twice": (body('{"keys": [], "keys": []}'), "stands twice"),
    "no_key_set": (body('{"key": []}'), "no list keys"),
    "compressed": (body('{"keys": []}', **{"Content-Encoding": "gzip"}), "compressed"),
    "two_keys_of_one_id": (body(json.dumps({"keys": [
        jwk_of(make_key("ES256"), kid="corp-1"), jwk_of(make_key("ES256"), kid="corp-1")]})), "two keys"),
}  # fmt: skip


def test_whatever_a_provider_answers_the_last_keys_stay(people, provider):
    token = provider.token(fresh("sub"))
    for name, (answer, said) in ANSWERS.items():
        before = len(people.instance.log())
        provider.answer = answer
        wait_until(lambda said=said, before=before: said in people.instance.log()[before:], f"{name}: the log says {said!r}")
        assert accepts(people, token), name
        assert accepts(people, provider.token(fresh("sub"))), name
        provider.answer = None
        seen = len(provider.seen)
        wait_until(lambda seen=seen, before=before: "fetched again" in people.instance.log()[before:], f"{name}: it has recovered")
    people.assert_holds(token)
    assert people.instance.is_running()


def test_a_key_set_that_is_emptied_ends_all_tokens(people, provider):
    token = provider.token(fresh("sub"))
    people.assert_holds(token)
    provider.keys = {}
    wait_until(lambda: not accepts(people, token), "the issuer has no key any more")
    when_said(people, "has no key that can be used")
    people.assert_fails(token)


def test_a_shared_secret_in_a_key_set_is_none(people, provider):
    """HS256 by a key of type oct, and by the public key as the secret."""
    secret = {"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "alg": "HS256", "use": "sig"}
    provider.answer = lambda request: send(request, 200, json.dumps({"keys": [*provider.key_set()["keys"], secret]}).encode())
    when_said(people, "key 2 (secret) is a private or a shared key")
    token = jwt.encode(provider.claims(), b"secret-secret-secret-secret-secret", "HS256", headers={"kid": "secret", "typ": "at+jwt"})
    people.assert_fails(token)
    assert accepts(people, provider.token())


def test_keys_of_one_provider_are_not_those_of_another_of_the_same_id(make, visit, tmp_path):
    with Provider("corp", "ES256") as one, Provider("corp", "ES256") as other:
        other.issuer = "https://other.example"
        assert one.kid == other.kid
        entries = [one.entry(), other.entry(login_prefix="other:")]
        people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, *entries)).start())
        for provider, stranger in ((one, other), (other, one)):
            when_accepted(people, provider)
            assert not accepts(people, provider.token(key=stranger.keys[stranger.kid]))


def test_tls_is_checked_against_the_authority_that_is_named(make, visit, tmp_path):
    authority = Authority(tmp_path)
    with Provider("corp", "ES256", authority) as provider:
        people = visit(make(**CHEAP_HASHES, **trusting(tmp_path, provider.entry())).start())
        when_accepted(people, provider)
        # By the system's authorities it is not trusted, nor by another of the same name.
        (tmp_path / "other").mkdir()
        for ca in (None, str(Authority(tmp_path / "other").file)):
            entry = provider.entry()
            entry["keys"]["ca_file"] = ca
            if ca is None:
                del entry["keys"]["ca_file"]
            (tmp_path / "strict").mkdir(exist_ok=True)
            strict = visit(make(**CHEAP_HASHES, **trusting(tmp_path / "strict", entry)).start())
            when_said(strict, "TLS: ")
            assert not accepts(strict, provider.token())


def test_a_fetch_neither_delays_requests_nor_a_stop(people, provider):
    provider.answer = hold
    provider.rotate()
    accepts(people, provider.token())
    when_said(people, "no answer in 1 s")
    assert people.do("http", "put", people.admin, {"k": 1}) == Ok([])
    assert "authkv-issuers" in people.instance.threads()
    people.restart()
    assert people.do("http", "get", people.admin, ["k"]) == Ok({"k": 1})
