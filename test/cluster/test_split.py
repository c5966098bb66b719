"""Two processes, as the old system was laid out: one offers authorization, the other the key-value store.

The second holds only the public key and follows the revocations of the first.
"""

import pytest

from support.backups import in_console
from support.compat import COMPAT, set_compat
from support.contract import GOOD, LOGOUT_REFUSED, UNAUTHENTICATED
from support.harness import wait_until
from support.iproto import RawIproto
from support.load import Load
from support.outcome import Ok, Refusal, Refused, assert_outcome
from support.split import (
    FOLLOWER_PASSWORD,
    UNKNOWN,
    WITHIN_A_SECOND,
    auth_settings,
    http_to,
    kv_settings,
    log_in,
    once_known,
    refused,
    two_instances,
    when_following,
)
from support.transports import TRANSPORTS, ConsoleTransport, HttpTransport, IprotoTransport, bearer

NOT_OFFERED = Refused("not_offered")


@pytest.fixture(scope="module")
def split():
    with two_instances() as both:
        yield both


@pytest.fixture
def https(split):
    with http_to(*split) as both:
        yield both


def test_the_flow_of_old_clients_is_unchanged(https):
    auth, kv = https
    assert auth.register("flow", GOOD, "Bob", "Stone") == Ok()
    token = auth.login("flow", GOOD).value
    assert auth.check(token) == Ok(True)
    assert kv.put(token, {"k1": {"a": [1]}, "k2": None}) == Ok([])
    assert kv.put(token, {"k1": 2, "k3": 3}) == Ok(["k1"])
    assert kv.get(token, ["k3", "k1", "k2"]) == Ok({"k3": 3, "k1": {"a": [1]}, "k2": None})
    assert auth.logout(token) == Ok()
    assert_outcome(auth, auth.logout(token), LOGOUT_REFUSED)


def test_only_the_instance_with_users_has_the_secret_of_their_tokens(split):
    kept = "box.space.authkv_secret ~= nil and box.space.authkv_secret:count() or 'no space'"
    assert [in_console(instance, kept) for instance in split] == [Ok(1), Ok("no space")]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_logout_is_known_to_the_other_instance_within_a_second(split, https, transport):
    auth, _ = https
    kv = TRANSPORTS[transport](split[1])
    token = log_in(auth)
    key = f"followed-{transport}"
    assert kv.put(token, {key: 1}) == Ok([])
    assert auth.logout(token) == Ok()
    wait_until(lambda: refused(kv.get(token, [key]), kv, UNAUTHENTICATED), "the token is refused", WITHIN_A_SECOND)
    # Once refused, refused for good.
    assert_outcome(kv, kv.put(token, {f"{key}2": 1}), UNAUTHENTICATED)
    kv.close()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_service_that_is_not_offered_says_so(split, https, transport):
    token = log_in(https[0])
    auth, kv = (TRANSPORTS[transport](one) for one in split)
    for one, operation, *args in [
        (auth, "get", token, ["k"]),
        (auth, "put", token, {"never": 1}),
        (kv, "register", "bob2", GOOD, "Bob", "Stone"),
        (kv, "logout", token),
        (kv, "check", token),
    ]:
        assert_outcome(one, one.do(operation, *args), NOT_OFFERED)
    seen = kv.login("bob1", GOOD)
    assert isinstance(seen, Refusal) and (seen.code == 404 if kv.is_http else seen.name == "not_offered"), seen
    auth.close()
    kv.close()


def test_a_path_that_is_not_offered_is_not_found_whatever_is_sent(https):
    auth, kv = https
    for one, method, path in [(auth, "POST", "/api/read"), (kv, "POST", "/api/login"), (kv, "GET", "/api/logout/")]:
        for headers in ({}, bearer("x")):
            assert one.request(method, path, b"" if method == "POST" else None, headers).status == 404


def test_the_other_instance_holds_no_private_key(split):
    files = [path for path in split[1].data_dir.rglob("*") if path.is_file()]
    assert files and not any(b"PRIVATE KEY" in path.read_bytes() for path in files)
    assert "PRIVATE KEY" not in split[1].log() and FOLLOWER_PASSWORD not in split[0].log() + split[1].log()


