"""The examples of the documentation: documentation/api-v1.md says how they are written and what they begin with.

Each page is run three times, once in each form, from its beginning to its end on an instance of its own.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgpack
import pytest

from support import harness, v1
from support.blocks import from_json, is_like, matches
from support.lua import lua
from support.pages import FORMS, SECRETS, assert_answers, at, by_curl, examples
from support.transports import ConsoleTransport

DOCUMENTATION = harness.ROOT / "documentation"
INDEX = DOCUMENTATION / "api-v1.md"
PAGES = [INDEX, *sorted((DOCUMENTATION / "commands").glob("*.md"))]


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
    results = RUN[form]([at(instance, tmp_path, step.blocks[form]) for step in steps], instance, tmp_path)
    assert_answers(page, steps, form, results)


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
