"""The Debian package on a machine of its own: installed, started by systemd, upgraded, removed, purged. `make test-packages`."""

from __future__ import annotations

import json
import subprocess

import pytest

from support import harness
from support.debian import Machine, run, why_not

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))

PASSWORD = harness.ADMIN_PASSWORD
# The test of an upgrade begins with this one.
OLDER = "0.0.1-1"


def build(directory, *arguments: str) -> None:
    """A package of the library that is there."""
    run("cargo", "deb", "--locked", "--no-build", "--strip", "--fast", "--output", str(directory), *arguments, cwd=harness.ROOT)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    directory = tmp_path_factory.mktemp("packages")
    build(directory / "new.deb")
    build(directory / "old.deb", "--deb-version", OLDER)
    return directory


@pytest.fixture
def machine(packages):
    with Machine(packages) as booted:
        yield booted


def set_up(machine: Machine, *settings: str, package: str = "new", unit: str = "authkv") -> None:
    """Installs, writes settings, and starts."""
    machine.runs(f"dpkg -i /packages/{package}.deb")
    # The key of a test may be weak: it is made in no time.
    lines = [f"AUTHKV_ADMIN_PASSWORD={PASSWORD}", "AUTHKV_TOKEN_ALGORITHM=EdDSA", *settings]
    machine.runs(f"printf '%s\\n' {' '.join(lines)} >> /etc/authkv/authkv.env && systemctl start {unit}")


def request(machine: Machine, path: str, body: dict, token: str = "", address: str = "127.0.0.1:8080") -> dict:
    header = f"-H 'Authorization: Bearer {token}'" if token else ""
    return json.loads(machine.runs(f"curl -sS http://{address}{path} {header} -d '{json.dumps(body)}'"))


def log_in(machine: Machine, address: str = "127.0.0.1:8080") -> str:
    return request(machine, "/api/login/", {"login": "admin", "password": PASSWORD}, address=address)["token"]


def descriptors(machine: Machine, pid: str) -> tuple[int, int]:
    """How many descriptors a process may have open, and how many it may ask for."""
    lines = machine.runs(f"cat /proc/{pid}/limits").splitlines()
    soft, hard = next(line for line in lines if line.startswith("Max open files")).split()[3:5]
    return int(soft), int(hard)


