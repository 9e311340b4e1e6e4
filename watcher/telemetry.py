"""What the watcher says of itself: the log and the metrics.

Owns structlog's set-up, the closed list of log events and the Prometheus registry. Must not
decide anything; whoever calls it goes on whether or not anyone listens.

A log event is ``noun_verb-past``. ``docs/operations.md`` lists the same names; a test holds
code, list and page together. Exceptions are logged as one line, or with a traceback at debug
level, never with local variables: those hold secrets.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Collection
from typing import TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from structlog.typing import EventDict, Processor, WrappedLogger

LOG_EVENTS: dict[str, str] = {
    "daemon_started": "the process has read its config and opens the store",
    "daemon_ready": "config, migrations and ports are done; checks begin",
    "daemon_stopping": "asked to stop: no new work, what is under way ends",
    "daemon_stopped": "everything has ended",
    "config_reloaded": "SIGHUP: the new config is in force",
    "config_refused": "SIGHUP: the new config is bad, the old one stays",
    "config_warned": "the config works but deserves a look",
    "store_opened": "the database is open and of this version",
    "store_failed": "the database is full, locked or read-only: checks pause",
    "store_recovered": "the database works again",
    "store_refused": "the database is damaged, foreign, newer or empty",
    "check_finished": "one visit of one source went well",
    "check_failed": "one visit of one source failed",
    "check_missed": "a visit was skipped by the clock and is made up for",
    "baseline_taken": "the first visit of a source: what is there is known, and told to nobody",
    "page_quarantined": "a page contradicted itself or its past and was not judged",
    "page_drifted": "fields of a page are filled otherwise than usual",
    "page_warned": "a reader met something odd and went on",
    "source_failed": "a source has failed so often that it is told",
    "source_recovered": "a source that was told to fail works again, or looks as usual again",
    "event_recorded": "a change or a notice was recorded",
    "message_sent": "a message was accepted by its channel",
    "message_failed": "a message was not accepted; it is tried again, or dead",
    "channel_failed": "a channel has failed for so long that it is told",
    "channel_disabled": "a channel failed for so long, or so clearly, that it is switched off",
    "channel_recovered": "a channel works again",
    "digest_due": "a digest's hour has come",
    "baseline_learnt": "the weekly curve of usual votes was learnt anew",
    "backup_written": "a backup is complete",
    "backup_failed": "a backup could not be written",
    "records_pruned": "old records were removed",
    "archive_failed": "pages cannot be kept: the folder is full or may not be written",
    "heartbeat_recovered": "the heartbeat address answers again",
    "records_checked": "the weekly integrity check of the database",
    "gap_found": "there was a time without a good visit; it is being caught up",
    "heartbeat_failed": "the heartbeat address did not answer",
    "task_failed": "a part of the daemon failed and is tried again",
    "web_started": "the web page listens",
    "request_failed": "a web request met a fault of ours",
    "subscriber_changed": "someone subscribed, confirmed, changed or left",
}
"""Every event the log can carry, with its meaning."""

log: structlog.stdlib.BoundLogger = structlog.get_logger("watcher")


def configure(
    *, stream: TextIO | None = None, json: bool | None = None, level: str = "info"
) -> None:
    """Set the log up: readable lines on a terminal, JSON lines elsewhere (or as ``json`` says)."""
    out: TextIO = stream or sys.stderr
    as_json = not out.isatty() if json is None else json
    threshold = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _short_errors(tracebacks=threshold <= logging.DEBUG),
    ]
    if as_json:
        processors += [structlog.processors.JSONRenderer(default=str)]
    else:
        processors += [
            structlog.dev.ConsoleRenderer(
                colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    # It prints the traceback of a job that failed; whoever owns the clock logs it as an event.
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL + 1)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=_Patient(out)),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )


class _Patient:
    """A stream that loses what it cannot write: a full disk or a reader that is gone must not
    end the daemon, who has better things to do than to log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write if that is possible."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush if that is possible."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def _short_errors(*, tracebacks: bool) -> Processor:
    """``error=exc`` becomes one line; with ``exc_info`` the traceback only at debug level."""

    def shorten(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        error = event.get("error")
        if isinstance(error, BaseException):
            event["error"] = str(error) or type(error).__name__
            event["error_type"] = type(error).__name__
            if tracebacks:
                event["exc_info"] = error
        if event.get("exc_info") and not tracebacks:
            event.pop("exc_info")
        return event

    def format_traceback(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        event = shorten(logger, name, event)
        return structlog.processors.format_exc_info(logger, name, event) if tracebacks else event

    return format_traceback


class SourceGauge(Collector):
    """A gauge with a value per source: the library's own takes a kilobyte for each of them, and
    there may be ten thousand."""

    def __init__(self, name: str, words: str) -> None:
        self._name, self._words = name, words
        self._labelnames = ("source",)
        self._values: dict[str, float] = {}

    def set(self, source: str, value: float) -> None:
        """What holds of a source now."""
        self._values[source] = value

    def get(self, source: str) -> float | None:
        """What was last set; None for a source that nothing is known of."""
        return self._values.get(source)

    def keep(self, sources: Collection[str]) -> None:
        """Drop what was set of all others."""
        self._values = {name: value for name, value in self._values.items() if name in sources}

    def describe(self) -> list[Metric]:
        """The gauge without its values."""
        return [GaugeMetricFamily(self._name, self._words, labels=self._labelnames)]

    def collect(self) -> list[Metric]:
        """The gauge with its values."""
        family = GaugeMetricFamily(self._name, self._words, labels=self._labelnames)
        for source, value in self._values.items():
            family.add_metric([source], value)
        return [family]


class Metrics:
    """The Prometheus registry of one process, with few labels: sources, channels, outcomes."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.checks = self._counter("checks", "Visits of sources.", "source", "outcome")
        self.check_seconds = Histogram(
            "watcher_check_seconds",
            "How long a visit took, from the request to the commit.",
            registry=self.registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 90),
        )
        self.cards = self._by_source("cards", "Papers on the last good page.")
        self.last_success = self._by_source(
            "last_success_timestamp_seconds", "When the source was last read well."
        )
        self.failures = self._by_source("source_failures", "Failed visits in a row.")
        self.drift = self._by_source("drift", "Fields filled otherwise than usual.")
        self.events = self._counter("events", "Changes and notices recorded.", "type")
        self.messages = self._counter("messages", "Sends, by how they ended.", "channel", "state")
        self.waiting = self._gauge("messages_waiting", "Messages not sent yet.", "channel")
        self.dead = self._gauge("messages_dead", "Messages given up.", "channel")
        self.oldest = self._gauge(
            "outbox_oldest_age_seconds", "Age of the oldest message that is overdue."
        )
        self.disabled = self._gauge("channel_disabled", "1 when switched off.", "channel")
        self.queue = self._gauge("queue_length", "Sources waiting for a checker.")
        self.store_errors = self._counter("store_errors", "Writes the store refused.")
        self.window_share = self._gauge(
            "rate_window_share", "Share of a site's rate window used up.", "host"
        )
        self.requests = self._gauge("requests", "Requests sent to a host since the start.", "host")
        self.last_backup = self._gauge(
            "last_backup_timestamp_seconds", "When the last nightly backup was written."
        )
        self.backup_failures = self._counter("backup_failures", "Backups that failed.")
        self.store_sound = self._gauge(
            "store_sound", "0 when the weekly integrity check found damage."
        )
        self.store_sound.set(1)
        self.loop_lag = self._gauge("loop_lag_seconds", "How late the event loop last was.")

    def keep_sources(self, sources: Collection[str]) -> None:
        """Show how these sources are and no others: those that left the config alarm nobody."""
        for gauge in (self.cards, self.last_success, self.failures, self.drift):
            gauge.keep(sources)

    def _counter(self, name: str, words: str, *labels: str) -> Counter:
        return Counter(f"watcher_{name}", words, labels, registry=self.registry)

    def _gauge(self, name: str, words: str, *labels: str) -> Gauge:
        return Gauge(f"watcher_{name}", words, labels, registry=self.registry)

    def _by_source(self, name: str, words: str) -> SourceGauge:
        gauge = SourceGauge(f"watcher_{name}", words)
        self.registry.register(gauge)
        return gauge
