"""What an operation may end in, the same for every transport, and how a seen outcome is compared with an expected one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

# name: (code over iproto and in the console, HTTP status under /api, under /v1)
ERRORS = {
    "malformed": (20001, 422, 400),
    "too_deep": (20002, 422, 400),
    "input_too_large": (20003, 413, 413),
    "unauthenticated": (20004, 401, 401),
    "invalid_credentials": (20005, 404, 401),
    "login_taken": (20006, 400, 409),
    "bad_login": (20007, 400, 422),
    "bad_password": (20008, 400, 422),
    "bad_initial": (20009, 400, 422),
    "no_keys": (20010, 400, 422),
    "repeated_keys": (20011, 400, 422),
    "missing_keys": (20012, 400, 404),
    "bad_key": (20013, 400, 422),
    "reply_too_large": (20028, 400, 422),
    "body_timeout": (20029, 408, 408),
    "not_durable": (20030, 503, 503),
    "too_many_keys": (20014, 400, 422),
    "value_too_large": (20015, 413, 413),
    "read_only": (20016, 503, 503),
    "storage_full": (20017, 507, 507),
    "overloaded": (20018, 503, 503),
    "shutting_down": (20019, 503, 503),
    "revocations_unknown": (20020, 503, 503),
    "not_offered": (20021, 404, 404),
    "no_such_route": (20022, 404, 404),
    "wrong_method": (20023, 405, 405),
    "not_started": (20024, 503, 503),
    "internal": (20025, 500, 500),
    "bad_value": (20026, 422, 422),
    "header_timeout": (20031, 408, 408),
    "header_too_large": (20032, 431, 431),
    "bad_request": (20033, 400, 400),
    "bad_version": (20034, 505, 505),
    "bad_media_type": (20035, 415, 415),
    "bad_expectation": (20036, 417, 417),
    "too_many_connections": (20037, 429, 429),
    "cancelled": (20038, 503, 503),
    "forbidden": (20039, 403, 403),
    "role_required": (20040, 403, 403),
    "too_many_attempts": (20041, 429, 429),
    "no_such_user": (20042, 404, 404),
    "no_such_role": (20043, 404, 404),
    "no_such_signing_key": (20044, 404, 404),
    "bad_role": (20045, 400, 422),
    "invalid_refresh_token": (20046, 401, 401),
    "key_signs": (20047, 409, 409),
    "bad_option": (20048, 400, 422),
    "no_signing_key": (20049, 503, 503),
    "no_such_key": (20050, 404, 404),
    "conflict": (20051, 412, 412),
    "not_an_integer": (20052, 409, 409),
    "out_of_range": (20053, 409, 409),
    "too_old": (20054, 410, 410),
    "not_streamed": (20055, 501, 501),
    "transaction_aborted": (20056, 503, 503),
    "data_gone": (20057, 503, 503),
    "rewound": (20060, 503, 503),
    "other_data": (20062, 503, 503),
    "behind": (20063, 503, 503),
    "outcome_unknown": (20064, 503, 503),
    "unconfirmed": (20065, 503, 503),
    "split_brain": (20066, 503, 503),
    "clock_behind": (20061, 409, 409),
    "too_many_requests": (20070, 429, 429),
    "too_many_users": (20071, 507, 507),
    "quota_exceeded": (20072, 507, 507),
    "no_such_session": (20073, 404, 404),
    "not_for_api_keys": (20074, 403, 403),
    "no_such_api_key": (20075, 404, 404),
    "too_many_api_keys": (20076, 409, 409),
    "invalid_one_time_token": (20077, 401, 401),
}


@dataclass(frozen=True)
class Like:
    """Stands in an expected outcome for any value of which this holds."""

    name: str
    holds: Callable[[object], bool]

    def __repr__(self):
        return self.name


ANYTHING = Like("anything", lambda seen: True)
A_TOKEN = Like("a token", lambda seen: isinstance(seen, str) and seen.count(".") == 2)
A_REVISION = Like("a revision", lambda seen: type(seen) is int and seen >= 1)
A_TEXT = Like("a text", lambda seen: isinstance(seen, str) and bool(seen))
# Seconds since 1970, of a moment that is neither long ago nor far ahead.
A_TIME = Like("a time", lambda seen: isinstance(seen, int) and abs(seen - time.time()) < 400 * 86400)


@dataclass(frozen=True)
class Ok:
    """Register and logout give None, login a token, check a bool, get the data, put the keys that existed; the
    operations of /v1 give their answer whole."""

    value: object = None


ANY = Ok(ANYTHING)


@dataclass(frozen=True)
class Refused:
    """An expected failure. A message of None stands for any text: the contract does not state it."""

    name: str
    message: str | None = None
    http_message: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A failure as a transport saw it. Over HTTP the code is the status, and /api shows no name."""

    name: str | None
    code: int
    message: str


def identical(seen, expected, exact: bool) -> bool:
    """Whether two values are the same. Lua has one type of number, one of string, and no order of members, so that
    transports which decode into Lua are not `exact`."""
    if isinstance(expected, Like):
        return expected.holds(seen)
    if isinstance(expected, dict):
        return (
            isinstance(seen, dict)
            and (list(seen) == list(expected) if exact else seen.keys() == expected.keys())
            and all(identical(seen[key], value, exact) for key, value in expected.items())
        )
    if isinstance(expected, list):
        return (
            isinstance(seen, list)
            and len(seen) == len(expected)
            and all(identical(one, other, exact) for one, other in zip(seen, expected, strict=True))
        )
    if not exact and {type(seen), type(expected)} <= {int, float}:
        return seen == expected
    if not exact and {type(seen), type(expected)} == {str, bytes}:
        return _bytes(seen) == _bytes(expected)  # Lua has one type of strings, too
    return type(seen) is type(expected) and repr(seen) == repr(expected)


def _bytes(seen: str | bytes) -> bytes:
    return seen.encode("utf-8", "surrogateescape") if isinstance(seen, str) else seen


# Over iproto and in Lua a failure is `name: message`, of which Tarantool keeps 511 bytes: authkv cuts it before that.
TOLD_MAX = 500


def told(name: str, message: str) -> str:
    """What is left of the message of a failure over iproto and in Lua: so much of it, and no NUL."""
    whole = f"{name}: {message}"
    if len(whole.encode()) > TOLD_MAX:
        whole = whole.encode()[:TOLD_MAX].decode(errors="ignore") + "…"
    return whole.removeprefix(f"{name}: ").replace("\0", "\ufffd")


def assert_outcome(transport, seen: Ok | Refusal, expected: Ok | Refused, exact: bool | None = None) -> None:
    """Fails unless what `transport` gave is what was expected."""
    if isinstance(expected, Ok):
        exact = transport.exact if exact is None else exact
        assert isinstance(seen, Ok) and identical(seen.value, expected.value, exact), f"{seen}, expected {expected}"
        return
    assert isinstance(seen, Refusal), f"{seen}, expected {expected}"
    code, api_status, v1_status = ERRORS[expected.name]
    message = expected.message
    if not transport.is_http:
        allowed = expected.name, code
        message = message and told(expected.name, message)
    elif seen.name is None:
        message = expected.http_message or message
        allowed = None, api_status
    else:
        allowed = expected.name, v1_status
    assert (seen.name, seen.code) == allowed, f"{seen}, expected {expected}"
    assert seen.message and (message is None or seen.message == message), f"{seen}, expected {expected}"
