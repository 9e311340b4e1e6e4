"""Pages for the benches, written to a folder for nginx to serve.

Forty different trending pages, each with fifty invented papers, 0.9 MB of HTML and about 117 kB
gzip; as many *visits* of each page as asked for, every visit with other counts. The text is that
of the demo (``watcher.demo``), so it has a realistic entropy and nobody's words.

How a fixed address shows something new at each visit, without work for the server: every visit
is a file of its own, compressed beforehand (nginx only sends it), and the address may name it
(``?n=7&v=3``) or not (``?n=7``). Without ``v`` the page comes from ``current/``, where each page
is a symbolic link; ``Rotation.advance`` points it at the next visit (one ``rename``, some 20 µs).
A client that cannot call ``advance`` names the visit itself: same files, same bytes.

    folder/visits/07/000.html.gz …   page 7 as the visits find it, in order
    folder/same/07/000.html.gz …     page 7 with equal islands, only the request id differs
    folder/current/07.html.gz        -> ../visits/07/000.html.gz

Counts never fall from one visit to the next, as votes hardly ever do.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time
from pathlib import Path

from isal import isal_zlib

from watcher.demo.invent import InventedPaper, invent_day
from watcher.demo.items import Layout
from watcher.demo.prose import dice
from watcher.demo.render import Printer, Sheet
from watcher.demo.world import Shown
from watcher.model import PageKind

CARDS = 50
TODAY = date(2026, 10, 14)
MANIFEST = "manifest.json"
_GZIP = 31
_WRITTEN = int(datetime.combine(TODAY, time(), UTC).timestamp())
_VERSION = 1
"""Raise it when the pages change, so that folders written before are written anew."""


def write_pages(
    folder: Path, pages: int = 40, *, visits: int = 10, same: int = 2, drawing: int = 3
) -> int:
    """Write the pages; a folder that already holds just these is left as it is.

    Args:
        folder: where to; made if it is not there.
        pages: different pages, each with fifty papers of its own.
        visits: how often the counts of each page move.
        same: copies of the first visit that differ in nothing but the request id.
        drawing: length of the drawings (3: 0.9 MB a page, 55: 1.6 MB, as the real ones).

    Returns:
        The bytes written, compressed; 0 when everything was there.
    """
    wanted = {"version": _VERSION, "pages": pages, "visits": visits, "same": same}
    wanted["drawing"] = drawing
    manifest = folder / MANIFEST
    if manifest.is_file() and json.loads(manifest.read_text()) == wanted:
        Rotation(folder, pages=pages, visits=visits).rewind()
        return 0
    written = 0
    printer = Printer(drawing=drawing)
    for page, papers in enumerate(_papers(pages)):
        for kind, number in (("visits", visits), ("same", same)):
            for visit in range(number):
                shown = show(papers, visit if kind == "visits" else 0)
                body = render(printer, shown, name=f"{kind}-{page}-{visit}")
                file = folder / kind / f"{page:02}" / f"{visit:03}.html.gz"
                written += _write(file, body, age=visit if kind == "visits" else 1000 + visit)
        printer.forget()
    Rotation(folder, pages=pages, visits=visits).rewind()
    manifest.write_text(json.dumps(wanted))
    return written


def show(papers: Sequence[InventedPaper], visit: int) -> tuple[Shown, ...]:
    """What visit number ``visit`` finds: every paper's upvotes grow by 1 to 3 from one to the
    next, comments and stars now and then."""
    shown = []
    for rank, paper in enumerate(papers, 1):
        random = dice("visits", paper.id)
        upvotes, comments = random.randrange(3, 120), random.randrange(5)
        stars = random.randrange(20, 90_000)
        for _ in range(visit):
            upvotes += random.randint(1, 3)
            comments += random.random() < 0.1
            stars += random.randrange(4)
        shown.append(
            Shown(
                paper=paper,
                rank=rank,
                upvotes=upvotes,
                comments=comments,
                stars=stars if paper.github else None,
                summarised=paper.ai_summary_at is not None,
            )
        )
    return tuple(shown)


def render(printer: Printer, shown: tuple[Shown, ...], *, name: str) -> bytes:
    """One trending page; ``name`` makes its request id."""
    request_id = f"Root=1-{dice(name).getrandbits(128):032x}"
    sheet = Sheet(kind=PageKind.TRENDING, shown=shown, today=TODAY)
    return printer.html(sheet, layout=Layout.SITE_2026, request_id=request_id)


class Rotation:
    """Which visit each page shows at its address without ``v``."""

    def __init__(self, folder: Path, *, pages: int, visits: int) -> None:
        self._links, self._pages, self._visits = folder / "current", pages, visits
        self._links.mkdir(parents=True, exist_ok=True)
        for unfinished in self._links.glob("*.new"):
            unfinished.unlink()
        self._at = [0] * pages

    def rewind(self) -> None:
        """Every page shows its first visit again."""
        for page in range(self._pages):
            self.point(page, 0)

    def advance(self, page: int) -> int:
        """Let a page show its next visit, after the last one the first again; returns which."""
        visit = (self._at[page] + 1) % self._visits
        self.point(page, visit)
        return visit

    def point(self, page: int, visit: int, *, kind: str = "visits") -> None:
        """Let a page show one of its visits (or ``kind="same"``: of its equal copies)."""
        # Plain strings: pathlib would take five times as long, and this runs within the bench.
        link = f"{self._links}/{page:02}.html.gz"
        os.symlink(f"../{kind}/{page:02}/{visit:03}.html.gz", link + ".new")  # noqa: PTH211
        os.rename(link + ".new", link)  # noqa: PTH104
        self._at[page] = visit


def path(page: int, visit: int | None = None, *, kind: str = "visits") -> str:
    """The address of a page on the server: ``/papers/trending?n=07``, ``…&v=003``."""
    address = f"/papers/trending?n={page:02}"
    if visit is None:
        return address
    return f"{address}&v={visit:03}" + ("&same=1" if kind == "same" else "")


def nginx_conf(folder: Path, *, port: int, workers: int = 1) -> str:
    """A whole configuration for ``nginx -c``: loopback only, one process in the foreground.

    ``gzip_static always`` sends the compressed files as they are. There are no plain files: the
    clients of the bench all accept gzip. A page without ``v`` is the symbolic link, opened anew
    for each request (no ``open_file_cache``), so that a rotation shows at once.
    """
    return f"""\
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/tmp;
    proxy_temp_path {folder}/tmp;
    fastcgi_temp_path {folder}/tmp;
    uwsgi_temp_path {folder}/tmp;
    scgi_temp_path {folder}/tmp;
    default_type "text/html; charset=utf-8";
    types {{ }}
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    map "$arg_same:$arg_v" $kept {{
        "~^:$" "current/$arg_n";
        "~^1:" "same/$arg_n/$arg_v";
        default "visits/$arg_n/$arg_v";
    }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        root {folder};
        location = /robots.txt {{ default_type text/plain; return 200 "User-agent: *\\n"; }}
        location = /papers/trending {{
            gzip_static always;
            rewrite ^ /$kept.html break;
        }}
    }}
}}
"""


def _papers(pages: int) -> Iterator[list[InventedPaper]]:
    """Fifty different papers for each page."""
    pool: list[InventedPaper] = []
    day, made = TODAY, 0
    while made < pages:
        while len(pool) < CARDS:
            pool.extend(invent_day(1, day))
            day = date.fromordinal(day.toordinal() - 1)
        yield pool[:CARDS]
        pool, made = pool[CARDS:], made + 1


def _write(file: Path, body: bytes, *, age: int) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    packed = isal_zlib.compress(body, 1, _GZIP)
    file.write_bytes(packed)
    # nginx makes its ETag of time and size: no two versions of a page may share both.
    os.utime(file, (_WRITTEN - age, _WRITTEN - age))
    return len(packed)
