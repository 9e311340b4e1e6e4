"""``why``, ``events``, ``rules``, ``backtest``, as a person or a script calls them."""

import asyncio
import csv
import io
import json
import re
import shlex
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from tests import pages
from tests.conftest import ROOT
from tests.histories import START, Step, live, page_of
from tests.snapshots import card, snapshot
from watcher.cli import main
from watcher.cli.common import read_config
from watcher.demo.run import run_demo
from watcher.model import Change
from watcher.reasons import format_conditions
from watcher.rulebook import compile_rules
from watcher.rules import compile_rule
from watcher.store import open_records

EVENT_KEYS = ["cursor", "id", "type", "at", "rule", "paper", "counts", "reason", "conditions"]
CONDITION_KEYS = ["name", "value", "need", "ok"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder with four days of the demo in it."""
    folder = tmp_path_factory.mktemp("demo")
    asyncio.run(run_demo(folder, seed=5, days=4, out=Console(file=io.StringIO())))
    return folder


@pytest.fixture
def call(capsys, monkeypatch, demo):
    """Run a verb on the demo's config: ``(exit code, stdout, stderr)``."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(demo)

    def run(*args, config=demo / "config.toml"):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*(("-c", str(config)) if config else ()), *map(str, args)])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return run


@pytest.fixture
def loaded(call):
    """Run a verb with ``--json``, and decode what it prints."""

    def run(*args, **more):
        code, out, err = call(*args, "--json", **more)
        assert code == 0, err
        return json.loads(out)

    return run


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def stored(demo, where="1"):
    with sqlite3.connect(demo / "watcher.db") as conn:
        return conn.execute(
            "select e.cursor, e.id, e.type, e.rule, p.arxiv_id, e.known, e.reason from events e"
            f" left join papers p on p.id = e.paper where {where} order by e.cursor"
        ).fetchall()


# --- events -----------------------------------------------------------------------------------


def test_events_are_json_lines_from_the_beginning_in_the_form_of_the_contract(call, demo):
    code, out, _ = call("events", "--json")
    found = lines(out)
    assert code == 0
    assert [event["cursor"] for event in found] == [row[0] for row in stored(demo, "not e.known")]
    assert all(list(event) == EVENT_KEYS for event in found)
    change = next(event for event in found if event["type"] == "paper.rising")
    assert list(change["paper"]) == ["paper_id", "title", "url"]
    assert list(change["conditions"][0]) == CONDITION_KEYS
    assert change["at"].endswith("Z")


def test_a_cursor_goes_on_where_the_last_reading_ended(call):
    whole = lines(call("events", "--json")[1])
    first = lines(call("events", "--json", "--limit", 3)[1])
    rest = lines(call("events", "--json", "--after", first[-1]["cursor"])[1])
    assert [*first, *rest] == whole
    assert lines(call("events", "--json", "--after", whole[-1]["cursor"])[1]) == []


def test_what_was_known_from_the_start_is_left_out_unless_asked_for(call, demo):
    everything = lines(call("events", "--json", "--all")[1])
    assert len(everything) == len(stored(demo))
    assert {event["known"] for event in everything} == {True, False}
    told = [event["id"] for event in everything if not event["known"]]
    assert told == [event["id"] for event in lines(call("events", "--json")[1])]


def test_events_for_people_are_the_latest_with_their_reasons(call, demo):
    _, out, _ = call("events", "--limit", 4)
    last = stored(demo, "not e.known")[-4:]
    for cursor, _, _, _, paper, _, reason in last:
        assert str(cursor) in out
        assert (paper or "") in out
        assert reason[:20] in out
    assert f"--after {last[-1][0]}" in out


def test_events_are_read_beside_a_writer(call, demo):
    with sqlite3.connect(demo / "watcher.db", isolation_level=None) as writer:
        writer.execute("begin immediate")
        assert call("events", "--json")[0] == 0
        writer.execute("rollback")


# --- why --------------------------------------------------------------------------------------