def test_a_follower_may_follow_and_nothing_else(split):
    console = ConsoleTransport(split[0])
    (user_space,) = console.evaluate("return box.space.user.id")
    console.close()
    with RawIproto(split[0], "authkv_follower", FOLLOWER_PASSWORD) as follower:
        assert isinstance(follower.select(user_space), Refusal)
        assert isinstance(follower.call("authkv.auth_login", b"\x92\xa4bob1\xa9Passw0rd!"), Refusal)
        assert isinstance(follower.evaluate("return 1"), Refusal)


@pytest.fixture
def pair(make):
    """An authorization instance that a test may stop, and one that follows it with a lag of one second."""
    auth = make(**auth_settings()).start()
    kv = make(**kv_settings(auth, AUTHKV_FOLLOW_MAX_LAG="1")).start()
    return auth, kv


def test_tokens_are_refused_while_revocations_are_unknown_and_accepted_again_after(make, pair):
    auth, kv = pair
    patient = make(**kv_settings(auth, AUTHKV_FOLLOW_MAX_LAG="unlimited")).start()
    transports = [transport(kv) for transport in TRANSPORTS.values()]
    trusting = HttpTransport(patient)
    http = HttpTransport(auth)
    token = log_in(http)
    http.close()
    when_following(trusting, token)
    assert once_known(transports[0], "put", token, {"k": 1}) == Ok([])
    assert trusting.put(token, {"k": 2}) == Ok([])

    auth.stop()
    for one in transports:
        wait_until(lambda: refused(one.get(token, ["k"]), one, UNKNOWN), "tokens are refused")
        assert_outcome(one, one.put(token, {"new": 1}), UNKNOWN)
    assert "Retry-After" in transports[0].request("POST", "/api/read", {"keys": ["k"]}, bearer(token)).headers
    # The lag that the other has given up after has passed here too.
    assert trusting.get(token, ["k"]) == Ok({"k": 2})

    auth.start()
    for one in transports:
        wait_until(lambda: one.get(token, ["k"]) == Ok({"k": 1}), "tokens are accepted again")
        one.close()
    http = HttpTransport(auth)
    assert http.logout(token) == Ok()
    http.close()
    wait_until(lambda: refused(trusting.get(token, ["k"]), trusting, UNAUTHENTICATED), "the patient one follows again")
    trusting.close()


def test_a_revocation_is_not_missed_while_the_follower_is_down(pair):
    auth, kv = pair
    http, iproto = HttpTransport(auth), IprotoTransport(kv)
    token = log_in(http)
    assert once_known(iproto, "put", token, {"k": 1}) == Ok([])
    iproto.close()
    kv.stop()
    assert http.logout(token) == Ok()
    http.close()
    kv.start()
    iproto = IprotoTransport(kv)
    seen = []
    wait_until(lambda: seen.append(iproto.get(token, ["k"])) or refused(seen[-1], iproto, UNAUTHENTICATED), "the token is refused")
    assert not any(isinstance(one, Ok) for one in seen), "accepted before the revocations were known"
    iproto.close()


def test_a_follower_that_has_never_reached_the_other_refuses_tokens(pair, make):
    auth, _ = pair
    http = HttpTransport(auth)
    token = log_in(http)
    http.close()
    auth.stop()
    alone = make(**kv_settings(auth, AUTHKV_FOLLOW_MAX_LAG="1")).start()
    kv = HttpTransport(alone)
    wait_until(lambda: refused(kv.get(token, ["k"]), kv, UNKNOWN), "tokens are refused")
    kv.close()


