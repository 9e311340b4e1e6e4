"""Bare aiohttp + selectolax: what a quick script would do. Cards from the HTML, nothing stored.

With uvloop and isal, which quick scripts rarely have: it is measured at its best.
"""

from __future__ import annotations

from importlib.metadata import version

from selectolax.lexbor import LexborHTMLParser, LexborNode

from bench.peers.meter import task_from_arguments, tell
from bench.peers.reading import run


def cards(body: bytes) -> int:
    """How many papers with a title, a place and a count of votes the page shows."""
    found = [card(article) for article in LexborHTMLParser(body).css("article")]
    return len([one for one in found if one["title"] and one["upvotes"] is not None])


def card(article: LexborNode) -> dict[str, object]:
    """The same four fields as every peer's."""
    link = article.css_first("h3 a")
    votes = article.css_first("div.text-orange-500")
    summary = article.css_first("p")
    return {
        "paper": (link.attributes["href"] or "").rsplit("/", 1)[-1] if link else None,
        "title": link.text(strip=True) if link else None,
        "summary": summary.text(strip=True) if summary else None,
        "upvotes": int(votes.text()) if votes else None,
    }


if __name__ == "__main__":
    meter = run(task_from_arguments(__doc__), cards)
    said = f"aiohttp {version('aiohttp')}, selectolax {version('selectolax')}, isal, uvloop"
    tell(meter.report("bare", versions=said))
