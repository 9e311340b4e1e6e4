"""httpx + BeautifulSoup (with lxml): what most scripts are. Cards from the HTML, nothing stored."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import httpx
from bs4 import BeautifulSoup, Tag

from bench.peers.meter import Meter, Task, task_from_arguments, tell


async def read_all(task: Task) -> Meter:
    """Sixteen connections; parsing on the event loop, as such scripts do."""
    meter = Meter(task)
    addresses = task.addresses()
    limits = httpx.Limits(max_connections=task.connections)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def connection() -> None:
            for address in addresses:
                answer = await client.get(address)
                meter.page(cards(answer.content))

        async with asyncio.TaskGroup() as group:
            for _ in range(task.connections):
                group.create_task(connection())
    return meter


def cards(body: bytes) -> int:
    """How many papers with a title and a count of votes the page shows."""
    found = [card(article) for article in BeautifulSoup(body, "lxml").find_all("article")]
    return len([one for one in found if one["title"] and one["upvotes"] is not None])


def card(article: Tag) -> dict[str, object]:
    """The same four fields as every peer's, by ``find``, the quickest way it has."""
    heading = article.find("h3")
    link = heading.find("a") if heading else None
    votes = article.find("div", class_="text-orange-500")
    summary = article.find("p")
    return {
        "paper": str(link["href"]).rsplit("/", 1)[-1] if link else None,
        "title": link.get_text(strip=True) if link else None,
        "summary": summary.get_text(strip=True) if summary else None,
        "upvotes": int(votes.get_text()) if votes else None,
    }


if __name__ == "__main__":
    meter = asyncio.run(read_all(task_from_arguments(__doc__)))
    said = (
        f"httpx {version('httpx')}, beautifulsoup4 {version('beautifulsoup4')}, "
        f"lxml {version('lxml')}"
    )
    tell(meter.report("soup", versions=said))
