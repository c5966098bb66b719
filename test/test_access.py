"""Rights over iproto: a guest has none, a client may execute the six client procedures and nothing else."""

import pytest

from cases import GOOD
from fronts import PROCEDURES, ConsoleFront, HttpFront
from harness import ADMIN_PASSWORD, CLIENT_PASSWORD, Instance
from iproto import ACCESS_DENIED, RawIproto
from outcome import Ok, Refusal

FOLLOWER = ("authkv_follower", "f0llower-Secret")
CLIENT = ("authkv", CLIENT_PASSWORD)
GUEST = (None, "")
SYSTEM_SPACES = ("_user", "_priv", "_func", "_space", "_index", "_schema", "_cluster", "_sequence")


@pytest.fixture(scope="module")
def instance():
    """An instance with every Tarantool user that there can be."""
    with Instance(AUTHKV_FOLLOWER_PASSWORD=FOLLOWER[1]) as running:
        http = HttpFront(running)
        assert http.register("tester", GOOD, "Test", "Tester") == Ok()
        http.close()
        yield running


@pytest.fixture(scope="module")
def console(instance):
    front = ConsoleFront(instance)
    yield front
    front.close()


@pytest.fixture(scope="module")
def spaces(console) -> dict[str, int]:
    """Every space of ours, and the system's that hold users, rights and definitions."""
    (found,) = console.evaluate(
        "local found = {} for _, row in box.space._space:pairs() do found[row[3]] = row[1] end return found"
    )
    ours = {name: number for name, number in found.items() if number >= 512}
    assert {"user", "key_value_store"} < ours.keys() and len(ours) >= 3, "and at least one for revoked tokens"
    return ours | {name: found[name] for name in SYSTEM_SPACES}


@pytest.fixture(scope="module")
def procedures(console) -> list[str]:
    """The names of all stored procedures that are authkv's."""
    (found,) = console.evaluate(
        "local found = {} for _, row in box.space._func:pairs() do table.insert(found, row[3]) end return found"
    )
    ours = [name for name in found if name.startswith("authkv")]
    assert set(PROCEDURES.values()) < set(ours), ours
    return ours


@pytest.fixture(params=[GUEST, CLIENT, FOLLOWER], ids=["guest", "client", "follower"])
def user(instance, request):
    with RawIproto(instance, *request.param) as connection:
        connection.name = request.param[0] or "guest"
        yield connection


def is_denied(seen) -> bool:
    return isinstance(seen, Refusal) and seen.code == ACCESS_DENIED


def test_no_user_reads_or_writes_a_space(user, spaces):
    for name, number in spaces.items():
        if user.name == "authkv_follower" and "revoked" in name:
            continue  # what it is there to follow
        assert is_denied(user.select(number)), name
        assert is_denied(user.insert(number, ["k", "v", "v", "v"])), name


def test_no_user_writes_revocations(user, spaces):
    for name, number in spaces.items():
        assert "revoked" not in name or is_denied(user.insert(number, ["k", 1])), name


def test_no_user_runs_code(user):
    assert is_denied(user.evaluate("return box.space.user:select()"))
    for function in ("authkv.get", "authkv.as", "authkv.register", "box.space.user:select", "os.exit", "loadstring"):
        assert is_denied(user.call(function, b"\x90")), function


def test_no_user_runs_code_by_the_function_that_evaluates_lua(user):
    """Tarantool grants its execution to everyone, as the role `public`, and runs it with the rights of `admin`."""
    assert is_denied(user.call("LUA", b"\x91\xa8return 1"))
    assert is_denied(user.execute("SELECT LUA('return 1')"))


def test_no_user_reaches_a_space_by_sql(user):
    for table in ("user", "key_value_store", "_user"):
        seen = user.execute(f'SELECT * FROM "{table}"')
        assert isinstance(seen, Refusal), table


def test_each_user_executes_its_own_procedures_and_no_other(user, procedures):
    for procedure in procedures:
        seen = user.call(procedure, b"\x90")
        if user.name == "authkv" and procedure in PROCEDURES.values():
            assert not is_denied(seen), procedure
        elif user.name == "authkv_follower":
            assert is_denied(seen) or "follow" in procedure or "revo" in procedure, procedure
        else:
            assert is_denied(seen), procedure


def test_the_owners_procedure_is_not_for_clients(user, procedures):
    assert "authkv.owner" in procedures
    assert is_denied(user.call("authkv.owner", b"\x90"))


@pytest.mark.parametrize("name,password", [("authkv", "wrong"), ("authkv", ""), ("admin", ADMIN_PASSWORD), ("nobody", "x")])
def test_a_wrong_password_does_not_connect(instance, name, password):
    """Nor does the password of authkv's own user `admin`, who is not Tarantool's."""
    with pytest.raises(AssertionError, match="denied|Incorrect|not found|mismatch"):
        RawIproto(instance, name, password)
