"""A view as plain text, readable alone: the text half of a mail, and what Apprise sends.

Pure. Must not decide what is told.
"""

from __future__ import annotations

import textwrap

from watcher.view import EntryView, View

WIDTH = 76


def render_text(view: View) -> str:
    """The text part, readable alone: every paper with its reasons and addresses."""
    blocks = [_heading(view.subject, "=")]
    blocks += [_wrap(line) for line in view.lines]
    if view.is_quiet:
        blocks.append("No paper was new or rising by your rules. The watcher is well.")
    if view.link:
        blocks.append(f"{view.link_text}:\n{view.link}" if view.link_text else view.link)
    blocks += [_wrap(f"{'+' if n.good else '!'} {n}", "  ") for n in view.notices]
    for section in view.sections:
        blocks.append(_heading(section.title, "-"))
        if section.note:
            blocks.append(_wrap(section.note))
        blocks += map(_entry_text, section.entries)
    if view.more:
        blocks.append("\n".join(filter(None, (view.more, view.more_url))))
    return "\n\n".join(blocks + _footer(view)) + "\n"


def _footer(view: View) -> list[str]:
    lines = [_wrap(line) for line in view.footer]
    if view.preferences_url:
        lines.append(f"Less often, mute a topic, other settings:\n{view.preferences_url}")
    if view.unsubscribe_url:
        lines.append(f"Unsubscribe:\n{view.unsubscribe_url}")
    # "-- " on a line of its own begins what mail programs show as a signature.
    return ["-- \n" + "\n".join(lines)] if lines else []


def _entry_text(entry: EntryView) -> str:
    facts = " · ".join(filter(None, (entry.kind, entry.counts)))
    people = " · ".join(filter(None, (entry.authors, entry.organization)))
    # Without an address in them they may be broken anywhere: some languages write no spaces.
    lines = [_wrap(f"* {entry.title}", "  ", anywhere=True)]
    lines += [_wrap(f"  {line}", "  ", anywhere=True) for line in (facts, people) if line]
    lines += [_wrap(f"  > {reason}", "    ", anywhere=True) for reason in entry.reasons]
    if entry.summary:
        lines.append(_wrap(f"  {entry.summary}", "  ", anywhere=True))
    links = (entry.url, entry.arxiv_url, entry.github_url)
    return "\n".join([*lines, *(f"  {link}" for link in links if link)])


def _heading(text: str, rule: str) -> str:
    lines = _wrap(text)
    return f"{lines}\n{rule * max(map(len, lines.splitlines()), default=0)}"


def _wrap(text: str, indent: str = "", *, anywhere: bool = False) -> str:
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=anywhere
    )
