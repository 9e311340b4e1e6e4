"""Kept pages: by hash, compressed, bounded; captured as test cases; read once more."""

import gzip
import json
import os
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import zstandard

from tests import pages
from watcher import readers
from watcher.archive import Archive, name_of
from watcher.cli.captures import expected_of, write_case
from watcher.errors import ParseError, UnknownName
from watcher.page import Page

AT = datetime(2026, 10, 5, 12, tzinfo=UTC)
BODY = pages.trending(pages.fakes(8))
CAPTURES = Path(__file__).parent / "captures"


def page_of(body, *, at=AT, encoding="", url="https://huggingface.co/papers/trending"):
    return Page(url=url, body=body, fetched_at=at, content_type="text/html", encoding=encoding)


def archive_in(folder, *, keep=timedelta(days=90), max_size=10**9):
    return Archive(folder, keep=keep, max_size=max_size)


def wait_until(condition):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("never happened")


def test_a_page_comes_back_byte_for_byte_whatever_way_the_site_sent_it(tmp_path):
    archive = archive_in(tmp_path)
    packed = gzip.compress(BODY)
    names = [archive.put(page_of(BODY)), archive.put(page_of(packed, encoding="gzip"))]
    archive.close()
    for name in names:
        body, label = archive.read(name[:12])
        assert body == BODY
        assert label.url == "https://huggingface.co/papers/trending"
        assert label.fetched_at == AT
    assert names[1] == name_of(packed)


def test_when_there_is_nothing_else_to_do_pages_become_zstd_that_any_tool_reads(tmp_path):
    archive = archive_in(tmp_path)
    name = archive.put(page_of(gzip.compress(BODY), encoding="gzip"), source="t", why="odd")
    file = tmp_path / name[:2] / f"{name}.zst"
    wait_until(file.exists)
    wait_until(lambda: not list(tmp_path.glob("spool/*")))
    assert zstandard.ZstdDecompressor().decompressobj().decompress(file.read_bytes()) == BODY
    with file.open("rb") as raw:
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        assert reader.read() == BODY
    assert file.stat().st_size < len(BODY) / 3
    assert oct(file.stat().st_mode)[-3:] == "600"
    body, label = archive.read(name)
    assert (body, label.source, label.why, label.encoding) == (BODY, "t", "odd", "")
    assert [kept.name for kept in archive.pages()] == [name]
    archive.close()


def test_the_same_page_is_kept_once(tmp_path):
    archive = archive_in(tmp_path)
    assert len({archive.put(page_of(BODY)) for _ in range(5)}) == 1
    archive.close()
    assert len(list(archive.pages())) == 1


def test_a_body_that_is_not_what_the_site_said_is_kept_as_it_came(tmp_path):
    archive = archive_in(tmp_path)
    cut = gzip.compress(BODY)[:500]
    name = archive.put(page_of(cut, encoding="gzip"))
    wait_until((tmp_path / name[:2] / f"{name}.zst").exists)
    assert archive.read(name)[0] == cut
    archive.close()


def test_what_is_too_old_goes_and_then_the_oldest_until_the_rest_fits(tmp_path):
    archive = archive_in(tmp_path, keep=timedelta(days=10), max_size=3_500)
    bodies = {day: os.urandom(1000) for day in range(1, 15)}
    names = {
        day: archive.put(page_of(body, at=AT - timedelta(days=day))) for day, body in bodies.items()
    }
    wait_until(lambda: len(list(tmp_path.glob("*/*.zst"))) == 14)
    gone, freed = archive.prune(AT)
    archive.close()
    left = {kept.name for kept in archive.pages()}
    assert left == {names[1], names[2]}
    assert gone == 12
    assert freed > 12_000
    assert archive.size <= 3_500


def test_a_full_disk_stops_nothing_and_is_told_once(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    archive = archive_in(blocked / "archive")
    for n in range(3):
        assert archive.put(page_of(BODY + b"%d" % n))
    archive.close()
    said = capsys.readouterr()
    assert (said.out + said.err).count("archive_failed") == 1


def test_putting_waits_for_no_disk(tmp_path, monkeypatch):
    archive, gate, waited = archive_in(tmp_path), threading.Event(), []
    keep = archive._keep_page

    def slow(*page):
        waited.append(gate.wait(20))
        keep(*page)

    monkeypatch.setattr(archive, "_keep_page", slow)
    for n in range(50):
        archive.put(page_of(BODY + b"%d" % n))
    gate.set()
    archive.close()
    assert waited == [True] * 50
    assert len(list(archive.pages())) == 50


def test_what_a_visit_puts_while_or_after_a_reload_closes_is_kept_and_leaves_nothing_open(tmp_path):
    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "archive"]

    def files():
        links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return [link for link in links if str(tmp_path) in str(link.readlink())]

    before = len(threads())
    for turn in range(50):
        archive = archive_in(tmp_path)
        bodies = [b"%d %d" % (turn, number) for number in range(4)]
        putting = threading.Thread(
            target=lambda a=archive, b=bodies: [a.put(page_of(x)) for x in b]
        )
        putting.start()
        time.sleep(turn * 2e-5)
        archive.close()
        putting.join()
        name = archive.put(page_of(b"late %d" % turn))
        for body in (*bodies, b"late %d" % turn):
            assert archive.read(name_of(body))[0] == body
        assert archive.put(page_of(b"late %d" % turn)) == name
    assert len(threads()) == before
    assert files() == []


