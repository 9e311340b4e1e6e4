"""The config: what decodes, what is refused, and how the refusal reads."""

import json
import re
import sys
import tomllib
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.conftest import ROOT
from watcher.agenda import Agenda
from watcher.channels import OPTIONS
from watcher.config import (
    BadValue,
    Hours,
    Known,
    Mailbox,
    Secret,
    SecretUrl,
    SmtpUrl,
    Surroundings,
    Weekday,
    effective_intervals,
    fill_reference,
    find,
    json_schema,
    load,
    parse,
    parse_in,
    patience,
    render,
)
from watcher.config.kinds import keys_of
from watcher.config.lines import find_lines, line_of
from watcher.config.parsing import ARRAYS, TABLES
from watcher.errors import ConfigError, QueryError, UnknownName
from watcher.model import Change, PageKind
from watcher.query import compile_query

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

CONTRACT = """\
[watcher]
database = "watcher.db"            # the SQLite file
timezone = "Europe/Berlin"         # for due times and pages
contact = "mailto:me@example.org"  # goes into the User-Agent
operator = "me"                    # the channel told when the watcher is blind

[fetch]
timeout = "30s"
per_host_concurrency = 2
per_host_rate = 0.15
robots = true
allow_private = false

[[source]]
name = "trending"
url = "https://huggingface.co/papers/trending"
every = "30m"

[[rule]]
name = "alignment"
query = 'title:alignment OR abstract:"preference optimization"'
sources = ["trending"]
events = ["new", "rising", "resurging"]
min_upvotes = 20
channels = ["me", "team"]

[channel.me]
type = "email"
smtp = "smtp://user@mail.example.org:587"
password_file = "smtp-password"
from = "Papers <papers@example.org>"
to = ["me@example.org"]
digest = "08:00"

[channel.team]
type = "webhook"
url = "https://example.org/hook"
secret_env = "HOOK_SECRET"
allow_private = false

[web]
listen = "127.0.0.1:8484"
"""

SOURCE = '[[source]]\nname = "a"\nurl = "https://example.org/papers"\n'


@pytest.fixture
def folder(tmp_path):
    """A config's folder with one secret in it."""
    secret = tmp_path / "smtp-password"
    secret.write_text("hunter2\n")
    secret.chmod(0o600)
    return tmp_path


def read(text, folder=Path("/nowhere"), **env):
    """Parse as if the environment were ``env``."""
    around = Surroundings(env=env, folder=folder)
    return parse_in(text.encode(), OPTIONS, around)


def problems(text, folder=Path("/nowhere"), **env):
    """The problems of a config that must be refused."""
    with pytest.raises(ConfigError) as caught:
        read(text, folder, **env)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def only_problem(text, folder=Path("/nowhere"), **env):
    found = problems(text, folder, **env)
    assert len(found) == 1, found
    return found[0]


# ── What decodes ──────────────────────────────────────────────────────────────────────────


def test_the_contract_decodes_as_written(folder):
    config = parse(CONTRACT.encode(), OPTIONS, env={"HOOK_SECRET": KEY}, folder=folder)
    assert config.watcher.database == folder / "watcher.db"
    assert config.watcher.timezone.key == "Europe/Berlin"
    assert config.watcher.contact == "mailto:me@example.org"
    assert config.fetch.timeout == timedelta(seconds=30)
    assert config.fetch.per_host_rate == 0.15
    assert config.source("trending").every == timedelta(minutes=30)
    rule = config.rule("alignment")
    assert rule.query == 'title:alignment OR abstract:"preference optimization"'
    assert rule.events == (Change.NEW, Change.RISING, Change.RESURGING)
    assert (rule.min_upvotes, rule.min_multiplier, rule.known) == (20, 2.0, Known.RECORD)
    mail = config.channel("me")
    assert mail.server.user == "user"
    assert mail.server.password.reveal() == "hunter2"
    assert (mail.server.host, mail.server.port, mail.server.tls) == ("mail.example.org", 587, False)
    assert mail.from_ == Mailbox(name="Papers", address="papers@example.org")
    assert [box.address for box in mail.to] == ["me@example.org"]
    assert mail.digest == time(8, 0)
    assert mail.zone.key == "Europe/Berlin"
    assert config.channel("team").secret.reveal() == KEY
    assert config.web.enabled
    assert str(config.web.listen) == "127.0.0.1:8484"
    assert config.warnings == ()


def test_the_contract_is_refused_without_its_secrets():
    found = problems(CONTRACT)
    assert found == (
        "config.toml:30 [channel.me] password_file: there is no file /nowhere/smtp-password",
        (
            'config.toml:38 [channel.team] secret_env: the environment variable "HOOK_SECRET" is '
            "not set or empty"
        ),
    )


def test_nothing_at_all_is_a_config_with_defaults():
    config = read("")
    assert config.sources == ()
    assert config.delivery.retry[:3] == (timedelta(0), timedelta(seconds=5), timedelta(minutes=5))
    assert len(config.delivery.retry) == 10
    assert not config.web.enabled
    assert not config.backup.enabled
    assert not config.archive.enabled
    assert any("nothing is watched" in line for line in config.warnings)


def test_a_config_in_which_nobody_is_told_of_blindness_draws_a_warning():
    channel = '[channel.me]\ntype = "maildir"\npath = "mail"\n'
    said = "operator is missing: nobody is told when the watcher is blind"
    assert any(said in line for line in read(channel).warnings)
    assert not any(said in line for line in read(f'[watcher]\noperator = "me"\n{channel}').warnings)
    assert not any(said in line for line in read("").warnings)


def test_an_operator_whose_channel_has_nobody_in_to_draws_a_warning():
    head = "[watcher]\noperator = 'm'\n"
    web = "[web]\nsubscribe = 'm'\npublic_url = 'https://p.org'\n"
    said = 'config.toml:2 [watcher] operator: channel "m" has nobody in to'
    assert any(line.startswith(said) for line in read(head + mail() + web).warnings)
    text = head + mail("to = 'me@example.org'") + web
    assert not any("nobody in to" in line for line in read(text).warnings)


def test_a_channel_that_nobody_names_draws_a_warning():
    def said(more, head=""):
        rule = "[[rule]]\nname = 'r'\nchannels = ['a']\n"
        channels = "[channel.a]\ntype = 'console'\n[channel.b]\ntype = 'console'\n"
        return [line for line in read(head + rule + channels + more).warnings if "no rule" in line]

    warning = "config.toml:6 [channel.b] no rule names it in channels: nothing is sent there"
    assert said("") == [warning]
    assert said("enabled = false\n") == []
    assert said("", "[[rule]]\nname = 's'\nchannels = 'b'\n") == []
    assert said("[watcher]\noperator = 'b'\n") == []
    assert said(mail() + "[web]\nsubscribe = 'm'\npublic_url = 'https://p.org'\n") == [warning]


def test_a_config_without_rules_draws_a_warning_where_nobody_subscribes():
    def said(more):
        return [line for line in read(SOURCE + more).warnings if "no [[rule]]" in line]

    assert said("") == ["config.toml: there is no [[rule]]: no paper is told"]
    assert said("[[rule]]\nname = 'r'\n") == []
    assert said(mail() + "[web]\nsubscribe = 'm'\npublic_url = 'https://p.org'\n") == []


def test_tables_that_switch_something_on_do_so_by_being_there_and_can_be_switched_off():
    config = read("[web]\n[backup]\nenabled = false\n[archive]\nmax_size = '2GiB'\n")
    assert config.web.enabled
    assert not config.backup.enabled
    assert config.archive.enabled
    assert config.archive.max_size == 2 * 1024**3