def test_why_prints_the_stored_verdict_of_what_was_told(loaded, call, demo):
    _, event_id, kind, rule, paper, _, reason = stored(demo, "e.type = 'paper.rising'")[0]
    found = loaded("why", paper)
    verdict = next(v for v in found if (v["rule"], v["kind"]) == (rule, "rising"))
    assert verdict["event"]["id"] == event_id
    event = next(e for e in lines(call("events", "--json", "--all")[1]) if e["id"] == event_id)
    assert list(verdict)[:4] == ["rule", "kind", "fires", "conditions"]
    assert (verdict["rule"], f"paper.{verdict['kind']}", verdict["fires"]) == (rule, kind, True)
    assert verdict["conditions"] == event["conditions"]
    assert verdict["said"]
    _, out, _ = call("why", paper)
    assert "told" in out
    assert reason in out


def test_why_explains_what_was_not_told_condition_by_condition(loaded, call, demo):
    rising = {row[4] for row in stored(demo, "e.rule = 'alignment'")}
    paper = next(row[4] for row in stored(demo, "e.rule = 'rising'") if row[4] not in rising)
    found = loaded("why", paper, "--rule", "alignment")
    assert {v["rule"] for v in found} == {"alignment"}
    assert [v["kind"] for v in found] == ["new", "rising", "resurging"]
    assert not any(v["fires"] or v["said"] or v["event"] for v in found)
    query = next(c for c in found[0]["conditions"] if c["name"] == "query")
    assert query["ok"] is False
    _, out, _ = call("why", paper, "--rule", "alignment")
    assert "query ✗ no match for alignment" in out
    assert "not told" in out


def test_every_rule_and_kind_has_one_verdict_and_it_fires_when_all_is_met(loaded, demo):
    for paper in {row[4] for row in stored(demo, "p.arxiv_id is not null")}:
        found = loaded("why", paper)
        places = [(v["rule"], v["kind"]) for v in found]
        assert places == [
            ("rising", "rising"),
            ("rising", "resurging"),
            ("alignment", "new"),
            ("alignment", "rising"),
            ("alignment", "resurging"),
        ]
        for verdict in found:
            met = all(condition["ok"] is True for condition in verdict["conditions"])
            assert verdict["fires"] == met
            assert list(verdict["conditions"][0]) == CONDITION_KEYS


def test_why_as_it_was_before_it_was_told(loaded, call, demo):
    later = "e.type = 'paper.rising' and not e.known and unixepoch(e.at) > p.first_seen_at + 60"
    paper = stored(demo, later)[0][4]
    (now,) = [v for v in loaded("why", paper, "--rule", "rising") if v["kind"] == "rising"]
    before = datetime.fromisoformat(now["at"]) - timedelta(seconds=1)
    (then,) = [
        v
        for v in loaded("why", paper, "--rule", "rising", "--at", before.isoformat())
        if v["kind"] == "rising"
    ]
    assert (then["said"], then["event"]) == (False, None)
    assert then["at"] < now["at"]


def test_why_at_a_time_when_nobody_had_seen_the_paper_says_so(call, demo):
    paper = stored(demo, "not e.known")[0][4]
    code, _, err = call("why", paper, "--at", "2026-10-01")
    assert code == 1
    assert f"{paper} was not seen by 2026-10-01 00:00 UTC, but first on 2026-1" in err


def test_names_that_are_not_there_are_refused_with_a_guess(call):
    code, _, err = call("why", "2699.99999")
    assert (code, "2699.99999" in err) == (1, True)
    known = call("papers", "--json", "--limit", 1)[1]
    paper = json.loads(known)[0]["paper_id"]
    code, _, err = call("why", paper, "--rule", "alignmet")
    assert code == 1
    assert "'alignment'" in err


