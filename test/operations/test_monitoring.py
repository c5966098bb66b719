"""`tarantool_infra/monitoring/`: what it asks for exists, and its alerts fire when they should."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml

from support.harness import ROOT
from support.metrics import NAMES

FOLDER = ROOT / "tarantool_infra" / "monitoring"
DASHBOARD = json.loads((FOLDER / "grafana/dashboards/authkv.json").read_text())
ALERTS = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
LIST = (ROOT / "src/crates/metrics/list.rs").read_text()

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool: install prometheus")


def labels_of(name: str) -> set[str]:
    found = re.search(rf'= (\w+) "{name}" \[(.*?)\]', LIST)
    assert found, name
    more = {"le"} if found[1] == "Histogram" else set()
    return set(re.findall(r'"(\w+)"', found[2])) | more | {"instance", "job"}


def expressions() -> list[str]:
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
    return panels + [rule["expr"] for rule in ALERTS]


def metric(name: str) -> str:
    """The metric of a series, which may be a part of a histogram."""
    return name if name in NAMES else re.sub("_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_metrics_and_labels_that_exist(expression):
    used = re.findall(r"\b(authkv_\w+|up)(?:{(.*?)})?", expression)
    assert used, expression
    known = set()
    for name, selected in used:
        if name != "up":
            assert metric(name) in NAMES, name
            known |= labels_of(metric(name))
            assert set(re.findall(r"(\w+)(?:=~|!~|!=|=)", selected)) <= labels_of(metric(name)), expression
    for grouped in re.findall(r"by \((.*?)\)", expression):
        assert set(re.split(r",\s*", grouped)) <= known, expression


def test_the_dashboard_shows_every_metric():
    shown = {metric(name) for expression in expressions() for name in re.findall(r"authkv_\w+", expression)}
    assert shown == set(NAMES)


def test_panels_have_numbers_of_their_own():
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


@needs_promtool
def test_every_expression_is_one(tmp_path):
    replaced = [re.sub(r"\$__rate_interval", "5m", expression) for expression in expressions()]
    rules = [{"record": f"a:b{number}", "expr": expression} for number, expression in enumerate(replaced)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "a", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@needs_promtool
def test_alerts_fire_when_they_should():
    tested = subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_tests():
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    asked = [(one["alertname"], bool(one["exp_alerts"])) for test in tests for one in test["alert_rule_test"]]
    assert sorted(asked) == sorted((rule["alert"], fires) for rule in ALERTS for fires in (True, False))


@needs_promtool
def test_the_configuration_is_one():
    checked = subprocess.run(["promtool", "check", "config", FOLDER / "prometheus.yml"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_compose_has_a_profile_with_all_of_it():
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    services = {name: one for name, one in compose["services"].items() if "monitoring" in one.get("profiles", [])}
    assert set(services) == {"prometheus", "grafana"}
    for service in services.values():
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"]), service["image"]
        sources = [volume.split(":")[0] for volume in service["volumes"] if volume.startswith("./")]
        assert sources and all((ROOT / source).exists() for source in sources), sources
    (scraped,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    (found,) = scraped["dns_sd_configs"]
    assert set(found["names"]) == {"authkv", "authorization", "key_value"}