def test_configs_are_compared_by_value(folder):
    first = read(CONTRACT, folder, HOOK_SECRET=KEY)
    assert first == read(CONTRACT, folder, HOOK_SECRET=KEY)
    assert first != read(CONTRACT.replace("20", "21"), folder, HOOK_SECRET=KEY)
    other_key = "whsec_" + "B" * 32
    assert first != read(CONTRACT, folder, HOOK_SECRET=other_key)


@pytest.mark.parametrize(
    ("url", "kind", "follow"),
    [
        ("https://huggingface.co/papers", None, 7),
        ("https://huggingface.co/papers/", None, 7),
        ("http://127.0.0.1:8000/papers", None, 7),
        ("https://huggingface.co/api/daily_papers", None, 7),
        ("https://huggingface.co/papers/trending", None, 0),
        ("https://huggingface.co/papers?q=agents", None, 0),
        ("https://huggingface.co/papers/date/2026-09-01", None, 0),
        ("https://huggingface.co/papers", "trending", 0),
        ("https://example.org/list", "daily", 7),
    ],
)
def test_only_daily_lists_are_followed_by_default(url, kind, follow):
    kind_line = f'kind = "{kind}"\n' if kind else ""
    config = read(f'[[source]]\nname = "a"\nurl = "{url}"\n{kind_line}')
    assert config.sources[0].follow == timedelta(days=follow)
    assert config.sources[0].kind == (PageKind(kind) if kind else None)


def test_every_other_key_of_the_sample_has_its_value():
    config = read(
        SOURCE
        + """
        active = "06:00-24:00"
        [[rule]]
        name = "r"
        exclude = "title:survey"
        authors = ["Ann Author", "Ann Author"]
        organizations = ["Lab"]
        min_multiplier = 3
        ripen = "1h30m"
        budget = 5
        known = "tell"
        [channel.c]
        type = "console"
        days = ["weekdays", "sun"]
        quiet_hours = "22:00-07:00"
        timezone = "Asia/Tokyo"
        quiet_note = true
        [delivery]
        retry = ["0s", "5m", "5m"]
        lease = "20s"
        """
    )
    assert str(config.sources[0].active) == "06:00-24:00"
    rule = config.rules[0]
    assert rule.exclude == ("title:survey",)
    assert rule.authors == ("Ann Author",)
    assert (rule.min_multiplier, rule.budget) == (3.0, 5.0)
    assert rule.ripen == timedelta(minutes=90)
    assert rule.known is Known.TELL
    channel = config.channels[0]
    assert channel.days == (*tuple(Weekday)[:5], Weekday.SUN)
    assert channel.quiet_hours == Hours(start=time(22), end=time(7))
    assert channel.zone.key == "Asia/Tokyo"
    assert config.delivery.retry == (timedelta(0), timedelta(minutes=5), timedelta(minutes=5))


def test_hours_contain_what_lies_between_them_also_over_midnight():
    night = Hours(start=time(22), end=time(7))
    assert [night.contain(time(h)) for h in (21, 22, 0, 6, 7)] == [False, True, True, True, False]
    day = Hours(start=time(8), end=time(18))
    assert [day.contain(time(h)) for h in (7, 8, 17, 18)] == [False, True, True, False]
    assert Hours(start=time.min, end=time.min).contain(time(12))


def test_the_database_lies_in_the_state_directory_and_the_rest_beside_the_config(tmp_path):
    text = '[backup]\n[archive]\nfolder = "pages"\n[channel.f]\ntype = "maildir"\npath = "mail"\n'
    config = read(text, tmp_path, STATE_DIRECTORY="/var/lib/watcher")
    assert config.watcher.database == Path("/var/lib/watcher/watcher.db")
    assert config.backup.folder == Path("/var/lib/watcher/backups")
    assert config.archive.folder == tmp_path / "pages"
    assert config.channels[0].path == tmp_path / "mail"
    at_home = read('[watcher]\ndatabase = "~/papers.db"\n', tmp_path, HOME="/home/ada")
    assert at_home.watcher.database == Path("/home/ada/papers.db")


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault():
    text = "\ufeff" + SOURCE.replace("\n", "\r\n")
    assert read(text).sources[0].name == "a"
    assert ":4 " in only_problem(text + "evry = '1h'\r\n")


# ── Every fault at once ───────────────────────────────────────────────────────────────────


def test_every_fault_is_told_at_once_with_line_table_and_nearest_key(folder):
    found = problems(
        """\
[watcher]
timezon = "Europe/Berlin"
operator = "mee"
contact = "nobody"
[fetch]
timeout = 30
per_host_rate = "fast"
[[source]]
name = "trending"
url = "https://huggingface.co/papers/trending"
evry = "30m"
[[source]]
name = "trending"
url = "ftp://example.org/"
every = "5s"
[[source]]
url = "https://user:hunter2@example.org/"
every = "5s"
[[rule]]
name = "r"
sources = ["trendig"]
channels = ["me", "teem"]
min_upvotes = "many"
events = ["new", "raising"]
[channel.me]
type = "email"
smtp = "mail.example.org"
from = "nobody"
to = ["me@example.org", "x@@y"]
password = "a"
password_file = "smtp-password"
[channel.team]
type = "webhok"
[channel.out]
type = "webhook"
secret_env = "NOT_THERE"
[web]
listen = "0.0.0.0:80"
subscribe = "team"
[webb]
x = 1
""",
        folder,
    )
    assert found == (
        'config.toml:2 [watcher] timezon: unknown key; did you mean "timezone"?',
        'config.toml:3 [watcher] operator: no channel is called "mee"; did you mean "me"?',
        (
            'config.toml:4 [watcher] contact: needs a mail address such as "me@example.org", '
            'not "nobody"'
        ),
        (
            'config.toml:6 [fetch] timeout: needs a unit: a duration such as "30s", "5m", "1h30m" '
            'or "7d", not 30'
        ),
        'config.toml:7 [fetch] per_host_rate: needs a number, not "fast"',
        'config.toml:11 [source "trending"] evry: unknown key; did you mean "every"?',
        'config.toml:13 [source "trending"] name: another source has this name already',
        (
            'config.toml:14 [source "trending"] url: needs an address such as '
            "https://example.org/path; it must start with https or http"
        ),
        "config.toml:16 [source #3] name is missing",
        "config.toml:17 [source #3] url: must not carry a user or password",
        (
            'config.toml:21 [rule "r"] sources: no source is called "trendig"; did you mean '
            '"trending"?'
        ),
        'config.toml:22 [rule "r"] channels: no channel is called "teem"; did you mean "team"?',
        'config.toml:23 [rule "r"] min_upvotes: needs a whole number, not "many"',
        'config.toml:24 [rule "r"] events: does not know "raising"; did you mean "rising"?',
        (
            "config.toml:27 [channel.me] smtp: needs an address such as smtp://user@host:587; it "
            "must start with smtp or smtps"
        ),
        (
            'config.toml:28 [channel.me] from: needs a mail address such as "me@example.org", '
            'not "nobody"'
        ),
        'config.toml:29 [channel.me] to: needs a mail address such as "me@example.org", not "x@@y"',
        (
            "config.toml:31 [channel.me] password_file: given twice, as password and "
            "password_file; keep one"
        ),
        (
            'config.toml:33 [channel.team] type: unknown channel type "webhok"; did you mean '
            '"webhook"?'
        ),
        "config.toml:34 [channel.out] url or url_file or url_env is missing",
        (
            'config.toml:36 [channel.out] secret_env: the environment variable "NOT_THERE" is '
            "not set or empty"
        ),
        "config.toml:38 [web] listen: is not loopback: set token (token_file, token_env) first",
        'config.toml:39 [web] subscribe: channel "team" is not of type email',
        "config.toml:40 webb: unknown table; did you mean [web]?",
    )


