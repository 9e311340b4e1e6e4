"""config.toml: bytes and environment to one frozen ``Config``, or every fault at once.

Owns the config's keys, their defaults, checks, secrets, printing and JSON Schema. Must not
print, log, read a clock, or know what the values are used for. Keys of a channel type stand
beside that channel; ``parse`` is given them.
"""

from watcher.config.parsing import database_of, find, load, parse, parse_in
from watcher.config.render import render
from watcher.config.schema import fill_reference, json_schema, reference
from watcher.config.secrets import Secret, SecretUrl, SecretUrls, SmtpServer, SmtpUrl
from watcher.config.settings import (
    AlertSettings,
    ArchiveSettings,
    BackupSettings,
    ChannelOptions,
    Config,
    DeliverySettings,
    Fault,
    FetchSettings,
    KeepSettings,
    Known,
    Rule,
    Source,
    WatcherSettings,
    WebSettings,
    host_of,
    is_loopback_url,
    path_of,
)
from watcher.config.surroundings import Surroundings
from watcher.config.values import EVERY_DAY, BadValue, Hours, Listen, Mailbox, Weekday
from watcher.config.visits import FOLLOW, Visit, day_pages, effective_intervals, patience

__all__ = [
    "EVERY_DAY",
    "FOLLOW",
    "AlertSettings",
    "ArchiveSettings",
    "BackupSettings",
    "BadValue",
    "ChannelOptions",
    "Config",
    "DeliverySettings",
    "Fault",
    "FetchSettings",
    "Hours",
    "KeepSettings",
    "Known",
    "Listen",
    "Mailbox",
    "Rule",
    "Secret",
    "SecretUrl",
    "SecretUrls",
    "SmtpServer",
    "SmtpUrl",
    "Source",
    "Surroundings",
    "Visit",
    "WatcherSettings",
    "WebSettings",
    "Weekday",
    "database_of",
    "day_pages",
    "effective_intervals",
    "fill_reference",
    "find",
    "host_of",
    "is_loopback_url",
    "json_schema",
    "load",
    "parse",
    "parse_in",
    "path_of",
    "patience",
    "reference",
    "render",
]