@pytest.fixture
def small(tmp_path):
    """A config and a store of one paper, that the rules of the config judged."""

    def make(rules, *steps, extra=""):
        tables = "".join(f'[[rule]]\nname = "{rule}"\n{keys}\n' for rule, keys in rules.items())
        (tmp_path / "config.toml").write_text(
            '[[source]]\nname = "daily"\nurl = "https://huggingface.co/papers"\n'
            f'[[source]]\nname = "trending"\nurl = "https://huggingface.co/papers/trending"\n{tables}{extra}'
        )
        config = read_config(tmp_path / "config.toml")
        live(tmp_path / "watcher.db", steps, compile_rules(config))
        return tmp_path / "config.toml"

    return make


PAPER = pages.Fake(id="2610.00001", title="Tidal clocks", upvotes=5, opened=START)


def seen(hour, votes, source="daily", **fields):
    at = START + timedelta(hours=hour)
    return Step(
        at=at, source=source, body=page_of(source, [PAPER.but(upvotes=votes)], at), **fields
    )


def test_what_one_source_shows_stays_known_after_a_poorer_one_showed_the_paper_too(small, loaded):
    """The trending page tells that there is no organisation; the search page tells nothing."""
    alone = PAPER.but(organization=None)
    config = small(
        {"r": 'query = "NOT organization:giant"\nmin_upvotes = 20'},
        *(
            Step(at=START + timedelta(hours=n), source=source, body=body)
            for n, source, body in (
                (0, "trending", page_of("trending", [alone], START)),
                (1, "search", page_of("search", [alone.but(upvotes=6)], START, island=False)),
            )
        ),
    )
    new = loaded("why", PAPER.id, config=config)[0]
    assert [(c["name"], c["ok"]) for c in new["conditions"]] == [
        ("upvotes", False),
        ("query", True),
    ]


def test_new_that_was_used_up_with_rising_says_so(small, call, loaded):
    config = small({"all": 'events = ["new", "rising"]\nmin_upvotes = 30'}, seen(0, 1), seen(1, 90))
    new, rising = loaded("why", PAPER.id, config=config)
    assert (new["kind"], new["fires"], new["said"]) == ("new", True, True)
    assert new["event"]["type"] == rising["event"]["type"] == "paper.rising"
    assert "told as rising" in call("why", PAPER.id, config=config)[1]


def test_known_from_the_start_and_sources_that_never_showed_it(small, call, loaded):
    rules = {"known": 'events = ["new"]', "elsewhere": 'events = ["new"]\nsources = ["trending"]'}
    config = small(rules, seen(0, 30))
    known, elsewhere = loaded("why", PAPER.id, config=config)
    assert (known["fires"], known["event"]["known"]) == (True, True)
    (source,) = elsewhere["conditions"]
    assert (elsewhere["fires"], source["name"], source["ok"]) == (False, "source", False)
    assert "known from the start" in call("why", PAPER.id, config=config)[1]


def test_the_closest_look_is_named_when_it_was_closer_than_now(small, call, loaded):
    config = small(
        {"fast": 'events = ["rising"]\nmin_multiplier = 9.0'}, seen(0, 1), seen(1, 40), seen(20, 41)
    )
    (verdict,) = loaded("why", PAPER.id, "--at", "2026-10-06T06:00", config=config)
    assert not verdict["fires"]
    assert verdict["closest"]["at"] == "2026-10-05T07:00:00Z"
    assert (
        "closest on 05 Oct 07:00 UTC"
        in call("why", PAPER.id, "--at", "2026-10-06T06:00", config=config)[1]
    )


def test_unknown_is_printed_as_unknown(small, call):
    poor = Step(
        at=START, source="search", body=pages.dump([PAPER.but(comments=0)], today=START.date())
    )
    config = small({"many": "min_upvotes = 20\nevents = ['new']"}, poor)
    _, out, _ = call("why", f"t:{title_hash_of(config)}", config=config)
    assert "upvotes unknown, needs 20 ?" in out


def title_hash_of(config):
    with sqlite3.connect(config.parent / "watcher.db") as conn:
        return conn.execute("select title_hash from papers").fetchone()[0]


