"""What an operation may end in, the same for every front, and how a seen outcome is compared with an expected one."""

from __future__ import annotations

from dataclasses import dataclass

# name: (code over iproto and in the console, HTTP status under /api)
ERRORS = {
    "malformed": (20001, 422),
    "too_deep": (20002, 422),
    "input_too_large": (20003, 413),
    "unauthenticated": (20004, 401),
    "invalid_credentials": (20005, 404),
    "login_taken": (20006, 400),
    "bad_login": (20007, 400),
    "bad_password": (20008, 400),
    "bad_initial": (20009, 400),
    "no_keys": (20010, 400),
    "repeated_keys": (20011, 400),
    "missing_keys": (20012, 400),
    "bad_key": (20013, 400),
    "reply_too_large": (20028, 400),
    "body_timeout": (20029, 408),
    "not_durable": (20030, 500),
    "too_many_keys": (20014, 400),
    "value_too_large": (20015, 413),
    "read_only": (20016, 503),
    "storage_full": (20017, 507),
    "overloaded": (20018, 503),
    "shutting_down": (20019, 503),
    "revocations_unknown": (20020, 503),
    "not_offered": (20021, 404),
    "no_such_route": (20022, 404),
    "wrong_method": (20023, 405),
    "not_started": (20024, 503),
    "internal": (20025, 500),
    "bad_value": (20026, 422),
    "header_timeout": (20031, 408),
    "header_too_large": (20032, 431),
    "bad_request": (20033, 400),
    "bad_version": (20034, 505),
    "bad_media_type": (20035, 415),
    "bad_expectation": (20036, 417),
    "too_many_connections": (20037, 429),
    "cancelled": (20038, 503),
}


class AToken:
    """Stands for any JSON web token in an expected outcome."""

    def __repr__(self):
        return "a token"


A_TOKEN = AToken()


@dataclass(frozen=True)
class Ok:
    """Register and logout give None, login a token, check a bool, get the data, put the keys that existed."""

    value: object = None


@dataclass(frozen=True)
class Refused:
    """An expected failure. A message of None stands for any text: the contract does not state it."""

    name: str
    message: str | None = None
    http_message: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A failure as a front saw it. HTTP shows no name, and its code is the status."""

    name: str | None
    code: int
    message: str


def identical(seen, expected, exact: bool) -> bool:
    """Whether two values are the same. Lua has one type of number and no order of members, so that fronts
    which decode into Lua are not `exact`."""
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
            and all(identical(one, other, exact) for one, other in zip(seen, expected))
        )
    numbers = {int, float}
    if not exact and {type(seen), type(expected)} <= numbers:
        return seen == expected
    return type(seen) is type(expected) and repr(seen) == repr(expected)


def assert_outcome(front, seen: Ok | Refusal, expected: Ok | Refused) -> None:
    """Fails unless what `front` gave is what was expected."""
    if isinstance(expected, Ok):
        assert isinstance(seen, Ok), f"{seen}, expected {expected}"
        if expected.value is A_TOKEN:
            assert isinstance(seen.value, str) and seen.value.count(".") == 2, seen
        else:
            assert identical(seen.value, expected.value, front.exact), f"{seen}, expected {expected}"
        return
    assert isinstance(seen, Refusal), f"{seen}, expected {expected}"
    code, status = ERRORS[expected.name]
    message = expected.message
    if front.is_http:
        message = expected.http_message or message
        assert seen.code == status, f"{seen}, expected {expected}"
    else:
        assert (seen.name, seen.code) == (expected.name, code), f"{seen}, expected {expected}"
    assert seen.message and (message is None or seen.message == message), f"{seen}, expected {expected}"
