"""Scrapy, with its usual selectors (parsel). Cards from the HTML, nothing stored.

Everything that costs time without reading a page is off: throttling, delays, robots.txt,
cookies, retries, referrers, the duplicate filter, logs, statistics pages.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from parsel import Selector
from scrapy import Request, Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response

from bench.peers.meter import Meter, Task, task_from_arguments, tell

SETTINGS: dict[str, Any] = {
    "LOG_ENABLED": False,
    "ROBOTSTXT_OBEY": False,
    "COOKIES_ENABLED": False,
    "RETRY_ENABLED": False,
    "REDIRECT_ENABLED": False,
    "REFERER_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "AUTOTHROTTLE_ENABLED": False,
    "DOWNLOAD_DELAY": 0,
    "REACTOR_THREADPOOL_MAXSIZE": 4,
    "ASYNCIO_EVENT_LOOP": "uvloop.Loop",
}


class PapersSpider(Spider):
    """Every visit of every page."""

    name = "papers"

    def __init__(self, task: Task, meter: Meter, **more: Any) -> None:
        super().__init__(**more)
        self._task, self._meter = task, meter

    async def start(self) -> AsyncIterator[Request]:
        """All requests; the scheduler keeps sixteen under way."""
        for address in self._task.addresses():
            yield Request(address, dont_filter=True)

    def parse(self, response: Response) -> None:
        """Count the papers with a title and a count of votes."""
        found = [card(article) for article in response.css("article")]
        self._meter.page(len([one for one in found if one["title"] and one["upvotes"] is not None]))


def card(article: Selector) -> dict[str, object]:
    """The same four fields as every peer's."""
    link = article.css("h3 a")
    votes = article.css("div.text-orange-500::text").get()
    return {
        "paper": link.attrib.get("href", "").rsplit("/", 1)[-1],
        "title": link.css("::text").get(),
        "summary": article.css("p::text").get(),
        "upvotes": int(votes) if votes else None,
    }


if __name__ == "__main__":
    task = task_from_arguments(__doc__)
    meter = Meter(task)
    process = CrawlerProcess(
        {
            **SETTINGS,
            "CONCURRENT_REQUESTS": task.connections,
            "CONCURRENT_REQUESTS_PER_DOMAIN": task.connections,
        }
    )
    process.crawl(PapersSpider, task=task, meter=meter)
    process.start()
    said = f"scrapy {version('scrapy')}, parsel {version('parsel')}, twisted {version('twisted')}"
    tell(meter.report("scrapy", versions=said))
