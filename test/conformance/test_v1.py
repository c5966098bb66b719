"""The conformance table of /v1: what every transport has to answer, row by row, and the owner on the console.

A row makes the people whom it names, runs the steps it is given (each has to succeed), makes its call and compares the
outcome; then it may run further steps with outcomes of their own. A refused call must not change any space.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

import jwt
import pytest

from support.contract import LOGIN_TAKEN
from support.outcome import A_TEXT, A_TIME, ANYTHING, Like, Ok, Refused
from support.people import (
    COMMON,
    INVALID_CREDENTIALS,
    INVALID_ONE_TIME_TOKEN,
    INVALID_REFRESH_TOKEN,
    NEEDS_ADMIN,
    NO_SUCH_API_KEY,
    NO_SUCH_ROLE,
    NO_SUCH_SESSION,
    NO_SUCH_USER,
    NOT_FOR_API_KEYS,
    OTHER_PASSWORD,
    PASSWORD,
    UNAUTHENTICATED,
    People,
    allow,
    fresh,
    permission,
    session_answer,
    user_answer,
)
from support.tokens import GARBAGE
from support.transports import ADMIN_TRANSPORTS, TRANSPORTS, OwnerTransport
from support.v1 import ADMINISTRATION, KEY_VALUES, OPERATIONS, OWNER


@dataclass(frozen=True)
class Of:
    """Something of a person of the row, who is made when it is needed."""

    person: str
    what: str = "login"


@dataclass(frozen=True)
class Made:
    """What is made of things of people, once they are known."""

    make: object
    parts: tuple


class Cast:
    """The people and the names of one run of a row."""

    def __init__(self, people: People):
        self.people = people
        self.known = {}

    def _of(self, one: Of):
        if one == ADMIN:
            return self.people.admin
        if one.what in ("role", "unused"):
            return self.known.setdefault(one, fresh(one.what))
        if one.person not in self.known:
            given = {INTROSPECT.person: (INTROSPECT.person,), "admin2": ("admin",), "recovery": ("recovery",)}.get(one.person, ())
            self.known[one.person] = self.people.new(*given)
        return getattr(self.known[one.person], one.what)

    def resolve(self, value):
        match value:
            case Of():
                return self._of(value)
            case Made(make, parts):
                return make(*map(self.resolve, parts))
            case dict():
                return {self.resolve(key): self.resolve(one) for key, one in value.items()}
            case list() | tuple():
                return type(value)(map(self.resolve, value))
            case Ok(value):
                return Ok(self.resolve(value))
        return value


ADMIN = Of("admin", "access")
INTROSPECT = Of("introspect", "access")
BOB, BOB_TOKEN, BOB_REFRESH = Of("bob"), Of("bob", "access"), Of("bob", "refresh")
BOB_RESET = Of("bob", "reset_token")
RECOVERY = Of("recovery", "access")
BOB_KEY, BOB_KEY_ID = Of("bob", "key"), Of("bob", "key_id")
BOB_SESSION = Of("bob", "session_id")
EVE, EVE_TOKEN = Of("eve"), Of("eve", "access")
NEW = Of("new", "unused")
ROLE = Of("a", "role")


@dataclass(frozen=True)
class Call:
    operation: str
    args: tuple = ()
    token: object = None

    def arguments(self) -> tuple:
        return (*([self.token] if OPERATIONS.get(self.operation, OLD).takes_token else []), *self.args)


OLD = OPERATIONS["user_me"]  # the operations of /api that are named here take a token too


@dataclass(frozen=True)
class Row:
    name: str
    call: Call
    expected: Ok | Refused
    given: tuple[Call, ...] = ()
    then: tuple[tuple[Call, Ok | Refused], ...] = ()
    # Whether it is about who calls, so that it says nothing of the owner.
    about_caller: bool = False


def as_admin(operation: str, *args) -> Call:
    return Call(operation, args, ADMIN)


def register(login=NEW, password=PASSWORD, name="Bob", surname="Stone") -> Call:
    return Call("user_register", (login, password, name, surname))


def create(login=NEW, password=PASSWORD, name="Bob", surname="Stone", *options) -> Call:
    return as_admin("user_create", login, password, name, surname, *options)


def login(who=BOB, password=PASSWORD) -> Call:
    return Call("session_login", (who, password))


def refresh(token=BOB_REFRESH) -> Call:
    return Call("session_refresh", (token,))


def sessions(token=BOB_TOKEN) -> Call:
    return Call("session_list", (), token)


def revoke(session, token=BOB_TOKEN) -> Call:
    return Call("session_revoke", (session,), token)


def listed(current: bool = True, refreshed_at: object = None) -> Ok:
    """Bob's only session. Over HTTP it began at the address of the tests, and the client has a name or none."""
    session = {
        "session": BOB_SESSION, "created_at": A_TIME, "refreshed_at": refreshed_at, "expires_at": A_TIME,
        "address": ANYTHING, "user_agent": ANYTHING, "current": current,
    }  # fmt: skip
    return Ok({"sessions": [session]})


def me(token=BOB_TOKEN) -> Call:
    return Call("user_me", (), token)


def password(old=PASSWORD, new=OTHER_PASSWORD, token=BOB_TOKEN) -> Call:
    return Call("user_password", (old, new), token)


def introspect(other, token=ADMIN) -> Call:
    return Call("session_introspect", (other,), token)


def check(token=BOB_TOKEN) -> Call:
    return Call("check", (), token)


def user(who=BOB, *role_names, disabled=False) -> Ok:
    return Ok(Made(lambda login, *names: user_answer(login, *names, disabled=disabled), (who, *role_names)))


SESSION = Ok(session_answer())
REVOKED, CHANGED, DELETED = Ok({"revoked": True}), Ok({"changed": True}), Ok({"deleted": True})
SHORT_PASSWORD = Refused("bad_password", "Incorrect password: the length should be no less than 8 symbols")
NO_DIGIT = Refused("bad_password", "Incorrect password: the password should have at least one DIGITS")

# What each way of giving a password refuses, as (name, password, expected).
PASSWORDS = [
    ("a_short_password", "aA1!", SHORT_PASSWORD),
    ("a_long_password", "aA1!" * 17, Refused("bad_password")),
    ("a_password_without_a_digit", "Uncommon-horse", NO_DIGIT),
    ("a_common_password", "Passw0rd!", COMMON),
    ("a_common_password_in_another_case", "pASSW0RD!", COMMON),
]  # fmt: skip

