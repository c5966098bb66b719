"""What the contract of `/api` says when it refuses, and a password that it takes."""

from __future__ import annotations

from support.outcome import Refused

GOOD = "Passw0rd!"

LOGIN_TAKEN = Refused("login_taken", "A user with this login is already exists")
INVALID_CREDENTIALS = Refused("invalid_credentials", "You have entered an incorrect login or password")
UNAUTHENTICATED = Refused("unauthenticated", "You are not authorized! Please, sign in or sign up")
LOGOUT_REFUSED = Refused("unauthenticated", UNAUTHENTICATED.message, "You have not been authorized!")
NO_KEYS = Refused("no_keys", "Incorrect keys: you have not passed any keys")


def bad_login(rule: str) -> Refused:
    return Refused("bad_login", f"Incorrect login: {rule}")


def bad_password(rule: str) -> Refused:
    return Refused("bad_password", f"Incorrect password: {rule}")


def bad_initial(rule: str) -> Refused:
    return Refused("bad_initial", f"Incorrect initial: {rule}")


def without_class(name: str) -> Refused:
    return bad_password(f"the password should have at least one {name}")


def repeated(keys: str) -> Refused:
    return Refused("repeated_keys", f"Incorrect keys: you cannot pass identical keys: {keys}")


def missing(keys: str) -> Refused:
    return Refused("missing_keys", f"These keys don't exist: {keys}")