def test_an_unknown_or_ambiguous_name_is_said(tmp_path):
    archive = archive_in(tmp_path)
    with pytest.raises(UnknownName, match="no page begins"):
        archive.read("abcdef")
    for n in range(300):
        archive.put(page_of(b"%d" % n))
    archive.close()
    with pytest.raises(UnknownName, match="several pages"):
        archive.read("a")


def test_what_a_crash_cut_off_is_no_page_and_breaks_nothing(tmp_path):
    archive = archive_in(tmp_path)
    names = {archive.put(page_of(BODY)), archive.put(page_of(BODY + b"2"))}
    archive.close()
    spooled = next(tmp_path.glob("spool/*"))
    whole = spooled.read_bytes()
    spooled.write_bytes(whole[:-40])
    bad = tmp_path / "aa"
    bad.mkdir(exist_ok=True)
    (bad / ("a" * 32 + ".zst")).write_bytes(b"")
    after = archive_in(tmp_path)
    assert {kept.name for kept in after.pages()} == {name_of(BODY)}
    third = after.put(page_of(b"<html>three</html>"))
    wait_until(lambda: not list(tmp_path.glob("spool/*")))
    assert {kept.name for kept in after.pages()} == {name_of(BODY), third}
    assert after.read(name_of(BODY))[0] == BODY
    after.close()
    assert len(names) == 2


@pytest.mark.parametrize(
    "harm",
    [
        lambda whole: b"",
        lambda whole: bytes(len(whole)),
        lambda whole: whole[:-5],
        lambda whole: whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
    ],
    ids=["empty", "zeros", "cut", "flipped"],
)
def test_a_kept_page_that_is_damaged_is_said(tmp_path, harm):
    archive = archive_in(tmp_path)
    name = archive.put(page_of(BODY))
    file = tmp_path / name[:2] / f"{name}.zst"
    wait_until(file.exists)
    archive.close()
    file.write_bytes(harm(file.read_bytes()))
    with pytest.raises(ParseError, match=f"{name}.zst cannot be read"):
        archive.read(name)


def test_what_the_last_process_spooled_is_compressed_by_the_next(tmp_path):
    first = archive_in(tmp_path)
    names = {first.put(page_of(b"%d" % n * 100)) for n in range(5)}
    first.close()
    assert list(tmp_path.glob("spool/*"))
    second = archive_in(tmp_path)
    names.add(second.put(page_of(BODY)))
    wait_until(lambda: len(list(tmp_path.glob("*/*.zst"))) == 6)
    assert {kept.name for kept in second.pages()} == names
    wait_until(lambda: not list(tmp_path.glob("spool/*")))
    assert second.size == sum(file.stat().st_size for file in tmp_path.glob("*/*.zst"))
    second.close()


def test_many_threads_may_put_at_once(tmp_path):
    archive = archive_in(tmp_path)
    bodies = [b"%d" % n * 1000 for n in range(80)]
    threads = [
        threading.Thread(target=lambda part=part: [archive.put(page_of(b)) for b in part])
        for part in (bodies[:40], bodies[40:], bodies[20:60])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive.close()
    assert len(list(archive.pages())) == 80


# --- test cases made of pages ----------------------------------------------------------------


@pytest.mark.parametrize("body", [BODY, b"<html><title>Log In</title><h1>Log In</h1></html>"])
def test_a_captured_page_is_a_case_that_holds(tmp_path, body):
    archive = archive_in(tmp_path / "archive")
    name = archive.put(page_of(body), why="the page has no papers")
    archive.close()
    folder, said = write_case(tmp_path / "cases", *archive.read(name))
    assert said
    case = check_case(folder)
    assert case["kept_because"] == "the page has no papers"


@pytest.mark.parametrize("folder", sorted(CAPTURES.glob("*/")), ids=lambda path: path.name)
def test_every_capture_is_read_as_expected(folder):
    check_case(folder)


def check_case(folder):
    case = json.loads((folder / "case.json").read_text("utf-8"))
    body = next(folder.glob("page.*")).read_bytes()
    at = datetime.fromisoformat(case["at"])
    if "error" in case:
        with pytest.raises(ParseError) as found:
            readers.parse(body, url=case["url"], at=at)
        assert str(found.value) == case["error"]
    else:
        found = expected_of(readers.parse(body, url=case["url"], at=at))
        assert msgspec.json.decode(msgspec.json.encode(found)) == {
            name: case[name] for name in found
        }
    return case