def at(text, **env):
    """The one problem of a config, without the file's name and line."""
    return re.sub(r"^config\.toml(:\d+)? ", "", only_problem(text, **env))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[watcher\n", "config.toml:1:9 "),
        ("[fetch]\ntimeout = 30s\n", "config.toml:2:"),
        ('[fetch]\ntimeout = "30s\n', "config.toml:2:"),
        ("a = 1\na = 2\n", "config.toml:2:"),
        ("[web]\n[web]\n", "config.toml:2:"),
        ("x = [1,\n", "config.toml:2 "),
    ],
)
def test_what_is_not_toml_is_named_with_line_and_column(text, where):
    found = only_problem(text)
    assert found.startswith(where), found
    assert "not TOML" in found


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("[source]\nname = 'a'\n[[source]]\n", "3 an earlier one has single brackets"),
        ("[source]\n[source]\n", "2 write [[source]] and [[rule]], each time"),
        ("[web]\n[web]\n", "2 this table is there already; keep one"),
        ("[web]\nlisten = 'a'\nlisten = 'b'\n", "3 this name is there already; keep one"),
        ("every = “30m”\n", "1 take straight quotes"),
        ("; a remark\n", '1 a comment begins with "#"'),
        ("// a remark\n", '1 a comment begins with "#"'),
        ('{"watcher": {}}', "1 this is another format"),
        ("watcher:\n  timezone: UTC\n", '1 write KEY = VALUE, with "="'),
        ('database = "C:\\Users\\me"\n', "1 a backslash needs single quotes"),
        ('query = "title:a OR "b c""\n', "1 double quotes within a text need single quotes"),
        ("query = 'Ada's'\n", "1 a single quote within a text needs double quotes"),
        ('every = "30m\n', "1 a quote is not closed"),
        ("enabled = True\n", "1 write true or false, in small letters"),
        ("enabled = yes\n", "1 write true or false, in small letters"),
        ("every = 30m\n", "1 a text needs quotes"),
        ("digest = 08:00\n", "1 a text needs quotes"),
        ("url = https://example.org/papers\n", "1 a text needs quotes"),
        ("channels = [me]\n", "1 a text in a list needs quotes"),
        ('channels = ["me" "you"]\n', '1 a comma or "]" is missing'),
        ('channels = ["me"\n[web]\n', '2 a comma or "]" is missing'),
        ("[watcher\n", "1 Expected"),
    ],
)
def test_what_is_not_toml_is_told_with_what_to_write_instead(text, instead):
    number, words = instead.split(" ", 1)
    found = only_problem(text)
    assert re.fullmatch(
        rf"config\.toml:{number}(:\d+)? this is not TOML: {re.escape(words)}.*", found
    ), found


def test_a_line_that_is_no_toml_is_never_repeated():
    assert "hunter2" not in only_problem('password = "hunter2"x\n')


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[watcher]\nx = '\xff'", "config.toml:2 is not UTF-8"),
        pytest.param(b"x = " + b"[" * 50_000, "nested too deeply", id="deep"),
        pytest.param(b"x = " + b"9" * 5_000, "this is not TOML", id="wide"),
        pytest.param(b"#" * 16_000_001, "this is no config", id="huge"),
    ],
)
def test_bytes_that_are_no_config_are_refused(data, says):
    with pytest.raises(ConfigError, match=says):
        parse(data, OPTIONS, env={}, folder=Path("/nowhere"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[source]\nname = 'a'\nurl = 'https://a.org/'\n", "[source] is a list of tables: write"),
        ("[[web]]\n", "[web] is one table: write [web]"),
        ("web = 3\n", "[web] is not a table but 3"),
        ("channel = 3\n", "[channel] write [channel.NAME]"),
        ("[channel]\ntype = 'email'\n", "[channel.type] is not a table"),
        ("[channel.x]\n", "[channel.x] type is missing; one of email, webhook"),
        ("source = [3]\n", "[source #1] is not a table but 3"),
        ("[sources]\n", "sources: unknown table; did you mean [[source]]?"),
        ("[channels.me]\n", "channels: unknown table; did you mean [channel.NAME]?"),
        (
            "timezone = 'UTC'\n",
            "timezone: stands above every table; it belongs to [watcher] or [channel.NAME]",
        ),
        ("[watcher]\nrobots = true\n", "robots: unknown key; it belongs to [fetch]"),
        ("[watcher]\nxyzzy = 1\n", "xyzzy: unknown key; known are database, timezone"),
        (SOURCE + 'every = "59s"\n', "every: must be at least 1m; less only for loopback"),
        ("[fetch]\ntimeout = '0s'\n", "timeout: must be at least 100ms and at most 10m"),
        ("[fetch]\nrobots = 'yes'\n", 'robots: needs true or false, not "yes"'),
        ("[fetch]\nper_host_rate = nan\n", "per_host_rate: needs a finite number"),
        ("[fetch]\nper_host_concurrency = true\n", "needs a whole number, not True"),
        ("[watcher]\ntimezone = 'Europe/Berln'\n", 'did you mean "Europe/Berlin"?'),
        ("[watcher]\ntimezone = 'new york'\n", 'did you mean "America/New_York"?'),
        ("[watcher]\ntimezone = 'paris'\n", 'did you mean "Europe/Paris"?'),
        ("[watcher]\ntimezone = 'EDT'\n", 'say for example "Europe/Berlin"'),
        ("[watcher]\ntimezone = 'GMT+2'\n", 'say for example "Europe/Berlin"'),
        ("[watcher]\ntimezone = '/etc/passwd'\n", "no time zone is called"),
        ("[watcher]\ntimezone = 'Europe'\n", "no time zone is called"),
        ("[web]\nlisten = '8484'\n", "needs an address and a port"),
        ("[web]\nlisten = '127.0.0.1:99999'\n", "needs an address and a port"),
        ("[web]\nlisten = '::1:80'\n", "needs an address and a port"),
        ("[web]\ntrusted_proxies = ['10.0.0.0/33']\n", "needs an IP address or network"),
        ("[web]\nallow_domains = ['a b']\n", "needs a domain"),
        ("[web]\npublic_url = 'https://a.org/?x'\n", "must not carry a query"),
        ("[web]\nsubscribe = 'x'\n", 'no channel is called "x"; there is none'),
        ("[archive]\nmax_size = '5 parsecs'\n", 'needs a size such as "500MB"'),
        ("[backup]\nat = '25:00'\n", "needs a time of day"),
        ("[delivery]\nretry = []\n", "retry: is empty"),
        ("[delivery]\nretry = ['0s', 5]\n", "retry: needs a unit"),
        ("[alert]\nafter = 0\n", "after: must be between 1 and"),
        ("[[rule]]\nname = ' '\n", "name: is empty"),
        ("[[rule]]\nname = 'a\\nb'\nsources = []\n", "sources: is empty"),
        ('[[rule]]\nname = "a\\nb"\n', "name: a name is one line"),
        ("[[rule]]\nname = 'r'\nmin_multiplier = 0\n", "must be more than 0"),
        ("[[rule]]\nname = 'r'\nquery = ''\n", "query: is empty"),
        ("[channel.c]\ntype = 'console'\ndays = ['mo']\n", "needs days such as"),
        ("[channel.c]\ntype = 'console'\ndays = []\n", "days: is empty"),
        ("[channel.c]\ntype = 'console'\nquiet_hours = '22-7'\n", "needs hours such as"),
        ("[channel.c]\ntype = 'console'\nquiet_hours = '07:00-07:00'\n", "same time"),
        ("[channel.c]\ntype = 'console'\nquiet_hours = '00:00-24:00'\n", "enabled = false"),
        ("[channel.c]\ntype = 'console'\ntemplate = 'no.j2'\n", "there is no file /nowhere/no.j2"),
        ("[channel.c]\ntype = 'console'\nname = 'x'\n", "name: unknown key"),
        ("[channel.c]\ntype = 'slack'\nurl = 'hooks.example.org/x'\n", "needs an address such as"),
        ("[channel.c]\ntype = 'apprise'\nurl = 'tgram'\n", "needs addresses as Apprise writes"),
        ("[channel.c]\ntype = 'maildir'\n", "path is missing"),
        ("[alert]\nheartbeat_env = 'HB'\n", 'the environment variable "HB" is not set'),
    ],
)
def test_each_mistake_has_its_own_words(text, says):
    assert says in at(text)