def test_a_rule_that_left_the_config_is_still_answered_with_what_it_said(small, loaded):
    config = small({"gone": 'events = ["new"]'}, seen(0, 30))
    config.write_text(config.read_text().replace('name = "gone"', 'name = "other"'))
    rules = {v["rule"]: v for v in loaded("why", PAPER.id, config=config)}
    assert set(rules) == {"gone", "other"}
    assert rules["gone"]["event"]["known"]
    assert rules["other"]["event"] is None


# --- rules ------------------------------------------------------------------------------------


def test_rules_show_what_they_ask_and_what_they_told(loaded, call, demo):
    rising, alignment = loaded("rules")
    assert (rising["name"], alignment["query"]) == ("rising", "alignment OR preference")
    assert alignment["needs"] == {"upvotes": 20, "multiplier": 2.0}
    assert rising["told"] == len(stored(demo, "e.rule = 'rising' and not e.known"))
    assert rising["known"] == len(stored(demo, "e.rule = 'rising' and e.known"))
    assert rising["channels"] == ["me"]
    assert datetime.fromisoformat(rising["baseline"]["next"]) > datetime.now(UTC)
    _, out, _ = call("rules")
    assert "new from 20 votes" in out
    assert "alignment OR preference" in out
    assert "Usual votes" in out


def test_rules_say_only_what_they_tell(small, call):
    config = small(
        {
            "first": 'events = ["new"]',
            "climbing": 'events = ["rising"]\nmin_upvotes = 30',
            "again": 'events = ["resurging"]',
        },
        seen(0, 1),
    )
    lines = call("rules", config=config)[1].splitlines()
    asked = {rule: lines[lines.index(next(x for x in lines if x.startswith(rule))) + 1].strip()
             for rule in ("first", "climbing", "again")}  # fmt: skip
    assert asked == {
        "first": "new at first sight",
        "climbing": "from 30 votes · rising from surely 2 × the usual",
        "again": "resurging when an old paper gains votes again",
    }


def test_times_for_people_say_their_zone(call, demo):
    _, _, kind, _, paper, _, _ = stored(demo, "not e.known")[-1]
    assert "at (UTC)" in call("events")[1]
    said = rf"\d\d:\d\d UTC {kind.removeprefix('paper.')}"
    assert re.search(said, call("paper", paper)[1])
    assert "promised (UTC)" in call("deliveries")[1]


def test_a_search_counts_no_more_than_it_must(call, tmp_path):
    (tmp_path / "config.toml").write_text("")
    with open_records(tmp_path / "watcher.db", create=True, migrate=True) as records:
        source = records.sources.id_of("daily", "https://x.example/papers")
        with records.transaction():
            records.papers.meet(source, snapshot(*(card(n) for n in range(1, 1202))))

    def said(*args):
        return call("papers", *args, config=tmp_path / "config.toml")[1]

    assert "… 20 of 1,000 or more; --limit shows more" in said("invented")
    assert "… 1,100 of 1,101 or more; --limit" in said("invented", "--limit", 1100)
    assert "--limit" not in said("invented", "--limit", 1201)
    assert "… 20 of 1,201; --limit shows more" in said()
    assert len(json.loads(said("upvotes:>=1", "--json"))) == 1201


def test_a_list_says_how_much_of_it_is_shown(call, loaded):
    matching = len(loaded("papers", "model"))
    assert f"… 20 of {matching}; --limit shows more" in call("papers", "model")[1]
    assert f"… 3 of {matching}; --limit shows more" in call("papers", "model", "--limit", 3)[1]
    assert "--limit" not in call("papers", "model", "--limit", matching)[1]
    assert "… 20 of " in call("papers")[1]
    sent = len(loaded("deliveries", "--state", "sent"))
    assert f"… 2 of {sent}; --limit" in call("deliveries", "--state", "sent", "--limit", 2)[1]
    assert "--limit" not in call("deliveries", "--channel", "me", "--limit", sent + 9)[1]


