"""documentation/migrate.md: the blocks of the page, on data directories as the old services left them."""

from __future__ import annotations

import re
import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from support import harness, old_system
from support.harness import DEADLINE, HOST, free_port, wait_until
from support.old_system import HASH, PASSWORD, OldTarantool, fingerprint
from support.walk import Walk

PAGE = (harness.ROOT / "documentation" / "migrate.md").read_text()
SECTIONS = dict(re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", PAGE, re.MULTILINE))
USERS = [["olduser", HASH, "Old", "User"], ["twin", HASH, "Twin", "User"], ["x", HASH, "Ж", "Y"]]
# With keys that authkv itself would not write.
VALUES = {
    "text": "old \u2028 text", "null": None, "numbers": [-7, 2**64 - 1, -(2**63), 0.1, 1.5e300],
    "nested": {"a": [1, {"b": None}, []], "c": {}},
    "old key": [True, False], "": "empty", ".": 1, "..": 2, "k" * 2000: "long", "deep": [[[[[[]]]]]],
} | {f"many/{n}": n for n in range(3000)}  # fmt: skip
LATE = "written after the snapshot"
LOGINS = [("olduser", PASSWORD), ("olduser", "Wr0ng-Passw0rd"), ("x", PASSWORD), ("nobody", PASSWORD)]
READS = [["text", "nested"], [key for key in VALUES if len(key) < 2000], ["k" * 2000], [LATE], ["text", "nothing"]]
INDEXES = {"One process": "TREE", "Two processes": "HASH"}


def before(directory) -> list:
    """What clients of the old services get."""
    with OldTarantool(directory / "authorization") as users, OldTarantool(directory / "key_value") as pairs:
        return [users.login(*login) for login in LOGINS] + [pairs.read(keys) for keys in READS]


def after(auth: str, kv: str) -> list:
    """What they get of authkv, at the same two ports."""
    answers, token = [], None
    for login, password in LOGINS:
        answer = requests.post(f"{auth}/api/login/", json={"login": login, "password": password}, timeout=DEADLINE)
        answers.append(answer.status_code)
        token = token or answer.json()["token"]
    header = {"Authorization": f"Bearer {token}"}
    # A key-value instance may not have heard of the other yet.
    ask = {"json": {"keys": READS[0]}, "headers": header, "timeout": DEADLINE}
    wait_until(lambda: requests.post(f"{kv}/api/read/", **ask).status_code != 503, "the key-value service knows the tokens")
    reads = [requests.post(f"{kv}/api/read/", **(ask | {"json": {"keys": keys}})) for keys in READS]
    return answers + [(answer.status_code, answer.json()) for answer in reads]


def old_token() -> str:
    """A token as the old service gave them, which has time left."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode({"username": "olduser", "email": "olduser", "exp": time.time() + 1000}, key, "RS256")


@pytest.mark.parametrize("way", INDEXES)
def test_two_data_directories_are_taken_over(way, tmp_path):
    old = tmp_path / "old"
    for part, content in {"authorization": {"users": USERS}, "key_value": {"values": VALUES}}.items():
        (old / part).mkdir(parents=True)
        old_system.build(old / part, index=INDEXES[way], **content)
    with OldTarantool(old / "key_value") as pairs:
        pairs.write(LATE, {"is": "in the log"})
    answers = before(old)
    assert answers[:4] == [201, 404, 201, 404] and [status for status, _ in answers[4:]] == [200, 200, 200, 200, 400]
    untouched = fingerprint(old)

    own: dict = {f"{HOST}:{port}": f"{HOST}:{free_port()}" for port in (8080, 9080, 3301, 3302)} | {"/srv/old": old}
    auth, kv = (f"http://{own[f'{HOST}:{port}']}" for port in (8080, 9080))
    settings = {"AUTHKV_TOKEN_ALGORITHM": "EdDSA"}
    if way == "One process":
        settings["AUTHKV_IPROTO_LISTEN"] = own[f"{HOST}:3301"]
        back = SECTIONS["The way back"]
    else:
        # The layouts have the ports of the page.
        own = {
            "AUTHKV_LAYOUT=authorization_tarantool": f"AUTHKV_LAYOUT=authorization_tarantool AUTHKV_HTTP_LISTEN={HOST}:8080 "
            f"AUTHKV_IPROTO_LISTEN={HOST}:3301",
            "AUTHKV_LAYOUT=key_value_tarantool": f"AUTHKV_LAYOUT=key_value_tarantool AUTHKV_HTTP_LISTEN={HOST}:9080 "
            f"AUTHKV_IPROTO_LISTEN={HOST}:3302 AUTHKV_FOLLOW={HOST}:3301",
        } | own
        own |= {name: re.sub(rf"{HOST}:\d+", lambda found: own[found[0]], text) for name, text in own.items() if name.startswith("AUTHKV")}
        back = SECTIONS["The way back"].replace("```lua console\n", "```lua console ./var/key_value/console.sock\n")

    with Walk(tmp_path, own, **settings) as walk:
        walk.go(SECTIONS["Copy and count"])
        counted = walk.last
        expected = [f"key_value_store: {len(VALUES) + 1}, ", f"user: {len(USERS)}, "]
        assert all(one in counted for one in expected), counted
        walk.go(SECTIONS[way])
        compared = walk.results("yaml answer")
        assert sorted(line for [lines] in compared for line in lines) == sorted(counted.split("\n")[:2])

        token = old_token()
        check = requests.post(f"{auth}/api/check/", json={"authorization": f"Bearer {token}"}, timeout=DEADLINE)
        assert check.json() == {"authorized": "NO"}
        assert after(auth, kv) == answers
        # And again with hashes that the logins have replaced.
        assert after(auth, kv) == answers

        login = requests.post(f"{auth}/api/login/", json={"login": "twin", "password": PASSWORD}, timeout=DEADLINE)
        header = {"Authorization": f"Bearer {login.json()['token']}"}
        written = requests.post(f"{kv}/api/write/", json={"data": {"new": 1, "text": "kept"}}, headers=header, timeout=DEADLINE)
        assert (written.status_code, written.json()["status"].count(": text. ")) == (201, 1)
        walk.go(back)
        assert re.fullmatch(r'\{"key":"new","value":1,"revision":\d+\}\n', walk.last), walk.last
    assert fingerprint(old) == untouched
    assert before(old) == answers
