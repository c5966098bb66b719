"""How authkv is installed: `make install`, the rock, and what the Debian package is made of. test_debian.py installs that one."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from support import harness
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport

ROOT = harness.ROOT
PACKAGE = ROOT / "tarantool_infra" / "package"
CARGO = tomllib.loads((ROOT / "Cargo.toml").read_text())
VERSION = CARGO["workspace"]["package"]["version"]
ROCKSPEC = ROOT / "authkv-scm-1.rockspec"


def sections(unit: str) -> dict[str, list[str]]:
    """The lines of a unit of systemd by their names. A name may have several."""
    named: dict[str, list[str]] = {}
    for line in (PACKAGE / unit).read_text().splitlines():
        name, is_setting, value = line.partition("=")
        if is_setting and not line.startswith("#"):
            named.setdefault(name, []).append(value)
    return named


class Installed(harness.Instance):
    """An instance of what an installation has put somewhere, started from another directory."""

    def __init__(self, init: Path, cwd: Path, **settings: str):
        super().__init__(**settings)
        self.command = ("sh", "-c", f"cd '{cwd}' && exec tarantool '{init}'")

    def library(self) -> Path:
        """The file of the library that the process has loaded. Of its procedures Tarantool loads a copy, and deletes it."""
        maps = Path(f"/proc/{self.process.pid}/maps").read_text()
        (path,) = {line.split(maxsplit=5)[5] for line in maps.splitlines() if line.endswith("authkv.so")}
        return Path(path)


def make(*arguments: str, cwd: Path = ROOT, **environment: str) -> None:
    done = subprocess.run(
        ["make", "-s", *arguments], cwd=cwd, env=dict(os.environ) | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"


def works(instance: harness.Instance) -> None:
    http = HttpTransport(instance)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()


def role_of(lua: Path, modules: Path) -> str:
    """The version of the role that Tarantool finds in these directories, as those of its paths are laid out."""
    code = f"package.path = '{lua}/?.lua' package.cpath = '{modules}/?.so' print(require('roles.authkv')._VERSION) os.exit()"
    return subprocess.run(["tarantool", "-e", code], capture_output=True, text=True, check=True).stdout.strip()


def backs_up(program: Path, cwd: Path, instance: harness.Instance) -> None:
    """The command makes and checks a back-up, run from another directory. It needs the library for the check."""
    for arguments in (("make", "made", str(instance.console_path)), ("verify", "made")):
        done = subprocess.run(["tarantool", str(program), *arguments], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and json.loads(done.stdout)["files"] == 1, done.stderr
    shutil.rmtree(cwd / "made")


@pytest.mark.parametrize("destination,prefix", [("stage", "/usr"), ("stage with spaces", "/opt/authkv"), ("", None)])
def test_what_make_installs_starts_from_anywhere_and_is_removed_whole(tmp_path, destination, prefix):
    staged = tmp_path / destination
    prefix = prefix or str(tmp_path / "prefix")
    where = [f"PREFIX={prefix}", *([f"DESTDIR={staged}"] if destination else [])]
    make("install", *where)
    root = Path(f"{staged}{prefix}" if destination else prefix)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    layouts = {f"share/authkv/tarantool_infra/layouts/{path.name}" for path in (ROOT / "tarantool_infra" / "layouts").iterdir()}
    role = "share/tarantool/roles/authkv.lua"
    assert files == {"lib/tarantool/authkv.so", role, "share/authkv/init.lua", "share/authkv/backup.lua", *layouts}
    assert len(layouts) == 4

    # The layout is found too: it has HTTP on a port of its own, which the test overrides, and no key-value store.
    with Installed(root / "share/authkv/init.lua", tmp_path, AUTHKV_LAYOUT="authorization_tarantool") as instance:
        assert instance.library() == (root / "lib/tarantool/authkv.so").resolve()
        works(instance)
        backs_up(root / "share/authkv/backup.lua", tmp_path, instance)
        http = HttpTransport(instance)
        assert http.request("POST", "/api/read", b"{}").status == 404
        http.close()

    assert role_of(root / "share/tarantool", root / "lib/tarantool") == VERSION

    make("uninstall", *where)
    assert [path for path in root.rglob("*") if path.is_file()] == []


def test_the_role_says_where_each_setting_of_tarantool_is():
    """On each Tarantool, because the check starts nothing."""
    code = """
    package.path = 'tarantool_infra/?.lua;' .. package.path
    package.cpath = 'target/release/lib?.so;' .. package.cpath
    local role, native, told = require('roles.authkv'), require('authkv.native'), {}
    for _, row in ipairs(native.settings()) do
        told[row[1]] = row[4] == 'process'
    end
    for _, name in ipairs(native.options()) do
        told[name] = true
    end
    for name, is_of_tarantool in pairs(told) do
        local _, said = pcall(role.validate, {[name] = {}})
        told[name] = {is_of_tarantool, tostring(said)}
    end
    print(require('json').encode(told))
    os.exit()
    """
    done = subprocess.run(["tarantool", "-e", code], cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert sum(is_of_tarantool for is_of_tarantool, _ in told.values()) >= 20
    # The role has it, because instances of authkv know each other by it.
    told["REPLICATION_PASSWORD"][0], told["INSTANCE_NAME"][0] = False, True
    for name, (is_of_tarantool, said) in told.items():
        is_named = f"{name} is no setting of the role: in the YAML of Tarantool it is " in said and "a setting of its own" not in said
        assert is_named is is_of_tarantool, said
        assert is_named or f"{name} should be a text, a number or a boolean, not a table" in said, said


def test_without_a_library_nothing_is_installed(tmp_path):
    for name in ("Makefile", "init.lua"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(
        ["make", "install", "PREFIX=/", f"DESTDIR={tmp_path}/stage"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "run make build first" in done.stderr
    assert not (tmp_path / "stage").exists()


def read_rockspec() -> dict:
    code = "local r = {} setfenv(assert(loadfile(arg[1])), r)() print(require('json').encode(r)) os.exit()"
    script = f"local arg = {{'{ROCKSPEC}'}} {code}"
    return json.loads(subprocess.run(["tarantool", "-e", script], capture_output=True, text=True, check=True).stdout)


def test_the_rockspec_names_targets_and_variables_that_the_makefile_has():
    rockspec = read_rockspec()
    assert ROCKSPEC.name == f"{rockspec['package']}-{rockspec['version']}.rockspec"
    assert rockspec["description"]["summary"] == CARGO["package"]["description"]
    assert rockspec["description"]["license"] == CARGO["workspace"]["package"]["license"]
    build = rockspec["build"]
    makefile = (ROOT / "Makefile").read_text()
    for target in (build["build_target"], build["install_target"]):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for variable in build["install_variables"]:
        assert re.search(rf"^{variable} \?=", makefile, re.MULTILINE)


@pytest.mark.skipif(shutil.which("tarantoolctl") is None, reason="tarantoolctl comes with Tarantool 2 only; tt does the same")
def test_a_rock_that_is_made_in_a_checkout_loads_and_starts(tmp_path):
    """The library is there already, so cargo, which would look at the whole of the source, has nothing to do."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("Makefile", "init.lua", "backup.lua", ROCKSPEC.name):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "tarantool_infra", checkout / "tarantool_infra")
    (checkout / "target" / "release").mkdir(parents=True)
    shutil.copy(ROOT / "target" / "release" / "libauthkv.so", checkout / "target" / "release")
    cargo = tmp_path / "bin" / "cargo"
    cargo.parent.mkdir()
    cargo.write_text(f"#!/bin/sh\necho \"$*\" >> '{tmp_path}/cargo.log'\n")
    cargo.chmod(0o755)
    environment = os.environ | {"PATH": f"{cargo.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    # No server of rocks is asked: nothing has to be fetched.
    done = subprocess.run(
        ["tarantoolctl", "rocks", "make", "--only-server=file:///nowhere"],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert (tmp_path / "cargo.log").read_text() == "build --release --locked\n"
    # Only the rock is left.
    shutil.rmtree(checkout / "target")

    code = "print(require('authkv').version(), package.search('authkv')) os.exit()"
    said = subprocess.run(["tarantool", "-e", code], cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.split()[0] == VERSION
    rock = checkout / ".rocks" / "share" / "tarantool" / "rocks" / "authkv" / "scm-1"
    for init, cwd in ((checkout / "init.lua", tmp_path), (rock / "init.lua", checkout)):
        with Installed(init, cwd) as instance:
            assert instance.library() == checkout / ".rocks" / "lib" / "tarantool" / "authkv.so"
            works(instance)
            backs_up(init.with_name("backup.lua"), cwd, instance)


def test_one_version_is_said_by_all(instance):
    console = ConsoleTransport(instance)
    assert console.evaluate("return authkv.version()") == [VERSION]
    console.close()
    http = HttpTransport(instance)
    document = json.loads(http.request("GET", "/openapi.json").body)
    http.close()
    assert document["info"]["version"] == VERSION
    # The version of the package is made of that of Cargo.
    assert (PACKAGE / "changelog").read_text().startswith(f"authkv ({VERSION}-1) ")


def test_the_assets_of_the_package_exist():
    for asset in CARGO["package"]["metadata"]["deb"]["assets"]:
        assert asset[0].startswith("target/") or list(ROOT.glob(asset[0])), asset


def test_the_package_has_what_make_installs():
    installed = set(re.findall(r"^\tinstall -m 644 (.*) '", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert installed == {"$(LIBRARY)", "tarantool_infra/roles/authkv.lua", "init.lua backup.lua", "tarantool_infra/layouts/*.lua"}
    assets = {asset[0]: asset[1] for asset in CARGO["package"]["metadata"]["deb"]["assets"]}
    assert assets["init.lua"] == assets["backup.lua"] == "usr/share/authkv/"
    # Debian's Tarantool looks for Lua modules in usr/share/tarantool.
    assert assets["tarantool_infra/roles/authkv.lua"] == "usr/share/tarantool/roles/"


def test_the_units_are_the_same_but_for_the_name_of_the_instance():
    single, template = (PACKAGE / "authkv.service").read_text(), (PACKAGE / "authkv@.service").read_text()
    differ = {line.partition("=")[0] for line in set(single.splitlines()) ^ set(template.splitlines())}
    assert differ == {"Description", "EnvironmentFile", "Environment", "WorkingDirectory", "StateDirectory", "RuntimeDirectory"}


def test_the_unit_gives_the_process_what_its_settings_ask_for(instance):
    console = ConsoleTransport(instance)
    (rows,) = console.evaluate("return authkv.settings()")
    console.close()
    defaults = {row[0]: row[1] for row in rows}
    unit = sections("authkv.service")
    # The process ends by itself before systemd ends it, and may open a descriptor for each connection, beside its own.
    assert int(unit["TimeoutStopSec"][0]) > int(defaults["SHUTDOWN_TIMEOUT"])
    assert int(unit["LimitNOFILE"][0]) > int(defaults["HTTP_CONNECTIONS_MAX"]) + 256
    # The admin listener of a new installation needs no port that another program may have.
    proposal = (PACKAGE / "authkv.env").read_text()
    assert f"\nAUTHKV_HTTP_ADMIN_LISTEN=unix:/run/{unit['RuntimeDirectory'][0]}/" in proposal
    # What the file of settings proposes are settings, and the file of more of them.
    proposed = re.findall(r"^#?AUTHKV_(\w+)=", proposal, re.MULTILINE)
    assert len(proposed) > 4 and set(proposed) <= {*defaults, "CONFIG"}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", ["authkv.service", "authkv@.service"])
def test_the_units_are_valid_and_exposed_no_more_than_said(unit, tmp_path):
    """The figure is that of documentation/install.md."""
    # The paths of the unit are those of an installation, which there is none of here.
    name = unit.replace("@", "@shop")
    text = (PACKAGE / unit).read_text().replace("ExecStart=/usr/bin/tarantool", "ExecStart=/bin/true").replace("file:///usr", "file:///")
    (tmp_path / unit).write_text(text)
    environment = os.environ | {"SYSTEMD_LOG_LEVEL": "warning"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / name], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and unit not in done.stderr, done.stderr
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", PACKAGE / unit], capture_output=True, text=True, check=False
    ).stdout
    level = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", said)[1])
    page = (ROOT / "documentation" / "install.md").read_text()
    assert level <= float(re.search(r"exposure level[^.]*?is ([\d.]+\d)", page)[1]), said