def test_an_unknown_table_within_which_another_stands_has_its_line():
    assert only_problem("\n[channels.me]\n").startswith("config.toml:2 channels: unknown table")


@pytest.mark.parametrize(
    "url",
    [
        "huggingface.co/papers",
        "http://",
        "http:///papers",
        "https://exa mple.org/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://[::1/",
        "https://a..b/",
        "file:///etc/passwd",
        "https://example.org\\\\@evil.example/",
        "https://example.org/\\u0000",
        "https://example.org/\\nx",
        "",
    ],
)
def test_addresses_that_are_none_are_refused(url):
    assert " url: " in only_problem(f'[[source]]\nname = "a"\nurl = "{url}"\n')


@pytest.mark.parametrize(
    "address",
    ["me@example.org", "me@localhost", "Ann <a.b+c@sub.example.org>", '"A, B" <a@example.org>'],
)
def test_mail_addresses_are_taken(address):
    text = mail(f"to = '{address}'")
    assert read(text).channels[0].to[0].address in address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "me",
        "@example.org",
        "a@b@c",
        "a b@example.org",
        "a@-x.org",
        "a@example.org, b@c.org",
        "A <a@example.org",
        "a@example..org",
        ".a@example.org",
        "a@" + "x" * 300,
    ],
)
def test_mail_addresses_that_are_none_are_refused(address):
    assert "[channel.m]" in only_problem(mail(f"to = '{address}'"))


def mail(*lines):
    """A mail channel ``m`` with further keys."""
    keys = ("type = 'email'", "smtp = 'smtp://h'", "from = 'p@example.org'")
    return "\n".join(("[channel.m]", *keys, *lines)) + "\n"


def test_a_mail_channel_needs_somebody_to_write_to_unless_people_subscribe_to_it():
    assert "to is missing" in only_problem(mail())
    assert "to is missing" in only_problem(mail("to = []"))
    assert read(mail() + "[web]\nsubscribe = 'm'\npublic_url = 'https://p.org'\n").channels


def test_intervals_under_a_minute_are_for_loopback_only():
    for host in ("127.0.0.1:8000", "localhost", "[::1]:80", "127.9.9.9"):
        text = f'[fetch]\nallow_private = true\n[[source]]\nname = "a"\nurl = "http://{host}/p"\n'
        assert read(text + 'every = "1s"\n').sources[0].every == timedelta(seconds=1)
    for host in ("10.0.0.1", "localhost.example.org", "127.0.0.1.example.org", "128.0.0.1"):
        text = f'[[source]]\nname = "a"\nurl = "http://{host}/p"\nevery = "59s"\n'
        assert "must be at least 1m" in only_problem(text)


@pytest.mark.parametrize(
    ("address", "instead"),
    [
        ("/papers/date/2026-11-20", "one day, which ends; the day's own list is …/papers"),
        ("/papers?date=2026-11-20", "one day, which ends"),
        ("/api/daily_papers?limit=50&date=2026-11-20", "one day, which ends"),
        ("/papers/week/2026-W48/", "each week's in its time is …/papers/week/current"),
        ("/papers/month/2026-11", "each month's in its time is …/papers/month/current"),
        ("/papers", ""),
        ("/papers/trending", ""),
        ("/papers/week/current", ""),
        ("/papers/month/current", ""),
        ("/papers?q=date+2026", ""),
        ("/papers/2611.01234", ""),
    ],
)
def test_a_source_of_one_day_week_or_month_draws_a_warning(address, instead):
    said = read(f"[[source]]\nname = 'a'\nurl = 'https://example.org{address}'\n").warnings
    found = [line for line in said if "is the page of one" in line]
    assert len(found) == bool(instead)
    assert instead in "".join(found)


@pytest.mark.parametrize(
    ("sources", "hours"),
    [
        ((), 6),
        (("every = '30m'",), 6),
        (("every = '12h'",), 15),
        (("every = '12h'", "every = '1h'"), 6),
        (("every = '30m'\nactive = '06:00-23:00'",), 7.625),
        (("every = '30m'\nactive = '22:00-04:00'",), 18.625),
        (("every = '30m'\nactive = '00:00-24:00'",), 6),
    ],
)
def test_a_silence_that_the_sources_ask_for_is_meant(sources, hours):
    tables = (
        f"[[source]]\nname = 's{n}'\nurl = 'https://example.org/{n}'\n{keys}\n"
        for n, keys in enumerate(sources)
    )
    assert patience(read("".join(tables))) == timedelta(hours=hours)
    assert patience(read("[alert]\nhours = 48\n" + SOURCE)) == timedelta(hours=48)


def test_a_page_open_to_the_network_needs_a_token():
    assert "set token" in only_problem("[web]\nlisten = '0.0.0.0:80'\n")
    assert "set token" in only_problem("[web]\nlisten = '[::]:80'\n")
    assert read("[web]\nlisten = '0.0.0.0:80'\ntoken_env = 'T'\n", T="t").web.token == Secret("t")
    assert not read("[web]\nlisten = '0.0.0.0:80'\nenabled = false\n").web.enabled
    only = only_problem("[web]\nlisten = '0.0.0.0:80'\ntoken_env = 'T'\n")
    assert "token_env" in only


@pytest.mark.parametrize("key", ["token", "secret"])
def test_a_key_of_the_page_that_can_be_guessed_draws_a_warning_and_is_not_shown(key):
    text = f"[web]\nlisten = '127.0.0.1:80'\n{key}_env = 'K'\n"
    (warning,) = read(text, K="hunter2").warnings[-1:]
    assert (
        warning == f"config.toml:1 [web] {key}: can be guessed: take 16 random characters or more"
    )
    assert not any("guessed" in line for line in read(text, K="h" * 16).warnings)


def test_a_public_url_with_a_path_draws_a_warning():
    text = "[web]\ntoken_env = 'T'\npublic_url = 'https://p.org{}'\n"
    for path, warned in (("/papers", True), ("/", False), ("", False)):
        said = read(text.format(path), T="t" * 16).warnings
        assert any("pages need a host of their own" in line for line in said) is warned