USERS = [
    Row("register_then_login", register(), Ok({"login": NEW}), then=((login(NEW), SESSION),)),
    Row("register_refuses_a_taken_login_first", register(BOB, "x", "", ""), LOGIN_TAKEN, then=((login(), SESSION),)),
    Row("register_gives_no_role", register(), Ok({"login": NEW}), then=((as_admin("user_get", NEW), user(NEW)),)),
    Row("create_gives_the_user", create(), user(NEW), then=((login(NEW), SESSION),)),
    Row("create_gives_roles", create(NEW, PASSWORD, "Bob", "Stone", {"roles": [ROLE, "introspect"]}),
        user(NEW, ROLE, "introspect"), (as_admin("role_set", ROLE, []),),
        ((as_admin("user_get", NEW), user(NEW, ROLE, "introspect")),)),
    Row("create_makes_an_administrator", create(NEW, PASSWORD, "Bob", "Stone", {"roles": ["admin"]}), user(NEW, "admin")),
    Row("create_takes_no_roles_given", create(NEW, PASSWORD, "Bob", "Stone", {"roles": []}), user(NEW)),
    Row("create_refuses_an_unknown_role_and_makes_nobody",
        create(NEW, PASSWORD, "Bob", "Stone", {"roles": ["introspect", ROLE]}), NO_SUCH_ROLE,
        then=((as_admin("user_get", NEW), NO_SUCH_USER),)),
    Row("create_refuses_a_taken_login", create(BOB), LOGIN_TAKEN),
    *[Row(f"{name}_refuses_{what}", make(**wrong), expected, then=((login(NEW), INVALID_CREDENTIALS),))
      for name, make in (("register", register), ("create", create))
      for what, wrong, expected in [
          *[(what, {"password": wrong}, expected) for what, wrong, expected in PASSWORDS],
          ("a_login_of_1", {"login": "b"}, Refused("bad_login")),
          ("a_login_with_a_space", {"login": "bob 1"}, Refused("bad_login")),
          ("a_name_of_1", {"name": "B"}, Refused("bad_initial")),
          ("a_surname_with_a_digit", {"surname": "Stone2"}, Refused("bad_initial")),
          ("a_password_that_is_a_number", {"password": 12345678}, Refused("malformed")),
      ]],
    Row("get_gives_the_user", as_admin("user_get", BOB), user()),
    Row("get_refuses_an_unknown_login", as_admin("user_get", NEW), NO_SUCH_USER),
    Row("get_refuses_another_case_of_the_login", as_admin("user_get", Made(str.upper, (BOB,))), NO_SUCH_USER),
    Row("list_refuses_a_limit_of_0", as_admin("user_list", {"limit": 0}), Refused("bad_option")),
    Row("list_refuses_a_limit_of_1001", as_admin("user_list", {"limit": 1001}), Refused("bad_option")),
    Row("list_after_the_last_is_empty", as_admin("user_list", {"after": "zzzz"}), Ok({"users": [], "next": None})),
    Row("delete_ends_the_user", as_admin("user_delete", BOB), DELETED, (login(), me()),
        ((as_admin("user_get", BOB), NO_SUCH_USER), (login(), INVALID_CREDENTIALS), (check(), Ok(False)),
         (refresh(), INVALID_REFRESH_TOKEN), (as_admin("user_delete", BOB), NO_SUCH_USER))),
    Row("disable_shows_it", as_admin("user_disable", BOB), user(disabled=True),
        then=((as_admin("user_get", BOB), user(disabled=True)),)),
    Row("disable_ends_everything", as_admin("user_disable", BOB), user(disabled=True), (me(),),
        ((login(), INVALID_CREDENTIALS), (check(), Ok(False)), (me(), UNAUTHENTICATED), (refresh(), INVALID_REFRESH_TOKEN))),
    Row("disable_twice_is_no_error", as_admin("user_disable", BOB), user(disabled=True), (as_admin("user_disable", BOB),)),
    Row("enable_lets_log_in_again", as_admin("user_enable", BOB), user(), (me(), as_admin("user_disable", BOB)),
        ((login(), SESSION), (check(), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN))),
    Row("enable_leaves_who_was_not_disabled", as_admin("user_enable", BOB), user(), (me(),), ((check(), Ok(True)),)),
    Row("user_logout_ends_all_sessions", as_admin("user_logout", BOB), REVOKED, (me(), login()),
        ((check(), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN), (login(), SESSION))),
    Row("set_password_replaces_it_and_ends_all_sessions", as_admin("user_set_password", BOB, OTHER_PASSWORD), CHANGED,
        (me(),), ((check(), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN), (login(password=OTHER_PASSWORD), SESSION),
                  (login(), INVALID_CREDENTIALS))),
    *[Row(f"set_password_refuses_{what}", as_admin("user_set_password", BOB, wrong), expected, (me(),),
          ((check(), Ok(True)), (login(), SESSION)))
      for what, wrong, expected in PASSWORDS],
    *[Row(f"{operation}_refuses_an_unknown_login", as_admin(operation, NEW, *more), NO_SUCH_USER)
      for operation, *more in [
          ("user_delete",), ("user_disable",), ("user_enable",), ("user_logout",), ("user_set_password", PASSWORD),
          ("role_grant", "introspect"), ("role_revoke", "introspect"),
      ]],
]  # fmt: skip

