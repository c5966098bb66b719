"""Rights over iproto: a guest and a user without a role have none, a client may execute the client procedures and
nothing else, which need a token of their own."""

import pytest

from support import v1
from support.contract import GOOD
from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, CLIENT_PASSWORD, Instance, version
from support.iproto import ACCESS_DENIED, RawIproto
from support.outcome import Like, Ok, Refusal
from support.transports import PROCEDURES, ConsoleTransport, HttpTransport, IprotoTransport, NetBoxTransport
from support.v1 import OWNER

FOLLOWER = ("authkv_follower", "f0llower-Secret")
CLIENT = ("authkv", CLIENT_PASSWORD)
GUEST = (None, "")
# Users of Tarantool that an application has made: one with nothing, and one with the role that clients have.
PLAIN = ("plain", "pla1n-Secret")
GRANTED = ("granted", "gr4nted-Secret")
CLIENTS = (CLIENT[0], GRANTED[0])
CLIENT_PROCEDURES = {*PROCEDURES.values(), *map(v1.procedure, v1.OPERATIONS)}
SYSTEM_SPACES = ("_user", "_priv", "_func", "_space", "_index", "_schema", "_cluster", "_sequence")


@pytest.fixture(scope="module")
def instance():
    """An instance with every Tarantool user that there can be."""
    with Instance(AUTHKV_FOLLOWER_PASSWORD=FOLLOWER[1]) as running:
        http = HttpTransport(running)
        assert http.register("tester", GOOD, "Test", "Tester") == Ok()
        http.close()
        console = ConsoleTransport(running)
        for name, password in (PLAIN, GRANTED):
            console.evaluate(f"box.schema.user.create('{name}', {{password = '{password}'}})")
        console.evaluate(f"box.schema.user.grant('{GRANTED[0]}', 'authkv_client')")
        console.close()
        yield running


@pytest.fixture(scope="module")
def spaces(console) -> dict[str, int]:
    """Every space of ours, and the system's that hold users, rights and definitions."""
    (found,) = console.evaluate("local found = {} for _, row in box.space._space:pairs() do found[row[3]] = row[1] end return found")
    ours = {name: number for name, number in found.items() if number >= 512}
    assert {"user", "key_value_store"} < ours.keys() and len(ours) >= 3, "and at least one for revoked tokens"
    return ours | {name: found[name] for name in SYSTEM_SPACES}


@pytest.fixture(scope="module")
def procedures(console) -> list[str]:
    """The names of all stored procedures that are authkv's."""
    (found,) = console.evaluate("local found = {} for _, row in box.space._func:pairs() do table.insert(found, row[3]) end return found")
    ours = [name for name in found if name.startswith("authkv")]
    assert set(ours) > CLIENT_PROCEDURES, CLIENT_PROCEDURES - set(ours)
    return ours


@pytest.fixture(params=[GUEST, PLAIN, CLIENT, GRANTED, FOLLOWER], ids=["guest", "plain", "client", "granted", "follower"])
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
    for function in (
        "authkv.get",
        "authkv.as",
        "authkv.register",
        "authkv.users.list",
        "authkv.roles.grant",
        "authkv.keys.rotate",
        "authkv.session.login",
        "authkv.introspect",
        "box.space.user:select",
        "os.exit",
        "loadstring",
    ):
        assert is_denied(user.call(function, b"\x90")), function


def test_no_user_runs_code_by_the_function_that_evaluates_lua(user):
    """Tarantool grants its execution to everyone, as the role `public`, and runs it with the rights of `admin`."""
    assert is_denied(user.call("LUA", b"\x91\xa8return 1"))
    assert is_denied(user.execute("SELECT LUA('return 1')"))


def test_no_user_reaches_a_space_by_sql(user, spaces):
    for table in ("user", "key_value_store", "_user", *(name for name in spaces if not name.startswith("_"))):
        seen = user.execute(f'SELECT * FROM "{table}"')
        assert isinstance(seen, Refusal), table


def test_a_client_is_shown_of_box_info_what_a_pool_of_connections_asks_and_no_other_is(user):
    seen = user.call("box.info", b"\x90")
    if user.name in CLIENTS:
        assert seen == Ok([{"ro": False, "status": "running"}])
    else:
        assert is_denied(seen)


