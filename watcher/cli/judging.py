"""``why``, ``events``, ``rules``, ``backtest``: what was said, what was not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
from rich.markup import escape

from watcher import growth, learning
from watcher.cli.common import (
    CURSOR,
    as_json,
    config_options,
    console,
    count,
    limit_option,
    print_json,
    print_json_lines,
    read_config,
    records_of,
)
from watcher.cli.looking import find_paper
from watcher.cli.reading import Moment
from watcher.cli.testing import backtest
from watcher.clock import from_unix, to_unix
from watcher.errors import UnknownName
from watcher.model import Change, Event, Paper
from watcher.reasons import format_conditions
from watcher.wire import condition_json, event_json, instant

if TYPE_CHECKING:
    from watcher.config import Config
    from watcher.rules import Rule
    from watcher.store import Records
    from watcher.why import Answer

_LATELY = timedelta(days=7)
_PAGE = 500
"""Events read at a time: a long list is printed while it is read."""


# --- why --------------------------------------------------------------------------------


@click.command()
@click.argument("paper")
@click.option("--rule", "rule_name", metavar="NAME", help="Only this rule.")
@click.option("--at", type=Moment(), help="As it was at this time (default: now).")
@as_json
@config_options
def why(paper: str, rule_name: str | None, at: datetime | None, json_: bool) -> int:
    """Why a paper was told, or was not: every rule, every condition.

    PAPER is an arXiv id, a `t:` name or the paper's address. What was told is shown as it was
    stored; the rest is judged now.

    \b
    Examples:
      watcher why 2611.04217
      watcher why 2611.04217 --rule alignment
      watcher why https://huggingface.co/papers/2611.04217 --at 2026-11-18T12:00
    """
    from watcher.rulebook import compile_rules
    from watcher.why import answers

    config = read_config()
    now = at or datetime.now(UTC)
    if rule_name is not None:
        config.rule(rule_name)
    rules = [r for r in compile_rules(config) if rule_name in (None, r.name)]
    with records_of(config) as records:
        row = find_paper(records, paper)
        found = answers(records, rules, row, now=now, zone=config.watcher.timezone)
        found = tuple(a for a in found if rule_name in (None, a.verdict.rule))
        known = records.papers.get(row)
        history = records.papers.history(row)
        begun = from_unix(min([history.first_seen_at, *(look.at for look in history.looks)]))
        if now < begun:
            raise UnknownName(
                f"{known.name} was not seen by {now:%Y-%m-%d %H:%M} UTC, "
                f"but first on {begun:%Y-%m-%d %H:%M} UTC"
            )
        seen_by = records.papers.sources_of(row)
    if json_:
        print_json([answer_json(answer) for answer in found])
    else:
        _print_answers(known, found, seen_by)
    return 0


def answer_json(answer: Answer) -> dict[str, Any]:
    """``rule kind fires conditions``, the moment they are about, and what was told."""
    verdict, closest = answer.verdict, answer.closest
    return {
        "rule": verdict.rule,
        "kind": verdict.kind,
        "fires": verdict.fires,
        "conditions": [condition_json(condition) for condition in verdict.conditions],
        "at": instant(answer.at),
        "said": answer.said,
        "event": answer.told and _told_json(answer.told),
        "closest": closest
        and {
            "at": answer.closest_at and instant(answer.closest_at),
            "fires": closest.fires,
            "conditions": [condition_json(condition) for condition in closest.conditions],
        },
    }


def _told_json(event: Event) -> dict[str, Any]:
    return {
        "cursor": event.cursor,
        "id": event.id,
        "type": event.type.value,
        "at": instant(event.at),
        "reason": event.reason,
        "known": event.known,
        "late": event.late,
    }


def _print_answers(paper: Paper, found: Sequence[Answer], seen_by: Sequence[str]) -> None:
    out = console()
    out.print(f"[bold]{escape(paper.title)}[/]")
    listed = f" · listed {paper.listed_at:%d %b %Y %H:%M} UTC" if paper.listed_at else ""
    out.print(
        f"{escape(paper.name)} · {count(paper.upvotes)} votes{listed}"
        f" · seen by {escape(', '.join(sorted(seen_by)) or 'no source')}"
    )
    rule = None
    for answer in found:
        if answer.verdict.rule != rule:
            rule = answer.verdict.rule
            out.print(f"\n[bold]{escape(rule)}[/]")
        _print_answer(out, answer)
    if not found:
        out.print("\nno rule is configured")


def _print_answer(out: Any, answer: Answer) -> None:
    kind, event = f"{answer.verdict.kind.value:<9}", answer.told
    conditions = escape(format_conditions(answer.verdict.conditions)) or "asks for nothing"
    if event is not None:
        when = "known from the start (baseline)" if event.known else "told"
        other = "" if event.type.kind == answer.verdict.kind else f" as {event.type.kind}"
        out.print(f"  [green]✓[/] {kind} {when}{other} {event.at:%d %b %H:%M} UTC")
        out.print(f"      {escape(event.reason)}")
    elif answer.said:
        out.print(f"  [green]✓[/] {kind} told before; its event is no longer stored")
    elif answer.verdict.fires:
        out.print(
            f"  [green]✓[/] {kind} holds, not told yet: it is when a source shows the paper again"
        )
    else:
        out.print(f"  [red]✗[/] {kind} not told")
    out.print(f"      [dim]{conditions}[/]")
    if answer.closest is not None and answer.closest_at is not None:
        closest = escape(format_conditions(answer.closest.conditions))
        out.print(f"      [dim]closest on {answer.closest_at:%d %b %H:%M} UTC: {closest}[/]")


# --- events -----------------------------------------------------------------------------


@click.command()
@click.option("--after", type=CURSOR, help="Only what came after this cursor.")
@limit_option
@click.option("--all", "all_", is_flag=True, help="Also what was known from the start.")
@as_json
@config_options
def events(after: int | None, limit: int | None, all_: bool, json_: bool) -> int:
    """Changes and notices, oldest first, with a cursor to go on from.

    Without a cursor --json begins at the beginning, one object a line; the table shows the
    latest. Changes known from the start (the first look of a rule at a source) are owed to
    nobody and left out, as in every feed and webhook; --all shows them.

    \b
    Examples:
      watcher events
      watcher events --after 1200 --json | jq -r .paper.title
    """
    config = read_config()
    with records_of(config) as records:
        _warn_beyond(records, after or 0)
        if json_:
            found = _stream(records, after or 0, limit, known=all_)
            print_json_lines(_event_json(event, known=all_) for event in found)
            return 0
        if after is None:
            shown = records.events.latest(limit=limit or 20, known=all_)[::-1]
        else:
            shown = records.events.after(after, limit=limit or 20, known=all_)
    _print_events(shown)
    return 0


def _warn_beyond(records: Records, cursor: int) -> None:
    """A cursor of another database, or of this one before it was restored, hides what comes."""
    latest = records.events.latest(limit=1, known=True)
    last = latest[0].cursor if latest else 0
    if cursor > last:
        click.echo(f"watcher: cursor {cursor} lies beyond the last one, {last}", err=True)


def _stream(records: Records, cursor: int, limit: int | None, *, known: bool) -> Iterator[Event]:
    while limit is None or limit > 0:
        page = records.events.after(cursor, limit=min(limit or _PAGE, _PAGE), known=known)
        yield from page
        if not page:
            return
        cursor = page[-1].cursor
        limit = None if limit is None else limit - len(page)


def _event_json(event: Event, *, known: bool) -> dict[str, Any]:
    return {**event_json(event), **({"known": event.known} if known else {})}


def _print_events(shown: Sequence[Event]) -> None:
    out = console()
    if not shown:
        out.print("nothing was told")
        return
    wide = max(6, *(len(str(event.cursor)) for event in shown))
    out.print(f"[bold]{'cursor':>{wide}}  {'at (UTC)':<12}[/]")
    for event in shown:
        name = event.paper.name if event.paper else event.subject or ""
        title = f" {escape(event.paper.title)}" if event.paper else ""
        rule = f" [bold]{escape(event.rule)}[/]" if event.rule else ""
        known = " (known from the start)" if event.known else ""
        out.print(
            f"{event.cursor:>{wide}}  {event.at:%d %b %H:%M}  {event.type.kind:<9}{rule}"
            f" {escape(name)}{title}\n{'':{wide + 2}}[dim]{escape(event.reason)}{known}[/]"
        )
    out.print(f"--after {shown[-1].cursor} goes on from here")


# --- rules ------------------------------------------------------------------------------


@click.command()
@as_json
@config_options
def rules(json_: bool) -> int:
    """The rules: what they ask today, what they told lately, what was learnt.

    Thresholds are those in force now: a rule with a budget learns them at each midnight, the
    usual votes are learnt on Mondays at 00:00 UTC from the records before.

    \b
    Examples:
      watcher rules
      watcher rules --json | jq -r '.[].name'
    """
    from watcher.rulebook import compile_rules

    config = read_config()
    now = datetime.now(UTC)
    with records_of(config) as records:
        baseline = learning.baseline_at(records, to_unix(now), keep=False)
        in_force = learning.rules_at(
            records,
            compile_rules(config),
            now=now,
            zone=config.watcher.timezone,
            baseline=baseline,
            keep=False,
        )
        tallies = records.events.tallies()
        recent = records.events.between(now - _LATELY, now + timedelta(seconds=1))
    lately = {
        rule.name: [e for e in recent if e.rule == rule.name and not e.known] for rule in in_force
    }
    shown = [
        {
            **_rule_json(rule, config),
            "told": tallies.get(rule.name, (0, 0, None))[0],
            "known": tallies.get(rule.name, (0, 0, None))[1],
            "last_told_at": tallies.get(rule.name, (0, 0, None))[2],
            "told_lately": len(lately[rule.name]),
            "lately": [_lately_json(event) for event in reversed(lately[rule.name])],
            "baseline": {
                "papers": baseline.papers,
                "learnt_at": from_unix(baseline.learnt_at) if baseline.papers else None,
                "next": from_unix(growth.monday(to_unix(now)) + growth.WEEK),
            },
        }
        for rule in in_force
    ]
    if json_:
        print_json(shown)
    else:
        _print_rules(shown, baseline)
    return 0


def _rule_json(rule: Rule, config: Config) -> dict[str, Any]:
    """What a rule asks for, as its budget has it today."""
    return {
        "name": rule.name,
        "events": rule.events,
        "query": rule.query.text if rule.query else None,
        "exclude": rule.exclude.text if rule.exclude else None,
        "follows": rule.follows.text if rule.follows else None,
        "sources": sorted(rule.sources) or None,
        "channels": config.rule(rule.name).channels,
        "ripen": timedelta(seconds=rule.ripen_s),
        "budget": rule.budget,
        "min_upvotes": rule.min_upvotes,
        "needs": {
            "upvotes": rule.new_upvotes,
            "multiplier": rule.min_multiplier,
        },
    }


def _lately_json(event: Event) -> dict[str, Any]:
    paper = event.paper
    return {
        "at": instant(event.at),
        "kind": event.type.kind,
        "paper_id": paper.name if paper else None,
        "title": paper.title if paper else None,
        "upvotes": event.counts.upvotes,
        "reason": event.reason,
    }


def _print_rules(shown: Sequence[dict[str, Any]], baseline: growth.Baseline) -> None:
    out = console()
    for rule in shown:
        channels = ", ".join(rule["channels"] or ()) or "nobody"
        kinds = ", ".join(kind.value for kind in rule["events"])
        out.print(f"[bold]{escape(rule['name'])}[/]  {kinds} → {escape(channels)}")
        for line in _asks(rule):
            out.print(f"  {escape(line)}")
        last = rule["last_told_at"]
        out.print(
            f"  told {rule['told_lately']} in 7 days, {count(rule['told'])} in all"
            f"{f', last {last:%d %b %H:%M} UTC' if last else ''};"
            f" {count(rule['known'])} known from the start"
        )
        for event in rule["lately"][:5]:
            at = datetime.fromisoformat(event["at"])
            out.print(
                f"    [dim]{at:%d %b %H:%M} UTC[/] {event['kind']:<9} {escape(event['paper_id'])}"
                f" {escape(event['title'])}"
            )
        if len(rule["lately"]) > 5:
            out.print(f"    [dim]… and {len(rule['lately']) - 5} more[/]")
        out.print("")
    if not shown:
        out.print("no rule is configured\n")
    out.print(_describe(baseline))


def _asks(rule: dict[str, Any]) -> Iterator[str]:
    for name in ("query", "follows", "exclude"):
        if rule[name]:
            yield f"{name} {rule[name]}"
    if rule["sources"]:
        yield f"sources {', '.join(rule['sources'])}"
    yield " · ".join(_kinds(rule))
    if rule["budget"] is not None:
        yield f"budget about {rule['budget']:g} papers a day: these thresholds hold until midnight"


def _kinds(rule: dict[str, Any]) -> Iterator[str]:
    """What each kind asks for that the rule tells."""
    needs, kinds = rule["needs"], rule["events"]
    if Change.NEW in kinds:
        asked = f"new from {needs['upvotes']} votes" if needs["upvotes"] else "new at first sight"
        if rule["ripen"]:
            asked += f", judged {rule['ripen'] / timedelta(hours=1):g} h after the listing"
        yield asked
    elif rule["min_upvotes"]:
        yield f"from {rule['min_upvotes']} votes"
    if Change.RISING in kinds:
        yield f"rising from surely {needs['multiplier']:g} × the usual"
    if Change.RESURGING in kinds:
        yield "resurging when an old paper gains votes again"


def _describe(baseline: growth.Baseline) -> str:
    day = next(
        (f"{usual:.0f} votes after 24 h" for age, usual in _curve(baseline) if age >= 24), ""
    )
    if not baseline.papers:
        return f"Usual votes: the shipped curve ({day}), until there are records to learn from."
    learnt = from_unix(baseline.learnt_at)
    return (
        f"Usual votes: learnt on {learnt:%a %d %b} 00:00 UTC from {count(baseline.papers)} papers "
        f"of the 8 weeks before ({day}); anew each Monday."
    )


def _curve(baseline: growth.Baseline) -> Iterator[tuple[float, float]]:
    return zip(baseline.ages, baseline.usual, strict=True)


COMMANDS = {"why": why, "events": events, "rules": rules, "backtest": backtest}
