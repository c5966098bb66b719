"""The people of the tests of /v1: users with logins of their own, their sessions, and the administrator."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import jwt

from support.harness import ADMIN_PASSWORD, Instance
from support.outcome import A_TEXT, A_TIME, A_TOKEN, Like, Ok, Refusal, Refused, assert_outcome
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, ConsoleTransport, HttpQueryTransport, HttpTransport, Transport

# Keeps every rule and is none of the most common ones, which /v1 refuses.
PASSWORD = "Unc0mmon-horse"
OTHER_PASSWORD = "0ther-Battery"

UNAUTHENTICATED = Refused("unauthenticated")
FORBIDDEN = Refused("forbidden")
COMMON = Refused("bad_password", "Incorrect password: it is one of the most common ones")
INVALID_CREDENTIALS = Refused("invalid_credentials", "You have entered an incorrect login or password")
INVALID_REFRESH_TOKEN = Refused("invalid_refresh_token", "The refresh token is not valid: log in again")
NO_SUCH_USER = Refused("no_such_user", "There is no such user")
NO_SUCH_ROLE = Refused("no_such_role", "There is no such role")
NO_SUCH_SESSION = Refused("no_such_session", "There is no such session")
NO_SUCH_API_KEY = Refused("no_such_api_key", "There is no such API key")
NOT_FOR_API_KEYS = Refused("not_for_api_keys", "An API key may not do this: log in")
INVALID_ONE_TIME_TOKEN = Refused("invalid_one_time_token", "The one-time token is not valid: ask for another one")
NEEDS_ADMIN = Refused("role_required", "This needs the role admin")


def forbidden(verb: str, key: str) -> Refused:
    return Refused("forbidden", f"You may not {verb} the key {key}")


# Names rise in the order they are given.
_numbers = itertools.count(1)


def session_answer(ttl: int = 1800, refresh_ttl: int = 1_209_600) -> dict:
    """What a login and a refresh give."""
    return {
        "access_token": A_TOKEN, "token_type": "Bearer", "expires_in": ttl,
        "refresh_token": A_TEXT, "refresh_expires_in": refresh_ttl,
    }  # fmt: skip


def roles(*names: str) -> Like:
    """These roles, in any order. Whether `default` is named among them is not said."""
    return Like(f"roles {names}", lambda seen: sorted(set(seen) - {"default"}) == sorted(names) and len(set(seen)) == len(seen))


def user_answer(login: str, *role_names: str, disabled: bool = False) -> dict:
    """What administration shows of a person."""
    return {
        "login": login, "name": "Bob", "surname": "Stone", "created_at": A_TIME,
        "disabled": disabled, "roles": roles(*role_names), "email_verified": False,
    }  # fmt: skip


def permission(prefix: str, read: bool = False, write: bool = False) -> dict:
    return {"prefix": prefix, "read": read, "write": write}


def allow(what: str, **keyed: str) -> dict:
    """A permission by the first letters of what it allows, for `prefix="a/"` or `key="a"`, as it is shown."""
    names = {"r": "read", "w": "write", "i": "insert", "u": "update", "d": "delete"}
    given = {names[letter]: True for letter in what}
    return {**keyed, "read": False, "write": False} | given


def fresh(kind: str) -> str:
    """A name that nothing has had before."""
    return f"{kind}{next(_numbers):06}"


@dataclass
class Person:
    """A user. The tokens are those of a session begun when they are first asked for."""

    people: People
    login: str = field(default_factory=lambda: fresh("user"))
    password: str = PASSWORD

    def log_in(self) -> dict:
        return self.people.expect("http", Ok(self.people.session_answer()), "session_login", self.login, self.password)

    @cached_property
    def session(self) -> dict:
        return self.log_in()

    def reuse(self) -> None:
        """Uses a refresh token that is older than the last one, which ends the session."""
        newer = self.people.expect("http", Ok(self.people.session_answer()), "session_refresh", self.refresh)
        self.people.expect("http", Ok(self.people.session_answer()), "session_refresh", newer["refresh_token"])
        self.people.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", self.refresh)

    @property
    def access(self) -> str:
        return self.session["access_token"]

    @property
    def refresh(self) -> str:
        return self.session["refresh_token"]

    @property
    def session_id(self) -> str:
        """The id of that session."""
        return jwt.decode(self.access, options={"verify_signature": False})["sid"]

    @cached_property
    def reset_token(self) -> str:
        """A one-time token for a new password."""
        return self.people.administer("user_reset_token", self.login)["reset_token"]

    @cached_property
    def api_key(self) -> dict:
        """An API key with all roles of its user, as it was shown once."""
        return self.people.do("http", "api_key_create", self.access, "test").value

    @property
    def key(self) -> str:
        """That key, for `Authorization`."""
        return self.api_key["key"]

    @property
    def key_id(self) -> str:
        return self.api_key["api_key"]

    @cached_property
    def api_token(self) -> str:
        """A token of /api, which belongs to no session."""
        return self.people.http.login(self.login, self.password).value


class People:
    """An instance with a connection over every transport, and those who use it."""

    def __init__(self, instance: Instance):
        self.instance = instance
        self._transports: dict[str, Transport] = {}

    def session_answer(self) -> dict:
        """What a login gives at this instance."""
        given = self.instance.settings
        lives = {"ttl": "AUTHKV_TOKEN_TTL", "refresh_ttl": "AUTHKV_REFRESH_TTL"}
        return session_answer(**{name: int(given[setting]) for name, setting in lives.items() if setting in given})

    def transport(self, name: str) -> Transport:
        if name not in self._transports:
            self._transports[name] = (ADMIN_TRANSPORTS | {"http_query": HttpQueryTransport})[name](self.instance)
        return self._transports[name]

    @property
    def http(self) -> HttpTransport:
        return self.transport("http")

    @property
    def console(self) -> ConsoleTransport:
        return self.transport("console")

    @cached_property
    def admin(self) -> str:
        """An access token of the administrator."""
        return self.http.do("session_login", "admin", ADMIN_PASSWORD).value["access_token"]

    def do(self, transport: str, operation: str, *args) -> Ok | Refusal:
        return self.transport(transport).do(operation, *args)

    def expect(self, transport: str, expected: Ok | Refused, operation: str, *args):
        """Does it, compares the outcome, and gives the value. Transports differ in the order of members."""
        seen = self.do(transport, operation, *args)
        assert_outcome(self.transport(transport), seen, expected, exact=False)
        return seen.value if isinstance(seen, Ok) else None

    def sees(self, transport: str, expected: Ok | Refused, operation: str, *args) -> bool:
        """Whether the outcome is this one, for a wait."""
        try:
            self.expect(transport, expected, operation, *args)
        except AssertionError:
            return False
        return True

    def everywhere(self, expected: Ok | Refused, operation: str, *args) -> None:
        for transport in TRANSPORTS:
            self.expect(transport, expected, operation, *args)

    def administer(self, operation: str, *args):
        """Does it as the administrator; it has to succeed."""
        seen = self.do("http", operation, self.admin, *args)
        assert isinstance(seen, Ok), seen
        return seen.value

    def new(self, *role_names: str, password: str = PASSWORD) -> Person:
        """A new user with these roles."""
        person = Person(self, password=password)
        self.administer("user_create", person.login, password, "Bob", "Stone", {"roles": list(role_names)})
        return person

    def role(self, *permissions: dict) -> str:
        """A new role."""
        name = fresh("role")
        self.administer("role_set", name, list(permissions))
        return name

    def assert_holds(self, token: str) -> None:
        """The token is accepted over every transport, which know it from then on."""
        self.everywhere(Ok(True), "check", token)
        for transport in TRANSPORTS:
            assert isinstance(self.do(transport, "user_me", token), Ok), transport

    def assert_fails(self, token: str) -> None:
        """The token is refused over every transport, by whatever takes one."""
        self.everywhere(Ok(False), "check", token)
        for operation, *args in (("get", ["k"]), ("put", {"k": 1}), ("user_me",), ("logout",), ("auth_logout",), ("auth_access", {})):
            self.everywhere(UNAUTHENTICATED, operation, token, *args)
        self.everywhere(Ok({"active": False}), "session_introspect", self.admin, token)

    def restart(self, **settings: str) -> None:
        """Stops the instance and starts it again, with these settings changed."""
        self.close()
        self.instance.stop()
        self.instance.settings |= settings
        self.instance.start()

    def close(self) -> None:
        for transport in self._transports.values():
            transport.close()
        self._transports.clear()
