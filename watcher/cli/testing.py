"""``backtest``: a rule, or a whole config, before the recorded history; or foreign series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from watcher.cli.common import (
    as_json,
    config_path,
    console,
    count,
    explicit_config,
    print_json,
    read_config,
    records_of,
)
from watcher.cli.reading import Moment
from watcher.errors import ConfigError
from watcher.text import draw_votes
from watcher.wire import instant

if TYPE_CHECKING:
    from watcher.backtest import Told
    from watcher.config import Config
    from watcher.hindsight import Caught, Finding, Span, Winner
    from watcher.model import Event, Paper

_SHOWN = 10
"""Papers of a kind that are listed for people; --json has them all."""


@click.command()
@click.option("--rule", "names", multiple=True, metavar="NAME", help="Only this rule (repeatable).")
@click.option(
    "-c",
    "--config",
    "other",
    type=click.Path(path_type=Path, readable=False),
    help="Another config.toml: its rules, before the history there is.",
)
@click.option("-v", "--verbose", count=True, expose_value=False, help="Accepted, as everywhere.")
@click.option("--since", type=Moment(), help="Speak of the time from then on.")
@click.option(
    "--series",
    type=click.Path(path_type=Path, readable=False),
    help="A CSV of foreign counts instead.",
)
@click.option(
    "--learn",
    type=click.Path(path_type=Path, readable=False),
    help="A CSV to learn from before it.",
)
@click.option(
    "--alerts",
    type=click.Path(path_type=Path, readable=False),
    help="Where --series writes its alerts.",
)
@as_json
def backtest(
    names: tuple[str, ...],
    other: Path | None,
    since: datetime | None,
    series: Path | None,
    learn: Path | None,
    alerts: Path | None,
    json_: bool,
) -> int:
    """Judge recorded history once more: what would a rule have told, and what was missed?

    Goes through every visit as the live loop did, knowing only what was known then. Compares
    with what the rule in force had sent, and with the papers that came into the top tenth of
    their week. Nothing is written, nobody is told.

    \b
    Examples:
      watcher backtest
      watcher backtest --rule alignment --since 2026-11-01
      watcher backtest --config other.toml --json
      watcher backtest --series counts.csv --learn earlier.csv --alerts alerts.csv
    """
    if series is not None:
        if alerts is None:
            raise click.UsageError("--series needs --alerts FILE.csv: where the alerts are written")
        if names or since is not None:
            raise click.UsageError("--rule and --since are about one's own history, not --series")
        if alerts.exists() and any(alerts.samefile(read) for read in (series, learn) if read):
            raise click.UsageError(f"--alerts {alerts} would write over what is read; name another")
        return _test_series(series, learn, alerts, json_=json_)
    if learn is not None or alerts is not None:
        raise click.UsageError("--learn and --alerts belong to --series")
    if since is not None and since > datetime.now(UTC):
        raise click.UsageError("--since lies in the future: nothing is recorded from then on")
    return _test_rules(names, other, since, json_=json_)


# --- foreign series ---------------------------------------------------------------------


def _test_series(series: Path, learn: Path | None, alerts: Path, *, json_: bool) -> int:
    from watcher.rows import read_rows, write_alerts
    from watcher.series import replay

    rows = read_rows(series)
    before = read_rows(learn) if learn is not None else ()
    told = write_alerts(alerts, replay(rows, before))
    papers = len({row.paper_id for row in rows})
    if json_:
        print_json({"rows": len(rows), "papers": papers, "alerts": told, "file": str(alerts)})
    else:
        console().print(
            f"{count(len(rows))} rows of {count(papers)} papers: {count(told)} alerts, "
            f"written to {escape(str(alerts))}"
        )
    return 0


# --- one's own history ------------------------------------------------------------------


def _test_rules(
    names: tuple[str, ...], other: Path | None, since: datetime | None, *, json_: bool
) -> int:
    from watcher.hindsight import look_back
    from watcher.rulebook import compile_rules

    rules_from, base = _configs(other)
    for name in names:
        rules_from.rule(name)
    rules = [rule for rule in compile_rules(rules_from) if not names or rule.name in names]
    out = console(stderr=True)
    with records_of(base) as records, _progress(out, quiet=json_) as bar:
        task = bar.add_task("replaying visits", total=None)
        span, findings = look_back(
            records,
            rules,
            zone=base.watcher.timezone,
            since=since,
            advance=lambda done, of: bar.update(task, completed=done, total=of),
        )
    if json_:
        print_json(report_json(span, findings))
    else:
        _print_report(span, findings)
    return 0


def _configs(other: Path | None) -> tuple[Config, Config]:
    """Whose rules, and whose history: another config's own, where there is one."""
    if other is None:
        config = read_config()
        return config, config
    config = read_config(other)
    if explicit_config() is not None:
        return config, read_config()
    if Path(config.watcher.database).exists():
        return config, config
    try:
        return config, read_config(config_path())
    except ConfigError:
        return config, config


def _progress(out: Any, *, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total}"),
        TimeRemainingColumn(),
        console=out,
        disable=quiet or not out.is_terminal,
        transient=True,
    )


# --- for scripts ------------------------------------------------------------------------


def report_json(span: Span, findings: Sequence[Finding]) -> dict[str, Any]:
    """``since until days rules[…]``: each rule with everything it would have told."""
    return {
        "since": instant(span.since),
        "until": instant(span.until),
        "days": round(span.days, 2),
        "rules": [_finding_json(finding, span) for finding in findings],
    }


