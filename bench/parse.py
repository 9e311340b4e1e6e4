"""How fast a page is read, against parsel and BeautifulSoup, on the same bytes in one run.

The page is invented: a trending list of 50 papers in the site's format, about 0.9 MB, with the
spread of words and ids that real pages have. Before anything is timed, all contestants must
have found the same papers with the same votes. Ours also decodes, checks and types every
field; the peers take id, title, votes and stars only, so the ratios flatter them.

    python -m bench.parse [--seconds 1.0] [--json]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests import pages
from watcher import readers
from watcher.model import ReaderName

AT = datetime(2026, 10, 6, 12, tzinfo=UTC)
WANTED_BYTES = 900_000
PAPERS = 50
ROUNDS = 7

Row = tuple[str, str, int]
"""What a contestant must find of each paper: id, title, votes."""


def page(count: int = PAPERS) -> bytes:
    """The invented page: its drawings are sized so that it has about 0.9 MB."""
    papers = pages.fakes(count)
    small, large = (len(pages.trending(papers, size=size)) for size in (44, 440))
    size = 44 + 396 * (WANTED_BYTES - small) / (large - small)
    return pages.trending(papers, size=round(size / 22) * 22)


def ours(body: bytes, reader: ReaderName | None = None) -> list[Row]:
    found = readers.parse(body, at=AT, reader=reader)
    return [(card.paper_id or "", card.title, card.upvotes or 0) for card in found.cards]


def by_our_cards(body: bytes) -> list[Row]:
    return ours(body, ReaderName.CARDS)


def parsel_peers() -> dict[str, Callable[[bytes], list[Row]]]:
    from parsel import Selector  # noqa: PLC0415

    def island(body: bytes) -> list[Row]:
        tree = Selector(body=body, encoding="utf-8")
        props = tree.css("[data-target=DailyPapers]::attr(data-props)").get()
        return _rows(json.loads(props or "{}"))

    def cards(body: bytes) -> list[Row]:
        found = []
        for card in Selector(body=body, encoding="utf-8").css("article"):
            link = card.css("h3 a")[0]
            votes = card.css("[role=checkbox] .text-orange-500::text").get()
            card.css("a.btn[href*='github.com'] span span::text").get()
            href, title = link.attrib["href"], link.css("::text").get()
            found.append((href.rpartition("/")[2], title or "", int(votes or 0)))
        return found

    return {"parsel, island + json": island, "parsel, cards": cards}


def soup_peers() -> dict[str, Callable[[bytes], list[Row]]]:
    import lxml  # noqa: F401, PLC0415
    from bs4 import BeautifulSoup  # noqa: PLC0415

    def island(body: bytes) -> list[Row]:
        tag: Any = BeautifulSoup(body, "lxml").find(True, {"data-target": "DailyPapers"})
        return _rows(json.loads(tag["data-props"]))

    def cards(body: bytes) -> list[Row]:
        found = []
        for card in BeautifulSoup(body, "lxml").find_all("article"):
            link: Any = card.select_one("h3 a")
            votes: Any = card.select_one("[role=checkbox] .text-orange-500")
            card.select_one("a.btn[href*='github.com'] span span")
            found.append((link["href"].rpartition("/")[2], link.get_text(), int(votes.get_text())))
        return found

    return {"BeautifulSoup (lxml), island + json": island, "BeautifulSoup (lxml), cards": cards}


def _rows(props: dict[str, Any]) -> list[Row]:
    return [
        (item["paper"]["id"], item["paper"]["title"], item["paper"]["upvotes"])
        for item in props["dailyPapers"]
    ]


def contestants() -> tuple[dict[str, Callable[[bytes], list[Row]]], list[str]]:
    """Everyone who is installed, ours first, and what to do about the others."""
    found: dict[str, Callable[[bytes], list[Row]]] = {
        "ours, island": ours,
        "ours, cards": by_our_cards,
    }
    missing = []
    for name, build in (("parsel", parsel_peers), ("beautifulsoup4 and lxml", soup_peers)):
        try:
            found |= build()
        except ImportError as exc:
            missing.append(f"{name} left out ({exc}): install requirements-bench.lock")
    return found, missing


def measure(body: bytes, seconds: float) -> dict[str, float]:
    """Seconds per page: the median of rounds in which all take turns, so that a busy moment of
    the machine hits all alike."""
    everyone, missing = contestants()
    for line in missing:
        print(line)
    wanted = ours(body)
    for name, read in everyone.items():
        if read(body) != wanted:
            raise SystemExit(f"{name} found other papers than we did: the bench is wrong")
    times: dict[str, list[float]] = {name: [] for name in everyone}
    for _ in range(ROUNDS):
        for name, read in everyone.items():
            times[name].append(_once(read, body, seconds / ROUNDS))
    return {name: statistics.median(found) for name, found in times.items()}


def _once(read: Callable[[bytes], list[Row]], body: bytes, seconds: float) -> float:
    """Processor time, because the machine may have other work, too."""
    gc.collect()
    runs, started = 0, time.process_time()
    while time.process_time() - started < seconds or not runs:
        read(body)
        runs += 1
    return (time.process_time() - started) / runs


def main() -> None:
    """Measure and print a table."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--seconds", type=float, default=2.0, help="time per contestant")
    options.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = options.parse_args()
    body = page()
    found = measure(body, chosen.seconds)
    base = found["ours, island"]
    if chosen.json:
        print(json.dumps({"bytes": len(body), "papers": PAPERS, "seconds": found}))
        return
    print(f"one page of {len(body) / 1e6:.2f} MB with {PAPERS} papers, one core\n")
    print(f"{'':38}{'ms a page':>10}{'pages a s':>11}{'our time':>11}")
    for name, seconds in found.items():
        row = f"{name:38}{seconds * 1e3:>10.2f}{1 / seconds:>11.0f}"
        print(f"{row}{f'× {seconds / base:.1f}':>11}")


if __name__ == "__main__":
    main()
