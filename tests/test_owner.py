"""Whose it is what root makes for a service, and that nothing is written through a link."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from tests.snapshots import NOW
from watcher.archive import Archive
from watcher.channels.maildir import _drop
from watcher.errors import StoreError
from watcher.owner import make_folder
from watcher.page import Page
from watcher.store import Lock, open_records

by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")


@pytest.fixture
def service(tmp_path):
    """A folder of a service's user."""
    folder = tmp_path / "service"
    folder.mkdir(mode=0o755)
    os.chown(folder, 12_345, 12_346)
    return folder


def others(folder):
    """What in a folder is not its owner's, or open to more."""
    return [
        path
        for path in folder.rglob("*")
        if (path.stat().st_uid, path.stat().st_gid) != (12_345, 12_346)
        or (path.is_dir() and path.stat().st_mode & 0o077)
    ]


def test_folders_that_are_missing_are_made_for_their_owner_only(tmp_path):
    make_folder(tmp_path / "a" / "b" / "c")
    make_folder(tmp_path / "a" / "b")
    made = [tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 3
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file")
    with pytest.raises(OSError, match="file"):
        make_folder(tmp_path / "file" / "below")


@by_root
def test_what_root_makes_deep_below_a_services_folder_is_the_services(service):
    with open_records(service / "a" / "b" / "w.db", create=True, migrate=True):
        pass
    for folder in ("archive", "odd-pages"):
        archive = Archive(service / folder, keep=timedelta(days=9), max_size=10**9)
        page = Page(url="https://x.example/", body=b"<html>", fetched_at=NOW)
        archive.put(page)
        archive.close()
    _drop(service / "mail", "msg_1.here", b"Subject: hello\r\n\r\n")
    assert list(service.glob("archive/*/*"))
    assert list(service.glob("mail/new/*"))
    assert others(service) == []


@by_root
def test_an_owner_without_a_number_in_this_namespace_keeps_root_from_nothing(service):
    service.chmod(0o777)
    for above in service.parents[:-2]:
        above.chmod(0o755)
    code = (
        "import sys; from pathlib import Path; from watcher.store import Lock\n"
        "Lock(Path(sys.argv[1])).acquire()"
    )
    alone = ["unshare", "--map-root-user"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespaces here")
    done = subprocess.run(
        [*alone, sys.executable, "-c", code, str(service / "new" / "w.db")],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (service / "new" / "w.db.lock").exists()


def test_the_lock_is_never_written_through_a_link(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "w.db.lock").symlink_to(precious)
    with pytest.raises(StoreError, match="lock"):
        Lock(tmp_path / "w.db").acquire()
    assert precious.read_text() == "precious"
