"""What the operator reads is what the code does: events, metrics, alert rules, the guide."""

import ast
import contextlib
import re
import shlex
from datetime import UTC, datetime, timedelta

import click
import pytest

from tests.conftest import ROOT
from tools.operations_tables import events_table, metrics_table
from watcher.cli import VERBS, cli
from watcher.demo.world import World
from watcher.telemetry import LOG_EVENTS, Metrics

GUIDE = (ROOT / "docs" / "operations.md").read_text("utf-8")
RULES = (ROOT / "deploy" / "alerts.yml").read_text("utf-8")
CODE = sorted((ROOT / "watcher").rglob("*.py"))


def metric_names():
    names = set()
    for collector in Metrics().registry._collector_to_names:
        for family in collector.describe():
            names.add(family.name + ("_total" if family.type == "counter" else ""))
    return names


def logged():
    """Every literal first argument of a call of the log, and every text that is one of them."""
    found, texts = set(), set()
    for path in CODE:
        if path.name == "telemetry.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            of_log = getattr(node.func.value, "id", "") == "log"
            levels = ("debug", "info", "warning", "error")
            if of_log and node.func.attr in levels and isinstance(node.args[0], ast.Constant):
                found.add(node.args[0].value)
    return found, texts


def test_the_log_knows_its_events_and_no_others():
    found, texts = logged()
    assert found <= set(LOG_EVENTS), found - set(LOG_EVENTS)
    unused = {name for name in LOG_EVENTS if name not in found | texts}
    assert not unused


def test_the_guide_lists_the_events_and_metrics_of_the_code():
    assert events_table() in GUIDE, "run python -m tools.operations_tables"
    assert metrics_table() in GUIDE, "run python -m tools.operations_tables"


def test_every_metric_of_an_alert_rule_exists_and_each_silent_failure_has_one():
    used = set(re.findall(r"watcher_\w+", RULES))
    assert used <= metric_names(), used - metric_names()
    for needed in (
        "watcher_last_success_timestamp_seconds",
        "watcher_outbox_oldest_age_seconds",
        "watcher_cards",
        "watcher_checks_total",
        "watcher_channel_disabled",
        "watcher_store_errors_total",
        "watcher_drift",
        "watcher_messages_total",
        "watcher_rate_window_share",
        "watcher_last_backup_timestamp_seconds",
        "watcher_store_sound",
    ):
        assert needed in used


def test_the_alert_of_few_papers_keeps_still_at_weekends_and_new_months():
    found = re.search(
        r"max_over_time\(watcher_cards\[(\d+)d\]\) < ([\d.]+) \* "
        r"max_over_time\(watcher_cards\[(\d+)d\] offset (\d+)d\)",
        RULES,
    )
    late, share, span, offset = (float(number) for number in found.groups())
    begin = datetime(2026, 10, 19, tzinfo=UTC)
    world = World(7, begin.date(), 35)
    times = [begin + timedelta(hours=3 * n) for n in range(8 * 34)]

    def fires(cards):
        def most(end, days):
            return max(cards[max(0, round(end - 8 * days)) : round(end)], default=0)

        ends = range(round(8 * (offset + 1)), len(cards))
        return [end for end in ends if most(end, late) < share * most(end - 8 * offset, span)]

    daily = [len(world.daily(at.date(), at)) for at in times]
    month = [len(world.month(at, of=at.date())) for at in times]
    assert 0 in daily[:56]
    assert not fires(daily)
    assert not fires(month)
    assert fires(daily + [2] * 8 * 5)


def test_every_verb_the_guide_names_is_there():
    verbs = set(re.findall(r"`watcher (?:-c \S+ )?([a-z-]+)", GUIDE)) | set(
        re.findall(r"^watcher (?:-c \S+ )?([a-z-]+)", GUIDE, re.MULTILINE)
    )
    assert verbs
    assert verbs <= set(VERBS), verbs - set(VERBS)


PLACES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")),
          *sorted((ROOT / "deploy").rglob("*.md"))]  # fmt: skip


def written():
    """Every command line that the guides show, in code spans and blocks, without its comment."""
    found = set()
    for path in PLACES:
        text = path.read_text("utf-8")
        for line in re.findall(r"`(watcher [^`\n]+)`", text) + re.findall(
            r"^(?:\$ |sudo (?:\S+=\S+ )?(?:\S*/)?)?(watcher [^\n#|>]+)", text, re.MULTILINE
        ):
            found.add(line.strip())
    return sorted(found)


@pytest.mark.parametrize("line", written())
def test_every_command_of_the_guides_can_be_called_so(line):
    with contextlib.suppress(ValueError):  # an apostrophe of a sentence
        words = shlex.split(line)[1:]
        command, options = cli, set()
        while True:
            options |= {name for param in command.params for name in param.opts}
            while words[:1] and words[0] in ("-c", "--config"):
                words = words[2:]
            if not isinstance(command, click.Group) or not words or words[0].startswith("-"):
                break
            name, *words = words
            if name in ("VERB", "…") or not name[0].isalpha():
                return
            nested = command.get_command(click.Context(command), name)
            assert nested is not None, f"{line}: there is no {name}"
            command = nested
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= options | {"--help"}, f"{line}: no {used - options}"


def test_the_guides_show_commands():
    assert len(written()) > 40


@pytest.mark.parametrize("part", ["## Install", "## Upgrade", "restore", "## No mail since Tuesday",
                                  "## The site changed", "## Log", "## Metrics"])  # fmt: skip
def test_the_guide_has_the_parts_that_were_promised(part):
    assert part in GUIDE


def test_labels_are_bounded():
    allowed = {"source", "outcome", "channel", "state", "type", "host"}
    for collector in Metrics().registry._collector_to_names:
        assert set(collector._labelnames) <= allowed
