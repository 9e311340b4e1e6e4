"""What a long life asks of Python and the C library, seen from a process of its own."""

import gc
import os
import signal
import subprocess
import sys

from watcher import process

PROGRAM = """
import gc, threading
from watcher import process
with process.long_life():
    assert not gc.isenabled()
    big = [bytearray(1000) for _ in range(1000)]
    thread = threading.Thread(target=lambda: big.extend(bytes(100_000) for _ in range(9)))
    thread.start(); thread.join()
    process.built()
    assert gc.isenabled() and gc.get_freeze_count() > 0
print(len(big))
"""


def test_a_process_begins_without_garbage_collection_and_goes_on_with_it():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1009\n", "")


def test_another_c_library_is_left_alone(monkeypatch):
    class Nothing:
        """A C library without mallopt."""

    monkeypatch.setattr(process.ctypes, "CDLL", lambda _: Nothing())
    with process.long_life():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_hangup_before_anybody_listens_ends_nothing():
    before = signal.getsignal(signal.SIGHUP)
    with process.long_life():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is before
