"""What happens at once: races of registrations and of writes, reads beside hashing, stopping with work in flight."""

import signal
import threading
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import pytest

from support.contract import GOOD, INVALID_CREDENTIALS, LOGIN_TAKEN
from support.harness import CHEAP_HASHES, Instance, wait_until
from support.load import at_once
from support.outcome import A_TOKEN, Ok, Refusal, assert_outcome
from support.transports import TRANSPORTS, HttpTransport


@pytest.fixture(scope="module")
def cheap():
    """An instance whose hashes take no time, so that racing calls meet at the space instead."""
    with Instance(**CHEAP_HASHES) as running:
        yield running


@pytest.mark.parametrize("transports", [("http", "http"), ("http", "iproto"), ("netbox", "console")], ids="-".join)
def test_of_two_registrations_at_once_exactly_one_succeeds(cheap, transports):
    racers = [TRANSPORTS[name](cheap) for name in transports]
    for n in range(100):
        login = "race" + "".join(name[0] for name in transports) + str(n)
        passwords = [f"{GOOD}{racer}" for racer in range(2)]
        seen = at_once(
            *(lambda transport=transport, password=password: transport.register(login, password, "Bob", "Stone")
              for transport, password in zip(racers, passwords, strict=True))
        )  # fmt: skip
        assert sorted(type(one).__name__ for one in seen) == ["Ok", "Refusal"], seen
        winner = seen.index(Ok())
        loser = 1 - winner
        assert_outcome(racers[loser], seen[loser], LOGIN_TAKEN)
        assert_outcome(racers[0], racers[0].login(login, passwords[winner]), Ok(A_TOKEN))
        assert_outcome(racers[0], racers[0].login(login, passwords[loser]), INVALID_CREDENTIALS)
    for racer in racers:
        racer.close()


def test_of_many_writes_of_one_batch_at_once_exactly_one_inserts_it(cheap):
    racers = [TRANSPORTS[name](cheap) for name in ("http", "http", "iproto", "console")]
    racers[0].register("writer", GOOD, "Bob", "Stone")
    token = racers[0].login("writer", GOOD).value
    for n in range(50):
        keys = [f"batch{n}a", f"batch{n}b"]
        seen = at_once(
            *(lambda transport=transport, who=who: transport.put(token, dict.fromkeys(keys, who))
              for who, transport in enumerate(racers))
        )  # fmt: skip
        assert seen.count(Ok([])) == 1 and seen.count(Ok(keys)) == 3, seen
        winner = seen.index(Ok([]))
        assert racers[0].get(token, keys) == Ok(dict.fromkeys(keys, winner))
    for racer in racers:
        racer.close()


def test_a_token_that_two_log_out_at_once_is_revoked(cheap):
    racers = [HttpTransport(cheap), HttpTransport(cheap)]
    racers[0].register("leaver", GOOD, "Bob", "Stone")
    for _ in range(20):
        token = racers[0].login("leaver", GOOD).value
        seen = at_once(*(lambda transport=transport: transport.logout(token) for transport in racers))
        assert Ok() in seen and all(one == Ok() or one.code == 401 for one in seen), seen
        assert racers[0].check(token) == Ok(False)
    for racer in racers:
        racer.close()


def test_reads_keep_answering_while_clients_log_in(instance):
    http = HttpTransport(instance)
    http.register("tester", GOOD, "Test", "Tester")
    token = http.login("tester", GOOD).value
    keys = [f"k{n}" for n in range(10)]
    assert http.put(token, dict.fromkeys(keys, 1)) == Ok([])
    enough = threading.Event()
    logins = [0] * 8

    def log_in(client: int) -> None:
        transport = HttpTransport(instance)
        while not enough.is_set():
            assert_outcome(transport, transport.login("tester", GOOD), Ok(A_TOKEN))
            logins[client] += 1
        transport.close()

    with ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(log_in, client) for client in range(8)]
        try:
            # Reads run until every client has logged in twice, so that the two went on together.
            wait_until(
                lambda: http.get(token, keys) == Ok(dict.fromkeys(keys, 1)) and min(logins) >= 2,
                "every client has logged in twice while reads were answered",
            )
            assert all(http.get(token, keys) == Ok(dict.fromkeys(keys, 1)) for _ in range(100))
        finally:
            enough.set()
        for client in clients:
            client.result()
    http.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "sigint"])
@pytest.mark.parametrize("transport", ["http", "iproto"])
def test_a_signal_stops_the_process_after_the_logins_in_flight_are_answered(make, transport, number):
    # One thread and slow hashes: when the first of three logins is answered, the others are in flight.
    instance = make(AUTHKV_CRYPTO_THREADS="1", AUTHKV_ARGON2_ITERATIONS="12", AUTHKV_SHUTDOWN_TIMEOUT="120").start()
    clients = [TRANSPORTS[transport](instance) for _ in range(3)]
    clients[0].register("tester", GOOD, "Test", "Tester")
    with ThreadPoolExecutor(3) as pool:
        logins = [pool.submit(client.login, "tester", GOOD) for client in clients]
        wait(logins, return_when=FIRST_COMPLETED)
        instance.stop(number)
        for client, login in zip(clients, logins, strict=True):
            assert_outcome(client, login.result(), Ok(A_TOKEN))
    for client in clients:
        client.close()


def test_what_was_answered_before_a_stop_or_a_kill_is_there_after_it(make):
    instance = make().start()
    tokens = []
    for end in (instance.stop, instance.kill, instance.stop):
        http = HttpTransport(instance)
        n = len(tokens)
        assert http.register(f"bob{n}", GOOD, "Bob", "Stone") == Ok()
        kept, revoked = (http.login(f"bob{n}", GOOD).value for _ in range(2))
        assert http.put(kept, {f"k{n}": n}) == Ok([])
        assert http.logout(revoked) == Ok()
        tokens.append((kept, revoked))
        end()
        http.close()
        instance.start()
        for one in [transport(instance) for transport in TRANSPORTS.values()]:
            for n, (kept, revoked) in enumerate(tokens):
                assert one.check(kept) == Ok(True)
                assert one.check(revoked) == Ok(False)
                assert isinstance(one.get(revoked, [f"k{n}"]), Refusal)
                assert one.get(kept, [f"k{n}"]) == Ok({f"k{n}": n})
            one.close()
