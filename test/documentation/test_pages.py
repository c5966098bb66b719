"""The examples of the documentation: documentation/api-v1.md says how they are written and what they begin with.

Each page is run three times, once in each form, from its beginning to its end on an instance of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgpack
import pytest

from support import harness, v1
from support.blocks import blocks, from_json, is_like, matches, replaced
from support.lua import lua
from support.transports import ConsoleTransport

DOCUMENTATION = harness.ROOT / "documentation"
INDEX = DOCUMENTATION / "api-v1.md"
PAGES = [INDEX, *sorted((DOCUMENTATION / "commands").glob("*.md"))]
# The forms of a command, in their order, and what an answer may be.
FORMS = {"sh": "curl", "lua net.box": "net.box", "lua console": "console"}
ANSWERS = ("json answer", "json error", "ndjson answer", "text answer")
SECRETS = {"AUTHKV_ADMIN_PASSWORD": harness.ADMIN_PASSWORD, "AUTHKV_CLIENT_PASSWORD": harness.CLIENT_PASSWORD}


@dataclass
class Example:
    """Forms of a command that have one answer, or need only succeed."""

    line: int
    blocks: dict[str, str] = field(default_factory=dict)
    answer: tuple[str, str] | None = None


def examples(page: Path) -> list[Example]:
    found: list[Example] = []
    for block in blocks(page.read_text()):
        kind, code, line = block.kind, block.code, block.line
        if kind in FORMS:
            if not found or found[-1].answer or kind in found[-1].blocks:
                found.append(Example(line))
            found[-1].blocks[kind] = code
            assert list(found[-1].blocks) == [form for form in FORMS if form in found[-1].blocks], f"{page}:{line}: the order"
        elif kind in ANSWERS:
            assert found and not found[-1].answer, f"{page}:{line}: an answer to nothing"
            found[-1].answer = kind, code
        else:
            assert kind == "", f"{page}:{line}: what is ```{kind}?"
    return found


@dataclass
class Output:
    """What curl gave."""

    status: int
    text: str
    errors: str

    def is_good(self) -> bool:
        return self.status == 0 and "about:blank" not in self.text

    def answers(self, kind: str, expected: str) -> bool:
        match kind:
            case "json answer":
                return matches(from_json(expected), json.loads(self.text), ordered=True)
            case "json error":
                told, problem = from_json(expected), json.loads(self.text)
                whole = {"type", "title", "status", *told} <= problem.keys()
                return whole and matches(told, {name: problem[name] for name in told}, ordered=True)
        lines, seen = expected.splitlines(), self.text.rstrip("\n").splitlines()
        if kind == "ndjson answer":
            lines, seen = [*map(from_json, lines)], [*map(json.loads, seen)]
        return matches(lines, seen, ordered=True)


@dataclass
class Returned:
    """What a block of Lua gave, or the message of its failure."""

    ok: bool
    value: object = None

    def is_good(self) -> bool:
        return self.ok

    def answers(self, kind: str, expected: str) -> bool:
        match kind:
            case "json answer":
                return self.ok and matches(from_json(expected), self.value, ordered=False)
            case "json error":
                told = from_json(expected)
                return not self.ok and is_like(f"{told['code']}: {told['detail']}", self.value)
            case "text answer":
                return self.ok and is_like(expected.rstrip("\n"), self.value)
        return False


def unpack(line: str) -> Returned:
    return Returned(*msgpack.unpackb(bytes.fromhex(line)))


def by_curl(blocks: list[str], instance: harness.Instance, directory: Path) -> list[Output]:
    """All blocks in one shell; their output in files, so that nothing is mixed up."""
    script = "".join(f"{{\n{block}}} >{n}.out 2>{n}.err </dev/null\necho $? >{n}.status\n" for n, block in enumerate(blocks))
    subprocess.run(
        ["bash", "-o", "pipefail"], input=script, text=True, cwd=directory, env=os.environ | SECRETS, timeout=harness.DEADLINE, check=True
    )
    read = [[(directory / f"{n}.{what}").read_text() for what in ("status", "out", "err")] for n in range(len(blocks))]
    return [Output(int(status), out, err) for status, out, err in read]


def by_net_box(blocks: list[str], instance: harness.Instance, directory: Path) -> list[Returned]:
    done = subprocess.run(
        ["tarantool", str(harness.ROOT / "test" / "documentation" / "page.lua"), "--read"],
        input="".join(f"{block.encode().hex()}\n" for block in blocks),
        text=True,
        capture_output=True,
        cwd=directory,
        env=os.environ | SECRETS,
        timeout=harness.DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done
    return [*map(unpack, done.stdout.splitlines())]


def by_console(blocks: list[str], instance: harness.Instance, directory: Path) -> list[Returned]:
    console = ConsoleTransport(instance)
    run = f"return 'mp' .. dofile({lua(str(harness.ROOT / 'test' / 'documentation' / 'page.lua'))})"
    results = [unpack(console.evaluate(f"{run}({lua(block)})")[0].removeprefix("mp")) for block in blocks]
    console.close()
    return results


RUN = {"sh": by_curl, "lua net.box": by_net_box, "lua console": by_console}


@pytest.mark.parametrize("form", FORMS, ids=FORMS.values())
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_examples_of_a_page_work(page, form, make, tmp_path):
    first, *rest = examples(INDEX)
    steps = [first, *(rest if page == INDEX else examples(page))]
    steps = [step for step in steps if form in step.blocks]
    # Keys of EdDSA are made at once, where RSA takes seconds.
    instance = make(**harness.CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="EdDSA").start()
    own = {
        "127.0.0.1:8080": f"127.0.0.1:{instance.http_port}",
        "127.0.0.1:3301": f"127.0.0.1:{instance.iproto_port}",
        "/tmp/": f"{tmp_path}/",
    }
    commands = [replaced(step.blocks[form], own) for step in steps]
    results = RUN[form](commands, instance, tmp_path)
    assert len(results) == len(steps)
    wrong = []
    for step, result in zip(steps, results, strict=True):
        try:
            good = result.answers(*step.answer) if step.answer else result.is_good()
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            good = False
        if not good:
            expected = step.answer[1] if step.answer else "no failure\n"
            wrong.append(f"{page}:{step.line}\n{step.blocks[form]}should give\n{expected}and gave\n{result}\n")
    assert not wrong, f"{len(wrong)} of {len(steps)}:\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", v1.OPERATIONS)
def test_each_command_has_an_example_in_each_form(name):
    operation = v1.OPERATIONS[name]
    found = [example for page in PAGES for example in examples(page)]
    path = re.sub(r"\\{\w+\\}", r"[^/? ]+", re.escape(operation.path))
    where = r"authkv\.(as\(\w+\)\.)?" + re.escape(operation.lua)
    for form, pattern in {
        "sh": rf"127\.0\.0\.1:8080{path}[?'\" \n]",
        "lua net.box": rf"'authkv\.{name}'",
        "lua console": rf"\b{where}[({{]",
    }.items():
        assert any(re.search(pattern, example.blocks.get(form, "")) for example in found), f"no {FORMS[form]} form of {name}"


def anchors(page: Path) -> set[str]:
    """Where a link can lead within a page, as GitHub names it."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page",
    [*harness.ROOT.glob("*.md"), *DOCUMENTATION.glob("**/*.md")],
    ids=lambda page: str(page.relative_to(harness.ROOT)),
)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page}: {link}"
            assert not anchor or anchor in anchors(target), f"{page}: {link}"
