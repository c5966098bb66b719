"""documentation/web-application.md: its blocks, as the page has them, and what users and strangers can do with the application."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from requests.adapters import HTTPAdapter

from support import harness
from support.blocks import blocks
from support.browser import Browser
from support.harness import HOST, free_port
from support.walk import Walk

PAGE = (harness.ROOT / "documentation" / "web-application.md").read_text()
PASSWORD = "Correct-h0rse"


@dataclass
class Application:
    """Both forms of the application, once the page has been walked through."""

    walk: Walk
    authkv: str
    server: str
    page: str

    def log_in(self, login: str, password: str = PASSWORD) -> requests.Session:
        browser = requests.Session()
        answer = browser.post(f"{self.server}/login", json={"login": login, "password": password}, timeout=harness.DEADLINE)
        assert answer.status_code == 200, answer.text
        assert answer.content == b"", "a script of the page could read the tokens"
        return browser

    def sign_up(self, login: str) -> requests.Session:
        user = {"login": login, "password": PASSWORD, "name": "An", "surname": "User"}
        assert requests.post(f"{self.server}/sign-up", json=user, timeout=harness.DEADLINE).status_code == 201
        return self.log_in(login)

    def get(self, browser: requests.Session, **request) -> requests.Response:
        return browser.get(f"{self.server}/settings", timeout=harness.DEADLINE, **request)

    def put(self, browser: requests.Session, settings: object) -> requests.Response:
        return browser.put(f"{self.server}/settings", json=settings, timeout=harness.DEADLINE)


@pytest.fixture(scope="module")
def application(tmp_path_factory) -> Iterator[Application]:
    # Ports stand with the address, and alone.
    ports = {port: str(free_port()) for port in ("8080", "3301", "8000", "8001")}
    own = {f"{HOST}:{port}": f"{HOST}:{ours}" for port, ours in ports.items()}
    own |= {f'"{HOST}", 8000': f'"{HOST}", {ports["8000"]}', "page 8001": f"page {ports['8001']}", "port 8001": f"port {ports['8001']}"}
    listen = {"AUTHKV_HTTP_LISTEN": own[f"{HOST}:8080"], "AUTHKV_IPROTO_LISTEN": own[f"{HOST}:3301"]}
    # An RSA key takes seconds.
    with Walk(tmp_path_factory.mktemp("page"), own, **listen, AUTHKV_TOKEN_ALGORITHM="EdDSA") as walk:
        assert walk.go(PAGE) == len([block for block in blocks(PAGE) if block.kind])
        yield Application(walk, *(f"http://{HOST}:{ports[port]}" for port in ("8080", "8000", "8001")))


def test_the_application_is_short_and_needs_requests_alone():
    (code,) = (block.code for block in blocks(PAGE, "python application.py"))
    assert 20 < len(code.splitlines()) <= 50
    imported = {line.split()[1].partition(".")[0] for line in code.splitlines() if line.startswith(("import ", "from "))}
    assert imported == {"http", "requests"}


def test_no_part_of_the_page_has_an_administrators_password():
    assert "ADMIN_PASSWORD" not in PAGE and '"admin"' not in PAGE


def test_two_users_do_not_see_each_others_settings(application):
    eve, mia = application.sign_up("eve"), application.sign_up("mia")
    assert application.put(eve, {"theme": "red"}).status_code == 201
    assert application.get(mia).status_code == 404
    assert application.put(mia, {"theme": "blue"}).status_code == 201
    assert [application.get(one).json() for one in (eve, mia)] == [{"theme": "red"}, {"theme": "blue"}]
    # Nor by going past the application, with the token that it has given.
    token = {"Authorization": f"Bearer {mia.cookies['access_token']}"}
    for method in ("GET", "PUT", "DELETE"):
        body = "1" if method == "PUT" else None
        answer = requests.request(
            method, f"{application.authkv}/v1/pair?key=users/eve/settings", headers=token, data=body, timeout=harness.DEADLINE
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    listed = requests.get(f"{application.authkv}/v1/kv?keys_only=true", headers=token, timeout=harness.DEADLINE)
    assert listed.json()["keys"] == ["users/mia/settings"]


@pytest.mark.parametrize("cookies", [{}, {"access_token": "x"}, {"access_token": "x", "refresh_token": "y"}, {"refresh_token": "y"}])
def test_a_stranger_gets_401(application, cookies):
    stranger = requests.Session()
    stranger.cookies.update(cookies)
    assert application.get(stranger).status_code == 401
    assert application.put(stranger, {"theme": "mine"}).status_code == 401
    assert dict(stranger.cookies) == cookies


def test_a_wrong_password_begins_nothing(application):
    wrong = requests.post(f"{application.server}/login", json={"login": "dora", "password": "Wrong-h0rse"}, timeout=harness.DEADLINE)
    assert wrong.status_code == 401 and wrong.json()["code"] == "invalid_credentials" and not wrong.cookies


def test_an_access_token_that_no_longer_holds_is_renewed(application):
    browser = application.sign_up("ned")
    application.put(browser, {"theme": "green"})
    before = browser.cookies["refresh_token"]
    browser.cookies.set("access_token", "expired", domain=f"{HOST}", path="/")
    assert application.get(browser).json() == {"theme": "green"}
    assert browser.cookies["access_token"] != "expired" and browser.cookies["refresh_token"] != before
    assert application.get(browser).status_code == 200


def test_an_answer_with_new_tokens_may_be_lost(application):
    browser = application.sign_up("pam")
    application.put(browser, {"theme": "grey"})
    kept = {"refresh_token": browser.cookies["refresh_token"]}
    lost, again = (requests.get(f"{application.server}/settings", cookies=kept, timeout=harness.DEADLINE) for _ in range(2))
    assert lost.json() == again.json() == {"theme": "grey"}
    assert lost.cookies["refresh_token"] == again.cookies["refresh_token"] != kept["refresh_token"]
    # The session goes on with it.
    kept = {"refresh_token": again.cookies["refresh_token"]}
    assert requests.get(f"{application.server}/settings", cookies=kept, timeout=harness.DEADLINE).json() == {"theme": "grey"}


def test_scripts_and_other_sites_do_not_have_the_cookies(application):
    user = {"login": "dora", "password": PASSWORD}
    answer = requests.post(f"{application.server}/login", json=user, timeout=harness.DEADLINE)
    cookies = answer.raw.headers.getlist("Set-Cookie")
    assert len(cookies) == 2 and all("; HttpOnly; SameSite=Strict" in cookie for cookie in cookies)


# One of the tokens that the page keeps holds no longer.
SPOIL = """
const session = JSON.parse(sessionStorage.getItem('session'));
sessionStorage.setItem('session', JSON.stringify({...session, [arguments[0]]: 'x'}));
"""


class FromAnotherAddress(HTTPAdapter):
    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, source_address=("127.0.0.2", 0), **options)


def test_authkv_knows_the_address_of_the_client_and_not_of_the_application(application):
    browser = requests.Session()
    browser.mount("http://", FromAnotherAddress())
    browser.post(f"{application.server}/login", json={"login": "dora", "password": PASSWORD}, timeout=harness.DEADLINE)
    token = {"Authorization": f"Bearer {browser.cookies['access_token']}"}
    listed = requests.get(f"{application.authkv}/v1/sessions", headers=token, timeout=harness.DEADLINE).json()["sessions"]
    assert [one["address"] for one in listed if one["current"]] == ["127.0.0.2"]


def test_the_page_renews_its_tokens_and_forgets_a_session_that_has_ended(application):
    with Browser() as browser:

        def shows(text: str) -> None:
            harness.wait_until(lambda: text in browser.text("body"), f"the page shows {text}")

        def loses(name: str) -> None:
            browser.script(SPOIL, name)
            browser.open(f"{application.page}/index.html", shows="body")

        browser.open(f"{application.page}/index.html", shows="#who")
        browser.write("dora", "input[name=login]")
        browser.write("Wrong-h0rse", "input[name=password]")
        browser.click_button("Log in")
        shows("You have entered an incorrect login or password")
        browser.write(PASSWORD, "input[name=password]")
        browser.click_button("Log in")
        shows("The theme of dora: dark")
        loses("access_token")
        shows("The theme of dora: dark")
        loses("refresh_token")
        shows("The theme of dora: dark")
        loses("access_token")
        shows("The refresh token is not valid: log in again")
        browser.find("#who")
        assert browser.script("return sessionStorage.getItem('session')") == "null"