@pytest.mark.parametrize(
    "layout,offered,other",
    [
        ("single", ["login", "read"], []),
        ("authorization_tarantool", ["login"], ["read"]),
        ("key_value_tarantool", ["read"], ["login"]),
    ],
)
def test_a_layout_offers_its_services(make, split, layout, offered, other):
    # The rest of the layout's settings is overridden, so that the test has ports and data of its own.
    instance = make(
        AUTHKV_LAYOUT=layout,
        AUTHKV_PUBLIC_KEY_FILE=None if layout == "single" else str(split[0].data_dir / "jwt_public.pem"),
        AUTHKV_PRIVATE_KEY_FILE=str(split[0].data_dir / "jwt_private.pem"),
        AUTHKV_FOLLOW=kv_settings(split[0])["AUTHKV_FOLLOW"] if layout == "key_value_tarantool" else None,
        AUTHKV_FOLLOWER_PASSWORD=FOLLOWER_PASSWORD,
    ).start()
    http = HttpTransport(instance)
    for path in offered + other:
        status = http.request("POST", f"/api/{path}/", b"{}").status
        assert status == (422 if path in offered else 404), path
    http.close()


def test_an_authorization_instance_that_counts_anew_is_followed_once_that_is_wanted(make):
    auth = make(**auth_settings()).start()
    kv = make(**kv_settings(auth)).start()
    for _ in range(2):
        transports = [HttpTransport(one) for one in (auth, kv)]
        kept, revoked = (log_in(transports[0]) for _ in range(2))
        when_following(transports[1], kept)
        assert transports[0].logout(revoked) == Ok()
        wait_until(lambda: refused(transports[1].get(revoked, ["k"]), transports[1], UNAUTHENTICATED), "the logout is known")
        assert not refused(transports[1].get(kept, ["k"]), transports[1], UNKNOWN)
        # The data is lost and the key is kept.
        auth.stop()
        for file in [*auth.data_dir.glob("*.snap"), *auth.data_dir.glob("*.xlog")]:
            file.unlink()
        auth.start()
        wait_until(lambda: "other_data" in kv.present_log(), "the follower says that the data is another")
        assert isinstance(in_console(kv, "authkv.restored()"), Ok)


@pytest.mark.parametrize("followers", COMPAT)
@pytest.mark.parametrize("leaders", COMPAT)
def test_changes_are_followed_whatever_tarantool_puts_around_results(split, https, leaders, followers):
    consoles = [ConsoleTransport(one) for one in split]
    for console, setting in zip(consoles, (leaders, followers), strict=True):
        set_compat(console, setting)
    auth, kv = https
    token = log_in(auth)
    key = f"whatever-{leaders}-{followers}"
    assert kv.put(token, {key: 1}) == Ok([])
    assert auth.logout(token) == Ok()
    wait_until(lambda: refused(kv.get(token, [key]), kv, UNAUTHENTICATED), "the token is refused", WITHIN_A_SECOND)
    for one, console in zip(split, consoles, strict=True):
        set_compat(console, None)
        console.close()
        assert "cannot follow" not in one.log()


def test_an_older_authkv_on_tarantool_3_is_followed(make):
    """Its answers have no array around them. What answers here in its place gives what it was asked for, once."""
    auth = make(**auth_settings()).start()
    console, http = ConsoleTransport(auth), HttpTransport(auth)
    token = log_in(http)
    console.evaluate(
        "local answer = box.func['authkv.changes']:call({0}) rawset(_G, 'recorded', answer[1] or answer) "
        "box.schema.func.drop('authkv.changes') "
        "box.schema.func.create('authkv.changes', {body = 'function() return recorded end', setuid = true}) "
        "box.schema.role.grant('authkv_revocations', 'execute', 'function', 'authkv.changes')"
    )
    kv = HttpTransport(make(**kv_settings(auth)).start())
    when_following(kv, token)
    assert kv.put(token, {"k": 1}) == Ok([])
    for one in (console, http, kv):
        one.close()


def test_a_reload_of_the_follower_loses_no_request(split, https):
    token = log_in(https[0], "reloader")
    console = ConsoleTransport(split[1])
    with Load(split[1], [HttpTransport] * 3 + [IprotoTransport], token) as load:
        for _ in range(3):
            console.evaluate("return authkv.restart()")
            load.advance()
    assert load.wrong == []
    console.close()
