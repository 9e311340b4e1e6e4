"""``watcher run`` with a death wish, for the harness: it kills itself between two named steps.

Wraps fetching, the store and the channels from outside; the product has no hook for it. Also
plays the mutants: watchers with a fault that the harness must notice.

    python -m tests.faults.entry --die-at "message sent" --times 3 run -c config.toml

With ``--serve`` it reads such arguments as JSON lists, one a line, runs each in a fork of its own
and answers with how that ended: loading Python and the libraries is most of a short life.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from watcher import cli
from watcher.channels import CHANNELS
from watcher.fetch import Fetcher
from watcher.model import Letter, Message
from watcher.store import Records, Store

WRITES = {"Deliverer._claim": "claim", "Deliverer._record": "outcome"}
"""Which part of the deliverer writes what; all else is written by checks."""

STEPS = (
    "visit begun",
    "page fetched",
    "check begun",
    "check worked",
    "check committed",
    "claim begun",
    "claim worked",
    "claim committed",
    "message begun",
    "message sent",
    "outcome begun",
    "outcome worked",
    "outcome committed",
)
"""``begun``: the transaction (or send) has not started; ``worked``: all statements ran, nothing
is committed; ``committed``: and whoever waits for it has not heard yet."""

LONGEST = 40
"""Seconds after which a life ends that did not reach its step."""

MUTANTS = ("lose", "double", "phantom", "reword")


class Reaper:
    """Ends the process the hard way when a step has come up so often."""

    def __init__(self, step: str | None, times: int) -> None:
        self._step, self._times = step, times
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def pass_by(self, step: str) -> None:
        with self._lock:
            self._seen[step] += 1
            if step == self._step and self._seen[step] >= self._times:
                os.write(2, f"\ndied at {step}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)


def wrap_fetching(reaper: Reaper) -> None:
    get = Fetcher.get

    @functools.wraps(get)
    async def watched(self: Fetcher, *args: Any, **more: Any) -> Any:
        reaper.pass_by("visit begun")
        page = await get(self, *args, **more)
        reaper.pass_by("page fetched")
        return page

    Fetcher.get = watched  # type: ignore[method-assign]


def wrap_store(reaper: Reaper) -> None:
    write = Store.write

    async def watched(self: Store, work: Callable[[Records], Any], **manner: Any) -> Any:
        kind = next((name for part, name in WRITES.items() if part in work.__qualname__), "check")

        def steps(records: Records) -> Any:
            reaper.pass_by(f"{kind} begun")
            result = work(records)
            reaper.pass_by(f"{kind} worked")
            return result

        result = await write(self, steps, **manner)
        reaper.pass_by(f"{kind} committed")
        return result

    Store.write = watched  # type: ignore[method-assign]


def wrap_channels(reaper: Reaper, mutant: str | None) -> None:
    for kind in CHANNELS.values():
        kind.send = watched_send(kind.send, reaper, mutant)


def watched_send(send: Any, reaper: Reaper, mutant: str | None) -> Any:
    sends = Counter[str]()

    @functools.wraps(send)
    async def watched(self: Any, message: Message) -> None:
        reaper.pass_by("message begun")
        sends["all"] += 1
        first = sends["all"] == 1
        if mutant == "lose" and first:
            return
        if mutant == "reword":
            message = reworded(message)
        if mutant == "double" and first:
            await send(self, msgspec.structs.replace(message, key=message.key + "x"))
        if mutant == "phantom" and first:
            letter = Letter(subject="Paper 2611.99999", lines=("nobody decided this",))
            key = "msg_" + "0" * 24
            await send(self, msgspec.structs.replace(message, key=key, digest=None, letter=letter))
        await send(self, message)
        reaper.pass_by("message sent")

    return watched


def reworded(message: Message) -> Message:
    """Other words in every process, as if a message were composed anew for each attempt."""
    if message.digest is None:
        return message
    digest = msgspec.structs.replace(
        message.digest, title=f"{message.digest.title} ({os.getpid()})", cut=os.getpid()
    )
    return msgspec.structs.replace(message, digest=digest)


def live(words: Sequence[str]) -> None:
    """One life of the daemon, as the arguments say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--die-at", choices=STEPS)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--mutant", choices=MUTANTS)
    parser.add_argument("verb", nargs=argparse.REMAINDER)
    asked = parser.parse_args(words)
    reaper = Reaper(asked.die_at, asked.times)
    wrap_fetching(reaper)
    wrap_store(reaper)
    wrap_channels(reaper, asked.mutant)
    sys.argv = ["watcher", *asked.verb]
    cli.main()


def serve() -> None:
    """A fork for each line of standard input; its end as a line of standard output."""
    importlib.import_module("watcher.daemon")
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.alarm(int(LONGEST))
            live(json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        live(sys.argv[1:])
