"""The threat model and the tables of standards: each statement names tests, which exist; and the tests of what nothing else looks at."""

from __future__ import annotations

import ast
import re
import stat
from pathlib import Path

import pytest

from support.contract import GOOD
from support.harness import ADMIN_PASSWORD, CHEAP_HASHES, ROOT
from support.outcome import Ok, Refused, assert_outcome
from support.people import PASSWORD, permission
from support.transports import ConsoleTransport, HttpTransport

MODEL = ROOT / "documentation" / "threat-model.md"
NAMED = re.compile(r"`(test_\w+)::(test_\w+)`")
# The pages that have such tables.
STANDARDS = ("standards.md", "issuers.md")
# What they are, and what there is not.
WITHOUT_TESTS = {"Assets"}


@pytest.fixture(scope="module")
def settings() -> dict:
    return CHEAP_HASHES


def defined_in(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def statements() -> list[str]:
    """Rows of tables, items of lists and paragraphs, without their titles and heads."""
    found, section = [], ""
    for block in MODEL.read_text().split("\n\n"):
        if block.startswith("#"):
            section = block.splitlines()[0].lstrip("# ")
            continue
        if section in WITHOUT_TESTS:
            continue
        if block.startswith("|"):
            found += block.splitlines()[2:]
        elif block.startswith("- "):
            found += re.split(r"\n(?=- )", block)
        elif not block.rstrip().endswith(":"):
            found.append(block)
    return found


def test_every_statement_names_a_test_or_says_that_it_is_outside():
    said = statements()
    assert len(said) > 60
    # The first paragraphs say what the page is.
    without = [one for one in said[2:] if not NAMED.search(one) and "*Outside*" not in one]
    assert not without, without


@pytest.mark.parametrize("page", sorted({*ROOT.glob("documentation/**/*.md"), *ROOT.glob("*.md")}), ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page):
    for file, name in NAMED.findall(page.read_text()):
        (path,) = ROOT.glob(f"test/*/{file}.py")
        assert name in defined_in(path), f"{file}::{name}"


def rules() -> list[tuple[str, str]]:
    """The rows of the tables of standards: page and text."""
    found = []
    for page in STANDARDS:
        text = (ROOT / "documentation" / page).read_text() + "\n"
        for table in re.findall(r"^\| section \| rule \| test \|\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE):
            found += [(page, row) for row in table.splitlines()]
    return found


def test_every_rule_of_a_standard_names_a_test_or_says_why_it_has_none():
    said = [row for _, row in rules()]
    for standard in ("RFC 6750", "RFC 7519", "RFC 7662", "RFC 8725", "RFC 9068", "RFC 9700", "OpenID Connect Core §3.1.3.7"):
        assert any(row.startswith(f"| {standard}") for row in said), standard
    without = [row for row in said if not re.search(r"`test_\w+::|rows? `|unit test `", row.split(" | ")[-1])]
    # What is the client's to check, what is only recommended, what is of OAuth, and where authkv makes no such tokens.
    assert [row for row in without if not row.endswith(" – |")] == []
    assert len(without) == 4


@pytest.mark.parametrize("page", STANDARDS)
def test_every_row_and_unit_test_that_a_rule_names_exists(page):
    tests = "".join(path.read_text() for path in (ROOT / "test").glob("*/*.py") if path != Path(__file__))
    units = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
    cells = [row.split(" | ")[-1] for of, row in rules() if of == page]
    for cell in cells:
        for name in re.findall(r"(?<!:)`(\w+…?)`", re.sub(r"unit test `\w+`", "", cell)):
            # A name is a text of the table of cases, or begins one.
            assert (f'"{name[:-1]}' if name.endswith("…") else f'"{name}"') in tests, name
        for name in re.findall(r"unit test `(\w+)`", cell):
            assert f"fn {name}()" in units, name


def test_by_default_only_this_host_is_served(instance):
    console = ConsoleTransport(instance)
    (rows,) = console.evaluate("return authkv.settings()")
    defaults = {row[0]: row[1] for row in rows}
    assert defaults["HTTP_LISTEN"] == "127.0.0.1:8080" and defaults["IPROTO_LISTEN"] == "127.0.0.1:3301"
    console.close()


def test_who_may_write_may_overwrite_and_delete_under_v1_only(people):
    token = people.new().access
    http = HttpTransport(people.instance)
    assert http.put(token, {"mine": 1}) == Ok([])
    assert http.put(token, {"mine": 2}) == Ok(["mine"])
    assert http.get(token, ["mine"]) == Ok({"mine": 1})
    for transport in ("http", "iproto"):
        assert people.do(transport, "pair_put", token, "mine", transport).value["created"] is False
        assert http.get(token, ["mine"]) == Ok({"mine": transport})
    assert people.do("http", "pair_delete", token, "mine").value["deleted"] is True
    http.close()


def test_who_only_writes_learns_which_keys_exist(people):
    person = people.new()
    people.administer("role_set", "writers", [permission("w/", write=True)])
    people.administer("role_set", "default", [])
    people.administer("role_grant", person.login, "writers")
    try:
        http = HttpTransport(people.instance)
        assert http.put(person.access, {"w/a": 1}) == Ok([])
        assert http.put(person.access, {"w/a": 2, "w/b": 2}) == Ok(["w/a"])
        assert_outcome(http, http.get(person.access, ["w/a"]), Refused("forbidden"))
        http.close()
    finally:
        people.administer("role_set", "default", [permission("", True, True)])


def test_a_login_that_was_deleted_leaves_its_keys_to_the_next(people):
    person = people.new()
    key = f"users/{person.login}/a"
    people.administer("role_set", "default", [permission("users/{login}/", True, True)])
    try:
        assert people.http.put(person.access, {key: 1}) == Ok([])
        people.administer("user_delete", person.login)
        assert people.http.register(person.login, person.password, "Bob", "Stone") == Ok()
        again = people.http.login(person.login, person.password).value
        assert people.http.get(again, [key]) == Ok({key: 1})
    finally:
        people.administer("role_set", "default", [permission("", True, True)])


def test_no_answer_to_an_administrator_has_a_password_or_a_hash(people):
    person = people.new()
    answers = [
        people.administer("user_list", {"limit": 100}),
        people.administer("user_get", person.login),
        people.administer("user_set_password", person.login, "An0ther-Battery"),
        people.administer("user_disable", person.login),
        people.administer("key_list"),
        people.administer("server_metrics"),
    ]
    shown = repr(answers)
    assert person.login in shown
    for secret in ("argon2", PASSWORD, "An0ther-Battery", ADMIN_PASSWORD, "PRIVATE"):
        assert secret not in shown


def test_one_administrator_is_enough_for_anything(people):
    person, other = people.new(), people.new()
    people.administer("user_set_password", person.login, "Chosen-by-0ther")
    assert isinstance(people.do("http", "session_login", person.login, "Chosen-by-0ther"), Ok)
    people.administer("role_grant", other.login, "admin")
    assert isinstance(people.do("http", "user_list", other.access, {"limit": 1}), Ok)


def test_hashes_cost_what_owasp_names_by_default(make):
    instance = make().start()
    http, console = HttpTransport(instance), ConsoleTransport(instance)
    assert http.register("someone", GOOD, "Some", "Body") == Ok()
    (hash_,) = console.evaluate("return box.space.user:get('someone')[2]")
    assert hash_.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    http.close()
    console.close()


def test_the_log_of_writes_has_hashes_and_values(people):
    person = people.new()
    console = ConsoleTransport(people.instance)
    read = f"return box.space.user:get('{person.login}')[2]"
    (before,) = console.evaluate(read)
    people.administer("user_set_password", person.login, "An0ther-Battery")
    (after,) = console.evaluate(read)
    assert people.do("http", "session_login", person.login, "An0ther-Battery").value
    http = HttpTransport(people.instance)
    token = http.login(person.login, "An0ther-Battery").value
    assert http.put(token, {"in_plain": "the value 5fc2"}) == Ok([])
    written = b"".join(file.read_bytes() for file in people.instance.data_dir.glob("*.xlog"))
    for text in (before, after, "the value 5fc2"):
        assert text.encode() in written
    http.close()
    console.close()


def test_what_was_typed_as_a_login_is_kept_as_a_digest(people):
    http, console = HttpTransport(people.instance), ConsoleTransport(people.instance)
    http.login("My0wnPassw0rd", GOOD)
    shown = str(console.evaluate("return box.space.authkv_login_attempt:select{}"))
    assert "login " in shown and "My0wnPassw0rd" not in shown
    http.close()
    console.close()


def test_a_unix_socket_of_http_is_for_its_group(make, tmp_path):
    path = tmp_path / "http.sock"
    make(AUTHKV_HTTP_LISTEN=f"unix:{path}", **CHEAP_HASHES).start()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_the_container_has_no_rights_it_does_not_need():
    compose, image = (ROOT / "docker-compose.yml").read_text(), (ROOT / "Dockerfile").read_text()
    assert "cap_drop: [ALL]" in compose and '"no-new-privileges:true"' in compose and "read_only: true" in compose
    users = re.findall(r"^USER\s+(\S+)", image, re.MULTILINE)
    assert users and users[-1].split(":")[0] not in ("0", "root")
    # What is copied belongs to root.
    assert "--chown" not in image


def test_the_environment_of_the_process_keeps_its_secrets(instance):
    console = ConsoleTransport(instance)
    assert console.evaluate("return os.getenv('AUTHKV_ADMIN_PASSWORD')") == [ADMIN_PASSWORD]
    console.close()


def test_the_build_script_downloads_nothing():
    script, manifest = (ROOT / "build.rs").read_text(), (ROOT / "Cargo.toml").read_text()
    needs = re.search(r"\[build-dependencies\]\n((?:.+\n)*)", manifest)[1]
    assert re.findall(r"^([\w-]+) =", needs, re.MULTILINE) == ["utoipa-swagger-ui-vendored", "zip"]
    assert not re.search(r"Command|TcpStream|curl|https?://", script)
