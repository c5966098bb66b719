"""A Debian of its own, booted with systemd, for the package: root, debootstrap and systemd-nspawn have to be there."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.harness import ROOT, wait_until

# What the package needs, what makes a machine of it, and what shows that it works.
PACKAGES = ["adduser", "curl", "dbus", "logrotate", "systemd", "systemd-sysv", "tarantool"]
# Only root can, and only with these.
PROGRAMS = ["debootstrap", "systemd-nspawn", "nsenter"]


def why_not() -> str | None:
    """Why there can be no such machine here, or nothing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if os.environ.get("AUTHKV_TEST_PACKAGES") is None:
        return "takes minutes: `make test-packages`"
    if os.geteuid() != 0 or missing:
        return f"needs root, and {', '.join(missing or PROGRAMS)}"
    return None


def run(*command: str, **options) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def base() -> Path:
    """The system of all machines, which is made once. AUTHKV_TEST_DEBIAN names another one."""
    given = os.environ.get("AUTHKV_TEST_DEBIAN")
    system = Path(given) if given else ROOT / "target" / "debian-base"
    if not system.exists():
        made = system.with_name("debian-base.new")
        shutil.rmtree(made, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", str(made))
        made.rename(system)
    return system


class Machine:
    """A booted machine. What it writes is gone at its end."""

    def __init__(self, packages: Path):
        self._console = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the machine
        self._nspawn = subprocess.Popen(
            [
                "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--private-network", "--volatile=overlay",
                f"--directory={base()}", f"--bind-ro={packages}:/packages",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __enter__(self) -> Machine:
        def is_up() -> bool:
            assert self._nspawn.poll() is None, f"did not boot:\n{self._said()}"
            return self._leader() is not None and self.tries("systemctl is-system-running").stdout.strip() in ("running", "degraded")

        try:
            wait_until(is_up, "the machine has booted", every=0.2)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self._nspawn.terminate()
        self._nspawn.wait()
        self._console.close()

    def _said(self) -> str:
        self._console.seek(0)
        return self._console.read().decode(errors="replace")

    def _leader(self) -> str | None:
        """The first process of the machine."""
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
        return children[0] if children else None

    def tries(self, script: str) -> subprocess.CompletedProcess[str]:
        """Runs a shell script as root of the machine."""
        enter = ["nsenter", "--target", self._leader(), "--all", "--root", "--wdns=/"]
        return subprocess.run([*enter, "sh", "-ec", script], capture_output=True, text=True, check=False)

    def runs(self, script: str) -> str:
        """The same, for a script that has to succeed. Its output."""
        done = self.tries(script)
        assert done.returncode == 0, f"{script}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout

    def log(self, unit: str = "authkv") -> str:
        return self.tries(f"journalctl --no-pager --output=cat --unit='{unit}'").stdout

    def state(self, unit: str = "authkv") -> dict[str, str]:
        """The properties of a unit."""
        lines = self.runs(f"systemctl show '{unit}'").splitlines()
        return dict(line.partition("=")[::2] for line in lines)

    def fails(self, script: str) -> bool:
        return self.tries(script).returncode != 0
