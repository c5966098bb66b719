"""The rules of users and sessions: what has ended stays ended, what was begun goes on, what was granted or revoked is so."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.crash.ledger import Cell, Ledger

# Whether a token holds, and the rule that is broken if it is otherwise.
TOKEN_RULES = {True: "session_lost", False: "revoked_token_alive"}
GRANT_RULES = {True: "grant_lost", False: "revoked_grant_alive"}
# A role that shows whether a grant has an effect.
INTROSPECT = "introspect"
# No password: there is no such user.
NOBODY = None


@dataclass(eq=False)
class Session:
    """A session, or a token of `/api`, which has no refresh token."""

    login: str
    holds: Cell
    access: list[str]
    refresh: str | None = None
    used: list[str] = field(default_factory=list)
    # A refresh without an answer: whether the refresh token is used up is not known.
    is_refreshing: bool = False

    def refreshed(self, access: str, refresh: str) -> None:
        """A refresh was acknowledged."""
        self.used.append(self.refresh)
        self.access, self.refresh, self.is_refreshing = [*self.access[-3:], access], refresh, False


class Accounts:
    """The sessions, passwords and grants that clients of this run have."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self.sessions: list[Session] = []
        self.passwords: dict[str, Cell] = {}
        self.grants: dict[tuple[str, str], Cell] = {}
        self.roles: dict[str, Cell] = {}
        # The names of keys that sign which a rotation has told.
        self.keys: set[str] = set()

    def begun(self, login: str, access: str, refresh: str | None = None) -> Session:
        """A login was acknowledged."""
        name = f"the token {access[-12:]} of {login}"
        session = Session(login, Cell(self.ledger, name, True, TOKEN_RULES), [access], refresh)
        with self.ledger.lock:
            self.sessions.append(session)
        return session

    def of(self, *logins: str) -> list[Session]:
        """The sessions of these users that certainly hold."""
        with self.ledger.lock:
            return [one for one in self.sessions if one.login in logins and one.holds.is_certain and one.holds.value]

    def user(self, login: str, password: str | None = NOBODY) -> Cell:
        """The password of a user."""
        return self.passwords.setdefault(login, Cell(self.ledger, f"the password of {login}", password, "user"))

    def grant(self, login: str, role: str) -> Cell:
        """Whether a user has a role."""
        return self.grants.setdefault((login, role), Cell(self.ledger, f"the role {role} of {login}", False, GRANT_RULES))

    def role(self, name: str) -> Cell:
        """The prefix that a role permits to read."""
        return self.roles.setdefault(name, Cell(self.ledger, f"the prefix of the role {name}", None, "role"))

    def settle_refresh(self, session: Session, outcome: str, access: str | None = None, refresh: str | None = None) -> None:
        """What came of using the refresh token again after a kill: `refreshed`, or `refused`, which ends the session."""
        if outcome == "refreshed":
            session.refreshed(access, refresh)
            return
        if not session.is_refreshing:
            self.ledger.find("session_lost", f"the refresh token of {session.holds.name} is refused, and it is the newest")
        session.holds.begin(False)
        session.holds.done(False)

    def settle_used(self, session: Session, is_refused: bool) -> None:
        """What came of using a refresh token that was used up before the kill: refused, which ends the session."""
        if not is_refused:
            self.ledger.find("used_refresh_alive", f"a refresh token of {session.holds.name} was used twice")
        session.holds.begin(False)
        session.holds.done(False)

    def settle_key_files(self, files: set[str], names: set[str]) -> None:
        """A start leaves no file of a private key that is not in use."""
        if left := files - {f"{name}.pem" for name in names}:
            self.ledger.find("key_file_left", f"the files {left} are of none of the keys {names}")

    def settle_keys(self, names: set[str]) -> None:
        if missing := self.keys - names:
            self.ledger.find("key_lost", f"the keys {missing} are gone, of {names}")
