"""What is looked at after each kill, while nobody else works, and given to the rules."""

from __future__ import annotations

import random
import time

from support.crash.accounts import INTROSPECT, NOBODY, Session
from support.crash.client import World, shown
from support.crash.ledger import Change, Pair
from support.outcome import ANY, Ok, Refusal
from support.people import PASSWORD, People

# Sessions that ended before the process before, which are looked at again.
SAMPLE = 60
# Inserted pairs are deleted after so many kills, or they would be more and more.
KEPT = 2


class Settlement:
    """One look at everything that the load has changed, after a kill at `died`."""

    def __init__(self, world: World, people: People, chosen: random.Random, died: float):
        self.world, self.people, self.random, self.died = world, people, chosen, died

    def run(self) -> None:
        self.world.feed.settle()
        self.pairs()
        self.world.ledger.begin()
        self.forget()
        self.sessions()
        self.users()

    def ask(self, operation: str, *args) -> Ok | Refusal:
        return self.people.do("http", operation, *args)

    def expect(self, operation: str, *args) -> dict:
        return self.people.expect("http", ANY, operation, *args)

    # Pairs

    def pairs(self) -> None:
        asked = time.monotonic()
        seen = self.listed()
        answered = time.monotonic()
        for unit in (*self.world.groups, *self.world.singles):
            unit.settle(seen, asked, answered, self.died)
        for counter in self.world.counters:
            counter.settle(seen.get(counter.key))
        self.world.inserts.settle(seen)
        if unknown := sorted(seen.keys() - self.world.units.keys() - self.world.inserts.keys):
            self.world.ledger.find("lost", f"pairs that were deleted, or that nobody wrote: {unknown[:10]}")

    def listed(self) -> dict[str, Pair]:
        pairs, after = {}, None
        while True:
            page = self.expect("kv_list", self.world.token, {"prefix": "crash/", "limit": 1000, "after": after})
            pairs |= {one["key"]: shown(one) for one in page["pairs"]}
            if (after := page["next"]) is None:
                return pairs

    def forget(self) -> None:
        """Deletes old inserted pairs; that is acknowledged too."""
        old = f"crash/once/{max(0, self.world.epoch - KEPT):05}"
        keys = sorted(key for key in self.world.inserts.keys if key < old)
        if keys:
            answer = self.expect("batch_delete", self.world.token, keys)
            for one in answer["results"]:
                self.world.ledger.acknowledge(one["revision"], Change("delete", one["key"]))
            self.world.inserts.forget(set(keys))

    # Accounts

    def sessions(self) -> None:
        every = self.world.accounts.sessions
        ended = [one for one in every if one.holds.is_certain and not one.holds.value]
        old = self.random.sample(ended[:-SAMPLE], min(SAMPLE, len(ended[:-SAMPLE])))
        for session in [*(one for one in every if not one.holds.is_certain or one.holds.value), *ended[-SAMPLE:], *old]:
            self.look(session)
        for session in [one for one in every if one.holds.value and one.is_refreshing]:
            self.refresh(session)
        fresh = [one for one in every if one.holds.value and one.refresh]
        for session in self.random.sample(fresh, min(4, len(fresh))):
            self.refresh(session)
        used = [one for one in every if one.holds.value and one.used]
        for session in self.random.sample(used, min(3, len(used))):
            seen = self.ask("session_refresh", self.random.choice(session.used))
            self.world.accounts.settle_used(session, isinstance(seen, Refusal) and seen.name == "invalid_refresh_token")
            self.look(session)

    def look(self, session: Session) -> None:
        """The tokens of a session hold all, or none does."""
        for token in session.access[-2:]:
            seen = self.ask("check", token)
            session.holds.settle(seen.value if isinstance(seen, Ok) else seen)

    def refresh(self, session: Session) -> None:
        match self.ask("session_refresh", session.refresh):
            case Ok(value):
                self.world.accounts.settle_refresh(session, "refreshed", value["access_token"], value["refresh_token"])
            case _:
                self.world.accounts.settle_refresh(session, "refused")
        self.look(session)

    def users(self) -> None:
        accounts = self.world.accounts
        for login, cell in accounts.passwords.items():
            cell.settle(self.password_of(login, [cell.value, *cell.candidates]))
        shown_roles = {one["name"]: one["permissions"] for one in self.expect("role_list", self.world.admin)["roles"]}
        for name, cell in accounts.roles.items():
            permissions = shown_roles.get(name, [])
            cell.settle(permissions[0]["prefix"] if permissions else None)
        granted = {login: self.expect("user_get", self.world.admin, login)["roles"] for login in {of for of, _ in accounts.grants}}
        for (login, role), cell in accounts.grants.items():
            cell.settle(role in granted[login])
            if role == INTROSPECT:
                token = self.world.holders[login]
                cell.settle(isinstance(self.ask("session_introspect", token, token), Ok))
        keys = {one["kid"] for one in self.expect("key_list", self.world.admin)["keys"]}
        accounts.settle_keys(keys)
        accounts.settle_key_files({file.name for file in (self.world.instance.data_dir / "keys").glob("*")}, keys)

    def password_of(self, login: str, candidates: list) -> str | None:
        """The password with which the user can log in; that begins a session."""
        for password in (one for one in candidates if one is not NOBODY):
            seen = self.ask("session_login", login, password)
            if isinstance(seen, Ok):
                self.world.accounts.begun(login, seen.value["access_token"], seen.value["refresh_token"])
                return password
        seen = self.ask("user_get", self.world.admin, login)
        return NOBODY if isinstance(seen, Refusal) and seen.name == "no_such_user" else "unknown"


def prepare(world: World, people: People, logins: list[str], holders: list[str], roles: list[str]) -> None:
    """Makes the users and roles that are there all the time."""
    world.admin = people.admin
    world.token = people.new().access
    for login in (*logins, *holders):
        people.administer("user_create", login, PASSWORD, "Bob", "Stone", {"roles": []})
    for login in holders:
        world.holders[login] = people.expect("http", ANY, "session_login", login, PASSWORD)["access_token"]
    for role in roles:
        people.administer("role_set", role, [])
