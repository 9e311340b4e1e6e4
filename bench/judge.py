"""How long the judgement of one page takes: 50 papers by 3 rules.

Run by ``python -m bench.judge``. Measures ``decide`` on a page looked at again (the usual
case: the words are remembered, some votes moved) and on a page never seen before, beside
the bare cost of writing every condition out. The number to hold: 0.25 ms for the former.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import msgspec

from watcher.case import Matches, Moment, Subject
from watcher.judgement import decide, judge
from watcher.model import CARD_FIELDS, History, Look, Paper, Place
from watcher.rules import Rule, compile_rule

NOW = 1_790_000_000
HOUR = 3_600
WORDS = """
model agent policy reward alignment diffusion video token sparse memory planner robot
benchmark speech graph retrieval reasoning latent world preference optimization tool
the of and for with
"""
Work = Callable[[list[Subject]], object]
RULES = (
    compile_rule("alignment", query='title:alignment OR abstract:"preference optimization"'),
    compile_rule("busy", min_upvotes=20),
    compile_rule("agents", query="agent* AND upvotes:>=10", exclude=("survey",)),
)


def page(seed: int, *, trending: bool) -> list[Subject]:
    """Fifty invented papers with a day of looks each."""
    draw = random.Random(seed)
    return [_subject(draw, row, trending=trending) for row in range(1, 51)]


def _subject(draw: random.Random, row: int, *, trending: bool) -> Subject:
    words = " ".join(draw.choices(WORDS.split(), k=180))
    age = draw.randrange(40, 160) if trending else draw.randrange(1, 24)
    votes = int(draw.lognormvariate(2.5, 1.2))
    times = sorted({NOW - draw.randrange(age * HOUR) for _ in range(min(votes, 40))} | {NOW - 60})
    looks = tuple(
        Look(at=at, source=1, upvotes=1 + i * votes // len(times)) for i, at in enumerate(times)
    )
    places = tuple(Place(at=at, source=1, rank=row, page_size=50) for at in times[-12:])
    paper = Paper(
        row=row,
        arxiv_id=f"2699.{row:05}",
        title=" ".join(draw.choices(WORDS.split(), k=9)),
        abstract=words,
        ai_summary=words[:180],
        authors=tuple(f"Name{draw.randrange(999)} Surname" for _ in range(8)),
        author_count=8,
        published_on=date(2026, 9, 20),
        first_seen_at=datetime.fromtimestamp(NOW - age * HOUR, UTC),
        upvotes=looks[-1].upvotes,
    )
    history = History(
        listed_at=NOW - age * HOUR,
        listed_exact=True,
        first_seen_at=NOW - age * HOUR,
        looks=looks,
        places=places if trending else (),
    )
    shows = frozenset(CARD_FIELDS)
    return Subject(paper=paper, key=f"2699.{row:05}", source="page", history=history, shows=shows)


def said(rules: tuple[Rule, ...], subjects: list[Subject], moment: Moment) -> frozenset[str]:
    """What a first look used up."""
    return frozenset(k for d in decide(rules, subjects, moment) for k in d.keys)


def best_ms(work: Work, subjects: list[Subject], *, rounds: int = 100) -> tuple[float, float]:
    """Best and median of some rounds, in milliseconds; each on strings as fresh as a store's."""
    spent = []
    wire = msgspec.msgpack.encode(subjects)
    for _ in range(rounds):
        fresh = msgspec.msgpack.decode(wire, type=list[Subject])
        begin = time.perf_counter()
        work(fresh)
        spent.append((time.perf_counter() - begin) * 1_000)
    return min(spent), statistics.median(spent)


def cases(subjects: list[Subject], sources: frozenset[int]) -> dict[str, Work]:
    """What is measured, by its label."""
    first = Moment(now=NOW, trending=sources)
    again = Moment(now=NOW, trending=sources, said=said(RULES, subjects, first))
    matches = Matches()
    decide(RULES, subjects, first, matches=matches)
    spoke = len(decide(RULES, subjects, first))
    return {
        "looked at again": lambda page: decide(RULES, page, again, matches=matches),
        "words never seen": lambda page: decide(RULES, page, again),
        f"{spoke} changes told": lambda page: decide(RULES, page, first, matches=matches),
        "every condition written out": lambda page: [
            judge(rule, subject, first) for rule in RULES for subject in page
        ],
    }


def main() -> None:
    """Print one line per case."""
    print(f"{'50 papers × 3 rules':<44}{'best ms':>9}{'median':>9}")
    for trending in (False, True):
        subjects = page(7, trending=trending)
        sources = frozenset({1}) if trending else frozenset()
        for label, work in cases(subjects, sources).items():
            best, median = best_ms(work, subjects)
            name = "trending" if trending else "daily"
            print(f"{name + ' page, ' + label:<44}{best:>9.3f}{median:>9.3f}")


if __name__ == "__main__":
    main()
