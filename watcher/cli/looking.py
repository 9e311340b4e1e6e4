"""``sources``, ``papers``, ``paper``, ``stats``: what the watcher knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click
from rich.markup import escape

from watcher import growth
from watcher.cli.common import (
    age,
    as_json,
    config_options,
    console,
    count,
    limit_option,
    print_json,
    read_config,
    records_of,
    table,
    tell_cut,
    tell_notes,
)
from watcher.clock import from_unix
from watcher.errors import UnknownName
from watcher.matching import doc_of
from watcher.model import Paper
from watcher.query import compile_query
from watcher.store import Records
from watcher.text import draw_votes


@click.command()
@as_json
@click.option(
    "--all", "all_", is_flag=True, help="Also past days and sources no longer configured."
)
@config_options
def sources(json_: bool, all_: bool) -> int:
    """The sources: when they were read last, what fails, when they are due.

    \b
    Examples:
      watcher sources
      watcher sources --all --json | jq -r '.[] | select(.failing_since) | .name'
    """
    config = read_config()
    names = {source.name: source for source in config.sources}
    with records_of(config) as records:
        states = {state.name: state for state in records.sources.states()}
    shown: list[dict[str, Any]] = [
        {
            "name": name,
            "url": names[name].url if name in names else states[name].url,
            "last_ok": states[name].last_ok_at if name in states else None,
            "failing_since": states[name].failing_since if name in states else None,
            "next_due": states[name].next_due_at if name in states else None,
            "cards": states[name].cards if name in states else None,
            "error": states[name].last_error if name in states else None,
        }
        for name in [*names, *(n for n in states if n not in names and (all_ or json_))]
    ]
    if json_:
        print_json(shown)
        return 0
    made = table(None, ["source", "last read", ("papers", "right"), "next", "state"])
    for row in shown:
        state = "[green]ok[/]" if row["last_ok"] else "not visited yet"
        if row["failing_since"]:
            state = (
                f"[red]failing since {age(row['failing_since'])}[/]: {escape(row['error'] or '')}"
            )
        made.add_row(
            escape(row["name"]),
            age(row["last_ok"]),
            count(row["cards"]),
            age(row["next_due"]),
            state,
        )
    console().print(made)
    return 0


_COUNTED = 1000
"""Papers found after which a search for people counts no more: a common word has millions."""


class _Words(click.Command):
    """A verb whose words may begin with a dash, behind ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with a hint where it takes a word for an option."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as exc:
            hint = f"{exc.format_message()} A query that begins with a dash stands behind --."
            raise click.UsageError(hint, ctx) from exc


@click.command(cls=_Words)
@click.argument("query", nargs=-1)
@limit_option
@as_json
@config_options
def papers(query: tuple[str, ...], limit: int | None, json_: bool) -> int:
    """List the papers that were seen, the newest first, or search them.

    QUERY is in the language of the rules (docs/rules.md).

    \b
    Examples:
      watcher papers
      watcher papers diffusion alignment
      watcher papers 'title:"reward model" AND upvotes:>=50'
    """
    config = read_config()
    most = limit if limit is not None or json_ else 20
    with records_of(config) as records:
        # People are told how many match, if not too many; programs that ask for some do not wait.
        looked = max((most or 0) + 1, _COUNTED) if query and not json_ else most
        found = search(records, " ".join(query), limit=looked)
        total = len(found) if query else records.papers.count()[0]
    if json_:
        from watcher.wire import paper_json

        print_json([paper_json(paper) for paper in found])
        return 0
    found = found[:most]
    made = table(None, ["paper", ("votes", "right"), ("stars", "right"), "listed", "title"])
    for paper in found:
        listed = f"{paper.listed_at:%Y-%m-%d}" if paper.listed_at else "–"
        made.add_row(
            paper.name, count(paper.upvotes), count(paper.stars), listed, escape(paper.title)
        )
    out = console()
    out.print(made)
    tell_cut(out, len(found), total, or_more=bool(query) and total == looked)
    if query and not found:
        out.print("no paper matches")
    tell_notes(" ".join(query))
    return 0


def search(records: Records, query: str, *, limit: int | None) -> tuple[Paper, ...]:
    """Papers that match a query, the best first; the newest first without one."""
    if not query.strip():
        return records.papers.latest(limit=limit)
    compiled = compile_query(query)
    match = compiled.fts()
    candidates = records.papers.search(match) if match else records.papers.each_latest()
    now = datetime.now(UTC)
    found = []
    for paper in candidates:
        seen_by = records.papers.sources_of(paper.row) if compiled.asks_source else ()
        if compiled.match(doc_of(paper, now=now, sources=seen_by)) is True:
            found.append(paper)
            if limit is not None and len(found) >= limit:
                break
    return tuple(found)


