"""Pages in Russian say what the English ones say: the same headings, tables and blocks of code."""

from __future__ import annotations

import re

import pytest

from support import harness
from support.blocks import blocks

PAGES = {"README.md": "README.ru.md", "documentation/tutorial.md": "documentation/tutorial.ru.md"}
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# How comments begin in the languages of the blocks. In a console, and in strings of other languages, this is no comment.
COMMENTS = {"python": r"#(?= ).*", "lua": r"--(?= ).*", "html": r"//(?= ).*", "sh": r"^#(?= ).*"}


def read(name: str) -> str:
    return (harness.ROOT / name).read_text()


def headings(text: str) -> list[int]:
    """The level of each."""
    return [len(mark) for mark in re.findall(r"^(#+) ", FENCED.sub("", text), re.MULTILINE)]


def codes(cell: str) -> list[str]:
    """The spans of code in a cell, in any order; placeholders are translated."""
    return sorted(re.sub(r"<[^>]*>", "<…>", one or two) for one, two in re.findall(r"``(.+?)``(?!`)|`([^`]+)`", cell))


def tables(text: str) -> list[list[list[list[str]]]]:
    """For each table its rows, for each row its cells, for each cell its code."""
    found = re.findall(r"^((?:\|.*\n)+)", FENCED.sub("", text) + "\n", re.MULTILINE)
    return [[[codes(cell) for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in table.splitlines()] for table in found]


def code(text: str) -> list[tuple[str, str]]:
    """Each block with its kind, without comments and with placeholders for what is translated."""
    found = []
    for block in blocks(text):
        comment = COMMENTS.get(block.kind.partition(" ")[0])
        plain = re.sub(comment, "", block.code, flags=re.MULTILINE) if comment else block.code
        found.append((block.kind, plain))
    return found


@pytest.mark.parametrize("english", PAGES)
@pytest.mark.parametrize("part", [headings, tables, code])
def test_a_translation_has_what_the_english_page_has(english, part):
    original, translated = part(read(english)), part(read(PAGES[english]))
    assert len(original) == len(translated) and original
    wrong = [(one, other) for one, other in zip(original, translated, strict=True) if one != other]
    assert not wrong


def test_a_difference_is_seen():
    text = "# A\n\n| `a` | b |\n|---|---|\n| c | `<d>` |\n\n```sh\n# a comment\nls\n```\n"
    same = "# Б\n\n| `a` | б |\n|---|---|\n| в | `<д>` |\n\n```sh\n# замечание\nls\n```\n"
    for part in (headings, tables, code):
        assert part(text) == part(same)
    for part, other in ((headings, "## Б"), (tables, "`b`"), (code, "ls -l")):
        assert part(text) != part(same.replace({headings: "# Б", tables: "`a`", code: "ls"}[part], other))


@pytest.mark.parametrize("english, russian", PAGES.items())
def test_the_two_pages_name_each_other(english, russian):
    for page, other in ((english, russian), (russian, english)):
        assert f"]({other.rpartition('/')[2]})" in read(page)