def _finding_json(finding: Finding, span: Span) -> dict[str, Any]:
    leads = {caught.told.decision.keys[0]: caught for caught in finding.caught}
    return {
        "rule": finding.rule,
        "alerts": len(finding.told),
        "per_day": round(len(finding.told) / span.days, 2),
        "kinds": _kinds(finding),
        "known": finding.known,
        "daily": [{"day": day, "alerts": number} for day, number in finding.daily],
        "papers": [_told_json(told, leads) for told in finding.told],
        "sent": None
        if finding.sent is None
        else {
            "alerts": len(finding.sent),
            "both": finding.both,
            "only_here": [_paper_json(told.paper) for told in finding.only_here],
            "only_sent": [_sent_json(event) for event in finding.only_sent],
        },
        "winners": {
            "wanted": len(finding.caught) + len(finding.missed),
            "told": len(finding.caught),
            "lead_h": None if finding.lead_h is None else round(finding.lead_h, 1),
            "missed": [_missed_json(winner) for winner in finding.missed],
        },
    }


def _kinds(finding: Finding) -> dict[str, int]:
    kinds = [told.decision.kind.value for told in finding.told]
    return {kind: kinds.count(kind) for kind in ("new", "rising", "resurging")}


def _told_json(told: Told, leads: dict[str, Caught]) -> dict[str, Any]:
    decision = told.decision
    caught = leads.get(decision.keys[0])
    return {
        "id": decision.keys[0],
        "at": instant(told.at),
        "kind": decision.kind.value,
        **_paper_json(told.paper),
        "upvotes": told.paper.upvotes,
        "reason": decision.reason,
        "late": decision.late,
        "overflow": decision.overflow,
        "lead_h": None if caught is None else round(caught.lead_h, 1),
    }


def _paper_json(paper: Paper) -> dict[str, Any]:
    return {"paper_id": paper.name, "title": paper.title, "url": paper.url}


def _sent_json(event: Event) -> dict[str, Any]:
    paper = _paper_json(event.paper) if event.paper else {}
    return {"id": event.id, "at": instant(event.at), "kind": event.type.kind, **paper}


def _missed_json(winner: Winner) -> dict[str, Any]:
    return {
        **_paper_json(winner.paper),
        "upvotes": winner.paper.upvotes,
        "cut": winner.cut,
        "crossed_at": instant(winner.crossed_at),
    }


# --- for people -------------------------------------------------------------------------


def _print_report(span: Span, findings: Sequence[Finding]) -> None:
    out = console()
    out.print(
        f"{span.since:%d %b %Y %H:%M} – {span.until:%d %b %Y %H:%M} UTC, {span.days:.1f} days\n"
    )
    for finding in findings:
        for line in _lines(finding, span):
            out.print(line)
        out.print("")
    if not findings:
        out.print("no rule is configured")


def _lines(finding: Finding, span: Span) -> Iterator[str]:
    kinds = ", ".join(f"{n} {kind}" for kind, n in _kinds(finding).items() if n)
    yield (
        f"[bold]{escape(finding.rule)}[/]  {len(finding.told) / span.days:.1f} a day: "
        f"{count(len(finding.told))} changes{f' ({kinds})' if kinds else ''}; "
        f"{finding.known} known from the start"
    )
    curve = draw_votes([number for _, number in finding.daily], width=60)
    if curve:
        most = max(number for _, number in finding.daily)
        yield f"  a day  {curve}  at most {most}"
    yield f"  {_compare(finding)}"
    yield f"  {_weigh(finding)}"
    leads = {caught.told.decision.keys[0]: caught.lead_h for caught in finding.caught}
    shown = finding.told[-_SHOWN:]
    if len(finding.told) > len(shown):
        yield f"    [dim]… {len(finding.told) - len(shown)} before; --json has them all[/]"
    for told in shown:
        lead = leads.get(told.decision.keys[0])
        yield (
            f"    [dim]{told.at:%d %b %H:%M}[/] {told.decision.kind.value:<9} "
            f"{escape(told.paper.name)} {escape(told.paper.title)}"
            f"{'' if lead is None else f' [green]{_hours(lead)} the cut[/]'}"
        )
    for winner in finding.missed[:_SHOWN]:
        yield (
            f"    [red]missed[/] {escape(winner.paper.name)} {escape(winner.paper.title)} "
            f"[dim]({count(winner.paper.upvotes)} votes, cut {count(winner.cut)})[/]"
        )
    if len(finding.missed) > _SHOWN:
        yield f"    [dim]… and {len(finding.missed) - _SHOWN} more missed[/]"


def _compare(finding: Finding) -> str:
    if finding.sent is None:
        return "the rule in force of this name has sent nothing to compare with"
    if not finding.only_here and not finding.only_sent:
        return f"the rule in force sent the same {count(len(finding.sent))}"
    return (
        f"the rule in force sent {count(len(finding.sent))}: {count(finding.both)} of these, "
        f"{count(len(finding.only_sent))} others; {count(len(finding.only_here))} only here"
    )


def _weigh(finding: Finding) -> str:
    wanted = len(finding.caught) + len(finding.missed)
    if not wanted:
        return "no paper it is about came into the top tenth of its week (or it is too early)"
    said = (
        f"{count(wanted)} papers it is about came into the top tenth of their week: "
        f"{count(len(finding.caught))} told, {count(len(finding.missed))} missed"
    )
    return said if finding.lead_h is None else f"{said}; median {_hours(finding.lead_h)} the cut"


def _hours(lead: float) -> str:
    return f"{abs(lead):.1f} h {'before' if lead >= 0 else 'after'}"


COMMANDS = {"backtest": backtest}