def find_paper(records: Records, name: str) -> int:
    """The row of a paper by id, name or url. Raises UnknownName."""
    row = records.papers.find(name)
    if row is None:
        raise UnknownName(
            f"no paper {name!r} was seen; `watcher papers WORDS` finds one by its words"
        )
    return row


@click.command()
@click.argument("name")
@as_json
@config_options
def paper(name: str, json_: bool) -> int:
    """One paper: its words, how its counts moved, what was said of it.

    NAME is an arXiv id, a `t:` name or the paper's address.

    \b
    Examples:
      watcher paper 2610.01234
      watcher paper https://huggingface.co/papers/2610.01234 --json
    """
    config = read_config()
    with records_of(config) as records:
        row = find_paper(records, name)
        found = records.papers.get(row)
        history = records.papers.history(row)
        said = records.events.of_paper(row)
        names = {state.id: state.name for state in records.sources.states()}
    if json_:
        looks = [
            {
                "at": from_unix(look.at),
                "source": names.get(look.source),
                "upvotes": look.upvotes,
                "comments": look.comments,
                "stars": look.stars,
            }
            for look in history.looks
        ]
        from watcher.wire import event_json, paper_json

        print_json(
            {**paper_json(found), "sightings": looks, "events": [event_json(e) for e in said]}
        )
        return 0
    _print_paper(found, history, said, names)
    return 0


def _print_paper(found: Paper, history: Any, said: Any, names: dict[int, str]) -> None:
    out = console()
    out.print(f"[bold]{escape(found.title)}[/]")
    authors = ", ".join((found.authors or ())[:6]) or (
        f"{found.author_count} authors" if found.author_count else ""
    )
    if found.authors and len(found.authors) > 6:
        authors += f" and {len(found.authors) - 6} more"
    for line in (authors, found.organization, found.url, found.arxiv_url, found.github):
        if line:
            out.print(escape(line))
    if found.listed_at:
        exact = "" if found.listed_exact else " or before (first seen then)"
        out.print(f"listed {found.listed_at:%Y-%m-%d %H:%M} UTC{exact}")
    out.print(
        f"{count(found.upvotes)} votes · {count(found.comments)} comments · "
        f"{count(found.stars)} stars"
    )
    points = votes_over_time(history)
    if len(points) > 1:
        first, last = from_unix(history.looks[0].at), from_unix(history.looks[-1].at)
        out.print(f"{draw_votes(points)}  {first:%d %b %H:%M} – {last:%d %b %H:%M} UTC")
    if found.abstract or found.ai_summary:
        out.print("")
        out.print(escape(found.ai_summary or found.abstract or ""))
    if said:
        out.print("")
        for event in said:
            mark = " (known from the start)" if event.known else ""
            out.print(
                f"{event.at:%Y-%m-%d %H:%M} UTC [bold]{event.type.kind}[/]"
                f" by {escape(event.rule or '')}: {escape(event.reason)}{mark}"
            )
    seen_by = sorted({names.get(look.source, "?") for look in history.looks})
    out.print(f"\nseen by {', '.join(seen_by)}; {len(history.looks)} sightings")


def votes_over_time(history: Any, points: int = 48) -> tuple[int, ...]:
    """Upvotes at evenly spaced times from the first look to the last."""
    known = [look for look in history.looks if look.upvotes is not None]
    if not known:
        return ()
    begin, end = known[0].at, known[-1].at
    if begin == end:
        return (known[0].upvotes,)
    steps = min(points, max(2, len(known)))
    times = [begin + (end - begin) * i // (steps - 1) for i in range(steps)]
    return tuple(v for at in times if (v := growth.count_at(known, at)) is not None)


@click.command()
@as_json
@config_options
def stats(json_: bool) -> int:
    """What is stored, how checks and messages went, and an account of the last day.

    \b
    Examples:
      watcher stats
      watcher stats --json | jq .checks
    """
    from watcher.cli.accounts import account_json, account_of, print_account

    config = read_config()
    with records_of(config) as records:
        papers_, sightings = records.papers.count()
        checks = records.sources.count_checks()
        told = records.events.count()
        messages = records.outbox.counts()
        account = account_of(records, config)
    shown: dict[str, Any] = {
        "papers": papers_,
        "sightings": sightings,
        "checks": {
            name: checks.get(name, 0) for name in ("ok", "unchanged", "failed", "quarantined")
        },
        "events": told,
        "messages": messages,
        "last_day": account_json(account),
    }
    if json_:
        print_json(shown)
        return 0
    made = table(None, ["", ("", "right")])
    made.add_row("papers", count(papers_))
    made.add_row("sightings", count(sightings))
    for name, number in shown["checks"].items():
        made.add_row(f"checks {name}", count(number))
    made.add_row("events", count(told))
    for name, number in messages.items():
        made.add_row(f"messages {name}", count(number))
    out = console()
    out.print(made)
    print_account(account, out)
    return 0


COMMANDS = {"sources": sources, "papers": papers, "paper": paper, "stats": stats}
