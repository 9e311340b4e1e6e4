"""A store as it is after years: a million papers and all that visits have left of them, by SQL.

Rows of every table a visit touches, with texts of realistic length. What is left out is the
full-text index of these papers: building it takes minutes, and a visit touches it only where
words are new, at the place of these words. The papers that the bench visits are met through the
real functions and stand in every index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from watcher.demo.prose import dice
from watcher.store import Records

LOOKS = 20
"""Sightings of each paper."""
SOURCES = 100
_TEXT = 1_100
"""Letters of an abstract."""
_HALF_HOUR = 1_800
_FILLS = '{"abstract":50,"authors":50,"comments":50,"rank":50,"stars":31,"title":50,"upvotes":50}'
_AT = "strftime('%Y-%m-%dT%H:%M:%S.000000Z', {}, 'unixepoch')"
_ALL_WORDS = (1 << 12) - 1

_PAPERS = f"""
insert into papers
select i, printf('%04d.%05d', 1000 + i / 60000, i % 60000),
    printf('%04d.%05d', 1000 + i / 60000, i % 60000), lower(hex(randomblob(8))),
    :begin + (i - :first) * :step, date(:begin + (i - :first) * :step, 'unixepoch'),
    :begin + (i - :first) * :step, 1, i % 90, i % 7, i % 5000, 3,
    abs(random()) >> 20 << 12 | {_ALL_WORDS}, {_ALL_WORDS}
from numbers"""
_TEXTS = f"""
insert into texts
select i, 'On ' || substr(:words, 1 + i * 7919 % (length(:words) - 80), 70),
    substr(:words, 1 + i * 104729 % (length(:words) - {_TEXT}), {_TEXT}),
    substr(:words, 1 + i * 1299709 % (length(:words) - 200), 160),
    '["Ada Placeholder","Bob Placeholder","Cyd Placeholder","Dee Placeholder"]', 4,
    date(:begin + (i - :first) * :step, 'unixepoch'), 'https://github.com/none/' || i, null,
    'Nobody', 'someone', '["one","two","three"]', 'https://none.invalid/' || i || '.png'
from numbers"""
_SIGHTINGS = f"""
insert into sightings
select i, :begin + (i - :first) * :step + {_HALF_HOUR} * k, 1 + i % {SOURCES}, i % 90 + k, i % 7,
    i % 5000 + k
from numbers cross join (select value as k from json_each(:looks))"""
_PLACES = f"""
insert into places
select i, 1 + i % {SOURCES}, (:begin + (i - :first) * :step) / 86400 + d,
    :begin + (i - :first) * :step, 1 + i % 50, 50
from numbers cross join (select 0 as d union all select 1)"""
_REVISIONS = """
insert into revisions
select i, :begin + (i - :first) * :step, '{"ai_summary":null,"by":1}' from numbers
where i % 10 = 0"""
_CHECKS = f"""
insert into checks (source, at, outcome, status, bytes, duration_ms, reader, cards, moved, fills)
select 1 + i % {SOURCES}, {_AT.format(":begin + (i - :first) * :step")}, 'ok', 200, 120000, 90,
    'island', 50, 12, '{_FILLS}'
from numbers where i % 2 = 0"""
_ORDERS = f"""
insert into orders
select 1 + i / 10 % {SOURCES}, :begin + (i - :first) * :step, 1, randomblob(200) from numbers
where i % 10 = 0"""
_EVENTS = f"""
insert into events (id, type, at, rule, paper, source, upvotes, reason, conditions)
select 'evt_' || lower(hex(randomblob(10))), 'paper.new',
    {_AT.format(":begin + (i - :first) * :step")}, 'busy', i, 1, 30, 'upvotes 30, needs 20',
    '[{{"name":"upvotes","value":"30","need":"20","ok":true}}]'
from numbers where i % 10 = 0"""
_KEYS = f"""
insert into keys
select i, lower(hex(randomblob(8))), {_AT.format(":begin + (i - :first) * :step")} from numbers
where i % 10 = 0"""
_DELIVERIES = """
insert into deliveries
select cursor, 'me', substr(at, 1, 10) from events where paper >= :first and paper <= :last"""
_STATEMENTS = (
    *(_PAPERS, _TEXTS, _SIGHTINGS, _PLACES, _REVISIONS, _CHECKS),
    *(_ORDERS, _EVENTS, _KEYS, _DELIVERIES),
)


class Stretch(NamedTuple):
    """Papers that are to be made up, and the time in which they were listed."""

    papers: int
    begin: int
    """Unix seconds."""
    seconds: int


def fill(records: Records, stretch: Stretch) -> None:
    """Add made-up papers behind those there are; to be called within ``hurried``."""
    conn = records.conn
    first = conn.execute("select coalesce(max(id), 0) + 1 from papers").fetchone()[0]
    last = first + stretch.papers - 1
    values = {
        "first": first,
        "last": last,
        "begin": stretch.begin,
        "step": max(stretch.seconds // max(stretch.papers, 1), 1),
        "words": _words(),
        "looks": str(list(range(LOOKS))),
    }
    numbers = (
        "with recursive numbers (i) as"
        " (select :first union all select i + 1 from numbers where i < :last)"
    )
    with records.transaction():
        for statement in _STATEMENTS:
            head, select = statement.split("select", 1)
            conn.execute(f"{head}{numbers} select{select}", values)


def add_sources(records: Records) -> None:
    """The sources of the made-up papers."""
    with records.transaction():
        for number in range(SOURCES):
            records.sources.id_of(f"past-{number}", f"https://none.invalid/{number}")


@contextmanager
def hurried(records: Records) -> Iterator[None]:
    """No journal, no sync, no full-text index of the texts, for as long as the block lasts."""
    conn = records.conn
    (trigger,) = conn.execute("select sql from sqlite_master where name = 'texts_inserted'")
    with _settings(conn):
        conn.execute("drop trigger texts_inserted")
        try:
            yield
        finally:
            conn.execute(trigger[0])


@contextmanager
def _settings(conn: sqlite3.Connection) -> Iterator[None]:
    hasty = {"journal_mode": "off", "synchronous": "off", "cache_size": "-600000"}
    usual = {name: conn.execute(f"pragma {name}").fetchone()[0] for name in hasty}
    for name, value in hasty.items():
        conn.execute(f"pragma {name} = {value}")
    try:
        yield
    finally:
        for name, value in usual.items():
            conn.execute(f"pragma {name} = {value}")


def _words() -> str:
    """Letters and spaces to cut texts from."""
    draw = dice("filling")
    many = range(5_000)
    words = ["".join(draw.choices("etaoinshrdlu", k=draw.randrange(2, 11))) for _ in many]
    return " ".join(draw.choices(words, k=20_000))