SESSIONS = [
    Row("login_gives_a_session", login(), SESSION),
    Row("login_refuses_a_wrong_password", login(password=OTHER_PASSWORD), INVALID_CREDENTIALS),
    Row("login_refuses_an_unknown_login_alike", login(NEW), INVALID_CREDENTIALS),
    Row("login_knows_no_rules_for_the_password", login(password="x" * 4000), INVALID_CREDENTIALS),
    Row("login_takes_no_other_types", login(password=1), Refused("malformed")),
    Row("login_takes_no_null", login(password=None), Refused("malformed")),
    Row("refresh_gives_a_session", refresh(), SESSION, then=((check(), Ok(True)),)),
    Row("refresh_takes_a_used_token_for_a_while", refresh(), SESSION, (refresh(),), ((check(), Ok(True)), (refresh(), SESSION))),
    Row("refresh_refuses_an_access_token", refresh(BOB_TOKEN), INVALID_REFRESH_TOKEN, then=((refresh(), SESSION),)),
    Row("refresh_refuses_garbage", refresh("x" * 43), INVALID_REFRESH_TOKEN),
    Row("refresh_refuses_nothing", refresh(""), INVALID_REFRESH_TOKEN),
    Row("refresh_takes_no_other_types", refresh(1), Refused("malformed")),
    Row("a_refresh_token_is_no_access_token", me(BOB_REFRESH), UNAUTHENTICATED, then=((refresh(), SESSION),)),
    Row("logout_ends_the_session", Call("auth_logout", (), BOB_TOKEN), REVOKED, (me(),),
        ((check(), Ok(False)), (me(), UNAUTHENTICATED), (refresh(), INVALID_REFRESH_TOKEN))),
    Row("logout_refuses_a_token_that_is_revoked", Call("auth_logout", (), BOB_TOKEN), UNAUTHENTICATED,
        (Call("auth_logout", (), BOB_TOKEN),)),
    Row("logout_refuses_garbage", Call("auth_logout", (), GARBAGE), UNAUTHENTICATED),
    Row("logout_leaves_other_users", Call("auth_logout", (), BOB_TOKEN), REVOKED, then=((me(EVE_TOKEN), Ok(Like("Eve", bool))),)),
    Row("logout_all_ends_every_session", Call("session_logout_all", (), BOB_TOKEN), REVOKED, (me(), check(Of("bob", "api_token"))),
        ((check(), Ok(False)), (check(Of("bob", "api_token")), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN),
         (check(EVE_TOKEN), Ok(True)), (login(), SESSION))),
    Row("logout_all_refuses_garbage", Call("session_logout_all", (), GARBAGE), UNAUTHENTICATED),
    Row("session_list_shows_the_session_of_the_token", sessions(), listed(), (me(),)),
    Row("session_list_shows_a_refresh", sessions(), listed(refreshed_at=A_TIME), (refresh(),)),
    Row("session_list_shows_a_token_of_api_that_it_is_of_none", sessions(Of("bob", "api_token")), listed(current=False), (me(),)),
    Row("session_list_shows_nobody_elses", sessions(Of("eve", "api_token")), Ok({"sessions": []}), (me(),)),
    Row("session_list_refuses_garbage", sessions(GARBAGE), UNAUTHENTICATED),
    Row("session_revoke_ends_the_session", revoke(BOB_SESSION), REVOKED, (me(),),
        ((check(), Ok(False)), (me(), UNAUTHENTICATED), (refresh(), INVALID_REFRESH_TOKEN), (login(), SESSION))),
    Row("session_revoke_ends_another_session_only", revoke(BOB_SESSION, Of("bob", "api_token")), REVOKED, (me(),),
        ((check(), Ok(False)), (check(Of("bob", "api_token")), Ok(True)))),
    Row("session_revoke_refuses_a_session_that_has_ended", revoke(BOB_SESSION, Of("bob", "api_token")), NO_SUCH_SESSION,
        (Call("auth_logout", (), BOB_TOKEN),)),
    Row("session_revoke_refuses_the_session_of_another_user", revoke(BOB_SESSION, EVE_TOKEN), NO_SUCH_SESSION,
        then=((check(), Ok(True)), (refresh(), SESSION))),
    Row("session_revoke_refuses_an_unknown_session", revoke("x"), NO_SUCH_SESSION),
    Row("session_revoke_refuses_garbage", revoke(BOB_SESSION, GARBAGE), UNAUTHENTICATED, then=((check(), Ok(True)),)),
    Row("user_session_list_shows_the_sessions", as_admin("user_session_list", BOB), listed(current=False), (me(),)),
    Row("user_session_list_of_who_has_none_is_empty", as_admin("user_session_list", BOB), Ok({"sessions": []})),
    Row("user_session_list_refuses_an_unknown_login", as_admin("user_session_list", NEW), NO_SUCH_USER),
    Row("user_session_revoke_ends_the_session", as_admin("user_session_revoke", BOB, BOB_SESSION), REVOKED, (me(),),
        ((check(), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN), (login(), SESSION))),
    Row("user_session_revoke_refuses_the_session_of_another_user", as_admin("user_session_revoke", EVE, BOB_SESSION),
        NO_SUCH_SESSION, then=((check(), Ok(True)),)),
    Row("user_session_revoke_refuses_an_unknown_login", as_admin("user_session_revoke", NEW, BOB_SESSION), NO_SUCH_USER),
]  # fmt: skip


def who(login: str, *names: str) -> dict:
    return user_answer(login, *names) | {"permissions": [permission("", True, True)]}


ME = [
    Row("me_shows_the_user", me(), Ok(Made(who, (BOB,)))),
    Row("me_shows_the_user_to_a_token_of_api", me(Of("bob", "api_token")), Ok(Made(who, (BOB,)))),
    Row("me_shows_roles", me(INTROSPECT), Ok(Made(lambda login: who(login, "introspect"), (Of("introspect"),)))),
    Row("me_refuses_garbage", me(GARBAGE), UNAUTHENTICATED),
    Row("me_refuses_nothing", me(""), UNAUTHENTICATED),
    Row("password_is_changed_and_ends_every_session", password(), CHANGED, (me(), check(Of("bob", "api_token"))),
        ((check(), Ok(False)), (check(Of("bob", "api_token")), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN),
         (login(password=OTHER_PASSWORD), SESSION), (login(), INVALID_CREDENTIALS))),
    Row("password_needs_the_old_one", password(old=OTHER_PASSWORD), INVALID_CREDENTIALS, (me(),),
        ((check(), Ok(True)), (login(), SESSION))),
    Row("password_refuses_garbage", password(token=GARBAGE), UNAUTHENTICATED),
    Row("password_takes_no_other_types", password(new=1), Refused("malformed")),
    *[Row(f"password_refuses_{what}", password(new=wrong), expected, (me(),), ((check(), Ok(True)), (login(), SESSION)))
      for what, wrong, expected in PASSWORDS],
]  # fmt: skip


def active(login: str) -> dict:
    return {
        "active": True, "token_type": "Bearer", "username": login, "sub": login, "iss": "authkv", "aud": "authkv",
        "jti": A_TEXT, "iat": A_TIME, "nbf": A_TIME, "exp": A_TIME, "email_verified": False,
    }  # fmt: skip


INACTIVE = Ok({"active": False})
INTROSPECTION = [
    Row("introspect_shows_a_token", introspect(BOB_TOKEN), Ok(Made(active, (BOB,)))),
    Row("introspect_shows_a_token_of_api", introspect(Of("bob", "api_token")), Ok(Made(active, (BOB,)))),
    Row("introspect_is_for_its_role", introspect(BOB_TOKEN, INTROSPECT), Ok(Made(active, (BOB,))), about_caller=True),
    Row("introspect_is_not_for_everyone", introspect(EVE_TOKEN, BOB_TOKEN), Refused("role_required"), about_caller=True),
    Row("introspect_is_not_for_everyone_of_their_own", introspect(BOB_TOKEN, BOB_TOKEN), Refused("role_required"),
        about_caller=True),
    Row("introspect_refuses_a_caller_with_garbage", introspect(BOB_TOKEN, GARBAGE), UNAUTHENTICATED, about_caller=True),
    Row("introspect_knows_what_is_revoked", introspect(BOB_TOKEN), INACTIVE, (Call("auth_logout", (), BOB_TOKEN),)),
    Row("introspect_knows_who_is_disabled", introspect(BOB_TOKEN), INACTIVE, (me(), as_admin("user_disable", BOB))),
    Row("introspect_knows_no_refresh_tokens", introspect(BOB_REFRESH), INACTIVE),
    Row("introspect_says_little_of_garbage", introspect(GARBAGE), INACTIVE),
    Row("introspect_says_little_of_nothing", introspect(""), INACTIVE),
]  # fmt: skip


def service(login: str) -> dict:
    return user_answer(login, "introspect") | {"name": "Service", "surname": "Service"}


def api_keys(token=BOB_TOKEN) -> Call:
    return Call("api_key_list", (), token)


def make_key(*args, token=BOB_TOKEN) -> Call:
    return Call("api_key_create", args, token)


def made(name: str, roles: list | None = None, **more) -> Ok:
    shown = {"api_key": A_TEXT, "name": name, "roles": roles, "created_at": A_TIME, "expires_at": A_TIME, "used_at": None}
    return Ok({"key": A_KEY} | shown | more)


A_KEY = Like("a key", lambda seen: isinstance(seen, str) and re.fullmatch(r"authkv_[0-9A-Za-z]{49}", seen) is not None)
NO_KEYS = Ok({"api_keys": []})
NEEDS_RECOVERY = Refused("role_required", "This needs the role recovery")
ONE_KEY = Ok({"api_keys": Like("one", lambda seen: len(seen) == 1 and seen[0]["name"] == "test")})


