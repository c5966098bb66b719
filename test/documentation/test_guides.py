"""The set-ups of documentation/permissions.md and the recipes of documentation/recipes.md: each section runs on an instance of its own."""

from __future__ import annotations

import re

import pytest

from support import harness
from support.pages import assert_answers, at, by_curl, examples

PAGES = {name: harness.ROOT / f"documentation/{name}.md" for name in ("permissions", "recipes")}
FIRST = re.compile(r"^```sh first\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def sections(name: str) -> dict[str, str]:
    """The sections of a page, by their titles, with the commands that all of them need."""
    text = PAGES[name].read_text()
    [first] = FIRST.findall(text)
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return {part.partition("\n")[0]: f"```sh\n{first}```\n{part}" for part in parts}


SECTIONS = [(page, title) for page in PAGES for title in sections(page)]


@pytest.mark.parametrize("page,title", SECTIONS, ids=[f"{page}-{title.replace(' ', '_')}" for page, title in SECTIONS])
def test_a_section_works(page, title, make, tmp_path):
    instance = make(**harness.CHEAP_HASHES, AUTHKV_TOKEN_ALGORITHM="EdDSA").start()
    steps = examples(f"{page}.md, {title}", sections(page)[title])
    assert sum(step.answer is not None for step in steps) >= 3, "a section shows what it does, and what is refused"
    results = by_curl([at(instance, tmp_path, step.blocks["sh"]) for step in steps], instance, tmp_path)
    assert_answers(f"{page}.md, {title}", steps, "sh", results)


def test_there_are_five_set_ups_and_four_recipes():
    assert [sum(of == page for of, _ in SECTIONS) for page in PAGES] == [5, 4]


@pytest.mark.parametrize("title", sections("recipes"))
def test_a_recipe_says_what_it_promises_and_what_not(title):
    text = sections("recipes")[title]
    assert "**Promises**:" in text and "**Does not promise**:" in text
