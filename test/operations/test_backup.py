"""A back-up of a running instance, whether it is whole, and what a restore brings back and what it ends."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import threading
from hashlib import sha256

import pytest

from support.backups import MANIFEST, QUICK, back_up, command, in_console, put_back, verify
from support.fallible import Fallible
from support.harness import DEADLINE, wait_until
from support.load import Load
from support.lua import lua
from support.outcome import ANY, Ok, Refusal, Refused
from support.pairs import put
from support.people import INVALID_CREDENTIALS, INVALID_REFRESH_TOKEN, PASSWORD, Person
from support.split import auth_settings, kv_settings
from support.tokens import kid
from support.transports import ConsoleTransport, HttpTransport, bearer

TOO_OLD = Refused("too_old")
# The largest integer that JavaScript reads exactly.
EXACT = 2**53 - 1
LATER = "in the future that was lost"


@pytest.fixture(scope="module")
def settings() -> dict:
    return {"keys": False, **QUICK}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "backup"


@pytest.fixture
def own(make, visit, settings):
    """People of an instance that the test alone has."""
    return visit(make(**settings).start())


def log_in(people, person: Person) -> dict:
    """A session of somebody who is known from before the restore."""
    return people.expect("http", Ok(people.session_answer()), "session_login", person.login, person.password)


def pairs_of(people, token: str, keys: list[str]) -> dict[str, dict]:
    """Whole pairs, with their revisions, expiry and types."""
    found = {}
    for at in range(0, len(keys), 1000):
        seen = people.expect("http", ANY, "batch_get", token, keys[at : at + 1000])
        assert seen["missing"] == []
        found |= {pair["key"]: pair for pair in seen["pairs"]}
    return found


class Writers(Load):
    """Clients that write batches of keys of their own, and note what was acknowledged: the revision of each key."""

    def __init__(self, instance, token: str):
        super().__init__(instance, [HttpTransport] * 3, token)
        self.acknowledged: list[tuple[str, int]] = []

    def once(self, transport, number: int):
        keys = [f"load/{number}/{self.done[number]:06}/{n}" for n in range(5)]
        pairs = [{"key": key, "value": [key, n]} | ({"ttl": 3600} if n % 2 else {}) for n, key in enumerate(keys)]
        seen = transport.do("batch_put", self.token, pairs)
        if not isinstance(seen, Ok) or not seen.value["committed"]:
            return seen
        self.acknowledged += [(one["key"], one["revision"]) for one in seen.value["results"]]
        return None

    def advance(self):
        before = len(self.acknowledged)
        wait_until(lambda: self.wrong or len(self.acknowledged) > before + 200, "the clients write")


def test_what_was_acknowledged_before_a_back_up_under_load_is_restored_pair_by_pair(own, make, visit, settings, directory):
    person, http = own.new(), own.http
    token = person.access
    for key, body, content_type in (("image", b"\x89PNG" * 100, "image/png"), ("text", "текст".encode(), "text/plain; charset=utf-8")):
        assert http.request("PUT", f"/v1/kv/{key}?ttl=3000", body, bearer(token) | {"Content-Type": content_type}).status == 201
    for key, value in {"null": None, "big": 2**64 - 1, "deep": [[{"a": [1.5, "б", None]}]]}.items():
        put(own, token, key, value)
    with Writers(own.instance, token) as load:
        before = list(load.acknowledged)
        made = back_up(own.instance, directory)
        after = len(load.acknowledged)
        load.advance()
    assert load.wrong == [] and after > len(before), "nothing was written during the back-up"
    code, found = verify(directory)
    assert code == 0, found
    keys = ["image", "text", "null", "big", "deep", *(key for key, _ in before)]
    assert found["pairs"] >= len(keys) and found["users"] == 2 and not found["keys"] and found["files"] == made["files"]

    told = pairs_of(own, token, keys)
    assert all(told[key]["revision"] == revision for key, revision in before)
    last = max(revision for _, revision in load.acknowledged)
    restored = visit(put_back(directory, make(**settings)).start())
    session = log_in(restored, person)["access_token"]
    assert pairs_of(restored, session, keys) == told
    # Keys whose private halves are lost are retired too.
    assert [key["signs"] for key in restored.administer("key_list")["keys"]] == [True]
    # Of what came later there are whole batches, or nothing.
    listed = restored.expect("http", ANY, "kv_list", session, {"prefix": "load/", "count": True})["count"]
    assert listed % 5 == 0 and listed >= len(before)
    # No revision twice, and none that JavaScript would round.
    assert last < put(restored, session, "new") <= EXACT


def test_a_restore_ends_what_was_given_before_and_after_the_back_up(own, make, visit, settings, directory):
    person, revoked_person = own.new(), own.new()
    first = person.log_in()
    revoked, api = revoked_person.access, person.api_token
    put(own, first["access_token"], "k")
    back_up(own.instance, directory, "{keys = true}")
    own.expect("http", Ok({"revoked": True}), "auth_logout", revoked)
    newer, other = own.expect("http", ANY, "session_refresh", first["refresh_token"]), own.new()
    own.administer("key_rotate", {"publish": 0})
    of_new_key = other.access
    assert kid(of_new_key) != kid(api)
    revision = put(own, newer["access_token"], "k", LATER)

    restored = visit(put_back(directory, make(**settings)).start())
    for token in (revoked, api, first["access_token"], newer["access_token"], of_new_key):
        restored.assert_fails(token)
    for token in (first["refresh_token"], newer["refresh_token"]):
        restored.expect("http", INVALID_REFRESH_TOKEN, "session_refresh", token)
    # All but one key are retired, whether the back-up has their private half or not.
    keys = restored.administer("key_list")["keys"]
    assert [key["signs"] for key in keys] == [True] and keys[0]["kid"] not in (kid(api), kid(of_new_key))
    session = log_in(restored, person)
    restored.assert_holds(session["access_token"])
    restored.assert_holds(restored.expect("http", ANY, "session_refresh", session["refresh_token"])["access_token"])
    restored.expect("http", INVALID_CREDENTIALS, "session_login", other.login, PASSWORD)
    # A condition or a watch of the lost future matches nothing.
    token = session["access_token"]
    restored.expect("http", Refused("conflict"), "pair_put", token, "k", 2, {"if_revision": revision})
    restored.expect("http", TOO_OLD, "kv_watch", token, {"after": revision})
    # That is done once: the tokens of now outlast the next start.
    assert not (restored.instance.data_dir / MANIFEST).exists()
    restored.restart()
    restored.assert_holds(token)
    restored.assert_fails(revoked)


def test_restored_is_what_ends_them(own, make, visit, settings, directory):
    """The control: files that are put back without the manifest are not known as restored until somebody says so."""
    person = own.new()
    revoked, kept = person.access, person.log_in()
    put(own, kept["access_token"], "k")
    back_up(own.instance, directory, "{keys = true}")
    own.expect("http", Ok({"revoked": True}), "auth_logout", revoked)
    lost = [put(own, kept["access_token"], f"k{n}") for n in range(3)]

    restored = visit(put_back(directory, make(**settings), with_manifest=False).start())
    restored.assert_holds(revoked)
    assert {put(restored, revoked, "k") for _ in range(3)} <= {*lost, max(lost) + 1}
    # A watch would go on in the middle, and miss what was there before.
    stream = {"after": lost[0]}
    assert restored.expect("iproto", ANY, "kv_watch", kept["access_token"], stream)["events"]
    seen = in_console(restored.instance, "authkv.restored()")
    assert isinstance(seen, Ok) and seen.value["revision"] > lost[-1], seen
    for token in (revoked, kept["access_token"]):
        restored.assert_fails(token)
    del restored.__dict__["admin"]
    session = log_in(restored, person)["access_token"]
    restored.assert_holds(session)
    restored.expect("iproto", TOO_OLD, "kv_watch", session, stream)
    assert put(restored, session, "k") > seen.value["revision"]


def test_one_back_up_that_is_restored_again_and_again_gives_no_revision_twice(own, make, visit, settings, directory):
    person = own.new()
    given = [put(own, person.access, "k")]
    tokens = [person.access]
    back_up(own.instance, directory, "{keys = true}")
    for _ in range(3):
        restored = visit(put_back(directory, make(**settings)).start())
        for token in tokens:
            restored.assert_fails(token)
        tokens.append(log_in(restored, person)["access_token"])
        given += [put(restored, tokens[-1], "k") for _ in range(20)]
    assert given == sorted(set(given)) and given[-1] <= EXACT


def test_a_back_up_that_is_restored_over_other_data_is_refused(own, make, settings, directory):
    back_up(own.instance, directory)
    put(own, own.new().access, "k")
    assert own.console.evaluate("return box.snapshot()") == ["ok"]
    own.close()
    own.instance.stop()
    shutil.copytree(directory, own.instance.data_dir, dirs_exist_ok=True)
    assert "restore it into an empty directory" in own.instance.refuse_to_start()
    (own.instance.data_dir / MANIFEST).unlink()
    own.instance.start()


def test_a_restore_whose_clock_is_behind_the_data_starts_as_the_message_says(own, make, visit, settings, directory):
    ahead = 2**52 - 10**9
    assert isinstance(in_console(own.instance, f"authkv.restored{{revision = {ahead}}}"), Ok)
    person = own.new()
    last = put(own, person.access, "k")
    back_up(own.instance, directory)
    instance = put_back(directory, make(**settings))
    said = instance.refuse_to_start()
    assert f"is not above {last}" in said and "Set the clock right" in said and f"remove {MANIFEST}" in said, said
    (instance.data_dir / MANIFEST).unlink()
    restored = visit(instance.start())
    # The start itself has given some numbers.
    assert isinstance(in_console(instance, f"authkv.restored{{revision = {last + 1000}}}"), Ok)
    restored.assert_fails(person.access)
    assert last < put(restored, log_in(restored, person)["access_token"], "k") <= EXACT


def change_manifest(**members):
    def act(path):
        path.write_text(json.dumps(json.loads(path.read_text()) | members))

    return act


def change_file(**members):
    """Of the first file that the manifest names."""

    def act(path):
        told = json.loads(path.read_text())
        told["files"][0] |= members
        path.write_text(json.dumps(told))

    return act


def text(content: str):
    return lambda path: path.write_text(content)


# What is no manifest of this version, and what both the start and `verify` say of it.
NO_MANIFEST = {
    "empty": (text(""), "it is damaged"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:60]), "it is damaged"),
    "no members": (text("{}"), "it is damaged"),
    "a list": (text("[]"), "it is damaged"),
    "null": (text("null"), "it is damaged"),
    "a number": (text("1"), "it is damaged"),
    "binary": (lambda path: path.write_bytes(b"\0\xff" * 50), "it is damaged"),
    "format 2": (change_manifest(format=2), "a newer authkv has made it (format 2, this one knows 1)"),
    "format 2 in another form": (text('{"format": 2, "parts": {}}'), "a newer authkv"),
    "format 0": (change_manifest(format=0), "it is damaged"),
    "format of text": (change_manifest(format="1"), "it is damaged"),
    "no files": (change_manifest(files=None), "it is damaged"),
    "files of text": (change_manifest(files="x"), "it is damaged"),
    "files that are numbers": (change_manifest(files=[1]), "it is damaged"),
    "files by name": (change_manifest(files={"a": {}}), "it is damaged"),
    "size of text": (change_file(size="29993"), "it is damaged"),
    "size below zero": (change_file(size=-1), "it is damaged"),
    "half a byte": (change_file(size=0.5), "it is damaged"),
    "no digest": (change_file(sha256=None), "it is damaged"),
    "no name": (change_file(name=None), "it is damaged"),
    "name of a byte 0": (change_file(name="x\0y"), "it is damaged"),
    "leads out": (change_file(name="../x"), "it is damaged"),
    "absolute": (change_file(name="/x"), "it is damaged"),
    "no snapshot": (change_manifest(files=[]), "it names no snapshot"),
}


@pytest.mark.parametrize("kind", NO_MANIFEST)
def test_a_manifest_that_is_damaged_is_refused_by_name_at_a_start_and_by_verify(make, settings, whole, directory, kind):
    act, says = NO_MANIFEST[kind]
    shutil.copytree(whole, directory)
    act(directory / MANIFEST)
    code, said = verify(directory)
    assert code == 1 and MANIFEST in said and says in said and ".lua:" not in said, said
    instance = put_back(directory, make(**settings))
    before = sorted(instance.data_dir.iterdir())
    said = instance.refuse_to_start()
    assert f"{instance.data_dir / MANIFEST}: {says}" in said and ".lua:" not in said, said
    # Before Tarantool has opened, or made, anything.
    assert sorted(instance.data_dir.iterdir()) == before


def snapshot(directory):
    (path,) = directory.glob("*.snap")
    return path


MISSING = {
    "missing": (lambda top: snapshot(top).unlink(), "it is missing"),
    "cut": (lambda top: cut(snapshot(top)), "bytes instead of"),
    "empty": (lambda top: snapshot(top).write_bytes(b""), "bytes instead of"),
    "a directory": (lambda top: (snapshot(top).unlink(), (top / "00000000000000000000.snap").mkdir()), "it is missing"),
    "cut short": (lambda top: (top / MANIFEST).rename(top / f"{MANIFEST}.new"), "was cut short"),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_restore_without_a_whole_file_is_refused_before_anything_is_made(make, settings, whole, kind):
    act, says = MISSING[kind]
    instance = put_back(whole, make(**settings))
    name = snapshot(instance.data_dir).name
    act(instance.data_dir)
    before = sorted(instance.data_dir.iterdir())
    for _ in range(2):
        said = instance.refuse_to_start()
        assert says in said and (name in said or MANIFEST in said), said
        assert sorted(instance.data_dir.iterdir()) == before
    # As the message says: with all files it starts. The keys are not needed.
    shutil.rmtree(instance.data_dir)
    shutil.copytree(whole, instance.data_dir)
    (instance.data_dir / "jwt_private.pem").unlink()
    instance.start()


def test_two_instances_do_not_back_up_into_one_directory(own, make, visit, settings, directory):
    other = visit(make(**settings).start())
    # What is to be copied takes a while.
    for people in (own, other):
        people.console.evaluate(
            "local digest = require('digest') box.schema.space.create('filling'):create_index('primary') "
            "for n = 1, 400 do box.space.filling:replace{n, digest.urandom(50000)} end"
        )
    seen = []
    both = [
        threading.Thread(target=lambda instance=people.instance: seen.append(command("make", directory, instance.console_path)))
        for people in (own, other)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(DEADLINE)
    assert sorted(code for code, _ in seen) == [0, 1], seen
    ((_, said),) = [one for one in seen if one[0] == 1]
    assert "each back-up needs a directory of its own" in said
    assert verify(directory)[0] == 0 and len([*directory.iterdir()]) == 2
    # One that was cut short, or is still being made, is left alone.
    (directory / MANIFEST).rename(directory / f"{MANIFEST}.new")
    before = sorted(directory.iterdir())
    seen = in_console(own.instance, f"authkv.backup({lua(str(directory))})")
    assert isinstance(seen, Refusal) and sorted(directory.iterdir()) == before, seen


def test_a_back_up_of_a_key_value_instance_is_refused_with_users(make, visit, directory):
    """It has heard that there is an administrator, but has no password of one."""
    auth = visit(make(**auth_settings(), **QUICK).start())
    kv = make(**kv_settings(auth.instance), **QUICK).start()
    heard = ConsoleTransport(kv)
    wait_until(lambda: heard.evaluate("return box.space.authkv_subject:len() > 0") == [True], "the key-value instance has heard")
    heard.close()
    back_up(kv, directory)
    for services in ("auth", "auth,kv"):
        said = put_back(directory, make(keys=False, **QUICK, AUTHKV_SERVICES=services)).refuse_to_start()
        assert "the data is that of a key-value instance" in said and "AUTHKV_SERVICES=kv" in said, said
    # Nothing is changed by that: it goes on as what it is.
    restored = put_back(directory, make(**kv_settings(auth.instance), **QUICK))
    restored.start()


OTHERS_ACT = {
    "mine": "fio.open(path .. '/mine', {'O_WRONLY', 'O_CREAT'}, 384):close()",
    "replaced": "fio.rename(path, path .. '.old') fio.mkdir(path) fio.open(path .. '/mine', {'O_WRONLY', 'O_CREAT'}, 384):close()",
}
# Run while the back-up waits for a checkpoint, before the first file is made, and after the last one.
MOMENTS = {
    "checkpoint": "local was = box.snapshot box.snapshot = function() box.snapshot = was act() return was() end",
    "first file": "local was = box.backup.start box.backup.start = function() box.backup.start = was act() return was() end",
    "last file": "local json = require('json') local was = json.encode json.encode = function(...) "
    "json.encode = was act() return was(...) end",
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("name", OTHERS_ACT)
def test_what_others_put_into_the_directory_meanwhile_fails_the_back_up_and_stays(own, directory, name, moment):
    path = directory / "here"
    path.mkdir(parents=True)
    seen = own.console.evaluate(
        f"local fio, path = require('fio'), {lua(str(path))} local function act() {OTHERS_ACT[name]} end {MOMENTS[moment]} "
        "local made, err = authkv.backup(path, {keys = true}) return made and 'made' or err.message"
    )[0]
    assert str(path) in seen, seen
    assert [one.name for one in path.iterdir()] == ["mine"]


def test_revisions_go_on_above_one_that_is_known_and_never_back(own):
    token = own.new().access
    put(own, token, "k")
    ahead = 2**52
    assert in_console(own.instance, f"authkv.restored{{revision = {ahead}}}").value["revision"] == ahead + 1
    del own.__dict__["admin"]
    assert put(own, own.new().access, "k") == ahead + 2
    # The clock is behind what was given, so it cannot tell what to go on with.
    for again in ("", "{revision = 2^52}", "{revision = 1}"):
        seen = in_console(own.instance, f"authkv.restored({again})")
        assert isinstance(seen, Refusal) and seen.name == "clock_behind" and str(ahead + 2) in seen.message, seen
        assert "Set the clock right" in seen.message and "authkv.restored{revision = N}" in seen.message
    for beyond in ("2^52 + 1", "2^53 - 2", "2^53", "2^60", "18446744073709551615ULL"):
        seen = in_console(own.instance, f"authkv.restored{{revision = {beyond}}}")
        assert isinstance(seen, Refusal) and seen.name == "bad_option" and str(2**52) in seen.message, seen
    assert put(own, own.new().access, "k") == ahead + 3
    assert in_console(own.instance, "authkv.restored{revision = 'x'}").name == "malformed"
    for wrong in ("{nothing = 1}", "1"):
        assert "usage: {revision = }" in own.console.show(f"authkv.restored({wrong})")


def test_revisions_grow_whoever_writes_meanwhile(own):
    """Fibers of the owner write while others say again and again that the data was restored."""
    (told,) = own.console.evaluate(
        "local fiber = require('fiber') local told, open, restored, wrong = {}, 8, 0, false "
        "for n = 1, open do fiber.create(function() local last = 0 "
        "  repeat local made, err = authkv.pair.put('own/' .. n, last) "
        "    if made == nil or made.revision <= last then wrong = err and err.message or made.revision break end "
        "    last = made.revision table.insert(told, last) "
        "  until restored > 4 open = open - 1 end) end "
        "repeat local made, err = authkv.restored() restored = restored + 1 if made == nil then wrong = err.message end "
        "until restored == 5 while open > 0 and not wrong do fiber.sleep(0.01) end "
        "table.sort(told) local twice = 0 for i = 2, #told do if told[i] == told[i - 1] then twice = twice + 1 end end "
        "return {wrong, twice, #told > 100}"
    )
    assert told == [False, 0, True]


def test_a_restore_that_cannot_be_written_has_not_happened(visit, settings):
    with Fallible(**settings) as instance:
        people = visit(instance)
        token = people.new().access
        revision = put(people, token, "k")
        with instance.failing():
            assert in_console(instance, "authkv.restored()").name == "not_durable"
        people.assert_holds(token)
        assert put(people, token, "k") > revision
        assert isinstance(in_console(instance, "authkv.restored()"), Ok)
        del people.__dict__["admin"]
        people.assert_fails(token)


def test_a_back_up_that_cannot_be_written_leaves_nothing(visit, settings, directory):
    with Fallible(**settings) as instance:
        people = visit(instance)
        put(people, people.new().access, "k")
        for says in ("the checkpoint failed", "File too large"):
            with instance.failing():
                seen = in_console(instance, f"authkv.backup({lua(str(directory))})")
            assert isinstance(seen, Refusal) and says in seen.message and not directory.exists(), seen
            # With a checkpoint of everything, only the copy is left to fail.
            assert people.console.evaluate("return box.snapshot()") == ["ok"]
        back_up(instance, directory)


def test_keys_are_in_a_back_up_only_where_asked(own, directory, tmp_path):
    own.administer("key_rotate", {"publish": 0})
    back_up(own.instance, directory)
    back_up(own.instance, tmp_path / "with keys", "{keys = true}")
    names = {file["name"] for file in json.loads((tmp_path / "with keys" / MANIFEST).read_text())["files"]}
    assert {"jwt_private.pem", "jwt_public.pem"} < names and any(name.startswith("keys/") for name in names)
    for top in (directory, tmp_path / "with keys"):
        files = [path for path in top.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        assert {stat.S_IMODE(path.stat().st_mode) for path in [top, *top.rglob("*")] if path.is_dir()} == {0o700}
        assert any(b"PRIVATE KEY" in path.read_bytes() for path in files) == (top != directory)
        assert verify(top)[1]["keys"] == (top != directory)


def test_files_of_an_application_in_vinyl_come_along(own, make, visit, settings, directory):
    console = own.console
    console.evaluate("box.schema.space.create('own', {engine = 'vinyl'}):create_index('primary') box.space.own:insert{1, 'one'}")
    back_up(own.instance, directory)
    assert [*directory.glob("*/*/*.run")] and verify(directory)[0] == 0
    restored = visit(put_back(directory, make(**settings)).start())
    assert restored.console.evaluate("return box.space.own:get{1}[2]") == ["one"]


REFUSED = {
    "relative/backup": "the directory should be an absolute path",
    "{full}": "it is not empty",
    "{file}": "",
    "{file}/below": "",
    "{file}/../new": "should have no ..",
    "{none}/../new": "should have no ..",
    "{none}/new/..": "should have no ..",
}


@pytest.mark.parametrize("path", REFUSED)
def test_a_directory_that_cannot_be_is_refused_and_untouched(people, tmp_path, path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    (tmp_path / "file").write_text("mine")
    given = path.format(full=tmp_path / "full", file=tmp_path / "file", none=tmp_path / "none")
    before = sorted(tmp_path.iterdir())
    seen = in_console(people.instance, f"authkv.backup({lua(given)})")
    assert isinstance(seen, Refusal) and seen.name == "backup_failed" and given in seen.message and REFUSED[path] in seen.message, seen
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "mine"
    # Nothing is left open: the next one succeeds.
    back_up(people.instance, tmp_path / "good")


@pytest.mark.parametrize("wrong", ["", "1", "'/x', 1", "'/x', {keys = 1}", "'/x', {key = true}", "'/x\\0y'"])
def test_a_call_that_is_wrong_tells_the_usage(people, wrong):
    assert "usage: authkv.backup(directory" in people.console.show(f"authkv.backup({wrong})")
    assert "usage: authkv.verify(directory" in people.console.show("authkv.verify({})")


def test_back_ups_at_a_time_and_beside_a_snapshot(people, tmp_path):
    """One is made, others say so, and a snapshot that is under way is waited for."""
    seen = people.console.evaluate(
        "local fiber = require('fiber') local results = fiber.channel(4) "
        f"for n = 1, 4 do local path = {lua(str(tmp_path))} .. '/' .. n fiber.create(function() "
        "  if n == 1 then results:put(box.snapshot()) return end "
        "  local made, err = authkv.backup(path) results:put(made and 'made' or err.message) end) end "
        "local all = {} for n = 1, 4 do all[n] = results:get() end table.sort(all) return all"
    )[0]
    assert seen == ["another back-up is being made", "another back-up is being made", "made", "ok"]
    assert [path.name for path in tmp_path.iterdir()] == ["2"] and verify(tmp_path / "2")[0] == 0


def test_a_back_up_that_something_else_is_making_is_left_alone(people, tmp_path):
    assert people.console.evaluate("return #box.backup.start() > 0") == [True]
    seen = in_console(people.instance, f"authkv.backup({lua(str(tmp_path / 'b'))})")
    assert isinstance(seen, Refusal) and "already in progress" in seen.message and not (tmp_path / "b").exists(), seen
    assert "already in progress" in people.console.show("box.backup.start()")
    people.console.evaluate("box.backup.stop()")
    back_up(people.instance, tmp_path / "b")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB."""
    path = tmp_path / "small"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_a_full_disk_leaves_no_half_back_up(own, token, small_disk, tmp_path):
    # Text that does not shrink.
    noise = [os.urandom(20_000).hex() for _ in range(60)]
    own.expect("http", ANY, "batch_put", own.new().access, [{"key": f"noise/{n}", "value": text} for n, text in enumerate(noise)])
    for directory in (small_disk / "made", small_disk):
        seen = in_console(own.instance, f"authkv.backup({lua(str(directory))})")
        assert isinstance(seen, Refusal) and "No space left on device" in seen.message, seen
        assert [*small_disk.iterdir()] == []
    back_up(own.instance, tmp_path / "large")


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def before_the_copy(act):
    """As if the file had been like that when it was copied: the manifest has its size and digest."""

    def act_and_note(path):
        act(path)
        manifest = path.parent / MANIFEST
        told = json.loads(manifest.read_text())
        for file in told["files"]:
            if file["name"] == path.name:
                file |= {"size": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
        manifest.write_text(json.dumps(told))

    return act_and_note


def change(old: str, new: str):
    def act(path):
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return act


DAMAGES = {
    "cut": ("*.snap", cut, "bytes instead of"),
    "damaged": ("*.snap", damage, "SHA-256"),
    "damaged before": ("*.snap", before_the_copy(damage), "damaged at byte"),
    "cut before": ("*.snap", before_the_copy(cut), "damaged at byte"),
    "missing": ("*.snap", lambda path: path.unlink(), "it is missing"),
    "key damaged": ("jwt_private.pem", damage, "SHA-256"),
    "no manifest": (MANIFEST, lambda path: path.unlink(), "the back-up was cut short"),
    "manifest cut": (MANIFEST, cut, ""),
    "manifest empty": (MANIFEST, lambda path: path.write_text(""), "it is damaged"),
    "leads out": (MANIFEST, change("jwt_private.pem", "../jwt_private.pem"), "it is damaged"),
    "newer": (MANIFEST, change('"format":1', '"format":2'), "a newer authkv"),
    "another": ("*.snap", lambda path: shutil.copy(path, path.with_name("00000000000000999999.snap")), "does not belong"),
    "a log": ("*.snap", lambda path: path.with_name("00000000000000999999.xlog").write_text(""), "does not belong"),
}


@pytest.fixture(scope="module")
def whole(people, token, tmp_path_factory):
    """A back-up that a test copies before it damages it."""
    put(people, token, "k", "x" * 10_000)
    directory = tmp_path_factory.mktemp("whole") / "backup"
    back_up(people.instance, directory, "{keys = true}")
    return directory


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_seen_by_verify(people, whole, directory, kind):
    pattern, act, says = DAMAGES[kind]
    shutil.copytree(whole, directory)
    assert verify(directory)[0] == 0
    (path,) = directory.glob(pattern)
    act(path)
    seen = in_console(people.instance, f"authkv.verify({lua(str(directory))})")
    assert isinstance(seen, Refusal) and seen.name == "bad_backup" and says in seen.message, seen
    code, said = verify(directory)
    assert code == 1 and seen.message in said, said


def test_verify_says_what_is_in_a_back_up(people, whole):
    seen = in_console(people.instance, f"authkv.verify({lua(str(whole))})")
    assert isinstance(seen, Ok) and seen.value == verify(whole)[1], seen
    found = seen.value
    assert found["keys"] and found["pairs"] >= 1 and found["users"] >= 2 and found["rows"] > found["pairs"] and found["schema"] >= 4
    assert found["bytes"] == sum(path.stat().st_size for path in whole.rglob("*") if path.is_file() and path.name != MANIFEST)
    assert verify(whole / "nothing")[0] == 1


def test_the_command_makes_a_back_up_and_says_what_is_wrong(people, tmp_path):
    console = people.instance.console_path
    for name in ("a 'b' \\", "two\nlines\r", "\x7fимя\t[[]]"):
        code, made = command("make", tmp_path / name, console)
        assert code == 0 and not made["keys"] and made["directory"] == str(tmp_path / name), made
        assert verify(tmp_path / name)[0] == 0
    assert command("make", "--keys", tmp_path / "keys", console)[1]["keys"]
    for args, says in {
        ("make", tmp_path / "keys", console): "it is not empty",
        ("make", tmp_path / "new", tmp_path / "nothing.sock"): "cannot connect",
        ("make", tmp_path / "new"): "usage:",
        ("verify",): "usage:",
        (): "usage:",
        ("verify", tmp_path): "the back-up was cut short",
    }.items():
        code, said = command(*args)
        assert code == 1 and says in said, (args, said)
