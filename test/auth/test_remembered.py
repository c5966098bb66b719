"""What an instance remembers of roles, API keys and tokens of other issuers never outlives a change: it counts on the next request,
whoever has made it."""

from __future__ import annotations

import pytest

from support.harness import CHEAP_HASHES
from support.outcome import ANY, Ok, Refused
from support.people import UNAUTHENTICATED, People, Person, allow, forbidden, fresh
from support.provider import PREFIX, Provider, trusting
from support.transports import TRANSPORTS

# More than once for each thread that serves HTTP.
OFTEN = 8
GROUP, GIVEN = "group", "given"


@pytest.fixture(scope="module")
def provider() -> Provider:
    return Provider()


@pytest.fixture(scope="module")
def settings(provider, tmp_path_factory) -> dict:
    entry = provider.entry(keys={"file": provider.key_file()}, roles_claim=["groups"], roles={GROUP: GIVEN})
    return CHEAP_HASHES | {"AUTHKV_DEFAULT_ROLE": "off"} | trusting(tmp_path_factory.mktemp("issuers"), entry)


class Bearer:
    """A user of one role, and what the user sends."""

    def __init__(self, people: People, provider: Provider, kind: str):
        self.people, self.role = people, GIVEN if kind == "issuer" else fresh("role")
        self.allow(allow("r", prefix="a/"))
        if kind == "issuer":
            sub = fresh("sub")
            self.login, self.token = PREFIX + sub, provider.token(sub, groups=[GROUP])
            return
        self.person = people.new(self.role)
        self.login = self.person.login
        self.token = {"token": lambda: self.person.access, "key": lambda: self.person.key, "key of the role": self.key_of_role}[kind]()

    def key_of_role(self) -> str:
        return self.people.expect("http", ANY, "api_key_create", self.person.access, "one", {"roles": [self.role]})["key"]

    def allow(self, *permissions: dict) -> None:
        self.people.administer("role_set", self.role, list(permissions))

    def assert_reads(self, *prefixes: str) -> None:
        """Reads keys with these prefixes and no others, often and over every transport."""
        for transport in TRANSPORTS:
            for _ in range(OFTEN):
                for prefix in ("a/", "b/", f"own/{self.login.replace(':', '%3A')}/"):
                    key = f"{prefix}none"
                    expected = Refused("missing_keys") if prefix in prefixes else forbidden("read", key)
                    self.people.expect(transport, expected, "get", self.token, [key])

    def assert_is_refused(self) -> None:
        for transport in TRANSPORTS:
            for _ in range(OFTEN):
                self.people.expect(transport, UNAUTHENTICATED, "get", self.token, ["a/none"])


KINDS = ["token", "key", "key of the role", "issuer"]


@pytest.fixture(params=KINDS)
def bearer(request, people, provider) -> Bearer:
    return Bearer(people, provider, request.param)


def test_a_change_of_a_role_counts_on_the_next_request(bearer):
    own = f"own/{bearer.login.replace(':', '%3A')}/"
    bearer.assert_reads("a/")
    bearer.allow(allow("r", prefix="b/"))
    bearer.assert_reads("b/")
    bearer.allow(allow("r", prefix="own/{login}/"), allow("r", prefix="a/"))
    bearer.assert_reads("a/", own)
    bearer.allow()
    bearer.assert_reads()
    bearer.allow(allow("r", prefix="a/"))
    bearer.assert_reads("a/")


def test_a_role_that_is_changed_in_its_space_counts_on_the_next_request(bearer):
    """As a replica does, which applies what another instance has written."""
    bearer.assert_reads("a/")
    code = f"box.space.authkv_role:update('{bearer.role}', {{{{'=', 4, {{{{'b/', true, false}}}}}}}}) return true"
    assert bearer.people.console.evaluate(code) == [True]
    bearer.assert_reads("b/")
    code = f"box.space.authkv_role:update('{bearer.role}', {{{{'=', 4, box.NULL}}}}) return true"
    assert bearer.people.console.evaluate(code) == [True]
    bearer.assert_reads()


@pytest.mark.parametrize("kind", ["token", "key", "key of the role"])
def test_the_roles_of_a_user_count_on_the_next_request(people, provider, kind):
    bearer = Bearer(people, provider, kind)
    bearer.assert_reads("a/")
    for _ in range(2):
        people.administer("role_revoke", bearer.login, bearer.role)
        bearer.assert_reads()
        people.administer("role_grant", bearer.login, bearer.role)
        bearer.assert_reads("a/")
    people.administer("role_delete", bearer.role)
    bearer.assert_reads()
    bearer.allow(allow("r", prefix="a/"))
    # It is another role, which nobody was granted.
    bearer.assert_reads()


def revoke_key(people: People, person: Person, _bearer: Bearer) -> None:
    people.expect("http", ANY, "api_key_revoke", person.access, person.key_id)


def revoke_in_space(people: People, person: Person, _bearer: Bearer) -> None:
    fields = ", ".join(f"{{'=', {number}, box.NULL}}" for number in range(4, 9))
    assert people.console.evaluate(f"box.space.authkv_api_key:update('{person.key_id}', {{{fields}}}) return true") == [True]


ENDINGS = {
    "revocation": revoke_key,
    "revocation in the space": revoke_in_space,
    "disabling": lambda people, person, _: people.administer("user_disable", person.login),
    "deletion": lambda people, person, _: people.administer("user_delete", person.login),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ends_a_key_counts_on_the_next_request(people, provider, ending):
    bearer = Bearer(people, provider, "key")
    twin = people.expect("http", ANY, "api_key_create", bearer.person.access, "twin", {})["key"]
    bearer.assert_reads("a/")
    ENDINGS[ending](people, bearer.person, bearer)
    bearer.assert_is_refused()
    people.everywhere(Ok("revocation" in ending), "check", twin)


TOKEN_ENDINGS = {
    "logout": lambda people, bearer: people.expect("http", ANY, "auth_logout", bearer.token),
    "logout of all": lambda people, bearer: people.expect("http", ANY, "session_logout_all", bearer.token),
    "logout by the administrator": lambda people, bearer: people.administer("user_logout", bearer.login),
    "disabling": lambda people, bearer: people.administer("user_disable", bearer.login),
    "deletion": lambda people, bearer: people.administer("user_delete", bearer.login),
}


@pytest.mark.parametrize("ending", TOKEN_ENDINGS)
@pytest.mark.parametrize("kind", ["token", "issuer"])
def test_what_ends_a_token_counts_on_the_next_request(people, provider, kind, ending):
    bearer = Bearer(people, provider, kind)
    bearer.assert_reads("a/")
    TOKEN_ENDINGS[ending](people, bearer)
    bearer.assert_is_refused()


def test_a_restore_ends_keys_and_tokens_on_the_next_request(make, visit, settings, provider):
    people = visit(make(**settings).start())
    bearers = [Bearer(people, provider, kind) for kind in KINDS]
    for bearer in bearers:
        bearer.assert_reads("a/")
    assert people.console.evaluate("return authkv.restored() ~= nil") == [True]
    for bearer in bearers:
        bearer.assert_is_refused()
