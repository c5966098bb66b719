"""The API describes itself: `/openapi.json`, and the page `/docs`, on which a person can log in and try every call."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from support import harness
from support.browser import Browser
from support.contract import GOOD
from support.people import PASSWORD

PREFIX = "/some/prefix"


@pytest.fixture(scope="module")
def address(instance):
    return instance.url


@pytest.fixture(scope="module")
def mounted(address):
    """The same server under a prefix, behind a proxy."""

    class Proxy(BaseHTTPRequestHandler):
        def forward(self):
            assert self.path.startswith(PREFIX + "/"), self.path
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = address + self.path.removeprefix(PREFIX)
            headers = dict(self.headers) | {"Accept-Encoding": "identity"}
            answer = requests.request(self.command, url, headers=headers, data=body, timeout=harness.DEADLINE)
            self.send_response(answer.status_code)
            for name in ("Content-Type", "Content-Length", "Content-Security-Policy"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = forward

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((harness.HOST, 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{harness.HOST}:{server.server_port}{PREFIX}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


def test_the_document_is_valid_openapi_3_1(address):
    answer = requests.get(f"{address}/openapi.json", timeout=harness.DEADLINE)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    document = answer.json()
    assert document["openapi"].startswith("3.1.")
    OpenAPIV31SpecValidator(document).validate()


def test_the_headers_of_cors_are_those_that_the_page_names(make):
    origin = "https://shop.example"
    instance = make(AUTHKV_HTTP_CORS_ORIGINS=origin).start()
    ask = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    answer = requests.options(f"{instance.url}/v1/kv/a", headers=ask, timeout=harness.DEADLINE)
    text = (harness.ROOT / "documentation/api.md").read_text()
    [paragraph] = [one for one in text.split("\n\n") if one.startswith("Pages of other origins")]
    named = {name for name in re.findall(r"`([A-Z][\w-]*)`", paragraph) if not name.startswith("AUTHKV_")}
    sent = {name for name in answer.headers if name.startswith("Access-Control-")}
    for name in ("Access-Control-Expose-Headers", "Access-Control-Allow-Headers"):
        sent |= set(answer.headers[name].split(", "))
    assert named == sent


def test_limits_in_the_document_are_those_of_the_instance(make):
    small = make(AUTHKV_BATCH_MAX="7", AUTHKV_KEY_MAX="5").start()
    url = f"{small.url}/openapi.json"
    schemas = requests.get(url, timeout=harness.DEADLINE).json()["components"]["schemas"]
    pairs = schemas["OldPairs"]["properties"]["data"]
    permission = schemas["NewPermission"]
    assert schemas["OldKeys"]["properties"]["keys"]["maxItems"] == 7
    assert pairs["maxProperties"] == 7 and pairs["propertyNames"]["maxLength"] == 5
    assert permission["properties"]["prefix"]["maxLength"] == 5
    for name, member in (("KeysToRead", "keys"), ("PairsToWrite", "pairs"), ("KeysToDelete", "keys")):
        assert schemas[name]["properties"][member]["maxItems"] == 7
    assert schemas["NewPair"]["properties"]["key"]["maxLength"] == 5


PAGES = ["/docs", "/docs/", "/openapi.json", "/docs/page.css", "/docs/initializer.js", "/docs/swagger-ui.css"]
PAGES += ["/docs/swagger-ui-bundle.js"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_read_only_and_strict(address, path):
    plain = {"Accept-Encoding": "identity"}
    read = requests.get(address + path, headers=plain, timeout=harness.DEADLINE)
    head = requests.head(address + path, headers=plain, timeout=harness.DEADLINE)
    assert (read.status_code, head.status_code) == (200, 200)
    assert head.content == b"" and int(head.headers["Content-Length"]) == len(read.content)
    for answer in (read, head):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "style-src 'self'" in policy
    refused = requests.post(address + path, data=b"{}", timeout=harness.DEADLINE)
    assert refused.status_code == 405 and refused.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/docs/none", "/docs//", "/docsx", "/docs/../docs", "/openapi.json/"])
def test_there_is_no_other_page(address, path):
    request = requests.Request("GET", address).prepare()
    request.url = address + path
    answer = requests.Session().send(request, timeout=harness.DEADLINE)
    assert answer.status_code == 404


def test_a_person_logs_in_and_tries_every_call(browser, address):
    browser.open(address + "/docs")
    assert browser.login_state() == "Not logged in"
    person = {"login": "reader", "password": GOOD}
    assert browser.execute("register", person | {"name": "Docs", "surname": "Reader"})[0] == 201

    status, body = browser.execute("login", person)
    assert status == 201 and browser.login_state() == "Logged in"
    authorization = {"authorization": f"Bearer {body['token']}"}
    assert browser.execute("write", {"data": {"k": [1, None]}}) == (201, {"status": "success"})
    assert browser.execute("read", {"keys": ["k"]}) == (200, {"data": {"k": [1, None]}})
    assert browser.execute("check", authorization) == (200, {"authorized": "YES"})

    assert browser.execute("logout")[0] == 200
    assert browser.login_state() == "Not logged in"
    assert browser.complaints() == []
    assert browser.hosts() == {urlsplit(address).netloc}
    check = requests.post(f"{address}/api/check/", json=authorization, timeout=harness.DEADLINE)
    assert check.json() == {"authorized": "NO"}


def test_a_session_of_v1_is_used_by_the_page_until_it_ends(browser, address):
    browser.open(address + "/docs")
    person = {"login": "visitor", "password": PASSWORD}
    assert browser.execute("user_register", person | {"name": "Docs", "surname": "Visitor"})[0] == 201

    status, session = browser.execute("session_login", person)
    assert status == 200 and browser.login_state() == "Logged in"
    status, me = browser.execute("user_me")
    assert status == 200 and me["login"] == "visitor"
    assert browser.execute("session_refresh", {"refresh_token": session["refresh_token"]})[0] == 200
    assert browser.login_state() == "Logged in"
    assert browser.execute("user_list")[0] == 403

    status, written = browser.execute("batch_put", {"pairs": [{"key": "visited", "value": {"$binary": "AAH/"}}]})
    assert status == 200 and written["committed"]
    pair = {"key": "visited", "value": {"$binary": "AAH/"}, "revision": written["results"][0]["revision"]}
    assert browser.execute("batch_get", {"keys": ["visited", "none"]}) == (200, {"pairs": [pair], "missing": ["none"]})
    deleted = browser.execute("batch_delete", {"keys": [{"key": "visited", "if_revision": pair["revision"]}]})
    assert deleted[0] == 200 and deleted[1]["results"][0]["outcome"] == "deleted"

    assert browser.execute("auth_logout") == (200, {"revoked": True})
    assert browser.login_state() == "Not logged in"
    # The page of a failure is the browser's complaint.
    assert [one for one in browser.complaints() if " 403 " not in one] == []
    assert browser.hosts() == {urlsplit(address).netloc}


@pytest.mark.usefixtures("http")
@pytest.mark.parametrize("where,page", [("address", "/docs/"), ("mounted", "/docs")])
def test_the_page_works_with_a_slash_and_under_a_prefix(request, browser, where, page):
    base = request.getfixturevalue(where)
    browser.open(base + page)
    assert browser.execute("login", {"login": "tester", "password": GOOD})[0] == 201
    assert browser.execute("logout")[0] == 200
    assert browser.complaints() == []
    assert browser.hosts() == {urlsplit(base).netloc}
