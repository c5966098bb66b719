"""`check-layers` on small made-up trees: each rule is broken in each way of writing an import, and seen; a clean tree passes."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = next(folder / "check-layers" for folder in Path(__file__).parents if (folder / "check-layers").is_file())
check = runpy.run_path(str(PROGRAM))["check"]

# A library whose parts keep the order, and a crate below it.
CLEAN = {
    "src/lib.rs": "mod auth; mod http; mod kv; mod procs; mod storage; mod tx;",
    "src/auth.rs": "use crate::storage::Users; pub struct Login;",
    "src/storage/mod.rs": "mod users; pub use users::Users; pub struct Row;",
    "src/storage/users.rs": "use super::Row; use crate::tx::Space; pub struct Users(Space, Row);",
    "src/tx.rs": "use authkv_base::error::Error; pub struct Space;",
    "src/kv/mod.rs": "mod read; mod write; pub use read::Read; pub struct Pair;",
    "src/kv/read.rs": "use super::write::Write; pub struct Read;",
    "src/kv/write.rs": "use super::Pair; pub struct Write;",
    "src/http/mod.rs": "pub mod routes; pub use routes::find; pub struct Page; pub trait Answer {} use crate::kv::Read;",
    "src/http/routes.rs": "pub fn find() {} #[macro_export] macro_rules! answer { () => {} }",
    "src/procs.rs": "use crate::{http::Page, kv};",
    "src/crates/base/lib.rs": "pub mod clock; pub mod error; pub mod guard; pub use clock::now;",
    "src/crates/base/clock.rs": "pub fn now() {}",
    "src/crates/base/error.rs": "pub enum Error { Internal }",
    "src/crates/base/guard.rs": "use crate::error::Error;",
    "src/crates/codec/lib.rs": "mod json; mod check; pub use json::Json;",
    "src/crates/codec/json.rs": "use crate::check::Checked; pub struct Json;",
    "src/crates/codec/check.rs": "use authkv_base::error::Error; pub struct Checked;",
    "src/crates/domain/lib.rs": "use authkv_base::error::Error; use authkv_codec::Json; pub struct Key;",
    "tarantool_infra/facade.lua": "-- os.getenv is for init.lua\nlocal now = os.time()",
}


def broken(root: Path, changes: dict[str, str]) -> list[str]:
    """What the program says of the clean tree with some files changed."""
    for name, text in (CLEAN | changes).items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return check(root)


def only_line(root: Path, changes: dict[str, str]) -> str:
    """What the program says of a tree that breaks one rule once. A circle that follows from it is another matter."""
    lines = [line for line in broken(root, changes) if "a circle" not in line]
    assert len(lines) == 1, lines
    return lines[0]


def test_a_clean_tree_passes(tmp_path):
    assert broken(tmp_path, {}) == []


# Ways in which src/kv/read.rs can import `http`.
WAYS = {
    "plain": "use crate::http::routes;",
    "grouped": "use crate::{tx::Space, http::{self, routes::{find}}};",
    "grouped from the start": "use {std::fmt, crate::{http::Page}};",
    "super": "use super::super::http::routes::find;",
    "self": "use self::super::super::http::routes;",
    "renamed": "use crate::http as web;",
    "renamed to nothing": "use crate::http::Answer as _;",
    "renamed in a group": "use crate::{http::{routes as paths}};",
    "re-exported": "pub use crate::http::routes::find;",
    "re-exported in the crate": "pub(crate) use crate::http::routes::find;",
    "glob": "use crate::http::*;",
    "in an expression": "fn f() -> u8 { 1 + crate::http::routes::find() }",
    "in a return": "fn f() -> u8 { return crate::http::routes::find() }",
    "in a range": "fn f() { for _ in 0..crate::http::LIMIT {} }",
    "in a type": "fn f(page: Option<&'static crate::http::Page>) {}",
    "in a turbofish": "fn f() { Vec::<crate::http::Page>::new(); }",
    "in an implementation": "impl crate::http::Answer for Read {}",
    "in a qualified path": "fn f() { <Read as crate::http::Answer>::answer() }",
    "in a pattern": "fn f(page: u8) { match page { crate::http::LIMIT => {} _ => {} } }",
    "in a field": "struct S(pub (crate::http::Page, u8));",
    "in a visible field": "struct S { pub(in crate::kv) page: crate::http::Page }",
    "in a macro": 'fn f() { println!("{}", crate::http::routes::find()) }',
    "in the body of a macro": "macro_rules! m { ($x:expr) => { $crate::http::routes::find($x) } }",
    "a macro": "fn f() { crate::answer!() }",
    "in a function": "fn f() { use crate::http::routes::find; find() }",
    "in a block of a function": "fn f() { if true { use super::super::http; http::find() } }",
    "in a module of the file": "mod inner { use super::super::super::http::routes; }",
    "in an attribute": "#[derive(crate::http::Shown)] struct S;",
    "in a string of an attribute": '#[serde(with = "crate::http::routes")] struct S;',
    "a raw name": "use crate::r#http::routes;",
    "with comments in it": "use crate /* by a */ :: /* /* nested */ comment */ http::routes;",
    "after a nested comment": "/* /* */ */ use crate::http::routes;",
    "after quotes": """fn f<'a>(x: &'a str) { let q = '"'; crate::http::routes::find(); let r = b'"'; }""",
    "after a raw string": """fn f() { let q = r#"a " b"#; crate::http::routes::find(); let r = "\\""; }""",
    "after tests": "#[cfg(test)] mod tests { fn f() {} } use crate::http::routes;",
    "after an import of tests": "#[cfg(test)] use crate::{procs, http}; use crate::http::routes;",
    "in what is not for tests": "#[cfg(not(test))] use crate::http::routes;",
    "in what may be for tests": "#[cfg(any(test, unix))] use crate::http::routes;",
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_an_upward_import_is_seen_in_each_way_of_writing_it(tmp_path, code):
    line = only_line(tmp_path, {"src/kv/read.rs": f"pub struct Read;\n\n{code}"})
    assert line.startswith("src/kv/read.rs:3: kv imports http (")
    assert line.endswith(": http comes after kv in the order")


@pytest.mark.parametrize(
    "code",
    [
        "use crate as all; fn f() { all::http::routes::find() }",
        "use super::{super::{self as up}}; fn f(page: up::http::Page) {}",
        "use crate::*; fn f() { http::routes::find() }",
    ],
)
def test_an_import_by_the_root_is_one_of_the_root_too(tmp_path, code):
    lines = [line for line in broken(tmp_path, {"src/kv/read.rs": f"pub struct Read; {code}"}) if "a circle" not in line]
    assert [line.split(" (")[0] for line in lines] == ["src/kv/read.rs:1: kv imports lib", "src/kv/read.rs:1: kv imports http"]


def test_the_line_of_an_import_is_that_of_its_place_in_a_group(tmp_path):
    code = 'const TEXT: &str = "\n";\nuse crate::{\n    tx::Space,\n    http::Page,\n};\npub struct Read;'
    assert only_line(tmp_path, {"src/kv/read.rs": code}).startswith("src/kv/read.rs:5: kv imports http (crate::http::Page)")


def test_two_imports_on_two_lines_are_two_lines(tmp_path):
    lines = broken(tmp_path, {"src/kv/write.rs": "use crate::http::Page;\nuse crate::procs::start;\npub struct Write;"})
    assert [line.split(":")[1] for line in lines if "a circle" not in line] == ["1", "2"]


def test_a_name_that_was_imported_is_reported_once(tmp_path):
    code = "pub struct Read;\nuse crate::http::Page;\nfn f() { Page::new(); Page::find() }"
    assert only_line(tmp_path, {"src/kv/read.rs": code}).startswith("src/kv/read.rs:2:")


# What names `http` nowhere, or only for tests.
NO_IMPORTS = {
    "comment": "// use crate::http::routes;",
    "comment of a module": "//! See [`crate::http::routes`].",
    "block comment": "/* a /* b */ use crate::http::routes; */",
    "string": 'const A: &str = "use crate::http::routes;";',
    "string with a quote": 'const A: &str = "\\" crate::http::routes::find()";',
    "string of lines": 'const A: &str = "\n\\\ncrate::http::find()\n";',
    "raw string": 'const A: &str = r#"" crate::http::routes::find() ""#;',
    "bytes": 'const A: &[u8] = b"crate::http::find()"; const B: &[u8] = br##"crate::http::find()"##;',
    "visibility": "pub(in crate::kv) struct S; pub(crate) struct T; pub(super) struct U;",
    "field": "fn f(x: X) { x.http.routes; x.http::<u8>(); }",
    "another crate": "use other::http::routes; use other::crate_http;",
    "something of another crate's type": "fn f() { <X as Y>::http::routes(); Vec::<u8>::http(); }",
    "captured lifetimes": "fn f<'a>() -> impl Sized + use<'a> {}",
    "tests": "#[cfg(test)] mod tests { use super::*; use crate::http::routes; }",
    "tests of Unix": "#[cfg(all(test, unix))] #[allow(dead_code)] mod tests { use crate::http::routes; }",
    "an import for tests": "#[cfg(test)] use crate::{http::{routes}, procs};",
    "a public import for tests": "#[cfg(test)] pub(crate) use crate::http::{routes};",
    "a function for tests": "#[cfg(test)] fn f(a: u8, b: u8) -> [u8; 2] { crate::http::routes::find() }",
    "a field for tests": "struct S { #[cfg(test)] page: crate::http::Page, x: u8 }",
}


@pytest.mark.parametrize("code", NO_IMPORTS.values(), ids=NO_IMPORTS)
def test_what_is_no_import_passes(tmp_path, code):
    assert broken(tmp_path, {"src/kv/read.rs": f"pub struct Read;\n{code}"}) == []


def test_files_of_tests_may_import_more(tmp_path):
    changes = {
        "src/kv/read.rs": 'pub struct Read; #[cfg(test)] mod tests; #[cfg(test)] #[path = "other.rs"] mod other;',
        "src/kv/read/tests.rs": "mod deeper; use crate::http::routes;",
        "src/kv/read/tests/deeper.rs": "use crate::procs::start;",
        "src/kv/other.rs": "use crate::http::routes;",
    }
    assert broken(tmp_path, changes) == []


def test_a_module_at_a_path_of_its_own_is_read(tmp_path):
    changes = {"src/kv/read.rs": 'pub struct Read; #[path = "odd.rs"] mod even;', "src/kv/odd.rs": "use crate::http::Page;"}
    assert only_line(tmp_path, changes).startswith("src/kv/odd.rs:1: kv imports http")


# Ways in which the crate `codec` can import the crate `domain`.
CRATE_WAYS = {
    "plain": "use authkv_domain::Key;",
    "global": "use ::authkv_domain::Key;",
    "grouped": "use {std::fmt, authkv_domain::{self, Key}};",
    "global group": "use ::{std::fmt, authkv_domain::Key};",
    "renamed": "use authkv_domain as things;",
    "external": "extern crate authkv_domain;",
    "external and renamed": "extern crate authkv_domain as things; use things::Key;",
    "re-exported": "pub use authkv_domain::Key;",
    "in an expression": "fn f() -> u8 { authkv_domain::Key::new() }",
    "global in an expression": "fn f() -> u8 { return ::authkv_domain::Key::new() }",
    "in a type": "fn f(key: &mut authkv_domain::Key) {}",
    "in a function": "fn f() { use authkv_domain::*; }",
}


@pytest.mark.parametrize("code", CRATE_WAYS.values(), ids=CRATE_WAYS)
def test_a_crate_counts_as_a_part(tmp_path, code):
    line = only_line(tmp_path, {"src/crates/codec/check.rs": f"pub struct Checked;\n{code}"})
    assert line.startswith("src/crates/codec/check.rs:2: codec imports domain (")


def test_a_module_of_the_base_crate_is_a_part(tmp_path):
    for code in ("use authkv_base::clock::now;", "use authkv_base::now;", "fn f() { authkv_base::now() }"):
        line = only_line(tmp_path, {"src/crates/codec/check.rs": f"pub struct Checked; {code}"})
        assert line.startswith("src/crates/codec/check.rs:1: codec imports clock (")
        assert line.endswith("codec imports error only")


def test_what_a_crate_re_exports_of_another_is_an_import_of_both(tmp_path):
    changes = {
        "src/crates/wire/lib.rs": "pub use authkv_domain::Key; pub use hyper::Method;",
        "src/kv/read.rs": "pub struct Read;\nuse authkv_wire::Key;",
        "src/kv/write.rs": "pub struct Write;\nuse authkv_wire::Method;",
    }
    lines = [line.split(" (")[0] for line in broken(tmp_path, changes)]
    assert lines == ["src/kv/read.rs:2: kv imports wire", "src/kv/write.rs:2: kv imports wire"]


# A change of the clean tree that breaks a rule between parts once, and what is said of it.
PARTS = {
    "upward": ({"src/tx.rs": "use crate::storage::Users; pub struct Space;"}, "src/tx.rs:1: tx imports storage"),
    "same line": ({"src/kv/write.rs": "use crate::auth::Login; pub struct Write;"}, "kv and auth do not import each other"),
    "the root": ({"src/kv/write.rs": "fn f() { crate::start() } pub struct Write;"}, "src/kv/write.rs:1: kv imports lib (crate::start)"),
    "codec": ({"src/crates/codec/json.rs": "use authkv_base::clock; pub struct Json;"}, "codec imports error only"),
    "domain": ({"src/crates/domain/lib.rs": "use authkv_base::guard;"}, "domain imports codec, error only"),
    "tx": (
        {"src/tx.rs": "use authkv_codec::Json; pub struct Space;"},
        "tx imports command, config, error, guard, metrics, origin, prepare only",
    ),
    "storage": ({"src/storage/users.rs": "use authkv_base::guard; pub struct Users;"}, "storage imports clock, codec, "),
    "bulk": ({"src/lib.rs": f"{CLEAN['src/lib.rs']} mod bulk;", "src/bulk.rs": "use crate::kv::Read;"}, "bulk imports codec, command, "),
    "who imports storage": ({"src/http/routes.rs": "use crate::storage::Row; pub fn find() {}"}, "storage is imported by auth, kv, "),
}


@pytest.mark.parametrize("changes,said", PARTS.values(), ids=PARTS)
def test_each_rule_between_parts_is_checked(tmp_path, changes, said):
    assert said in only_line(tmp_path, changes)


def test_the_console_of_bulk_may_import_more(tmp_path):
    changes = {
        "src/lib.rs": f"{CLEAN['src/lib.rs']} mod bulk;",
        "src/bulk/mod.rs": "mod console;",
        "src/bulk/console.rs": "use crate::kv::Read;",
    }
    assert broken(tmp_path, changes) == []


def test_a_part_without_a_place_in_the_order_is_refused(tmp_path):
    line = only_line(tmp_path, {"src/lib.rs": f"{CLEAN['src/lib.rs']} mod helpers;", "src/helpers.rs": ""})
    assert line.startswith("src/helpers.rs:1: helpers has no place in the order")


def test_a_file_of_no_module_is_refused(tmp_path):
    assert only_line(tmp_path, {"src/kv/lost.rs": ""}) == "src/kv/lost.rs:1: no module declares this file"


# Ways in which a part that may not names what only some parts may, and what is said of it.
ONLY_WAYS = {
    "Tarantool": ("use tarantool::tuple::Tuple;", "the API of Tarantool"),
    "Tarantool in a group": ("use {std::fmt, tarantool::{tuple::Tuple}};", "the API of Tarantool"),
    "Tarantool renamed": ("use tarantool as db;", "the API of Tarantool"),
    "Tarantool in an expression": ("fn f() { ::tarantool::fiber::sleep(ONE) }", "the API of Tarantool"),
    "Tarantool in an attribute": ("#[tarantool::proc] fn f() {}", "the API of Tarantool"),
    "Tarantool in a test": ("#[cfg(test)] mod tests { use tarantool::tuple::Tuple; }", "the API of Tarantool"),
    "Lua": ("use tlua::LuaState;", "Lua"),
    "Lua in a type": ("fn f(lua: &tlua::LuaThread) {}", "Lua"),
    "thread": ("fn f() { std::thread::spawn(g); }", "a thread"),
    "thread in a group": ("use std::{fmt, thread::{self, Builder}};", "a thread"),
    "thread by its module": ("use std::thread; fn f() { thread::scope(g) }", "a thread"),
    "thread by its renamed module": ("use std::thread as t; fn f() { t::spawn(g) }", "a thread"),
    "thread by a glob": ("use std::thread::*;", "a thread"),
    "socket": ("use std::net::TcpListener;", "a socket"),
    "socket in a group": ("use tokio::net::{TcpStream as Stream};", "a socket"),
    "Unix socket": ("fn f() { std::os::unix::net::UnixListener::bind(P); }", "a socket"),
    "lock": ("use std::sync::{Arc, Mutex as Lock};", "a lock"),
    "lock by a glob": ("use std::sync::*; static A: RwLock<u8> = B;", "a lock"),
    "hyper": ("use hyper::Method;", "HTTP"),
    "hyper's companions": ("use {hyper_util::rt::TokioIo};", "HTTP"),
    "hyper in a macro": ("fn f() { m!(http_body_util::Full::new(A)) }", "HTTP"),
    "environment": ("fn f() { std::env::var(A); }", "the environment"),
    "environment by its module": ("use std::{env, fmt}; fn f() { env::var_os(A); }", "the environment"),
    "environment in a group": ("use std::env::{vars};", "the environment"),
    "environment by a glob": ("use std::env::*;", "the environment"),
    "included file": ('include!("other.rs");', "what hides imports"),
    "macros without a path": ("#[macro_use] mod macros {}", "what hides imports"),
}


@pytest.mark.parametrize("code,what", ONLY_WAYS.values(), ids=ONLY_WAYS)
def test_what_stands_in_some_parts_only_is_seen_elsewhere(tmp_path, code, what):
    line = only_line(tmp_path, {"src/auth.rs": f"pub struct Login;\n{code}"})
    assert line.startswith("src/auth.rs:2: auth names ")
    assert f": {what}" in line


# What may stand where it does.
ALLOWED = {
    "src/tx.rs": "use tarantool::fiber; use tlua::LuaState; pub struct Space; pub use tarantool::fiber::Cond;",
    "src/auth.rs": "use std::{env::args, thread::yield_now}; use crate::tx::Cond; fn f() { std::thread::yield_now() } // Mutex",
    "src/storage/users.rs": "use tarantool::tuple::Tuple; pub struct Users;",
    "src/http/routes.rs": 'use hyper::Method; use std::{sync::Mutex, thread}; pub fn find() { thread::spawn(f); } const A: &str = "tlua";',
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_stands_in_some_parts_only_passes_there(tmp_path, name):
    assert broken(tmp_path, {"src/tx.rs": ALLOWED["src/tx.rs"], name: ALLOWED[name]}) == []


@pytest.mark.parametrize("code", ["os.getenv('HOME')", "local o = os\no.environ()", "os['getenv']('HOME')"])
def test_the_lua_side_does_not_read_the_environment(tmp_path, code):
    line = only_line(tmp_path, {"tarantool_infra/facade.lua": f"--[[ a\n]] {code}"})
    assert line.startswith("tarantool_infra/facade.lua:") and line.endswith("only init.lua reads the environment")


# Ways in which src/kv/write.rs can import src/kv/read.rs, which imports it.
CIRCLE_WAYS = {
    "super": "use super::read::Read;",
    "crate": "use crate::kv::read::Read;",
    "grouped": "use {std::fmt, super::{read::{Read}}};",
    "renamed": "use super::read as other;",
    "in an expression": "fn f() { super::read::Read::new() }",
    "in a function": "fn f() { use super::super::kv::read; }",
    "by a re-export of the parent": "use super::Read;",
    "by a re-export of the parent, in an expression": "fn f() -> crate::kv::Read {}",
    "by a glob of the parent": "use super::*; fn f(read: Read) {}",
    "by a glob of the parent, with a path": "use super::*; fn f() { read::Read::new() }",
}


@pytest.mark.parametrize("code", CIRCLE_WAYS.values(), ids=CIRCLE_WAYS)
def test_a_circle_of_files_is_seen_in_each_way_of_writing_it(tmp_path, code):
    lines = broken(tmp_path, {"src/kv/write.rs": f"pub struct Write;\n{code}"})
    assert lines == [
        "src/kv/read.rs:1: a circle in src/kv: read -> write -> read: "
        "read imports write (src/kv/read.rs:1), write imports read (src/kv/write.rs:2)"
    ]


def circle_of(root: Path, changes: dict[str, str]) -> list[str]:
    lines = [line for line in broken(root, changes) if "a circle" in line]
    assert len(lines) == 1, lines
    return lines[0].split("a circle ")[1].split(": ")[:2]


def test_a_longer_circle_is_shown_whole(tmp_path):
    changes = {
        "src/kv/mod.rs": "mod a; mod b; mod c; mod d; pub struct Read; pub struct Pair;",
        "src/kv/a.rs": "use super::b::B; use super::d::D;",
        "src/kv/b.rs": "use super::c::C; use super::d::D;",
        "src/kv/c.rs": "use super::a::A; use super::d::D;",
        "src/kv/d.rs": "use crate::tx::Space;",
    }
    for name in ("read", "write"):
        (tmp_path / f"src/kv/{name}.rs").unlink(missing_ok=True)
    lines = [line for line in broken(tmp_path, changes) if "a circle" in line]
    assert len(lines) == 1
    assert "a circle in src/kv: a -> b -> c -> a: a imports b (src/kv/a.rs:1), b imports c (src/kv/b.rs:1), " in lines[0]


def test_a_circle_between_parts_is_shown(tmp_path):
    changes = {"src/storage/users.rs": "use crate::auth::Login; pub struct Users;"}
    assert circle_of(tmp_path, changes) == ["between parts", "auth -> storage -> auth"]


def test_a_circle_between_modules_of_the_base_crate_is_shown(tmp_path):
    changes = {"src/crates/base/error.rs": "use super::guard::guard; pub enum Error { Internal }"}
    assert circle_of(tmp_path, changes) == ["between parts", "error -> guard -> error"]


def test_a_circle_in_a_crate_is_shown(tmp_path):
    changes = {"src/crates/codec/check.rs": "use crate::Json; pub struct Checked;"}
    assert circle_of(tmp_path, changes) == ["in src/crates/codec", "check -> json -> check"]


def test_a_circle_between_a_file_and_a_folder_beside_it_is_shown(tmp_path):
    changes = {
        "src/kv/read.rs": "mod rows; use super::write::Write; pub struct Read;",
        "src/kv/read/rows.rs": "pub struct Rows;",
        "src/kv/write.rs": "use super::read::rows::Rows; pub struct Write;",
    }
    assert circle_of(tmp_path, changes) == ["in src/kv", "read -> write -> read"]


def test_a_circle_between_files_of_a_deeper_folder_is_shown(tmp_path):
    changes = {
        "src/kv/read.rs": "mod a; mod b; use super::write::Write; pub struct Read;",
        "src/kv/read/a.rs": "use super::b::B;",
        "src/kv/read/b.rs": "use super::a::A;",
    }
    assert circle_of(tmp_path, changes) == ["in src/kv/read", "a -> b -> a"]


def test_a_parent_and_its_children_import_each_other(tmp_path):
    changes = {
        "src/kv/mod.rs": "mod read; mod write; use read::Read; use write::Write; pub struct Pair; fn f() { write::g() }",
        "src/kv/write.rs": "use super::Pair; use crate::kv::f; pub struct Write;",
    }
    assert broken(tmp_path, changes | {"src/http/mod.rs": "pub mod routes; pub struct Page;"}) == []


def test_a_parent_names_by_its_child_what_is_deeper(tmp_path):
    changes = {
        "src/kv/mod.rs": "mod read; mod write; pub use read::{Read, Rows}; pub struct Pair;",
        "src/kv/read.rs": "mod rows; pub use rows::Rows; pub struct Read;",
        "src/kv/read/rows.rs": "use crate::kv::Pair; pub struct Rows;",
    }
    assert broken(tmp_path, changes) == []


def test_a_circle_between_a_file_and_a_grandchild_is_shown(tmp_path):
    changes = {
        "src/kv/mod.rs": "mod read; mod write; pub use read::{rows::Rows, Read}; pub struct Pair;",
        "src/kv/read.rs": "pub mod rows; pub struct Read;",
        "src/kv/read/rows.rs": "use crate::kv::Pair; pub struct Rows;",
    }
    assert circle_of(tmp_path, changes) == ["in src/kv", "kv -> read -> kv"]


def test_the_command_fails_on_a_broken_rule(tmp_path):
    broken(tmp_path, {})
    assert run(tmp_path) == (0, "")
    broken(tmp_path, {"src/auth.rs": "use crate::http::Page; pub struct Login;"})
    status, output = run(tmp_path)
    assert status == 1
    assert output.startswith("src/auth.rs:1: auth imports http (crate::http::Page): http comes after auth in the order\n")


def run(root: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, PROGRAM, root], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout
