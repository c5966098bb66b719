"""Clients of accounts: logins, refreshes and logouts of their own users, and an administrator of users, roles and grants."""

from __future__ import annotations

from support.crash.accounts import INTROSPECT, NOBODY, TOKEN_RULES, Session
from support.crash.client import Client, World
from support.crash.ledger import Cell
from support.outcome import Ok, Refusal
from support.people import PASSWORD, permission

# Sessions of a user that are kept; AUTHKV_SESSIONS_MAX is far above.
KEPT = 12


class SessionClient(Client):
    """Has users of its own, so that it alone ends their sessions."""

    def __init__(self, world: World, kind, seed: str, logins: list[str]):
        super().__init__(world, kind, seed)
        self.logins = logins

    def step(self) -> None:
        login = self.random.choice(self.logins)
        held = self.world.accounts.of(login)
        if not held:
            self.log_in(login)
        elif len(held) > KEPT and self.random.random() < 0.3:
            self.log_out_all(login, held)
        elif len(held) > KEPT:
            self.log_out(self.random.choice(held))
        else:
            session = self.random.choice(held)
            kinds = [lambda: self.log_in(login), lambda: self.refresh(session), lambda: self.log_out(session), self.check]
            self.random.choices(kinds, (4, 4, 2, 3))[0]()

    def log_in(self, login: str) -> None:
        if self.random.random() < 0.3:
            if isinstance(seen := self.ask("login", login, PASSWORD), Ok):
                self.world.accounts.begun(login, seen.value)
        elif isinstance(seen := self.ask("session_login", login, PASSWORD), Ok):
            self.world.accounts.begun(login, seen.value["access_token"], seen.value["refresh_token"])
        if isinstance(seen, Refusal) and seen.name in (None, "invalid_credentials") and seen.code != 503:
            self.world.ledger.find("user", f"the login of {login}: {seen}")

    def refresh(self, session: Session) -> None:
        if session.refresh is None or session.is_refreshing:
            return
        session.is_refreshing = True
        match self.ask("session_refresh", session.refresh):
            case Ok(value):
                session.refreshed(value["access_token"], value["refresh_token"])
            case Refusal(name="invalid_refresh_token"):
                self.world.accounts.settle_refresh(session, "refused")
            case Refusal():
                session.is_refreshing = False

    def end(self, operation: str, token: str, *sessions: Session) -> None:
        """Ends these sessions by a request with this token of one of them."""
        for session in sessions:
            session.holds.begin(False)
        seen = self.ask(operation, token)
        for session in sessions:
            (session.holds.done if isinstance(seen, Ok) else session.holds.refused)(False)
        if isinstance(seen, Refusal) and seen.code in (401, 20004):
            self.world.ledger.find("session_lost", f"{operation} with {sessions[0].holds.name}: {seen}")

    def log_out(self, session: Session) -> None:
        self.end("logout" if session.refresh is None else "auth_logout", self.random.choice(session.access), session)

    def log_out_all(self, login: str, held: list[Session]) -> None:
        uncertain = [one for one in self.world.accounts.sessions if one.login == login and not one.holds.is_certain]
        # What has no answer may have ended already, and ends now.
        self.end("session_logout_all", held[0].access[-1], *held, *uncertain)

    def check(self) -> None:
        with self.world.ledger.lock:
            own = [one for one in self.world.accounts.sessions if one.login in self.logins and one.holds.is_certain]
        session = self.random.choice(own[-50:])
        seen = self.ask("check", self.random.choice(session.access))
        if isinstance(seen, Ok) and seen.value != session.holds.value:
            self.world.ledger.find(TOKEN_RULES[session.holds.value], f"{session.holds.name}: {seen}")


class AdminClient(Client):
    """Makes and deletes users, sets their passwords, grants and revokes roles, and changes what a role permits."""

    def __init__(self, world: World, kind, seed: str, logins: list[str], holders: list[str], roles: list[str]):
        super().__init__(world, kind, seed)
        self.logins, self.holders, self.roles = logins, holders, roles

    def step(self) -> None:
        self.random.choices([self.user, self.grant, self.role], (2, 4, 1))[0]()

    def change(self, cell: Cell, value: object, operation: str, *args) -> Ok | Refusal:
        cell.begin(value)
        seen = self.ask(operation, self.world.admin, *args)
        (cell.done if isinstance(seen, Ok) else cell.refused)(value)
        return seen

    def user(self) -> None:
        login = self.random.choice(self.logins)
        cell = self.world.accounts.user(login)
        if not cell.is_certain:
            return
        password = f"Unc0mmon-{self.world.fresh()}"
        if cell.value is NOBODY:
            seen = self.change(cell, password, "user_create", login, password, "Bob", "Stone")
        else:
            seen = self.end(login, cell, self.random.choice((NOBODY, password)))
        if isinstance(seen, Refusal) and seen.name in ("login_taken", "no_such_user"):
            self.world.ledger.find("user", f"{login}: {seen}, though {cell.value} was acknowledged")

    def end(self, login: str, cell: Cell, password: str | None) -> Ok | Refusal:
        """Deletes the user or sets the password; either ends the sessions."""
        sessions = self.world.accounts.of(login)
        for session in sessions:
            session.holds.begin(False)
        if password is NOBODY:
            seen = self.change(cell, NOBODY, "user_delete", login)
        else:
            seen = self.change(cell, password, "user_set_password", login, password)
        for session in sessions:
            (session.holds.done if isinstance(seen, Ok) else session.holds.refused)(False)
        return seen

    def grant(self) -> None:
        login, role = self.random.choice(self.holders), self.random.choice([*self.roles, INTROSPECT])
        cell = self.world.accounts.grant(login, role)
        if cell.is_certain:
            self.change(cell, not cell.value, "role_revoke" if cell.value else "role_grant", login, role)

    def role(self) -> None:
        name = self.random.choice(self.roles)
        cell = self.world.accounts.role(name)
        if cell.is_certain:
            prefix = self.world.fresh()
            self.change(cell, prefix, "role_set", name, [permission(prefix, read=True)])


class KeyClient(Client):
    """Has another key sign, once."""

    def step(self) -> None:
        if isinstance(seen := self.ask("key_rotate", self.world.admin, {"publish": 0}), Ok):
            self.world.accounts.keys.add(seen.value["kid"])
        self.world.stopping.wait()
