"""The store: one SQLite file, every SQL statement, one thread.

``open_records`` gives the records to a program that has the thread to itself (the command
line); ``Store`` runs them on a thread of their own for the daemon. Nothing outside this
package knows SQLite.
"""

from watcher.store.connection import Lock
from watcher.store.meeting import Met
from watcher.store.papers import Papers
from watcher.store.records import Records, open_records
from watcher.store.sources import Check, Kept, SourceState
from watcher.store.standing import ChannelState
from watcher.store.thread import Store

__all__ = [
    "ChannelState",
    "Check",
    "Kept",
    "Lock",
    "Met",
    "Papers",
    "Records",
    "SourceState",
    "Store",
    "open_records",
]
