"""The commands of documentation/backup.md: those that make and check back-ups, then the steps of a restore."""

from __future__ import annotations

import re
import subprocess

from support import harness
from support.backups import MANIFEST, QUICK
from support.blocks import blocks, replaced, run
from support.outcome import Ok
from support.people import People

PAGE = harness.ROOT / "documentation" / "backup.md"


def test_the_commands_of_the_page_make_check_and_restore_a_back_up(make, tmp_path):
    instance = make(keys=False, **QUICK).start()
    own = {"./var": instance.data_dir, "/var/backups/authkv": tmp_path / "backups", "/mnt/elsewhere": tmp_path / "elsewhere"}

    people = People(instance)
    person = people.new()
    revision = people.expect("http", Ok({"key": "k", "revision": 2, "created": True}), "pair_put", person.access, "k", 1)["revision"]
    made, restore, _ = re.split(r"^## Restore\n|^## What a restore ends\n", PAGE.read_text(), flags=re.MULTILINE)
    (tmp_path / "elsewhere").mkdir()
    assert len(blocks(made, "sh")) == 4 and len(blocks(restore, "sh")) == 2
    for block in blocks(made, "sh"):
        run(replaced(block.code, own))
    assert len([*(tmp_path / "backups").iterdir()]) == 3
    people.close()
    instance.stop()
    for block in blocks(restore, "sh"):
        run(replaced(block.code, own))
    assert (instance.data_dir / MANIFEST).exists()
    instance.start()
    lost = f"{instance.data_dir}.lost"
    people = People(instance)
    assert people.do("http", "check", person.access) == Ok(False)
    session = people.do("http", "session_login", person.login, person.password).value["access_token"]
    assert people.do("http", "pair_put", session, "k", 2).value["revision"] > revision
    people.close()
    subprocess.run(["rm", "-r", lost], check=True)