def test_authors_in_one_text_draw_a_warning():
    text = "[[rule]]\nname = 'r'\nauthors = ['Ada Ngo', {}]\n"
    for name in ("Ngo, Ada", "Bo Li, Cy Lu"):
        *_, said = read(text.format(f"'{name}'")).warnings
        assert said.startswith(
            f'config.toml:3 [rule "r"] authors: "{name}" is one name: write ["Ada'
        )
    assert not any("one name" in line for line in read(text.format("'Bo Li'")).warnings)


@pytest.mark.parametrize(
    ("server", "right"),
    [
        ("smtp://h:465", "port 465 is that of smtps:// as a rule"),
        ("smtps://h:587", "port 587 is that of smtp:// as a rule"),
        ("smtp://h:587", ""),
        ("smtps://h:465", ""),
        ("smtp://h", ""),
        ("smtps://h", ""),
        ("smtp://h:2525", ""),
    ],
)
def test_a_port_of_the_other_kind_of_tls_draws_a_warning(server, right):
    said = read(mail("to = 'me@example.org'").replace("smtp://h", server)).warnings
    found = [line for line in said if "as a rule" in line]
    assert len(found) == bool(right)
    assert right in "".join(found)


def test_an_address_that_no_mail_would_reach_is_refused():
    text = mail("to = ['a@b.org', 'Jörg <jörg@b.org>']").replace("p@example", "ä@example")
    assert problems(text) == (
        "config.toml:4 [channel.m] from: ä@example.org has letters that mail cannot carry",
        "config.toml:5 [channel.m] to: jörg@b.org has letters that mail cannot carry",
    )
    read(mail("to = 'Jörg <joerg@bücher.example>'"))


def test_queries_are_checked_by_whoever_knows_the_language():
    def check(query):
        if "||" in query:
            raise QueryError("write OR, not ||")

    text = "[[rule]]\nname = 'r'\nquery = 'a || b'\nexclude = ['c', 'd || e']\n"
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), OPTIONS, env={}, folder=Path("/nowhere"), check_query=check)
    assert caught.value.problems == (
        'config.toml:3 [rule "r"] query: write OR, not ||',
        'config.toml:4 [rule "r"] exclude: write OR, not ||',
    )


def test_what_a_query_may_not_mean_draws_a_warning():
    text = (
        "[[source]]\nname = 'daily'\nurl = 'https://example.org/papers'\n[[rule]]\nname = 'r'\n"
        "query = 'source:dayly robot'\nexclude = ['a OR b', 'survey or review', '\"mod*\"']\n"
    )
    config = parse(
        text.encode(), OPTIONS, env={}, folder=Path("/nowhere"), check_query=compile_query
    )
    assert [line for line in config.warnings if '[rule "r"]' in line] == [
        'config.toml:6 [rule "r"] query: no source is called "dayly"; did you mean "daily"?',
        'config.toml:7 [rule "r"] exclude: or is searched as a word; write OR to join',
        (
            'config.toml:7 [rule "r"] exclude: "mod*": * and ? mean nothing inside quotes; '
            "leave these out"
        ),
    ]


# ── Lines ─────────────────────────────────────────────────────────────────────────────────

