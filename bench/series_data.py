"""The real series in ``../shared/series``, as the benches read them. Numbers only."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

SERIES = Path(__file__).resolve().parent.parent.parent / "shared" / "series"


class Followed(NamedTuple):
    """One paper or story: when it was listed and its looks in time order, Unix seconds."""

    listed_at: int
    looks: tuple[tuple[int, int], ...]


class Order(NamedTuple):
    """The order of one daily page."""

    at: int
    papers: tuple[str, ...]
    listed_at: dict[str, int]


def require_series(folder: Path) -> None:
    """Leave with a clear message when the real series are not beside the project."""
    if not folder.is_dir():
        raise SystemExit(f"the real series are not on this machine: {folder} is missing")


def unix(text: str) -> int:
    """Unix seconds of an ISO date or time in UTC."""
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _rows(name: str) -> Iterator[dict[str, str]]:
    with gzip.open(SERIES / name, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _followed(name: str) -> dict[str, Followed]:
    listed: dict[str, int] = {}
    looks: dict[str, list[tuple[int, int]]] = {}
    for row in _rows(name):
        if row["upvotes"] and row["listed_at"]:
            paper = row["paper_id"]
            listed.setdefault(paper, unix(row["listed_at"]))
            looks.setdefault(paper, []).append((unix(row["observed_at"]), int(row["upvotes"])))
    return {p: Followed(listed[p], tuple(sorted(found))) for p, found in looks.items()}


def load_papers() -> dict[str, Followed]:
    """The daily papers with their counts."""
    return _followed("hf_upvotes.csv.gz")


def load_stories() -> dict[str, Followed]:
    """The stories with their scores."""
    return _followed("hn_scores.csv.gz")


def load_orders() -> list[Order]:
    """The looks at the daily page, in time order, each with its papers from the top."""
    pages: dict[int, list[tuple[int, str]]] = {}
    listed: dict[int, dict[str, int]] = {}
    for row in _rows("hf_daily_rank.csv.gz"):
        at = unix(row["observed_at"])
        pages.setdefault(at, []).append((int(row["rank"]), row["paper_id"]))
        if row["listed_at"]:
            listed.setdefault(at, {})[row["paper_id"]] = unix(row["listed_at"])
    return [
        Order(at, tuple(p for _, p in sorted(found)), listed.get(at, {}))
        for at, found in sorted(pages.items())
    ]
