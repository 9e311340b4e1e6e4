"""The shipped units, looked at by systemd's own tools."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
WORST = 1.5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def analyze(*args):
    return subprocess.run(
        ["systemd-analyze", *map(str, args)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def settings_of(path):
    unit = configparser.RawConfigParser(strict=False, delimiters=["="], comment_prefixes=["#"])
    unit.optionxform = str
    unit.read(path, "utf-8")
    return unit


@needs_systemd
@pytest.mark.parametrize("unit", sorted(UNITS.glob("watcher*")), ids=lambda path: path.name)
def test_verify_has_nothing_to_say_about_a_unit(unit):
    found = analyze("verify", unit)
    # It exits 0 on an unknown key and only prints it.
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


@needs_systemd
def test_verify_would_say_something_about_an_unknown_key(tmp_path):
    unit = tmp_path / "watcher.service"
    unit.write_text(SERVICES[-1].read_text("utf-8").replace("LockPersonality", "LockPersonalty"))
    assert "LockPersonalty" in analyze("verify", unit).stderr


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.name)
def test_a_service_is_hardened_to_the_promised_score(unit):
    found = analyze("security", "--offline=true", f"--threshold={int(WORST * 10)}", unit)
    assert found.returncode == 0, found.stdout[-400:]
    score = float(found.stdout.split("Overall exposure level")[1].split(":")[1].split()[0])
    assert score <= WORST


def test_the_daemon_unit_keeps_the_contract_with_the_service_manager():
    service = settings_of(UNITS / "watcher.service")["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] == "on-failure"
    assert service["RestartPreventExitStatus"] == "78"
    assert service["WatchdogSec"] == "60s"
    assert service["DynamicUser"] == "yes"
    assert service["StateDirectory"] == "watcher"
    assert "HUP" in service["ExecReload"]
    assert "LoadCredential" in service
    stop = int(service["TimeoutStopSec"].removesuffix("s"))
    assert 10 < stop <= 30, "the daemon drains within ten seconds; the unit must wait that long"


def test_the_timer_makes_up_for_missed_rounds_and_a_failed_source_is_no_failed_unit():
    assert settings_of(UNITS / "watcher-once.timer")["Timer"]["Persistent"] == "yes"
    service = settings_of(UNITS / "watcher-once.service")["Service"]
    assert service["Type"] == "oneshot"
    assert service["SuccessExitStatus"] == "75"
    assert "once --due" in service["ExecStart"]


def test_both_services_are_hardened_alike():
    daemon, once = (settings_of(path)["Service"] for path in SERVICES[::-1])
    of_the_job = {"Type", "NotifyAccess", "ExecStart", "ExecReload", "WatchdogSec", "Restart",
                  "RestartSec", "RestartPreventExitStatus", "SuccessExitStatus",
                  "TimeoutStartSec", "TimeoutStopSec"}  # fmt: skip
    assert {k: v for k, v in daemon.items() if k not in of_the_job} == {
        k: v for k, v in once.items() if k not in of_the_job
    }


def test_the_image_runs_as_nobody_and_asks_for_its_health():
    lines = (ROOT / "deploy/container/Containerfile").read_text("utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    assert any(line.startswith("HEALTHCHECK") and "healthcheck" in line for line in lines)
    assert Path(ROOT / "deploy/container/README.md").exists()
