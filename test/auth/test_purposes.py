"""Every secret is good for its own purpose, and for no other: whatever a client has, wherever it is sent, over every transport."""

from __future__ import annotations

from functools import cache

import jwt
import pytest

from support.harness import CHEAP_HASHES
from support.outcome import ANY, Ok, Refused
from support.people import INVALID_ONE_TIME_TOKEN, INVALID_REFRESH_TOKEN, OTHER_PASSWORD, PASSWORD, UNAUTHENTICATED, People, Person, fresh
from support.provider import CLIENT, Provider, trusting
from support.transports import TRANSPORTS

INACTIVE = Ok({"active": False})


@pytest.fixture(scope="module")
def issuer() -> Provider:
    return Provider("corp", "ES256")


@pytest.fixture(scope="module")
def settings(issuer, tmp_path_factory) -> dict:
    entry = issuer.entry(keys={"file": issuer.key_file()}, login_prefix="", create=False)
    quick = CHEAP_HASHES | {"AUTHKV_TOKEN_ALGORITHM": "ES256", "AUTHKV_LOGIN_FORM": "email", "AUTHKV_LOGIN_FAILURES": "1000"}
    return quick | trusting(tmp_path_factory.mktemp("issuers"), entry)


class Holder(Person):
    """A user whose login is an address, with one secret of each kind."""

    def secrets(self, issuer: Provider) -> dict[str, str]:
        people, stored = self.people, self.people.console.evaluate
        session = f"box.space.authkv_session:get('{self.session_id}')"
        key = f"box.space.authkv_api_key:get('{self.key_id}')"
        return {
            "access": self.access,
            "api": self.api_token,
            "key": self.key,
            "outside": issuer.token(self.login),
            "refresh": self.refresh,
            "reset": self.reset_token,
            "verification": people.administer("user_verification_token", self.login)["verification_token"],
            # What is no secret, or is one that nobody sends as a token.
            "id_token": issuer.token(self.login, {"typ": "JWT"}, aud=CLIENT, nonce="n"),
            "session_id": self.session_id,
            "key_id": self.key_id,
            "jti": jwt.decode(self.access, options={"verify_signature": False})["jti"],
            "kid": jwt.get_unverified_header(self.access)["kid"],
            "login": self.login,
            "password": self.password,
            "digest_of_the_refresh_token": stored(f"return {session}[7]")[0],
            "digest_of_the_key": stored(f"return {key}.digest")[0],
        }


BEARERS = {"access", "api", "key", "outside"}
# Where a secret may be sent: the outcome if it is refused, the operation, and which secrets belong there.
PLACES = {
    "check": (Ok(False), lambda secret, admin: ("check", secret), BEARERS),
    "me": (UNAUTHENTICATED, lambda secret, admin: ("user_me", secret), BEARERS),
    "proxy": (UNAUTHENTICATED, lambda secret, admin: ("auth_access", secret, {}), BEARERS),
    "pair": (UNAUTHENTICATED, lambda secret, admin: ("pair_put", secret, "k", 1), BEARERS),
    "keys": (UNAUTHENTICATED, lambda secret, admin: ("api_key_create", secret, "x"), BEARERS - {"key"}),
    "introspect": (INACTIVE, lambda secret, admin: ("session_introspect", admin, secret), BEARERS),
    "refresh": (INVALID_REFRESH_TOKEN, lambda secret, admin: ("session_refresh", secret), {"refresh"}),
    "verify": (INVALID_ONE_TIME_TOKEN, lambda secret, admin: ("user_verify_email", secret), {"verification"}),
    # Last, because it ends the others.
    "reset": (INVALID_ONE_TIME_TOKEN, lambda secret, admin: ("user_reset_password", secret, OTHER_PASSWORD), {"reset"}),
}


@pytest.fixture(scope="module")
def held(people, issuer):
    """The secrets of a holder of a transport's own, who is made once."""

    @cache
    def held(transport: str) -> dict[str, str]:
        holder = Holder(people, f"{fresh('user')}@example.com", PASSWORD)
        people.administer("user_create", holder.login, PASSWORD, "Bob", "Stone")
        return holder.secrets(issuer)

    return held


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_secret_is_refused_where_it_does_not_belong(people: People, held, place, transport):
    refusal, call, belonging = PLACES[place]
    secrets = held(transport)
    for kind, secret in secrets.items():
        if kind in belonging:
            continue
        expected = Refused("not_for_api_keys") if (place, kind) == ("keys", "key") else refusal
        operation, *args = call(secret, people.admin)
        try:
            people.expect(transport, expected, operation, *args)
        except AssertionError as wrong:
            raise AssertionError(f"{kind} at {place}") from wrong
    # What was refused has ended nothing.
    people.expect(transport, Ok(True), "check", secrets["access"])


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_and_is_accepted_where_it_does(people: People, held, transport):
    """Runs after the refusals, in the order of the file."""
    secrets = held(transport)
    for refusal, call, belonging in PLACES.values():
        for kind in sorted(belonging):
            operation, *args = call(secrets[kind], people.admin)
            seen = people.expect(transport, ANY, operation, *args)
            assert Ok(seen) != refusal, (kind, operation)
