"""Clusters of Tarantool 3 by YAML, as `tarantool_infra/examples` has them: processes with ports and directories of their own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from support.harness import ADMIN_PASSWORD, HOST, ROOT, Started, environment, free_port, version, wait_until, write_key_pair
from support.transports import HttpTransport, WithConsole

EXAMPLES = ROOT / "tarantool_infra" / "examples"
# The binary that takes YAML, or None.
TARANTOOL_3 = "tarantool" if version() >= (3, 0) else os.environ.get("AUTHKV_TEST_TARANTOOL_3")
NO_TARANTOOL_3 = "tarantool is older than 3.0, and AUTHKV_TEST_TARANTOOL_3 names no binary"
SHOP_PASSWORD = "shop-Secret-4d"
SECRETS = {"admin": ADMIN_PASSWORD, "shop": SHOP_PASSWORD, "replicator": "replicator-Secret-8e"}


class PrefixedHttp(HttpTransport):
    """HTTP where authkv is mounted below a prefix."""

    def __init__(self, instance: ConfiguredInstance):
        super().__init__(instance)
        self.prefix = instance.prefix

    def request(self, method, path, body=None, headers=None):
        return super().request(method, self.prefix + path, body, headers)


class ConfiguredInstance(WithConsole):
    """An instance of a cluster, which has the files. Its ports are those of the configuration."""

    # Where its HTTP has authkv.
    prefix = ""

    def __init__(self, name: str, directory: Path, iproto_port: int, http_port: int):
        super().__init__(keys=False)
        self.name = name
        self.directory = directory
        self.iproto_port, self.http_port = iproto_port, http_port

    @property
    def console_path(self) -> Path:
        return self.directory / "var" / "run" / self.name / "tarantool.control"

    def launch(self) -> None:
        assert self.process is None, "already running"
        paths = environment()
        lua, modules = f"{ROOT}/tarantool_infra/?.lua", f"{ROOT}/target/release/lib?.so"
        paths["LUA_PATH"] = f"{lua};{paths.get('LUA_PATH', ';')}"
        paths["LUA_CPATH"] = f"{modules};{paths.get('LUA_CPATH', ';')}"
        inherited = {name: value for name, value in paths.items() if not name.startswith("AUTHKV_")}
        with self._output.begin() as output:
            self.process = subprocess.Popen(
                [TARANTOOL_3, "--name", self.name, "--config", "config.yaml"],
                cwd=self.directory,
                env=inherited | {"TT_FEEDBACK_ENABLED": "false"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        """Whether authkv serves and is healthy."""
        return self.is_running() and self.console_path.exists() and self.health() == [True]

    def health(self) -> list:
        """What the check of the role says: true, or false and why."""
        try:
            return self.evaluate("return require('roles.authkv').health_check()")
        except OSError:
            return [False, "it has no console yet"]

    def is_writable(self) -> bool:
        return self.is_running() and self.evaluate("return box.info.ro") == [False]

    def alerts(self) -> list[str]:
        """The messages of config:info()."""
        said = self.evaluate(
            "local all = {} for _, one in ipairs(require('config'):info().alerts) do table.insert(all, one.message) end return all"
        )
        return list(said[0])

    def reload(self) -> str | None:
        """Reads the file of the configuration again. The error, if there is one."""
        done, *error = self.evaluate("local ok, err = pcall(function() require('config'):reload() end) return ok, tostring(err)")
        return None if done else error[0]


class Cluster(Started):
    """The instances of one of the examples."""

    def __init__(self, example: str):
        self.directory = Path(tempfile.mkdtemp(prefix="authkv-yaml-"))
        text = (EXAMPLES / example / "config.yaml").read_text()
        ports: dict[str, int] = {}
        text = re.sub(
            r"127\.0\.0\.1:(\d+)",
            lambda found: f"{HOST}:{ports.setdefault(found[1], 0) or ports.update({found[1]: free_port()}) or ports[found[1]]}",
            text,
        )
        self.config = yaml.safe_load(text)
        secrets = self.directory / "secrets"
        secrets.mkdir()
        for name, secret in SECRETS.items():
            (secrets / name).write_text(secret + "\n")
        self.write()
        names = yaml.safe_load((EXAMPLES / example / "instances.yaml").read_text())
        self.instances = [ConfiguredInstance(name, self.directory, *self._ports(name)) for name in names]
        # A key that an instance makes itself takes seconds.
        write_key_pair(secrets)
        for instance in self.instances:
            shutil.copytree(secrets, self.directory / "var" / "lib" / instance.name, ignore=shutil.ignore_patterns(*SECRETS))
            instance.prefix = self.section.get("mount", {}).get("prefix", "")

    def _instance(self, name: str) -> dict:
        (group,) = self.config["groups"].values()
        (replica_set,) = group["replicasets"].values()
        return replica_set["instances"][name]

    def _ports(self, name: str) -> tuple[int, int]:
        own = self._instance(name)
        http = re.search(r"'(?:HTTP_LISTEN|listen)': '?127\.0\.0\.1:(\d+)", str(own.get("roles_cfg", self.config["roles_cfg"])))
        return int(own["iproto"]["listen"][0]["uri"].split(":")[1]), int(http[1])

    @property
    def section(self) -> dict:
        """The settings of the role that all instances have. A change needs `write`, and a reload."""
        return self.config["roles_cfg"]["roles.authkv"]

    def write(self) -> None:
        """Writes the file that the instances read."""
        (self.directory / "config.yaml").write_text(yaml.safe_dump(self.config, sort_keys=False))

    def start(self) -> Cluster:
        for instance in self.instances:
            instance.launch()
        return self.await_start()

    def await_start(self) -> Cluster:
        """Returns when each instance that runs serves."""
        for instance in self.running():
            wait_until(lambda one=instance: one.is_ready() or not one.is_running(), "an instance serves or has ended")
            assert instance.is_running(), f"the start failed:\n{instance.log()}"
        return self

    def running(self) -> list[ConfiguredInstance]:
        return [instance for instance in self.instances if instance.is_running()]

    def leader(self) -> ConfiguredInstance:
        """The instance that leads, once there is one."""
        return wait_until(lambda: next((one for one in self.running() if one.is_writable()), None), "an instance leads")

    def reload(self) -> list[str | None]:
        """Writes the file, and has each instance that runs read it. The errors."""
        self.write()
        return [instance.reload() for instance in self.running()]

    def dispose(self) -> None:
        for instance in self.instances:
            instance.dispose()
        shutil.rmtree(self.directory, ignore_errors=True)
