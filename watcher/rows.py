"""The rows of a foreign series and the alerts it gives, as values and as CSV.

Owns the columns of ``watcher backtest --series FILE --learn FILE --alerts FILE``. Must not
judge: that is ``series.py``.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from watcher.errors import WatcherError
from watcher.model import Change, Value

_NEEDED = ("paper_id", "observed_at", "upvotes", "listed_at")
_UNKNOWN = frozenset({"", "nan", "na", "none", "null"})


class Row(Value, frozen=True, kw_only=True):
    """One paper at one look. Times in Unix seconds."""

    paper_id: str
    observed_at: int
    upvotes: int | None = None
    listed_at: int | None = None
    rank: int | None = None
    page_size: int | None = None


class Alert(Value, frozen=True, kw_only=True):
    """The first time a paper was told."""

    paper_id: str
    alerted_at: int
    kind: Change
    upvotes: int
    """The latest count known, not the one implied by a place."""
    multiplier: float


def read_rows(path: Path) -> tuple[Row, ...]:
    """Read a series from a CSV file with a header, gzipped if its name ends in ``.gz``.

    Columns: ``paper_id, observed_at, upvotes, listed_at`` and where known ``rank, page_size``;
    others are ignored. Times are ISO 8601, UTC unless they say otherwise.

    Raises:
        WatcherError: the file cannot be read, lacks a column, or a line makes no sense.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            return tuple(parse_rows(file, name=path.name))
    except OSError as exc:
        raise WatcherError(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    except (EOFError, UnicodeDecodeError, csv.Error) as exc:
        raise WatcherError(f"{path}: cannot be read as a series: {exc}") from exc


def parse_rows(lines: Iterable[str], *, name: str = "series") -> Iterator[Row]:
    """The rows of a CSV with a header; ``name`` stands in the messages of errors."""
    table = csv.DictReader(lines)
    missing = [column for column in _NEEDED if column not in (table.fieldnames or ())]
    if missing:
        raise WatcherError(
            f"{name}: no column {', '.join(missing)}; a series needs {', '.join(_NEEDED)}"
            " (and may have rank, page_size)"
        )
    for fields in table:
        try:
            yield _row(fields)
        except (ValueError, OverflowError) as exc:
            raise WatcherError(f"{name}, line {table.line_num}: {exc}") from exc


def _row(fields: Mapping[str, str | None]) -> Row:
    paper_id = (fields["paper_id"] or "").strip()
    observed_at = _time(fields, "observed_at")
    if not paper_id or observed_at is None:
        raise ValueError("paper_id and observed_at must not be empty")
    return Row(
        paper_id=paper_id,
        observed_at=observed_at,
        upvotes=_count(fields, "upvotes"),
        listed_at=_time(fields, "listed_at"),
        rank=_count(fields, "rank"),
        page_size=_count(fields, "page_size"),
    )


def _said(fields: Mapping[str, str | None], column: str) -> str | None:
    text = (fields.get(column) or "").strip()
    return None if text.lower() in _UNKNOWN else text


def _count(fields: Mapping[str, str | None], column: str) -> int | None:
    """A whole number; a negative one is a scraper's fault, as good as missing."""
    text = _said(fields, column)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not number.is_integer():
        raise ValueError(f"{column} {text!r} is not a count (a whole number, or empty)")
    return int(number) if number >= 0 else None


def _time(fields: Mapping[str, str | None], column: str) -> int | None:
    text = _said(fields, column)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column} {text!r} is not a time like 2026-05-11T07:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def write_alerts(path: Path, alerts: Iterable[Alert]) -> int:
    """Write alerts as CSV, ``paper_id, alerted_at, kind, upvotes, multiplier``; how many.

    Raises:
        WatcherError: the file cannot be written.
    """
    count = 0
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(Alert.__struct_fields__)
            for count, alert in enumerate(alerts, 1):  # noqa: B007
                table.writerow(_written(alert))
    except OSError as exc:
        raise WatcherError(f"{path}: cannot be written: {exc.strerror or exc}") from exc
    return count


def _written(alert: Alert) -> tuple[str, str, str, int, str]:
    told = datetime.fromtimestamp(alert.alerted_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return alert.paper_id, told, alert.kind.value, alert.upvotes, f"{alert.multiplier:.3f}"