ODD = '''\
# a comment with [table] and "quotes
"watcher" . timezone = "UTC"   # dotted and quoted
fetch = { timeout = "1s", "per_host_rate" = [
  1 ] }
channel."my \\u0061".type = "console"

[[ source ]]
text = """
[[source]]
name = "not a key" \\"""
"""
"n\\"x" = \'\'\'
]\'\'\'
list = [ # one
  "a", # "b
  [1, {x = 2}],
]
[[source]]
url = 'x'
[source.deep.er]
key = 1
[ channel . "b" ]
type = 1979-05-27 07:32:00 # date
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("watcher",), 2),
        (("watcher", "timezone"), 2),
        (("fetch", "timeout"), 3),
        (("fetch", "per_host_rate"), 3),
        (("fetch", "per_host_rate", 0), 4),
        (("channel", "my a", "type"), 5),
        (("source", 0), 7),
        (("source", 0, "text"), 8),
        (("source", 0, 'n"x'), 12),
        (("source", 0, "list"), 14),
        (("source", 0, "list", 0), 15),
        (("source", 0, "list", 1, 1, "x"), 16),
        (("source", 1), 18),
        (("source", 1, "url"), 19),
        (("source", 1, "deep", "er", "key"), 21),
        (("channel", "b"), 22),
        (("channel", "b", "type"), 23),
        (("source", 0, "absent"), 7),
        (("nothing", "at all"), None),
    ],
)
def test_lines_are_found_however_the_file_is_written(path, line):
    tomllib.loads(ODD)
    assert line_of(find_lines(ODD), path) == line


PIECES = """
[watcher] [[source]] [[rule]] [channel.me] [channel] [fetch] [web] [ ] [[ ]] { } = , . #
name url every type query channels smtp to from password password_env digest listen
"email" "webhook" "30m" "5s" "https://example.org/" 'x' \"\"\" \'\'\' " \\ \x00 ü
1 -1 1.5 nan true 1979-05-27 07:32:00 [1,2] {a=1}
"""
TOMLISH = st.lists(st.sampled_from([*PIECES.split(), "\n", "\r\n", "\n"]), max_size=40).map(
    " ".join
)


@given(st.one_of(TOMLISH, st.text(max_size=200), st.binary(max_size=200)))
@example("x = 1\n[x")
@example('x."')
@example("x = [[1],")
def test_any_bytes_give_a_config_or_a_config_error(data):
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    try:
        parse(raw, OPTIONS, env={}, folder=Path("/nowhere"))
    except ConfigError as refused:
        found = refused.problems
    else:
        return
    assert found
    assert all(line.isprintable() for line in found)


LITERALS = st.sampled_from(
    [
        *("'a'", "'b'", "''", "'30m'", "'0s'", "'08:00'", "'22:00-07:00'", "'mon-fri'", "'5GB'"),
        *("'https://example.org/papers'", "'http://127.0.0.1:1/p'", "'smtp://u:p@h'", "'email'"),
        *("'A <a@example.org>'", "'0.0.0.0:1'", "'[::1]:80'", "'10.0.0.0/8'", "'UTC'", "'daily'"),
        *("0", "-1", "3", "0.5", "inf", "true", "false", "08:00:00", "1979-05-27", "[]", "{}"),
        *("['a', 'b']", "['new']", "[1, 'a']", "[['a']]", "{ a = 1 }", f"'{KEY}'", "'.'", "'X'"),
    ]
)


@st.composite
def whole_files(draw):
    """Valid TOML with tables and keys of ours and any values."""
    structs = {f"[{n}]": s for n, s in TABLES.items()}
    structs |= {f"[[{n}]]": s for n, s in ARRAYS.items()}
    lines = []
    for header in draw(st.lists(st.sampled_from(sorted(structs)), max_size=5)):
        if header.startswith("[[") or header not in lines:
            lines += [header, *draw_keys(draw, structs[header])]
    for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
        kind = draw(st.sampled_from(sorted(OPTIONS)))
        lines += [f"[channel.{name}]", f"type = '{kind}'"]
        lines += [line for line in draw_keys(draw, OPTIONS[kind]) if not line.startswith("type")]
    return "\n".join(lines)


def draw_keys(draw, struct):
    known = sorted(name for key in keys_of(struct) for name in key.spellings)
    names = draw(st.lists(st.sampled_from(known), unique=True, max_size=8))
    return [f"{name} = {draw(LITERALS)}" for name in names]


@given(whole_files())
def test_any_values_in_any_tables_give_a_config_or_a_config_error(text):
    tomllib.loads(text)
    try:
        config = read(text, X="1")
    except ConfigError as refused:
        lines = refused.problems
    else:
        lines = config.warnings
        tomllib.loads(render(config))
        assert config == read(text, X="1")
        assert len(effective_intervals(config)) == len(config.sources)
    assert all(line.isprintable() for line in lines)


@given(st.text(max_size=300))
def test_the_scan_for_lines_never_raises_and_never_hangs(text):
    assert all(line >= 1 for line in find_lines(text).values())


TABLE_NAMES = sorted({*TABLES, *ARRAYS})
SCALARS = st.one_of(
    st.text(max_size=20), st.integers(), st.floats(), st.booleans(), st.times(), st.none()
)


@given(
    table=st.sampled_from([*TABLE_NAMES, *OPTIONS]),
    value=st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(), SCALARS)),
    data=st.data(),
)
def test_any_value_for_any_key_is_taken_or_refused_with_words(table, value, data):
    struct = {**TABLES, **ARRAYS, **OPTIONS}[table]
    key = data.draw(st.sampled_from(keys_of(struct)))
    try:
        found = key.kind.read(value)
    except BadValue:
        return
    assert key.secret or key.kind.read(key.kind.show(found)) == found


# ── Secrets ───────────────────────────────────────────────────────────────────────────────


def test_secrets_are_never_in_what_is_printed():
    canary = "CANARY"
    text = f"""
    [fetch]
    hf_token = "{canary}"
    [channel.mail]
    type = "email"
    smtp = "smtps://me%40x:{canary}@mail.example.org"
    from = "p@example.org"
    to = ["a@example.org"]
    [channel.hook]
    type = "webhook"
    url = "https://example.org:8443/{canary}?k={canary}"
    secret = "whsec_{canary}{canary * 4}AA"
    previous_secret = "whsec_{canary}{canary * 4}AA"
    [channel.chat]
    type = "slack"
    url = "https://hooks.example.org/{canary}"
    [channel.disc]
    type = "discord"
    url = "https://example.org/{canary}"
    [channel.app]
    type = "apprise"
    url = ["tgram://{canary}/1", "mailto://a:{canary}@b"]
    [web]
    token = "{canary}"
    secret = "{canary}"
    [alert]
    heartbeat = "https://hc.example.org/{canary}"
    """
    config = read(text)
    shown = [render(config), repr(config), str(config), *config.warnings]
    shown += [f"{channel}" for channel in config.channels]
    assert canary not in "\n".join(shown)
    assert len([w for w in config.warnings if "a secret stands in the config" in w]) == 10
    printed = tomllib.loads(render(config))
    assert printed["channel"]["hook"]["url"] == "https://example.org:8443/***"
    assert printed["channel"]["mail"]["smtp"] == "smtps://me%40x:***@mail.example.org"
    assert printed["channel"]["app"]["url"] == "tgram://*** mailto://***"
    assert config.channel("mail").server.user == "me@x"
    assert config.channel("mail").server.password.reveal() == canary
    assert config.channel("app").url.reveal_all()[0] == f"tgram://{canary}/1"


def test_secrets_are_not_in_the_words_of_a_refusal():
    canary = "CANARY"
    found = problems(f"""
    [[source]]
    name = "a"
    url = "https://me:{canary}@example.org/"
    [channel.mail]
    type = "email"
    smtp = "smtp://me:{canary}@mail.example.org/x y"
    pasword = "{canary}"
    [channel.hook]
    type = "webhook"
    url = "htps://example.org/{canary}"
    secret = "whsec_{canary}!"
    [channel.app]
    type = "apprise"
    url = "{canary}"
    [alert]
    heartbeat = ["{canary}"]
    [web]
    token = 5
    """)
    assert len(found) == 10
    assert canary not in "\n".join(found)


def test_a_secret_is_equal_by_value_and_shows_nothing():
    secret = Secret("abc")
    assert secret == Secret("abc") != Secret("abd")
    assert secret != "abc"
    assert {secret: 1}[Secret("abc")] == 1
    assert (str(secret), repr(secret), f"{secret}") == ("***", "Secret('***')", "***")
    assert not Secret("")
    with pytest.raises((TypeError, NotImplementedError)):
        msgspec.json.encode(secret)
    assert SecretUrl("https://[::1]:80/x").masked() == "https://[::1]:80/***"
    assert SecretUrl("nonsense").masked() == "***"
    assert SmtpUrl("smtp://host:25").masked() == "smtp://host:25"


def test_a_secret_file_is_looked_for_at_the_service_manager_first(tmp_path):
    given, beside = tmp_path / "credentials", tmp_path / "etc"
    for place, text in ((given, "from the service manager"), (beside, "from beside")):
        place.mkdir()
        (place / "token").write_text(f"  {text}\n\n")
        (place / "token").chmod(0o644)
    text = "[web]\ntoken_file = 'token'\n"
    first = read(text, beside, CREDENTIALS_DIRECTORY=str(given))
    assert first.web.token.reveal() == "from the service manager"
    assert first.warnings == ("config.toml: there is no [[source]]: nothing is watched",)
    second = read(text, beside, CREDENTIALS_DIRECTORY=str(tmp_path / "absent"))
    assert second.web.token.reveal() == "from beside"
    assert any("token_file" in w and "chmod 600" in w for w in second.warnings)
    (beside / "token").chmod(0o600)
    assert not any("chmod" in w for w in read(text, beside).warnings)
    absolute = read(f"[web]\ntoken_file = '{beside}/token'\n", CREDENTIALS_DIRECTORY=str(given))
    assert absolute.web.token.reveal() == "from beside"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no file"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 text"),
        pytest.param(b"x" * 70_000, "too large for a secret", id="large"),
        (b"a\x00b", "control characters"),
    ],
)
def test_secret_files_that_hold_no_secret_are_refused(tmp_path, content, says):
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    found = only_problem("[web]\ntoken_file = 'token'\n", tmp_path)
    assert says in found
    assert found.startswith("config.toml:2 [web] token_file: ")


def test_a_secret_of_several_lines_is_refused(tmp_path):
    (tmp_path / "token").write_text("one\ntwo\n")
    assert "several lines" in only_problem("[web]\ntoken_file = 'token'\n", tmp_path)
    (tmp_path / "urls").write_text("json://a\nxml://b\n")
    config = read("[channel.a]\ntype = 'apprise'\nurl_file = 'urls'\n", tmp_path)
    assert config.channels[0].url.reveal_all() == ("json://a", "xml://b")


def test_missing_secrets_of_what_is_switched_off_are_only_a_warning():
    text = "[channel.c]\ntype = 'slack'\nurl_env = 'NOT_THERE'\n"
    assert "NOT_THERE" in only_problem(text)
    config = read(text + "enabled = false\n")
    assert any("NOT_THERE" in line for line in config.warnings)
    assert not config.channels[0].url


def test_the_hub_token_comes_from_the_environment_unless_the_config_says_otherwise():
    assert read("").fetch.hf_token is None
    assert read("", HF_TOKEN=" t1 ").fetch.hf_token == Secret("t1")
    config = read("[fetch]\nhf_token_env = 'MINE'\n", HF_TOKEN="t1", MINE="t2")
    assert config.fetch.hf_token == Secret("t2")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["smtp = 'smtp://u:p@h'", "password = 'q'"], "password: stands in smtp already"),
        (["smtp = 'smtp://u@h'", "user = 'v'", "password = 'q'"], "user: stands in smtp already"),
        (["smtp = 'smtp://h/x'"], "with nothing after the port"),
        (["smtp = 'http://h'"], "must start with smtp or smtps"),
    ],
)
def test_mail_logins_given_twice_are_refused(lines, says):
    keys = ["[channel.m]", "type = 'email'", "from = 'p@example.org'", "to = 'a@example.org'"]
    assert says in only_problem("\n".join([*keys, *lines]) + "\n")


def test_half_a_mail_login_is_used_without_login_and_draws_a_warning():
    for lines in ("smtp = 'smtp://u@h'", "smtp = 'smtp://h'\npassword_env = 'P'"):
        text = f"[channel.m]\ntype = 'email'\nfrom = 'p@x.org'\nto = 'a@x.org'\n{lines}\n"
        assert any("no user" in w or "no password" in w for w in read(text, P="p").warnings)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("https://example.org/", False),
        ("https://example.org:8443/", False),
        ("http://example.org/", True),
        ("https://example.org:9000/", True),
        ("https://10.0.0.1/", True),
        ("https://localhost/", True),
    ],
)
@pytest.mark.parametrize("kind", ["webhook", "slack", "discord"])
def test_addresses_that_will_be_refused_draw_a_warning(kind, url, warned):
    secret = "secret_env = 'S'\n" if kind == "webhook" else ""
    text = f"[channel.h]\ntype = '{kind}'\nurl = '{url}'\n{secret}"
    assert any("url: will be refused" in w for w in read(text, S=KEY).warnings) is warned
    assert not any("refused" in w for w in read(text + "allow_private = true\n", S=KEY).warnings)


def test_a_heartbeat_that_will_be_refused_draws_a_warning():
    for url, warned in (
        ("https://example.org/x", False),
        ("http://example.org/x", False),
        ("http://127.0.0.1:9/x", True),
        ("https://10.1.2.3/x", True),
    ):
        text = f"[alert]\nheartbeat = '{url}'\n"
        found = [line for line in read(text).warnings if "heartbeat: will be refused" in line]
        assert bool(found) is warned, url
        assert not any("refused" in w for w in read(text + "allow_private = true\n").warnings)


def test_apprise_without_its_library_draws_a_warning(monkeypatch):
    text = "[channel.a]\ntype = 'apprise'\nurl = 'json://example.org'\n"
    assert not any("not installed" in line for line in read(text).warnings)
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert any("apprise is not installed; run: pip" in line for line in read(text).warnings)


def test_a_folder_is_no_database_and_a_file_no_maildir(tmp_path):
    (tmp_path / "file").touch()
    assert "database: is a folder" in only_problem("[watcher]\ndatabase = '.'\n", tmp_path)
    maildir = "[channel.m]\ntype = 'maildir'\npath = '{}'\n"
    for below in ("file", "file/mail"):
        said = only_problem(maildir.format(below), tmp_path)
        assert f"path: {tmp_path}/file is a file; a Maildir is a folder" in said
    for keys in ("[watcher]\ndatabase = 'file/w.db'\n", "[backup]\nfolder = 'file'\n",
                 "[archive]\nfolder = 'file/a/b'\n"):  # fmt: skip
        said = only_problem(keys, tmp_path)
        assert f"cannot be: {tmp_path}/file is a file and no folder" in said
        assert said.startswith("config.toml:2 ")
    read("[watcher]\ndatabase = 'file'\n" + maildir.format("."), tmp_path)


def test_a_template_where_there_is_no_mail_draws_a_warning(tmp_path):
    (tmp_path / "t").touch()
    ignored = "template: is ignored: only mail has one"
    for kind, warned in (("console", True), ("maildir", False)):
        text = f"[channel.c]\ntype = '{kind}'\ntemplate = 't'\n"
        text += "path = 'mail'\n" if kind == "maildir" else ""
        assert any(ignored in line for line in read(text, tmp_path).warnings) is warned


def test_a_source_has_no_sign_in_its_name_that_stands_before_a_followed_day():
    found = only_problem("[[source]]\nname = 'daily@home'\nurl = 'https://example.org/papers'\n")
    assert 'name: must not hold "@"' in found


@pytest.mark.parametrize(
    ("url", "kind", "followed"),
    [
        ("https://huggingface.co/api/daily_papers?limit=100", None, True),
        ("https://huggingface.co/papers", "daily", True),
        ("https://huggingface.co/papers", "trending", False),
        ("https://example.org/list", "daily", False),
    ],
)
def test_that_following_is_ignored_is_told_where_it_is_so(url, kind, followed):
    kind_line = f'kind = "{kind}"\n' if kind else ""
    config = read(f'[[source]]\nname = "a"\nurl = "{url}"\nfollow = "3d"\n{kind_line}')
    assert any("follow: is ignored" in line for line in config.warnings) is not followed
    assert (len(Agenda(config, now=datetime(2026, 11, 18, tzinfo=UTC), due={})) > 1) is followed


def test_what_deserves_a_look_is_a_warning():
    config = read(
        SOURCE
        + 'follow = "3d"\nkind = "trending"\n'
        + '[[source]]\nname = "b"\nurl = "https://example.org/papers"\n'
        + '[[source]]\nname = "c"\nurl = "http://192.168.0.1/papers"\n'
        + "[channel.c]\ntype = 'console'\nquiet_note = true\n"
        + "[keep]\nsightings = '7d'\n[web]\npublic_url = 'https://p.org/'\n"
    )
    assert config.web.public_url == "https://p.org"
    said = "\n".join(config.warnings)
    for words in (
        "follow: is ignored",
        'source "a" has this address too',
        "is a private address",
        "sightings: is short",
        "quiet_note: has no effect",
        "public_url: without token",
        "contact is missing",
    ):
        assert words in said


# ── Finding and loading ───────────────────────────────────────────────────────────────────


def test_the_config_is_looked_for_in_the_usual_places_in_order(tmp_path):
    cwd, home, xdg = tmp_path / "cwd", tmp_path / "home", tmp_path / "xdg"
    named = tmp_path / "named.toml"
    places = [cwd / "config.toml", xdg / "watcher" / "config.toml"]
    at_home = home / ".config" / "watcher" / "config.toml"
    for path in (named, at_home, *places):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(xdg), "WATCHER_CONFIG": str(places[1])}
    assert find(named, env, cwd) == named
    assert find(None, env, cwd) == places[1]
    del env["WATCHER_CONFIG"]
    assert find(None, env, cwd) == places[0]
    places[0].unlink()
    assert find(None, env, cwd) == places[1]
    del env["XDG_CONFIG_HOME"]
    assert find(None, env, cwd) == at_home


def test_a_config_that_is_not_there_is_named_with_where_it_was_looked_for(tmp_path):
    with pytest.raises(ConfigError, match=r"--config names .*absent"):
        find(Path("absent"), {}, tmp_path)
    with pytest.raises(ConfigError, match=r"WATCHER_CONFIG names .*absent"):
        find(None, {"WATCHER_CONFIG": "absent"}, tmp_path)
    if not Path("/etc/watcher/config.toml").exists():
        with pytest.raises(ConfigError) as caught:
            find(None, {"HOME": str(tmp_path)}, tmp_path)
        for place in ("config.toml", ".config/watcher/config.toml", "/etc/watcher/config.toml"):
            assert place in str(caught.value)


def test_loading_names_the_file_and_warns_when_others_can_read_its_secrets(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[web]\ntoken = 'abc'\n")
    path.chmod(0o644)
    warnings = load(path, OPTIONS, {}).warnings
    assert f"{path}: it holds secrets and others can read it; chmod 600 it" in warnings
    path.chmod(0o600)
    assert not any("others can read it" in line for line in load(path, OPTIONS, {}).warnings)
    path.write_text("[web]\ntokn = 'abc'\n")
    with pytest.raises(ConfigError, match=re.escape(f"{path}:2 [web] tokn: unknown key")):
        load(path, OPTIONS, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "absent.toml", OPTIONS, {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, OPTIONS, {})


def test_an_unknown_name_is_told_with_the_nearest():
    config = read(SOURCE)
    with pytest.raises(UnknownName, match=r"there is a$"):
        config.source("trending")
    with pytest.raises(UnknownName, match=r"there is none$"):
        config.channel("me")
    named = read('[[rule]]\nname = "alignment"\n')
    with pytest.raises(UnknownName, match="did you mean 'alignment'"):
        named.rule("aligment")


# ── What check-config prints ──────────────────────────────────────────────────────────────


def test_the_effective_config_is_toml_and_says_what_is_in_force(folder):
    config = read(CONTRACT, folder, HOOK_SECRET=KEY)
    printed = tomllib.loads(render(config))
    assert printed["watcher"]["database"] == str(folder / "watcher.db")
    assert printed["source"][0]["every"] == "30m"
    assert printed["channel"]["me"]["password"] == "***"
    assert printed["channel"]["me"]["from"] == "Papers <papers@example.org>"
    assert printed["delivery"]["retry"][-1] == "1d"
    odd = tomllib.loads(render(read('[channel."a b\\"c"]\ntype = "console"\n')))
    assert list(odd["channel"]) == ['a b"c']


def test_intervals_stretch_in_proportion_when_a_host_is_asked_too_often():
    text = "[fetch]\nper_host_rate = 0.01\n" + "".join(
        f'[[source]]\nname = "{n}"\nurl = "https://{host}/{n}"\nevery = "{every}"\n'
        for n, host, every in (
            ("a", "example.org", "2m"),
            ("b", "EXAMPLE.org:443", "4m"),
            ("c", "other.example", "2m"),
        )
    )
    visits = {visit.source: visit for visit in effective_intervals(read(text))}
    rate = 1 / 120 + 1 / 240
    assert visits["a"].really == timedelta(minutes=2) * (rate / 0.01)
    assert visits["b"].really == 2 * visits["a"].really
    assert sum(1 / visits[n].really.total_seconds() for n in "ab") == pytest.approx(0.01)
    assert (visits["c"].really, visits["c"].stretched) == (timedelta(minutes=2), False)
    unlimited = read(text.replace("0.01", "0"))
    assert not any(visit.stretched for visit in effective_intervals(unlimited))


# ── Files made from the code ──────────────────────────────────────────────────────────────


def sample(*, awake=False):
    """The shipped sample; ``awake`` takes the ``#`` from every setting at rest."""
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    return re.sub(r"^#(?=[a-z\[])", "", text, flags=re.MULTILINE) if awake else text


def test_the_sample_is_valid_as_it_stands_and_needs_nothing():
    config = read(sample())
    assert [source.name for source in config.sources] == ["trending", "daily"]
    assert config.warnings == (
        "config.toml:12 [watcher] contact is missing: the site cannot write to you",
    )


def awake_sample(folder):
    for name in ("smtp-password", "hf-token", "web-token", "web-secret", "apprise-urls"):
        (folder / name).write_text("tgram://a-long-random-text")
        (folder / name).chmod(0o600)
    (folder / "mail.html.j2").write_text("")
    url = "https://hooks.example.org/x"
    env = {"HOOK_SECRET": KEY, "OLD_HOOK_SECRET": KEY, "SLACK_URL": url, "DISCORD_URL": url}
    return read(sample(awake=True), folder, HEARTBEAT_URL=url, **env)


def test_each_setting_at_rest_in_the_sample_is_valid_and_stands_for_a_default(tmp_path):
    config = awake_sample(tmp_path)
    assert {channel.type for channel in config.channels} == set(OPTIONS)
    first, *rest = config.warnings
    assert first == 'config.toml:16 [watcher] operator: channel "me" has enabled = false'
    assert all("no rule names it" in line for line in rest)
    assert config.delivery == read("").delivery
    assert config.keep == read("").keep


def test_the_sample_shows_every_key():
    document = tomllib.loads(sample(awake=True))
    structs = {**TABLES, **ARRAYS}
    for name, struct in structs.items():
        tables = document[name] if name in ARRAYS else [document[name]]
        given = {key for table in tables for key in table}
        missing = [k.name for k in keys_of(struct) if not given & set(k.spellings)]
        assert missing == [], name
    given = {(t["type"], key) for t in document["channel"].values() for key in t}
    anywhere = {key for _, key in given}
    for kind, struct in OPTIONS.items():
        for key in keys_of(struct):
            known = {(kind, name) for name in key.spellings} & given
            assert known or key.name in anywhere, (kind, key.name)


def test_the_shipped_schema_is_made_from_the_code():
    shipped = json.loads((ROOT / "config.schema.json").read_text(encoding="utf-8"))
    assert shipped == json_schema(OPTIONS), "run python tools/config_reference.py"


def test_the_documentation_of_the_config_is_made_from_the_code():
    text = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert text == fill_reference(text, OPTIONS), "run python tools/config_reference.py"
    named = set(re.findall(r"<!-- keys: (\S+) -->", text))
    assert named == {*TABLES, *ARRAYS, "channel", *(f"channel.{kind}" for kind in OPTIONS)}


@pytest.mark.parametrize("text", [CONTRACT, sample(), sample(awake=True)])
def test_the_schema_takes_what_the_code_takes(text):
    schema = json_schema(OPTIONS)
    jsonschema.Draft7Validator.check_schema(schema)
    assert list(jsonschema.Draft7Validator(schema).iter_errors(tomllib.loads(text))) == []


@pytest.mark.parametrize(
    "text",
    [
        "[webb]\n",
        "[web]\nlistn = 'x'\n",
        "[fetch]\ntimeout = 30\n",
        "[fetch]\nrobots = 'yes'\n",
        "[[source]]\nname = 'a'\n",
        "[[rule]]\nname = 'a'\nevents = ['raising']\n",
        "[channel.a]\n",
        "[channel.a]\ntype = 'fax'\n",
        "[channel.a]\ntype = 'slack'\n",
        "[channel.a]\ntype = 'slack'\nurl = 'https://a.org'\nurl_env = 'A'\n",
        "[web]\ntoken = 'a'\ntoken_file = 'b'\n",
    ],
)
def test_the_schema_refuses_what_the_code_refuses(text):
    validator = jsonschema.Draft7Validator(json_schema(OPTIONS))
    assert list(validator.iter_errors(tomllib.loads(text)))
    assert problems(text)


def test_a_list_of_tables_that_is_unknown_is_named_with_its_line(folder):
    with pytest.raises(ConfigError) as caught:
        parse(
            b'[watcher]\ntimezone = "UTC"\n\n[[rules]]\nname = "a"\n',
            OPTIONS,
            env={},
            folder=folder,
        )
    assert "config.toml:4 rules: unknown table; did you mean [[rule]]?" in str(caught.value)