def test_a_role_that_has_that_of_clients_is_shown_no_more_and_who_may_call_anything_all(instance, console):
    console.evaluate(
        "for _, name in ipairs{'nested', 'monitor'} do box.schema.user.create(name, {password = 'n3sted-Secret'}) end "
        "box.schema.role.create('outer') box.schema.role.grant('outer', 'authkv_client') "
        "box.schema.user.grant('nested', 'outer') box.schema.user.grant('monitor', 'execute', 'universe')"
    )
    with RawIproto(instance, "nested", "n3sted-Secret") as nested, RawIproto(instance, "monitor", "n3sted-Secret") as monitor:
        assert nested.call("box.info", b"\x90") == Ok([{"ro": False, "status": "running"}])
        assert {"ro", "status", "version", "uuid", "replication"} < monitor.call("box.info", b"\x90").value[0].keys()
    console.evaluate("box.schema.role.drop('outer') for _, name in ipairs{'nested', 'monitor'} do box.schema.user.drop(name) end")


@pytest.mark.parametrize("given", ["function", "lua_call"])
def test_what_an_application_has_made_of_box_info_stays(make, given):
    instance = make(**CHEAP_HASHES).start()
    console = ConsoleTransport(instance)
    if given == "lua_call" and version() < (3,):
        pytest.skip("Tarantool 2 has no such privilege")
    console.evaluate(
        f"box.schema.user.create('{PLAIN[0]}', {{password = '{PLAIN[1]}'}}) "
        + {
            "function": "box.schema.func.drop('box.info') box.schema.func.create('box.info') "
            f"box.schema.user.grant('{PLAIN[0]}', 'execute', 'function', 'box.info')",
            "lua_call": f"box.schema.user.grant('{PLAIN[0]}', 'execute', 'lua_call', 'box.info')",
        }[given]
    )
    console.close()
    for _ in range(2):
        instance.stop()
        instance.start()
        with RawIproto(instance, *PLAIN) as plain, RawIproto(instance, *CLIENT) as client:
            assert {"version", "uuid"} < plain.call("box.info", b"\x90").value[0].keys()
            assert is_denied(client.call("box.info", b"\x90"))


def test_each_user_executes_its_own_procedures_and_no_other(user, procedures):
    for procedure in procedures:
        seen = user.call(procedure, b"\x90")
        if user.name in CLIENTS and procedure in CLIENT_PROCEDURES:
            assert not is_denied(seen), procedure
        elif user.name == "authkv_follower":
            assert is_denied(seen) or any(part in procedure for part in ("follow", "revo", "changes")), procedure
        else:
            assert is_denied(seen), procedure


@pytest.mark.parametrize("transport", [IprotoTransport, NetBoxTransport], ids=lambda transport: transport.name)
def test_what_a_client_may_execute_still_needs_the_token_of_an_administrator(instance, transport):
    """The rights of Tarantool let a client ask, and the roles of authkv say who may; from this process, and from another."""
    client = transport(instance)
    user = client.do("session_login", "tester", GOOD).value["access_token"]
    admin = client.do("session_login", "admin", ADMIN_PASSWORD).value["access_token"]
    for operation in ("user_list", "role_list", "key_list", "server_metrics"):
        assert isinstance(client.do(operation, admin), Ok)
        for token, name in ((user, "role_required"), ("x", "unauthenticated")):
            seen = client.do(operation, token)
            assert isinstance(seen, Refusal) and seen.name == name, seen
    client.close()


def test_no_user_without_a_role_learns_more_by_the_views_of_the_system(instance, console, procedures):
    """Tarantool lets everyone read them, and shows in them what the reader has rights on."""
    (views,) = console.evaluate("return {space = box.space._vspace.id, func = box.space._vfunc.id, user = box.space._vuser.id}")
    for who in (GUEST, PLAIN):
        with RawIproto(instance, *who) as connection:
            for view in views.values():
                seen = connection.select(view, 10_000)
                names = {row[2] for row in seen.value} if isinstance(seen, Ok) else set()
                assert not names & {*procedures, "user", "key_value_store", "authkv", "authkv_follower"}, (who, names)


def test_the_owners_procedure_is_not_for_clients(user, procedures):
    assert "authkv.owner" in procedures
    assert is_denied(user.call("authkv.owner", b"\x90"))


@pytest.mark.parametrize("name,password", [("authkv", "wrong"), ("authkv", ""), ("admin", ADMIN_PASSWORD), ("nobody", "x")])
def test_a_wrong_password_does_not_connect(instance, name, password):
    """Nor does the password of authkv's own user `admin`, who is not Tarantool's."""
    with pytest.raises(AssertionError, match=r"denied|Incorrect|not found|mismatch"):
        RawIproto(instance, name, password)


def test_an_administrator_that_was_deleted_is_not_made_again_while_there_is_another(make, visit):
    people = visit(make(**CHEAP_HASHES).start())
    other = people.new("admin")
    people.expect("http", Ok({"deleted": True}), "user_delete", other.access, "admin")
    people.restart()
    seen = people.expect("owner", Ok(Like("users", bool)), "user_list", OWNER, {})
    assert [user["login"] for user in seen["users"]] == [other.login]