ADMIN2_KEY = Of("admin2", "key")
NOBODY_NEW = ((as_admin("user_get", NEW), NO_SUCH_USER),)


def revoke_key(key=BOB_KEY_ID, token=BOB_TOKEN) -> Call:
    return Call("api_key_revoke", (key,), token)


API_KEYS = [
    Row("api_key_create_makes_a_key", make_key("nightly"), made("nightly")),
    Row("api_key_create_takes_roles_and_a_life", make_key("x", {"roles": ["default"], "ttl": 60}), made("x", ["default"])),
    Row("api_key_create_takes_no_roles", make_key("x", {"roles": []}), made("x", [])),
    Row("api_key_create_takes_a_name_of_any_script", make_key("ключ 1"), made("ключ 1")),
    *[Row(f"api_key_create_refuses_{what}", make_key(*args), Refused(error), then=((api_keys(), NO_KEYS),))
      for what, args, error in [
          ("an_empty_name", ("",), "bad_option"), ("a_name_of_65", ("x" * 65,), "bad_option"),
          ("a_name_with_a_line", ("a\nb",), "bad_option"), ("a_life_of_0", ("x", {"ttl": 0}), "bad_option"),
          ("a_life_of_more_than_ten_years", ("x", {"ttl": 315_360_001}), "bad_option"),
          ("an_unknown_role", ("x", {"roles": ["unknown"]}), "no_such_role"),
          ("a_role_that_the_user_does_not_have", ("x", {"roles": ["admin"]}), "bad_role"),
          ("a_name_that_is_a_number", (1,), "malformed"), ("roles_that_are_a_text", ("x", {"roles": "default"}), "malformed"),
          ("an_unknown_option", ("x", {"role": []}), "malformed"),
      ]],
    Row("api_key_create_refuses_garbage", make_key("x", token=GARBAGE), UNAUTHENTICATED),
    Row("api_key_list_shows_the_keys_without_their_secrets", api_keys(), ONE_KEY, (api_keys(BOB_TOKEN), check(BOB_KEY))),
    Row("api_key_list_shows_nobody_elses", api_keys(EVE_TOKEN), NO_KEYS, (check(BOB_KEY),)),
    Row("api_key_revoke_ends_the_key", revoke_key(), REVOKED, (check(BOB_KEY),),
        ((check(BOB_KEY), Ok(False)), (me(BOB_KEY), UNAUTHENTICATED), (api_keys(), NO_KEYS), (revoke_key(), NO_SUCH_API_KEY))),
    Row("api_key_revoke_refuses_the_key_of_another_user", revoke_key(token=EVE_TOKEN), NO_SUCH_API_KEY,
        then=((check(BOB_KEY), Ok(True)),)),
    Row("api_key_revoke_refuses_an_unknown_key", revoke_key("x"), NO_SUCH_API_KEY),
    Row("a_key_shows_its_user", me(BOB_KEY), Ok(Made(who, (BOB,)))),
    *[Row(f"{operation}_is_not_for_api_keys", Call(operation, args, BOB_KEY), NOT_FOR_API_KEYS, about_caller=True,
          then=((check(), Ok(True)), (check(BOB_KEY), Ok(True))))
      for operation, args in [
          ("auth_logout", ()), ("session_logout_all", ()), ("session_list", ()), ("session_revoke", (BOB_SESSION,)),
          ("user_password", (PASSWORD, OTHER_PASSWORD)), ("user_set_password", (BOB, OTHER_PASSWORD)), ("user_rename", ("Bo", "St")),
          ("api_key_create", ("x",)), ("api_key_list", ()), ("api_key_revoke", (BOB_KEY_ID,)),
          ("user_api_key_create", (BOB, "x")),
      ]],
    Row("a_key_needs_the_role_too", Call("user_list", (), BOB_KEY), NEEDS_ADMIN, about_caller=True),
    Row("a_key_of_an_administrator_administers", Call("user_get", (BOB,), Of("admin2", "key")), user(), about_caller=True),
    *[Row(f"a_key_makes_no_administrator_by_{name}", Call(operation, args, ADMIN2_KEY), NOT_FOR_API_KEYS, about_caller=True, then=then)
      for name, operation, args, then in [
          ("user_create", "user_create", (NEW, PASSWORD, "Bob", "Stone", {"roles": ["introspect", "admin"]}), NOBODY_NEW),
          ("user_create_service", "user_create_service", (NEW, {"roles": ["admin"]}), NOBODY_NEW),
          ("role_grant", "role_grant", (BOB, "admin"), ((as_admin("user_get", BOB), user()),)),
          ("role_grant_to_its_own_user", "role_grant", (Of("admin2"), "admin"), ()),
          ("a_reset_token_of_its_own_user", "user_reset_token", (Of("admin2"),), ()),
          ("a_reset_token_of_another_administrator", "user_reset_token", ("admin",), ()),
          ("a_reset_token_of_who_recovers_others", "user_reset_token", (Of("recovery"),), ()),
      ]],
    *[Row(f"a_key_of_an_administrator_still_does_{operation}", Call(operation, args, ADMIN2_KEY), expected, about_caller=True)
      for operation, args, expected in [
          ("user_create", (NEW, PASSWORD, "Bob", "Stone", {"roles": ["introspect"]}), user(NEW, "introspect")),
          ("user_create_service", (NEW, {"roles": ["introspect"]}), Ok(Made(service, (NEW,)))),
          ("role_grant", (BOB, "introspect"), user(BOB, "introspect")),
          ("user_reset_token", (BOB,), Ok({"reset_token": A_TEXT, "expires_at": A_TIME})),
      ]],
    Row("introspect_shows_an_api_key", introspect(BOB_KEY), Ok(Made(active, (BOB,)))),
    Row("a_key_is_no_refresh_token", refresh(BOB_KEY), INVALID_REFRESH_TOKEN, then=((check(BOB_KEY), Ok(True)),)),
    *[Row(f"{what}_ends_a_key", ending, answer, (check(BOB_KEY),), ((check(BOB_KEY), Ok(False)), *then))
      for what, ending, answer, then in [
          ("disabling", as_admin("user_disable", BOB), user(disabled=True),
           ((as_admin("user_enable", BOB), user()), (check(BOB_KEY), Ok(True)))),
          ("deletion", as_admin("user_delete", BOB), DELETED,
           ((create(BOB), user()), (check(BOB_KEY), Ok(False)), (as_admin("user_api_key_list", BOB), NO_KEYS))),
      ]],
    *[Row(f"{what}_leaves_a_key", ending, answer, (check(BOB_KEY),), ((check(BOB_KEY), Ok(True)),))
      for what, ending, answer in [
          ("logout_all", Call("session_logout_all", (), BOB_TOKEN), REVOKED), ("a_new_password", password(), CHANGED),
          ("logout_by_the_administrator", as_admin("user_logout", BOB), REVOKED),
      ]],
    Row("user_api_key_create_makes_a_key", as_admin("user_api_key_create", BOB, "x", {"ttl": 60}), made("x")),
    Row("user_api_key_create_refuses_an_unknown_login", as_admin("user_api_key_create", NEW, "x"), NO_SUCH_USER),
    Row("user_api_key_list_shows_the_keys", as_admin("user_api_key_list", BOB), ONE_KEY, (check(BOB_KEY),)),
    Row("user_api_key_list_refuses_an_unknown_login", as_admin("user_api_key_list", NEW), NO_SUCH_USER),
    Row("user_api_key_revoke_ends_the_key", as_admin("user_api_key_revoke", BOB, BOB_KEY_ID), REVOKED, (check(BOB_KEY),),
        ((check(BOB_KEY), Ok(False)),)),
    Row("user_api_key_revoke_refuses_the_key_of_another_user", as_admin("user_api_key_revoke", EVE, BOB_KEY_ID), NO_SUCH_API_KEY,
        then=((check(BOB_KEY), Ok(True)),)),
    Row("create_service_makes_a_user_whose_password_nobody_knows",
        as_admin("user_create_service", NEW, {"roles": ["introspect"]}), Ok(Made(service, (NEW,))),
        then=((login(NEW), INVALID_CREDENTIALS), (as_admin("user_api_key_create", NEW, "x", {"roles": ["introspect"]}),
                                                  made("x", ["introspect"])))),
    Row("create_service_refuses_a_taken_login", as_admin("user_create_service", BOB), LOGIN_TAKEN),
    Row("create_service_refuses_an_unknown_role", as_admin("user_create_service", NEW, {"roles": ["unknown"]}), NO_SUCH_ROLE),
    Row("create_service_refuses_a_bad_login", as_admin("user_create_service", "a b"), Refused("bad_login")),
]  # fmt: skip


