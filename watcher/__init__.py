"""paper-watcher: notices which trending papers are new or rising, and tells the people who care."""

__version__ = "0.1.0"
