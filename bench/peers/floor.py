"""The floor: read, inflate, decode the island, nothing else. Nobody who reads it is faster."""

from __future__ import annotations

import aiohttp
import msgspec

from bench.peers.meter import task_from_arguments, tell
from bench.peers.reading import run
from watcher.readers import island

_props = msgspec.json.Decoder(island.Props)


def decode(body: bytes) -> int:
    """The island as typed structs."""
    tag = island.find(body)
    if tag is None or tag.value is None:
        return 0
    papers = _props.decode(island.unescape(tag.value, tag.quote)).daily_papers
    return len(papers) if isinstance(papers, list) else 0


if __name__ == "__main__":
    meter = run(task_from_arguments(__doc__), decode)
    tell(meter.report("floor", versions=f"aiohttp {aiohttp.__version__}, isal, uvloop, msgspec"))