def test_a_paper_is_found_by_its_name_at_arxiv(call, demo):
    paper = stored(demo, "not e.known")[0][4]
    for name in (f"arXiv:{paper}", f"ARXIV:{paper}v2", f"https://arxiv.org/abs/{paper}"):
        assert call("paper", name)[0] == 0, name


def test_a_budget_shows_the_thresholds_it_learnt_and_what_matched_lately(small, loaded, call):
    now = datetime.now(UTC).replace(microsecond=0)
    fakes = [
        pages.Fake(
            id=f"2610.{n:05d}",
            title=f"Paper {n}",
            upvotes=n,
            opened=now - timedelta(days=3),
            submitted=(now - timedelta(days=3)).replace(hour=0),
        )
        for n in range(1, 80)
    ]
    steps = [
        Step(
            at=now - timedelta(hours=back),
            source="trending",
            body=page_of("trending", shown, now),
        )
        for back, shown in (
            (60, fakes[:1]),
            (50, fakes),
            (1, [f.but(upvotes=f.upvotes + 20) for f in fakes]),
        )
    ]
    config = small({"few": 'budget = 2\nevents = ["new"]'}, *steps)
    (rule,) = loaded("rules", config=config)
    assert rule["budget"] == 2
    assert rule["needs"]["upvotes"] > 70
    assert rule["told_lately"] == len(rule["lately"]) == rule["told"] > 0
    assert set(rule["lately"][0]) == {"at", "kind", "paper_id", "title", "upvotes", "reason"}
    assert "about 2 papers a day" in call("rules", config=config)[1]


# --- backtest ---------------------------------------------------------------------------------


def test_the_rules_in_force_give_what_was_sent(loaded, call, demo):
    report = loaded("backtest")
    assert [rule["rule"] for rule in report["rules"]] == ["rising", "alignment"]
    for rule in report["rules"]:
        sent = stored(demo, f"e.rule = '{rule['rule']}' and not e.known")
        assert {paper["id"] for paper in rule["papers"]} == {row[1] for row in sent}
        assert rule["sent"] == {
            "alerts": len(sent),
            "both": len(sent),
            "only_here": [],
            "only_sent": [],
        }
        assert sum(day["alerts"] for day in rule["daily"]) == rule["alerts"] == len(sent)
        assert rule["per_day"] == pytest.approx(len(sent) / report["days"], rel=0.01)
    code, out, err = call("backtest")
    assert (code, err) == (0, "")
    assert "sent the same" in out


def test_one_rule_and_a_later_begin(loaded):
    whole = loaded("backtest", "--rule", "rising")
    later = loaded("backtest", "--rule", "rising", "--since", "2026-10-21")
    (all_,), (some,) = whole["rules"], later["rules"]
    assert later["since"] == "2026-10-21T00:00:00Z"
    assert 0 < some["alerts"] < all_["alerts"]
    assert some["papers"] == [p for p in all_["papers"] if p["at"] >= later["since"]]