def rename(name="Ann-Marie", surname="Poe", token=BOB_TOKEN) -> Call:
    return Call("user_rename", (name, surname), token)


def delete_own(password=PASSWORD, token=BOB_TOKEN) -> Call:
    return Call("user_delete_own", (password,), token)


def reset(token=BOB_RESET, password=OTHER_PASSWORD) -> Call:
    return Call("user_reset_password", (token, password))


def renamed(login: str) -> dict:
    return user_answer(login) | {"name": "Ann-Marie", "surname": "Poe"}


def other_login(token: str) -> str:
    """The token with one bit of the login changed."""
    raw = bytearray(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    raw[16] ^= 1
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


NO_ADDRESS = Refused("bad_login", "Incorrect login: it is no e-mail address")
A_RESET_TOKEN = Ok({"reset_token": A_TEXT, "expires_at": A_TIME})
ACCOUNTS = [
    Row("rename_changes_the_name", rename(), Ok(Made(renamed, (BOB,))), then=((as_admin("user_get", BOB), Ok(Made(renamed, (BOB,)))),
                                                                              (check(), Ok(True)), (login(), SESSION))),
    *[Row(f"rename_refuses_{what}", rename(**wrong), Refused(error), then=((as_admin("user_get", BOB), user()),))
      for what, wrong, error in [
          ("a_name_of_1", {"name": "B"}, "bad_initial"), ("a_surname_with_a_digit", {"surname": "Poe2"}, "bad_initial"),
          ("a_name_that_is_a_number", {"name": 1}, "malformed"),
      ]],
    Row("rename_refuses_garbage", rename(token=GARBAGE), UNAUTHENTICATED),
    Row("delete_own_ends_the_user", delete_own(), DELETED, (me(), check(BOB_KEY)),
        ((check(), Ok(False)), (check(BOB_KEY), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN), (login(), INVALID_CREDENTIALS),
         (as_admin("user_get", BOB), NO_SUCH_USER), (create(BOB), user()), (check(), Ok(False)))),
    Row("delete_own_needs_the_password", delete_own(OTHER_PASSWORD), INVALID_CREDENTIALS, (me(),),
        ((check(), Ok(True)), (login(), SESSION))),
    Row("delete_own_is_not_for_api_keys", delete_own(token=BOB_KEY), NOT_FOR_API_KEYS, about_caller=True, then=((login(), SESSION),)),
    Row("delete_own_refuses_garbage", delete_own(token=GARBAGE), UNAUTHENTICATED, then=((login(), SESSION),)),
    Row("delete_own_takes_no_other_types", delete_own(1), Refused("malformed"), then=((login(), SESSION),)),
    Row("reset_token_is_made", as_admin("user_reset_token", BOB), A_RESET_TOKEN, then=((check(), Ok(True)), (login(), SESSION))),
    Row("reset_token_takes_a_life", as_admin("user_reset_token", BOB, {"ttl": 604_800}), A_RESET_TOKEN),
    Row("reset_token_refuses_a_life_of_0", as_admin("user_reset_token", BOB, {"ttl": 0}), Refused("bad_option")),
    Row("reset_token_refuses_a_life_of_more_than_a_week", as_admin("user_reset_token", BOB, {"ttl": 604_801}), Refused("bad_option")),
    Row("reset_token_refuses_an_unknown_login", as_admin("user_reset_token", NEW), NO_SUCH_USER),
    Row("reset_token_is_for_its_role", Call("user_reset_token", (BOB,), RECOVERY), A_RESET_TOKEN, about_caller=True),
    Row("reset_token_is_for_a_key_of_its_role", Call("user_reset_token", (BOB,), Of("recovery", "key")), A_RESET_TOKEN, about_caller=True),
    Row("reset_token_is_not_for_everyone", Call("user_reset_token", (BOB,), BOB_TOKEN), NEEDS_RECOVERY, about_caller=True),
    Row("reset_token_is_not_for_who_may_introspect", Call("user_reset_token", (BOB,), INTROSPECT), NEEDS_RECOVERY, about_caller=True),
    Row("reset_token_of_an_administrator_is_for_administrators", Call("user_reset_token", (Of("admin2"),), RECOVERY), NEEDS_ADMIN,
        about_caller=True),
    Row("reset_token_of_its_own_role_is_for_administrators", Call("user_reset_token", (Of("recovery"),), RECOVERY), NEEDS_ADMIN,
        about_caller=True),
    Row("verification_token_is_for_addresses", as_admin("user_verification_token", BOB), NO_ADDRESS),
    Row("verification_token_refuses_an_unknown_login", as_admin("user_verification_token", NEW), NO_SUCH_USER),
    Row("verification_token_refuses_a_life_of_0", as_admin("user_verification_token", BOB, {"ttl": 0}), Refused("bad_option")),
    Row("verification_token_is_not_for_everyone", Call("user_verification_token", (BOB,), BOB_TOKEN), NEEDS_RECOVERY,
        about_caller=True),
    Row("verification_token_knows_its_role", Call("user_verification_token", (BOB,), RECOVERY), NO_ADDRESS, about_caller=True),
    *[Row(f"verify_email_refuses_{what}", Call("user_verify_email", (token,)), INVALID_ONE_TIME_TOKEN,
          then=((as_admin("user_get", BOB), user()),))
      for what, token in [("nothing", ""), ("garbage", GARBAGE), ("an_access_token", BOB_TOKEN), ("a_token_for_a_password", BOB_RESET)]],
    Row("verify_email_takes_no_other_types", Call("user_verify_email", (1,)), Refused("malformed")),
    Row("reset_sets_the_password_and_ends_every_session", reset(), CHANGED, (me(),),
        ((check(), Ok(False)), (refresh(), INVALID_REFRESH_TOKEN), (login(), INVALID_CREDENTIALS),
         (login(password=OTHER_PASSWORD), SESSION))),
    Row("reset_refuses_a_used_token", reset(password=PASSWORD), INVALID_ONE_TIME_TOKEN, (reset(),),
        ((login(password=OTHER_PASSWORD), SESSION),)),
    *[Row(f"reset_refuses_a_token_after_{what}", reset(), INVALID_ONE_TIME_TOKEN, given)
      for what, given in [
          ("a_logout_of_all", (as_admin("user_logout", BOB),)),
          ("a_deletion", (as_admin("user_delete", BOB),)),
          ("a_deletion_and_a_new_user", (as_admin("user_delete", BOB), create(BOB))),
          ("a_disabling", (as_admin("user_disable", BOB),)),
          ("a_new_password", (as_admin("user_set_password", BOB, PASSWORD),)),
      ]],
    *[Row(f"reset_refuses_{what}", reset(token), INVALID_ONE_TIME_TOKEN, then=((login(), SESSION),))
      for what, token in [
          ("nothing", ""), ("garbage", GARBAGE), ("an_access_token", BOB_TOKEN), ("a_refresh_token", BOB_REFRESH),
          ("a_token_of_one_more_byte", Made(lambda token: token + "AAAA", (BOB_RESET,))), ("zeros", "A" * 100), ("much", "A" * 5000),
          ("a_token_that_is_cut", Made(lambda token: token[4:], (BOB_RESET,))),
          ("a_token_of_another_login", Made(other_login, (BOB_RESET,))),
      ]],
    *[Row(f"reset_refuses_{what}_and_keeps_the_token", reset(password=wrong), expected,
          then=((login(), SESSION), (reset(), CHANGED)))
      for what, wrong, expected in PASSWORDS],
]  # fmt: skip


def role(name, *permissions) -> Ok:
    return Ok({"name": name, "permissions": list(permissions)})


def bad_role(name) -> Row:
    return Row(f"set_role_refuses_the_name_{ascii(name)[:20]}", as_admin("role_set", name, []), Refused("bad_role"))


READ_A = permission("a/", read=True)
LONG = [permission(f"p{n}".ljust(1000, "x"), read=True) for n in range(1000)]
MANY = [permission(f"p{n}", read=True) for n in range(1001)]
ROLES = [
    Row("set_role_gives_it", as_admin("role_set", ROLE, [permission("a/", True, True), READ_A | {"prefix": "b"}]),
        role(ROLE, permission("a/", True, True), permission("b", True))),
    Row("set_role_takes_what_is_left_out_as_no", as_admin("role_set", ROLE, [{"prefix": "a/", "read": True}]), role(ROLE, READ_A)),
    Row("set_role_takes_no_permissions", as_admin("role_set", ROLE, []), role(ROLE)),
    Row("set_role_replaces_it", as_admin("role_set", ROLE, [permission("b", write=True)]), role(ROLE, permission("b", write=True)),
        (as_admin("role_set", ROLE, [READ_A]),)),
    Row("set_role_takes_a_name_of_every_kind_of_character", as_admin("role_set", "Az09_-.", []), role("Az09_-."),
        then=((as_admin("role_delete", "Az09_-."), DELETED),)),
    Row("set_role_takes_a_name_of_128", as_admin("role_set", "r" * 128, []), role("r" * 128),
        then=((as_admin("role_delete", "r" * 128), DELETED),)),
    Row("set_role_takes_the_longest_login_with_more_around_it", as_admin("role_set", f"user-{'b' * 64}.v-1", []),
        role(f"user-{'b' * 64}.v-1"),
        then=((as_admin("role_delete", f"user-{'b' * 64}.v-1"), DELETED),)),
    *map(bad_role, ("r" * 129, "a b", "a,b", "роль", "admin", "introspect")),
    Row("set_role_takes_a_prefix_of_1024_bytes", as_admin("role_set", ROLE, [permission("ж" * 512, True)]),
        role(ROLE, permission("ж" * 512, True))),
    Row("set_role_refuses_a_prefix_of_1025_bytes", as_admin("role_set", ROLE, [permission("k" * 1025, True)]), Refused("bad_role")),
    Row("set_role_takes_1000_permissions", as_admin("role_set", ROLE, MANY[1:]),
        Ok({"name": ROLE, "permissions": Like("1000 permissions", lambda seen: len(seen) == 1000)})),
    Row("set_role_takes_1000_permissions_with_prefixes_of_1000_bytes", as_admin("role_set", ROLE, LONG),
        Ok({"name": ROLE,
            "permissions": Like("all of them", lambda seen: [one["prefix"] for one in seen] == [one["prefix"] for one in LONG])})),
    Row("set_role_refuses_1001_permissions", as_admin("role_set", ROLE, MANY), Refused("bad_role")),
    Row("set_role_refuses_permissions_of_another_type", as_admin("role_set", ROLE, "a/"), Refused("malformed")),
    Row("set_role_refuses_a_permission_without_a_prefix", as_admin("role_set", ROLE, [{"read": True}]), Refused("malformed")),
    *[Row(f"set_role_takes_{name}", as_admin("role_set", ROLE, [one]), role(ROLE, one))
      for name, one in {
          "a_key": allow("rw", key="a"), "a_key_with_the_login": allow("r", key="users/{login}"),
          "a_prefix_with_the_login": allow("r", prefix="users/{login}/"), "logins_in_any_place": allow("w", prefix="{login}:{login}/x"),
          "braces_that_are_doubled": allow("r", prefix="{{login}}"), "braces_beside_the_login": allow("r", prefix="{{{login}}}"),
          "insert_only": allow("i", prefix="a/"), "all_but_delete": allow("riu", prefix="a/"), "delete_only": allow("d", prefix="a/"),
          "all_parts_of_write": allow("iud", prefix="a/"),
      }.items()],
    Row("set_role_takes_parts_of_write_beside_it", as_admin("role_set", ROLE, [allow("wiud", prefix="a/")]),
        role(ROLE, permission("a/", write=True))),
    Row("set_role_takes_no_for_parts", as_admin("role_set", ROLE, [{"prefix": "a/", "read": True, "delete": False}]), role(ROLE, READ_A)),
    *[Row(f"set_role_refuses_{name}", as_admin("role_set", ROLE, [one]), Refused("bad_role"))
      for name, one in {
          "write_without_a_part": allow("w", prefix="a/") | {"delete": False}, "an_empty_key": allow("r", key=""),
          "a_key_of_1025_bytes": allow("r", key="k" * 1025),
          "a_prefix_that_ends_in_the_login": allow("r", prefix="users/{login}"),
          "a_prefix_with_a_letter_after_the_login": allow("r", prefix="{login}s/"),
          "a_prefix_with_a_dot_after_the_login": allow("r", prefix="{login}./"),
          "an_unknown_name_in_braces": allow("r", prefix="users/{user}/"), "a_name_with_spaces": allow("r", prefix="{ login }/"),
          "no_name_in_braces": allow("r", prefix="{}/"), "a_brace_alone": allow("r", prefix="a{"), "a_closing_brace": allow("r", key="a}b"),
      }.items()],
    *[Row(f"set_role_knows_no_{name}", as_admin("role_set", ROLE, [one]), Refused("malformed"))
      for name, one in {
          "prefix_and_key": {"prefix": "a", "key": "b", "read": True}, "unknown_access": {"prefix": "a", "list": True},
          "text_for_access": {"prefix": "a", "insert": "yes"}, "number_for_a_key": {"key": 5, "read": True},
      }.items()],
    Row("set_role_checks_the_role_of_the_caller_before_permissions", Call("role_set", (ROLE, [allow("r", prefix="{")]), BOB_TOKEN),
        NEEDS_ADMIN, about_caller=True),
    Row("delete_role_ends_it", as_admin("role_delete", ROLE), DELETED, (as_admin("role_set", ROLE, []),),
        ((as_admin("role_delete", ROLE), NO_SUCH_ROLE), (as_admin("role_grant", BOB, ROLE), NO_SUCH_ROLE))),
    Row("delete_role_takes_it_from_users", as_admin("role_delete", ROLE), DELETED,
        (as_admin("role_set", ROLE, []), as_admin("role_grant", BOB, ROLE)), ((as_admin("user_get", BOB), user()),)),
    Row("a_role_that_was_deleted_does_not_come_back_to_users", as_admin("role_set", ROLE, []), role(ROLE),
        (as_admin("role_set", ROLE, []), as_admin("role_grant", BOB, ROLE), as_admin("role_delete", ROLE)),
        ((as_admin("user_get", BOB), user()),)),
    *[Row(f"delete_role_keeps_{name}", as_admin("role_delete", name), Refused("bad_role"))
      for name in ("admin", "introspect", "default")],
    Row("grant_gives_the_role", as_admin("role_grant", BOB, ROLE), user(BOB, ROLE), (as_admin("role_set", ROLE, []),),
        ((as_admin("user_get", BOB), user(BOB, ROLE)),)),
    Row("grant_twice_is_no_error", as_admin("role_grant", BOB, "introspect"), user(BOB, "introspect"),
        (as_admin("role_grant", BOB, "introspect"),)),
    Row("grant_of_admin_makes_an_administrator", as_admin("role_grant", BOB, "admin"), user(BOB, "admin"), (me(),),
        ((Call("user_get", (BOB,), BOB_TOKEN), user(BOB, "admin")),)),
    Row("grant_refuses_an_unknown_role", as_admin("role_grant", BOB, ROLE), NO_SUCH_ROLE),
    Row("revoke_takes_the_role", as_admin("role_revoke", BOB, "introspect"), user(), (as_admin("role_grant", BOB, "introspect"),),
        ((introspect(EVE_TOKEN, BOB_TOKEN), Refused("role_required")),)),
]  # fmt: skip

KEYS = [
    Row("key_set_shows_one_public_key", Call("key_set"), Ok({"keys": Like("an RSA key", lambda keys: len(keys) == 1 and {
        "kty": "RSA", "use": "sig", "alg": "RS256"}.items() <= keys[0].items())})),
    Row("key_list_shows_the_key_that_signs", as_admin("key_list"), Ok({"keys": Like("one that signs", lambda keys: len(
        keys) == 1 and keys[0]["signs"] is True and keys[0]["verifies_until"] is None and keys[0]["alg"] == "RS256")})),
    Row("rotate_refuses_publish_above_a_day", as_admin("key_rotate", {"publish": 86_401}), Refused("bad_option")),
    Row("retire_refuses_an_unknown_key", as_admin("key_retire", "unknown"), Refused("no_such_signing_key", "There is no such key")),
    Row("quota_list_is_empty_without_quotas", as_admin("quota_list"), Ok({"quotas": [], "next": None})),
    Row("quota_list_refuses_a_limit_of_0", as_admin("quota_list", {"limit": 0}), Refused("bad_option")),
    Row("retire_refuses_the_name_of_a_file", as_admin("key_retire", "jwt_private.pem"), Refused("no_such_signing_key")),
]  # fmt: skip

METRICS = Ok(
    {
        "metrics": Like(
            "the metrics of tx and others",
            lambda metrics: {"authkv_tx_up", "authkv_users", "authkv_pairs"} <= {metric["name"] for metric in metrics},
        )
    }
)
CLUSTER = Ok(
    Like(
        "an instance that leads itself",
        lambda seen: seen["leads"] and seen["leader"]["name"] == seen["instance"] and len(seen["members"]) == 1,
    )
)
SERVER = [
    Row("metrics_are_told", as_admin("server_metrics"), METRICS),
    Row("metrics_of_tarantool_are_told_too", as_admin("server_metrics", {"tarantool": True}), METRICS),
    Row("metrics_refuse_another_option", as_admin("server_metrics", {"tarantol": True}), Refused("malformed")),
    Row("the_replica_set_of_one_is_told", as_admin("server_cluster"), CLUSTER),
    Row("metrics_refuse_a_number", as_admin("server_metrics", {"tarantool": 1}), Refused("malformed")),
]  # fmt: skip


def access(question: dict, token=BOB_TOKEN) -> Call:
    return Call("auth_access", (question,), token)


def may(who=BOB, *names) -> Ok:
    return Ok(Made(lambda login: {"login": login, "roles": list(names)}, (who,)))


ACCESS = [
    Row("access_says_who_calls", access({}), may()),
    Row("access_says_which_roles_the_caller_has", access({}, INTROSPECT), may(Of("introspect"), "introspect")),
    Row("access_knows_api_keys", access({"key": "a", "access": "write"}, BOB_KEY), may()),
    Row("access_is_given_by_a_role", access({"role": "introspect"}, INTROSPECT), may(Of("introspect"), "introspect")),
    Row("access_needs_the_role", access({"role": "introspect"}), Refused("role_required", "This needs the role introspect")),
    Row("access_knows_the_role_that_everyone_has", access({"role": "default"}), may()),
    Row("access_needs_role_and_key", access({"role": "introspect", "key": "a"}), Refused("role_required")),
    *[Row(f"access_refuses_{what}", access(question), Refused(error))
      for what, question, error in [
          ("a_role_of_no_name", {"role": "a b"}, "bad_role"), ("an_unknown_access", {"key": "a", "access": "list"}, "bad_option"),
          ("an_access_to_nothing", {"access": "read"}, "bad_option"), ("an_unknown_question", {"keys": "a"}, "malformed"),
      ]],
    Row("access_refuses_garbage", access({}, GARBAGE), UNAUTHENTICATED),
    Row("access_ends_with_the_session", access({}), UNAUTHENTICATED, (Call("auth_logout", (), BOB_TOKEN),)),
]  # fmt: skip

# Arguments of every operation of administration that would be right, were they the administrator's.
RIGHT = {
    "user_list": (), "user_get": (EVE,), "user_create": (NEW, PASSWORD, "Bob", "Stone"), "user_delete": (EVE,),
    "user_disable": (EVE,), "user_enable": (EVE,), "user_logout": (EVE,), "user_session_list": (EVE,),
    "user_session_revoke": (EVE, "x"), "user_api_key_create": (EVE, "x"), "user_api_key_list": (EVE,),
    "user_api_key_revoke": (EVE, "x"), "user_create_service": (NEW,), "user_set_password": (EVE, OTHER_PASSWORD),
    "role_grant": (BOB, "admin"), "role_revoke": (EVE, "introspect"), "role_list": (), "role_set": ("default", []),
    "role_delete": ("default",), "server_metrics": (), "server_cluster": (), "key_list": (), "key_rotate": (), "key_retire": ("unknown",),
    "quota_list": (),
}  # fmt: skip
assert list(RIGHT) == ADMINISTRATION
CALLERS = [("a_user", BOB_TOKEN, NEEDS_ADMIN), ("who_may_introspect", INTROSPECT, NEEDS_ADMIN), ("garbage", GARBAGE, UNAUTHENTICATED)]
ADMINISTRATORS_ONLY = [
    Row(f"{operation}_is_not_for_{name}", Call(operation, args, token), expected, about_caller=True)
    for operation, args in RIGHT.items()
    for name, token, expected in CALLERS
]
ADMINISTRATORS_ONLY += [
    Row("a_user_is_not_told_who_is_unknown", Call("user_get", (NEW,), BOB_TOKEN), NEEDS_ADMIN, about_caller=True),
    Row("a_user_is_not_told_which_rule_is_broken", Call("role_set", ("admin", []), BOB_TOKEN), NEEDS_ADMIN, about_caller=True),
    Row("the_shape_is_checked_before_the_token", Call("role_set", (ROLE, "a/"), GARBAGE), Refused("malformed"), about_caller=True),
]

ROWS = [
    *USERS,
    *SESSIONS,
    *ME,
    *INTROSPECTION,
    *API_KEYS,
    *ACCOUNTS,
    *ROLES,
    *KEYS,
    *SERVER,
    *ACCESS,
    *ADMINISTRATORS_ONLY,
]
assert len({row.name for row in ROWS}) == len(ROWS), "the name of a row is its identity"
assert {row.call.operation for row in ROWS} >= OPERATIONS.keys() - KEY_VALUES.keys(), "every operation has a row"


def is_for(transport: str, row: Row) -> bool:
    """The owner stands in for the administrator only."""
    return transport != OwnerTransport.name or (not row.about_caller and row.call.token == ADMIN)


@pytest.mark.parametrize(
    "row,transport",
    [
        pytest.param(row, transport, id=f"{row.name}-{transport}")
        for row in ROWS
        for transport in ADMIN_TRANSPORTS
        if is_for(transport, row)
    ],
)
def test_v1(people: People, row: Row, transport: str):
    cast = Cast(people)
    arguments = cast.resolve(row.call.arguments())
    for step in row.given:
        assert isinstance(people.do(transport, step.operation, *cast.resolve(step.arguments())), Ok), step
    before = people.console.counts()
    people.expect(transport, cast.resolve(row.expected), row.call.operation, *arguments)
    # A failed login is counted, and a refresh token that was used before ends its session.
    if isinstance(row.expected, Refused) and row.expected not in (INVALID_CREDENTIALS, INVALID_REFRESH_TOKEN):
        assert people.console.counts() == before
    for step, expected in row.then:
        # What follows is done by a user, also where the owner did the rest.
        where = transport if step.token in (ADMIN, None) or transport != OwnerTransport.name else "console"
        people.expect(where, cast.resolve(expected), step.operation, *cast.resolve(step.arguments()))


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_pages_of_users_are_whole_and_in_order(people, transport):
    made = [people.new().login for _ in range(5)]
    seen, after = [], made[0]
    while after is not None:
        page = people.expect(transport, Ok(Like("a page", bool)), "user_list", people.admin, {"limit": 2, "after": after})
        assert len(page["users"]) <= 2
        seen += [one["login"] for one in page["users"]]
        after = page["next"]
    assert seen == sorted(set(seen)) and set(made[1:]) <= set(seen) and made[0] not in seen
    first = people.expect(transport, Ok(Like("a page", bool)), "user_list", people.admin)
    assert len(first["users"]) <= 100 and first["users"][0]["login"] <= made[0]


@pytest.mark.parametrize("transport", ADMIN_TRANSPORTS)
def test_all_roles_are_listed(people, transport):
    name = people.role(READ_A)
    listed = people.expect(transport, Ok(Like("roles", bool)), "role_list", people.admin)["roles"]
    by_name = {one["name"]: one["permissions"] for one in listed}
    assert by_name[name] == [READ_A] and by_name["default"] == [permission("", True, True)]
    assert len(by_name) == len(listed)


def test_a_hundred_roles_are_a_users_most(people):
    names = [people.role() for _ in range(101)]
    person = people.new(*names[:100])
    people.everywhere(Refused("bad_role"), "role_grant", people.admin, person.login, names[100])
    people.everywhere(Ok(user_answer(person.login, *names[:100])), "user_get", people.admin, person.login)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_session_of_one_transport_holds_at_every_other_and_is_refreshed_and_ended_there(people, transport):
    person = people.new()
    session = people.expect(transport, Ok(session_answer()), "session_login", person.login, PASSWORD)
    for other in TRANSPORTS:
        people.expect(other, Ok(True), "check", session["access_token"])
        session = people.expect(other, Ok(session_answer()), "session_refresh", session["refresh_token"])
    people.expect(transport, REVOKED, "auth_logout", session["access_token"])
    people.assert_fails(session["access_token"])


def test_an_access_token_says_what_it_should_and_no_more(people):
    person = people.new()
    for token, more in ((person.access, {"sid"}), (person.api_token, set())):
        assert jwt.get_unverified_header(token).keys() == {"alg", "typ", "kid"}
        assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims.keys() == {"iss", "aud", "sub", "jti", "iat", "nbf", "exp", "username", "email", "epoch"} | more
        assert (claims["sub"], claims["username"], claims["email"]) == (person.login,) * 3
        assert claims["exp"] - claims["iat"] == 1800 and (claims["iss"], claims["aud"]) == ("authkv", "authkv")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_where_only_administrators_register_nobody_else_does(make, visit, transport):
    people = visit(make(AUTHKV_REGISTRATION="admin").start())
    login = fresh("user")
    for operation in ("user_register", "register"):
        seen = people.do(transport, operation, login, PASSWORD, "Bob", "Stone")
        if transport == "console" and isinstance(seen, Ok):
            login = fresh("user")  # its owner is an administrator
        else:
            assert not isinstance(seen, Ok) and seen.name in (None, "unauthenticated", "role_required"), seen
            assert people.transport(transport).is_http is False or seen.code in (401, 403), seen
            people.expect("http", NO_SUCH_USER, "user_get", people.admin, login)
    people.expect(transport, Ok(user_answer(login)), "user_create", people.admin, login, PASSWORD, "Bob", "Stone")


def test_a_user_admin_that_was_there_before_is_made_an_administrator_by_the_owner_only(make, visit):
    instance = make().start()
    people = visit(instance)
    people.expect("owner", DELETED, "user_delete", OWNER, "admin")
    assert people.http.register("admin", PASSWORD, "Old", "Admin") == Ok()
    people.restart()
    token = people.http.do("session_login", "admin", PASSWORD).value["access_token"]
    people.expect("http", NEEDS_ADMIN, "user_list", token)
    people.expect("owner", Ok(Like("admin", bool)), "role_grant", OWNER, "admin", "admin")
    assert isinstance(people.do("http", "user_list", token), Ok)