def test_the_package_pleases_lintian(packages):
    said = subprocess.run(
        ["lintian", "--allow-root", "--profile", "debian", "--fail-on", "warning", packages / "new.deb"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0 and said.stdout == "", said.stdout


def test_an_installation_starts_nothing_and_makes_a_user_without_a_shell(machine):
    machine.runs("dpkg -i /packages/new.deb")
    state = machine.state()
    assert (state["ActiveState"], state["UnitFileState"]) == ("inactive", "disabled")
    assert machine.runs("getent passwd authkv").strip().endswith(":/var/lib/authkv:/usr/sbin/nologin")
    assert machine.runs("stat -c '%U %a' /var/lib/authkv /var/log/authkv /etc/authkv/authkv.env").split("\n") == [
        "authkv 700", "authkv 750", "root 640", ""
    ]  # fmt: skip
    # An application finds the library, too.
    found = machine.runs("tarantool -e \"print(require('authkv').version()) os.exit()\"").strip()
    assert f"{found}-1" == machine.runs("dpkg-query -W -f '${Version}' authkv")


def test_the_service_serves_as_its_user_with_no_rights_beside_its_own(machine):
    set_up(machine)
    token = log_in(machine)
    assert request(machine, "/api/write/", {"data": {"a": 1}}, token) == {"status": "success"}
    # systemd waited until it served.
    log = machine.log()
    assert log.index("authkv: ready") < log.index("Started authkv.service")
    pid = machine.state()["MainPID"]
    status = dict(line.split(":\t") for line in machine.runs(f"cat /proc/{pid}/status").splitlines() if ":\t" in line)
    assert status["Uid"].split()[0] == machine.runs("id -u authkv").strip()
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    # What the unit asks for, or all that this machine can give.
    most = min(65_536, descriptors(machine, "1")[1])
    assert descriptors(machine, pid) == (most, most)
    # It sees a file system that it cannot write to, and nobody's home.
    inside = f"nsenter --target {pid} --mount setpriv --reuid authkv --regid authkv --clear-groups sh -c"
    assert machine.fails(f"{inside} 'echo > /usr/share/authkv/init.lua'")
    assert machine.fails(f"{inside} 'ls /root'")
    # The console, and a clean end.
    console = "tarantoolctl connect unix/:/var/lib/authkv/console.sock"
    assert "- 0." in machine.runs(f"echo 'authkv.version()' | setpriv --reuid authkv --regid authkv --clear-groups {console}")
    machine.runs("systemctl stop authkv")
    state = machine.state()
    assert (state["Result"], state["NRestarts"], state["ExecMainStatus"]) == ("success", "0", "0")


def test_a_wrong_setting_is_told_and_not_tried_for_ever(machine):
    machine.runs("dpkg -i /packages/new.deb && echo AUTHKV_TOKEN_TTL=soon >> /etc/authkv/authkv.env")
    assert machine.fails("systemctl start authkv")
    harness.wait_until(lambda: machine.state()["Result"] == "start-limit-hit" or machine.state()["ActiveState"] == "failed", "it gives up")
    assert "AUTHKV_TOKEN_TTL" in machine.log()
    assert int(machine.state()["NRestarts"]) <= 5


def listen(machine: Machine, port: int) -> None:
    """Another program has this port."""
    serve = f"require('socket').tcp_server('127.0.0.1', {port}, function() end)"
    machine.runs(f'systemd-run --quiet --unit=other-{port} tarantool -e "{serve}" -e "require(\'fiber\').sleep(1e9)"')
    harness.wait_until(lambda: not machine.fails(f"bash -c ': < /dev/tcp/127.0.0.1/{port}'"), "the port is taken")


def test_a_new_installation_needs_one_port_and_names_it_if_another_program_has_it(machine):
    # What Jenkins, proxies and Java applications take first.
    listen(machine, 8081)
    set_up(machine)
    log_in(machine)
    ask = "curl -sS --unix-socket /run/authkv/admin.sock"
    assert machine.runs(f"{ask} localhost/readyz") == "ok"
    assert "authkv_build_info{" in machine.runs(f"{ask} localhost/metrics")
    assert machine.runs("stat -c '%U:%G %a' /run/authkv /run/authkv/admin.sock").split("\n") == [
        "authkv:authkv 750",
        "authkv:authkv 660",
        "",
    ]
    by_hand = "set -a; . /etc/authkv/authkv.env; bash /usr/share/authkv/health.sh readyz"
    assert machine.runs(f"bash -c '{by_hand}'") == ""
    # The group may ask.
    assert machine.runs(f"setpriv --reuid nobody --regid authkv --clear-groups {ask} localhost/livez") == "ok"
    assert machine.fails(f"setpriv --reuid nobody --regid nogroup --clear-groups {ask} localhost/livez")
    machine.runs("systemctl stop authkv")
    assert machine.fails("test -e /run/authkv")
    listen(machine, 8080)
    assert machine.fails("systemctl start authkv")
    assert "HTTP_LISTEN" in machine.log() and "127.0.0.1:8080" in machine.log()


def test_a_process_that_dies_is_started_again_with_its_data(machine):
    set_up(machine)
    token = log_in(machine)
    assert request(machine, "/api/write/", {"data": {"a": 1}}, token) == {"status": "success"}
    machine.runs("systemctl kill --signal=KILL authkv")
    harness.wait_until(lambda: machine.state()["NRestarts"] == "1" and machine.state()["ActiveState"] == "active", "it is started again")
    assert request(machine, "/api/read/", {"keys": ["a"]}, token) == {"data": {"a": 1}}


def test_logrotate_moves_the_log_away_and_the_service_opens_it_again(machine):
    set_up(machine, "AUTHKV_LOG=/var/log/authkv/authkv.log", "AUTHKV_HTTP_ACCESS_LOG=all")
    log_in(machine)
    harness.wait_until(lambda: "/api/login" in machine.runs("cat /var/log/authkv/authkv.log"), "the request is logged")
    machine.runs("logrotate --force /etc/logrotate.d/authkv")
    assert "/api/login" in machine.runs("cat /var/log/authkv/authkv.log.1")
    harness.wait_until(lambda: "reopened" in machine.runs("cat /var/log/authkv/authkv.log"), "the file is opened again")
    assert "/api/login" not in machine.runs("cat /var/log/authkv/authkv.log")
    log_in(machine)
    harness.wait_until(lambda: "/api/login" in machine.runs("cat /var/log/authkv/authkv.log"), "the request is in the new file")
    assert machine.runs("stat -c '%U:%G %a' /var/log/authkv/authkv.log").strip() == "authkv:authkv 640"
    assert machine.state()["NRestarts"] == "0"
    # A day without a service.
    machine.runs("systemctl stop authkv && logrotate --force /etc/logrotate.d/authkv")
    assert machine.state()["ActiveState"] == "inactive"


def test_an_upgrade_keeps_data_and_settings_and_starts_what_ran(machine):
    set_up(machine, package="old")
    assert machine.runs("dpkg-query -W -f '${Version}' authkv") == OLDER
    token = log_in(machine)
    assert request(machine, "/api/write/", {"data": {"a": 1}}, token) == {"status": "success"}
    settings, before = machine.runs("cat /etc/authkv/authkv.env"), machine.state()["MainPID"]
    machine.runs("dpkg -i /packages/new.deb")
    assert machine.runs("dpkg-query -W -f '${Version}' authkv") != OLDER
    assert machine.runs("cat /etc/authkv/authkv.env") == settings
    state = machine.state()
    assert state["ActiveState"] == "active" and state["MainPID"] != before
    assert request(machine, "/api/read/", {"keys": ["a"]}, token) == {"data": {"a": 1}}
    assert machine.runs("stat -c '%U %a' /var/lib/authkv").strip() == "authkv 700"


def test_an_upgrade_starts_nothing_that_did_not_run(machine):
    machine.runs("dpkg -i /packages/old.deb && dpkg -i /packages/new.deb")
    assert machine.state()["ActiveState"] == "inactive"


def test_instances_of_the_template_have_settings_and_data_of_their_own(machine):
    machine.runs("dpkg -i /packages/old.deb")
    shared = [f"AUTHKV_ADMIN_PASSWORD={PASSWORD}", "AUTHKV_TOKEN_ALGORITHM=EdDSA", "AUTHKV_FOLLOWER_PASSWORD=F0llower-secret"]
    of = {
        "authorization": ["AUTHKV_LAYOUT=authorization_tarantool"],
        "key_value": ["AUTHKV_LAYOUT=key_value_tarantool", "AUTHKV_PUBLIC_KEY_FILE=/var/lib/authkv/authorization/jwt_public.pem"],
    }
    for name, own in of.items():
        machine.runs(f"printf '%s\\n' {' '.join(shared + own)} > /etc/authkv/{name}.env && systemctl start authkv@{name}")
    token = log_in(machine)
    assert request(machine, "/api/write/", {"data": {"a": 1}}, token, "127.0.0.1:9080") == {"status": "success"}
    assert machine.runs("stat -c '%U %a' /var/lib/authkv/authorization /var/lib/authkv/key_value").split() == ["authkv", "700"] * 2
    before = [machine.state(f"authkv@{name}")["MainPID"] for name in of]
    machine.runs("dpkg -i /packages/new.deb")
    for name, pid in zip(of, before, strict=True):
        harness.wait_until(lambda: machine.state(f"authkv@{name}")["ActiveState"] == "active", f"{name} runs")
        assert machine.state(f"authkv@{name}")["MainPID"] != pid
    assert request(machine, "/api/read/", {"keys": ["a"]}, token, "127.0.0.1:9080") == {"data": {"a": 1}}
    machine.runs("dpkg --remove authkv")
    assert machine.runs("ls /var/lib/authkv").split() == ["authorization", "key_value"]
    assert machine.runs("systemctl list-units --no-legend --state=active 'authkv*'") == ""


def test_a_removal_keeps_data_and_settings(machine):
    set_up(machine)
    token = log_in(machine)
    assert request(machine, "/api/write/", {"data": {"a": 1}}, token) == {"status": "success"}
    machine.runs("dpkg --remove authkv")
    assert machine.state()["ActiveState"] == "inactive"
    assert machine.fails("test -e /usr/share/authkv")
    assert machine.fails("test -e /usr/lib/x86_64-linux-gnu/tarantool/authkv.so")
    machine.runs("dpkg -i /packages/new.deb && systemctl start authkv")
    assert request(machine, "/api/read/", {"keys": ["a"]}, token) == {"data": {"a": 1}}


def test_a_purge_leaves_nothing(machine):
    everything = "find / -xdev -path /proc -prune -o -path /sys -prune -o -path /run -prune -o -print | sort"
    known = set(machine.runs(everything).splitlines())
    set_up(machine, "AUTHKV_LOG=/var/log/authkv/authkv.log")
    log_in(machine)
    machine.runs("systemctl enable authkv && dpkg --purge authkv")
    left = {
        path for path in set(machine.runs(everything).splitlines()) - known if not path.startswith(("/var/log/journal", "/tmp", "/var/tmp"))
    }
    assert not left
    assert machine.fails("getent passwd authkv") and machine.fails("getent group authkv")
    assert machine.state()["LoadState"] == "not-found"
