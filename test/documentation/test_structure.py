"""`documentation/structure.md` names what there is, and nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.harness import ROOT

PAGE = (ROOT / "documentation" / "structure.md").read_text()
TRACKED = [
    Path(name)
    for name in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    if name
]
# Folders whose parts the page names, and those parts that it names in another way.
NAMED_BY_PARTS = {
    "src": {"crates"},
    "src/crates": set(),
    "tarantool_infra": {"layouts"},
    "test": {"conftest.py", "pytest.ini", "requirements.txt", "ruff.toml"},
}


def parts_of(folder: str) -> list[str]:
    depth = len(Path(folder).parts)
    return sorted({path.parts[depth] for path in TRACKED if path.parts[:depth] == Path(folder).parts and len(path.parts) > depth})


def is_named(part: str, page: str = PAGE) -> bool:
    """As a word of code, with or without the slash of a folder."""
    return re.search(rf"(?<![\w.-]){re.escape(part)}/?(?![\w-]|\.\w)", page) is not None


def test_every_file_and_folder_at_the_top_is_named():
    tree = PAGE.partition("```\n")[2].partition("```")[0]
    missing = [part for part in parts_of("") if not is_named(part, tree)]
    assert not missing


@pytest.mark.parametrize("folder", NAMED_BY_PARTS)
def test_every_part_of_a_folder_is_named(folder):
    missing = [part for part in parts_of(folder) if part not in NAMED_BY_PARTS[folder] and not is_named(part)]
    assert not missing


def test_what_is_named_exists():
    """Files with the ending of a source, wherever they are."""
    names = {path.name for path in TRACKED}
    named = set(re.findall(r"`(?:[\w/-]+/)?([\w-]+\.(?:rs|lua|py|toml))`", PAGE))
    assert len(named) > 60
    assert not named - names


@pytest.mark.parametrize(
    "page", ["CONTRIBUTING.md", "SECURITY.md", "README.md", "documentation/architecture.md", "documentation/structure.md"]
)
def test_every_path_that_a_page_names_exists(page):
    text = (ROOT / page).read_text()
    paths = set(re.findall(r"`((?:src|test|tarantool_infra|documentation|postman_tests)/[\w./-]+)`", text))
    tracked = {str(path) for path in TRACKED} | {str(folder) for path in TRACKED for folder in path.parents}
    assert not {path for path in paths if path.rstrip("/") not in tracked}


def test_a_part_that_is_missing_would_be_seen():
    assert not is_named("nothing.rs") and is_named("lib.rs") and not is_named("ib.rs") and not is_named("lib")


def test_the_image_builds_the_dependencies_of_every_crate():
    """Each manifest is copied before the sources: without one, the layer of dependencies cannot be built."""
    image = (ROOT / "Dockerfile").read_text()
    crates = [path.parent.relative_to(ROOT) for path in (ROOT / "src/crates").glob("*/Cargo.toml")]
    assert crates and [f"{crate}" for crate in crates if f"COPY {crate}/Cargo.toml {crate}/\n" not in image] == []
