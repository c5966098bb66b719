"""Export and import in the console: files of the same lines as those over HTTP."""

import pytest

from support.bulk import MANY, MODES, VALUES, counts, export, keep, line, lines, read
from support.clock import PAST
from support.lua import lua
from support.outcome import ANY, Ok, Refusal


def outcome(people, expression: str):
    return people.console.outcome(expression)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "pairs.ndjson"


def test_the_console_writes_the_file_that_http_sends(people, token, prefix, file):
    keep(people, token, prefix)
    seen = outcome(people, f"authkv.export({lua(str(file))}, {{prefix = {lua(prefix)}}})")
    assert seen == Ok({"pairs": len(VALUES) + 4})
    assert lines(file.read_bytes()) == lines(export(people, token, prefix).body)


def test_the_console_reads_the_file_that_http_has_sent(people, token, prefix, file):
    keep(people, token, prefix)
    before = read(people, token, prefix)
    file.write_bytes(export(people, token, prefix).body)
    people.expect("http", ANY, "batch_delete", token, list(before))
    seen = outcome(people, f"authkv.import({lua(str(file))})")
    assert seen == Ok(counts(lines=len(before), written=len(before)))
    assert read(people, token, prefix) == before


def test_the_console_takes_many_pairs_both_ways(people, token, prefix, file):
    file.write_bytes(b"".join(line(f"{prefix}{n:06}", n) for n in range(MANY)))
    shown = people.console.show(f"return authkv.import({lua(str(file))}, {{mode = 'insert'}})")
    # A remote console is told of the progress by pushes, which come before what is returned.
    assert f"written: {MANY}" in shown and f"lines: {MANY}" in shown, shown[-500:]
    assert people.expect("http", ANY, "kv_list", token, {"prefix": prefix, "count": True}) == {"count": MANY}
    again = people.console.show(f"return authkv.import({lua(str(file))}, {{mode = 'insert'}})")
    assert f"exists: {MANY}" in again, again[-500:]
    file.unlink()
    shown = people.console.show(f"return authkv.export({lua(str(file))}, {{prefix = {lua(prefix)}}})")
    assert f"pairs: {MANY}" in shown, shown[-500:]
    assert [one["value"] for one in lines(file.read_bytes())] == list(range(MANY))


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode])
def test_the_console_knows_the_modes(people, token, prefix, file, mode):
    people.expect("http", ANY, "pair_put", token, f"{prefix}old", 1)
    file.write_bytes(line(f"{prefix}old", 2) + line(f"{prefix}new", 2) + line(f"{prefix}gone", 1, expires_at=PAST))
    outcomes = MODES[mode]
    expected = counts(lines=3, expired=1, **{name: outcomes.count(name) for name in set(outcomes)})
    assert outcome(people, f"authkv.import({lua(str(file))}, {{mode = '{mode}'}})") == Ok(expected)


def test_the_console_names_a_bad_line(people, token, prefix, file):
    file.write_bytes(line(f"{prefix}a") + b"nonsense\n" + line(f"{prefix}b"))
    seen = outcome(people, f"authkv.import({lua(str(file))})")
    assert isinstance(seen, Refusal) and seen.name == "malformed" and "2" in seen.message, seen
    assert f"{prefix}b" not in read(people, token, prefix)


@pytest.mark.parametrize("command", ["import", "export"])
def test_the_console_says_what_is_wrong_with_a_file(people, tmp_path, command):
    """As a value or as an error that is raised, but in words, and the console goes on."""
    # YAML breaks long lines.
    shown = " ".join(people.console.show(f"return authkv.{command}({lua(str(tmp_path / 'no' / 'such' / 'file'))})").split())
    assert "No such file" in shown or "no such file" in shown or "cannot" in shown, shown
    assert people.console.evaluate("return 1") == [1]


@pytest.mark.parametrize("wrong", ["{mode = 'overwrite'}", "{more = 1}", "{mode = 5}"])
def test_the_console_refuses_options_that_cannot_be(people, token, prefix, file, wrong):
    file.write_bytes(line(f"{prefix}a"))
    shown = people.console.show(f"return authkv.import({lua(str(file))}, {wrong})")
    assert "mode" in shown or "more" in shown, shown
    assert read(people, token, prefix) == {}


def test_the_console_does_not_write_over_a_file_in_part(people, token, prefix, file):
    """Whoever exports twice has the second export, not the rest of the first."""
    people.expect("http", ANY, "batch_put", token, [{"key": f"{prefix}{n}", "value": "x" * 1000} for n in range(10)])
    for _ in range(2):
        outcome(people, f"authkv.export({lua(str(file))}, {{prefix = {lua(prefix)}}})")
        people.expect("http", ANY, "batch_delete", token, [f"{prefix}{n}" for n in range(1, 10)])
    assert [one["key"] for one in lines(file.read_bytes())] == [f"{prefix}0"]


def test_a_user_of_the_console_has_no_files(people, token):
    shown = people.console.evaluate(f"local user = authkv.as({lua(token)}) return user.export == nil, user.import == nil")
    assert shown == [True, True]
