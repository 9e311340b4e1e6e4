"""Whether sixteen connections store what one stores: the rows of both runs, held side by side.

``python -m bench.rows TASK`` visits the same pages twice by the whole loop, once one page at a
time and once sixteen, and compares what lies in the stores. The times differ, since visits end in
another order; for each source and paper the counts, one after the other, must not.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import msgspec

from bench import site
from bench.loop import START, changing, home, run
from bench.peers.meter import Task, task_from_arguments
from bench.server import pages_folder
from watcher.clock import to_unix

Series = dict[tuple[str, str], list[tuple[int | None, ...]]]
"""Per source and paper its counts, in the order of time."""
_COUNTS = """
select o.name, p.arxiv_id, s.upvotes, s.comments, s.stars
from sightings s join sources o on o.id = s.source join papers p on p.id = s.paper
where s.at >= ? order by o.name, p.arxiv_id, s.at"""


def stored(task: Task) -> Series:
    """What the loop leaves behind of the pages it visits."""
    with home() as folder:
        with changing(task, pages_folder()) as turning:
            run(task, folder, turning)
        return _read(folder / "watcher.db")


def _read(database: Path) -> Series:
    found: Series = {}
    with contextlib.closing(sqlite3.connect(database)) as conn:
        for source, paper, *counts in conn.execute(_COUNTS, (to_unix(START),)):
            found.setdefault((source, paper), []).append(tuple(counts))
    return found


def differences(one: Series, many: Series, *, least: int) -> list[str]:
    """What is stored otherwise, in words. The runs end in the middle of a round: the longer of two
    series may have more, but both have ``least`` counts."""
    if one.keys() != many.keys():
        return [f"{len(one.keys() ^ many.keys())} series are only in one of the stores"]
    return [
        f"{source}, {paper}: {one[source, paper]} and {many[source, paper]}"
        for source, paper in one
        if not _alike(one[source, paper], many[source, paper], least)
    ]


def _alike(
    one: list[tuple[int | None, ...]], many: list[tuple[int | None, ...]], least: int
) -> bool:
    both = min(len(one), len(many))
    return both >= least and one[:both] == many[:both]


def main() -> None:
    """One comparison; ends with an error when the stores differ."""
    task = task_from_arguments(__doc__)
    alone = msgspec.structs.replace(task, connections=1)
    one, many = stored(alone), stored(task)
    found = differences(one, many, least=task.total // task.pages - 1)
    if found or len(many) != task.pages * site.CARDS:
        raise SystemExit("\n".join(["the stores differ:", *found[:5]]))
    counts = sum(map(len, many.values()))
    print(f"{counts:,} counts of {len(many):,} papers are stored as with one connection")


if __name__ == "__main__":
    main()
