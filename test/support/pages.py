"""Examples in pages of the documentation: documentation/api-v1.md says how they are written."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from support import harness
from support.blocks import blocks, from_json, matches, replaced

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


def examples(page: str | Path, text: str | None = None) -> list[Example]:
    """The examples of a page, or of a part of it."""
    found: list[Example] = []
    for block in blocks(page.read_text() if text is None else text):
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


def by_curl(blocks: list[str], instance: harness.Instance, directory: Path) -> list[Output]:
    """All blocks in one shell; their output in files, so that nothing is mixed up."""
    script = "".join(f"{{\n{block}}} >{n}.out 2>{n}.err </dev/null\necho $? >{n}.status\n" for n, block in enumerate(blocks))
    subprocess.run(
        ["bash", "-o", "pipefail"], input=script, text=True, cwd=directory, env=os.environ | SECRETS, timeout=harness.DEADLINE, check=True
    )
    read = [[(directory / f"{n}.{what}").read_text() for what in ("status", "out", "err")] for n in range(len(blocks))]
    return [Output(int(status), out, err) for status, out, err in read]


def at(instance: harness.Instance, directory: Path, block: str) -> str:
    """A block for this instance, with files in this directory."""
    own = {
        "127.0.0.1:8080": f"127.0.0.1:{instance.http_port}",
        "127.0.0.1:3301": f"127.0.0.1:{instance.iproto_port}",
        "/tmp/": f"{directory}/",
    }
    return replaced(block, own)


def assert_answers(page, steps: list[Example], form: str, results: list) -> None:
    """Each step has given its answer, or has not failed."""
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
