"""What an instance counts, as numbers by name and labels, and an instance that Prometheus can scrape."""

from __future__ import annotations

import re
from http.client import HTTPConnection

from support.harness import CHEAP_HASHES, DEADLINE, HOST, ROOT, Instance, free_port
from support.transports import ConsoleTransport, Response

# The names of all metrics, as the code has them.
NAMES = re.findall(r'^    [A-Z_]+ = \w+ "(authkv_\w+)"', (ROOT / "src/crates/metrics/list.rs").read_text(), re.MULTILINE)
_SAMPLE = re.compile(r"(\w+)(?:{(.*)})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

# A name with its labels, in the order of their names.
Series = tuple[str, tuple[tuple[str, str], ...]]


def series(name: str, /, **labels: str) -> Series:
    return name, tuple(sorted(labels.items()))


def read_text(text: str) -> dict[Series, float]:
    """The samples of a text in the format of Prometheus."""
    numbers = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = _SAMPLE.fullmatch(line).groups()
            key = series(name, **dict(_LABEL.findall(labels or "")))
            assert key not in numbers, line
            numbers[key] = float(value)
    return numbers


def read_told(told: dict) -> dict[Series, float]:
    """The same of an answer of `server_metrics`."""
    # YAML takes 5e-06 for a text.
    numbers = {}
    for metric in told["metrics"]:
        name = metric["name"]
        for sample in metric["samples"]:
            labels = sample["labels"]
            if "buckets" not in sample:
                numbers[series(name, **labels)] = float(sample["value"])
                continue
            numbers[series(f"{name}_count", **labels)] = sample["count"]
            numbers[series(f"{name}_sum", **labels)] = float(sample["sum"])
            for bucket in sample["buckets"]:
                numbers[series(f"{name}_bucket", **labels, le=f"{float(bucket['le']):g}")] = bucket["count"]
            numbers[series(f"{name}_bucket", **labels, le="+Inf")] = sample["count"]
    return numbers


class Measured(Instance):
    """An instance with an admin listener."""

    def __init__(self, **settings: str | None):
        self.admin_port = free_port()
        super().__init__(**{**CHEAP_HASHES, "AUTHKV_HTTP_ADMIN_LISTEN": f"{HOST}:{self.admin_port}", **settings})

    def get(self, path: str, **headers: str) -> Response:
        """An answer of the admin listener, on a connection of its own."""
        connection = HTTPConnection(HOST, self.admin_port, timeout=DEADLINE)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Response(response.status, response.headers, response.read())
        finally:
            connection.close()

    def scrape(self) -> dict[Series, float]:
        response = self.get("/metrics")
        assert response.status == 200, response
        return read_text(response.body.decode())


class Counted:
    """What has been counted since this was made. The console is asked, which counts itself only."""

    def __init__(self, console: ConsoleTransport):
        self.console = console
        self.before = self.read()

    def read(self) -> dict[Series, float]:
        (told,) = self.console.evaluate("return authkv.metrics()")
        return read_told(told)

    def since(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """By how much the series of this name have grown, by their labels, where they have."""
        now = {key: value - self.before.get(key, 0) for key, value in self.read().items() if key[0] == name}
        return {labels: more for (_, labels), more in now.items() if more}