def test_another_config_is_tried_on_the_same_history(loaded, demo, call):
    other = demo / "other.toml"
    text = (demo / "config.toml").read_text().replace("min_upvotes = 20", "min_upvotes = 60")
    other.write_text(text)
    (rule,) = loaded("backtest", "--config", other, "--rule", "alignment", config=None)["rules"]
    assert rule["sent"]["only_sent"]
    assert rule["alerts"] < rule["sent"]["alerts"]
    elsewhere = demo / "rules" / "other.toml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(text)
    (same,) = loaded("backtest", "--config", elsewhere, "--rule", "alignment")["rules"]
    assert same == rule
    (same,) = loaded("backtest", "-c", elsewhere, "--rule", "alignment", config=None)["rules"]
    assert same == rule, "its own database is not there: the usual config's is used"


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["--rule", "risng"], 1, "'rising'"),
        (["--series", "nothing.csv"], 2, "--alerts"),
        (["--alerts", "out.csv"], 2, "--series"),
        (["--series", "nothing.csv", "--alerts", "out.csv"], 1, "nothing.csv"),
        (["--since", "yesterday"], 2, "is no time"),
        (["--since", "2199-01-01"], 2, "future"),
        (["--series", "nothing.csv", "--alerts", "o.csv", "--rule", "rising"], 2, "--rule"),
        (["--series", "nothing.csv", "--alerts", "o.csv", "--since", "2026-01-01"], 2, "--since"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(call, args, code, said):
    ended, _, err = call("backtest", *args)
    assert (ended, said in err) == (code, True), err


def test_foreign_series_need_no_config(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ["paper_id,observed_at,upvotes,listed_at"]
    rows += [f"p{n},2026-10-05T13:00:00Z,{n},2026-10-05T06:00:00Z" for n in (2, 5, 9, 300)]
    (tmp_path / "counts.csv").write_text("\n".join(rows))
    args = ("backtest", "--series", "counts.csv", "--alerts", "alerts.csv")
    code, out, _ = call(*args, config=None)
    assert (code, "1 alerts" in out) == (0, True)
    (alert,) = csv.DictReader((tmp_path / "alerts.csv").read_text().splitlines())
    assert list(alert) == ["paper_id", "alerted_at", "kind", "upvotes", "multiplier"]
    assert (alert["paper_id"], alert["kind"], alert["upvotes"]) == ("p300", "rising", "300")


@pytest.mark.parametrize("alerts", ["counts.csv", "./counts.csv", "learn.csv", "link.csv"])
def test_alerts_never_go_over_what_is_read(call, tmp_path, monkeypatch, alerts):
    monkeypatch.chdir(tmp_path)
    for name in ("counts.csv", "learn.csv"):
        (tmp_path / name).write_text("paper_id,observed_at,upvotes,listed_at\n")
    (tmp_path / "link.csv").symlink_to("counts.csv")
    args = ("--series", "counts.csv", "--learn", "learn.csv", "--alerts", alerts)
    code, _, err = call("backtest", *args)
    assert code == 2
    assert "write over" in err
    assert "paper_id" in (tmp_path / "counts.csv").read_text()


def test_a_series_that_is_not_there_is_told_in_plain_words(call):
    code, _, err = call("backtest", "--series", "x.csv", "--alerts", "out.csv")
    assert (code, err) == (1, "watcher: x.csv: cannot be read: No such file or directory\n")


# --- the documentation ------------------------------------------------------------------------


def commands(text):
    return [
        line.removeprefix("watcher ")
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]


DOCUMENTED = commands((ROOT / "docs" / "backtest.md").read_text())


@pytest.mark.parametrize("command", DOCUMENTED)
def test_what_is_documented_works_on_a_demo_store(command, call, demo):
    paper = stored(demo, "e.type = 'paper.rising'")[0][4]
    (demo / "other.toml").write_text((demo / "config.toml").read_text())
    for name in ("counts.csv", "earlier.csv"):
        (demo / name).write_text(
            "paper_id,observed_at,upvotes,listed_at\na,2026-10-05T13:00:00Z,3,2026-10-05T06:00:00Z\n"
        )
    code, out, err = call(*shlex.split(command.replace("PAPER", paper)), config=None)
    assert (code, err) == (0, "")
    assert out


def test_the_documented_conditions_look_as_they_are_printed(demo):
    text = (ROOT / "docs" / "backtest.md").read_text()
    with open_records(demo / "watcher.db") as records:
        events = [e for e in records.events.after() if e.rule == "alignment" and e.conditions]
    new = next(e for e in events if e.type.kind == "new")
    shape = re.sub(r"\d+", "38", format_conditions(new.conditions)).replace(
        "38, needs 38", "38, needs 20"
    )
    assert shape.split(" matches")[0] in text
    assert compile_rule("x").events == tuple(Change)
