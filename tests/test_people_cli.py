"""``watcher subscribers``: list, add, import, export, remove."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from watcher.cli import main
from watcher.store import open_records
from watcher.wants import SubscriberState

CONFIG = """
[watcher]
database = "w.db"
timezone = "Europe/Berlin"

[[source]]
name = "daily"
url = "https://site.example/papers"

[[rule]]
name = "alignment"

[[rule]]
name = "speech"

[channel.mail]
type = "email"
smtp = "smtp://mail.example.org"
from = "papers@example.org"

[web]
subscribe = "mail"
public_url = "https://papers.example.org"
token = "0123456789abcdef"
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    open_records(tmp_path / "w.db", create=True, migrate=True).close()
    return path


@pytest.fixture
def run(config, capsys):
    def call(*args):
        with pytest.raises(SystemExit) as ended:
            main(["-c", str(config), "subscribers", *map(str, args)])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def people(config):
    def read():
        with open_records(config.parent / "w.db") as records:
            return {person.address: person for person in records.people.all()}

    return read


def test_nobody_at_first_and_how_they_come(run):
    code, out, _ = run()
    assert code == 0
    assert "/subscribe" in out


def test_adding_somebody_makes_them_due_at_their_hour(run, people):
    assert (
        run("add", "ada@example.org", "--topic", "speech", "--hour", 9, "--min-upvotes", 5)[0] == 0
    )
    ada = people()["ada@example.org"]
    assert (ada.state, ada.wishes.topics, ada.wishes.min_upvotes) == (
        SubscriberState.ACTIVE,
        ("speech",),
        5,
    )
    assert ada.due_at.astimezone(ada.wishes.zone).hour == 9
    code, out, _ = run("add", "ADA@example.org", "--query", "robot")
    assert (code, out) == (0, "ADA@example.org: changed\n")
    assert people()["ada@example.org"].wishes.query == "robot"
    code, _, err = run("add", "ada@example.org", "--query", "robot or arm")
    assert (code, err) == (0, "! or is searched as a word; write OR to join\n")
    assert len(people()) == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("no address",), "mail address"),
        (("jörg@example.org",), "letters that mail cannot carry"),
        (("a@example.org", "--topic", "speach"), "did you mean 'speech'?"),
        (("a@example.org", "--topic", "speech", "--topic", "gone"), "no rule is called 'gone'"),
        (("a@example.org", "--query", "title:("), "cannot be read"),
        (("a@example.org", "--timezone", "Mars"), "time zone"),
    ],
)
def test_what_cannot_be_followed_is_refused(run, people, args, said):
    code, _, err = run("add", *args)
    assert code == 1
    assert said in err
    assert people() == {}


def test_a_threshold_that_nothing_can_read_again_is_refused(run, people):
    code, _, err = run("add", "ada@example.org", "--min-upvotes", 1_000_001)
    assert (code, people()) == (2, {})
    assert "0<=x<=1000000" in err
    assert run("add", "ada@example.org", "--min-upvotes", 1_000_000)[0] == 0
    assert people()["ada@example.org"].wishes.min_upvotes == 1_000_000


def test_a_list_goes_out_and_comes_in_again(run, people, config, tmp_path):
    run("add", "ada@example.org", "--topic", "speech", "--frequency", "weekly", "--weekday", 3)
    run("add", "bo@example.org", "--query", 'title:"a, b" OR c', "--timezone", "Asia/Tokyo")
    run("remove", "--keep", "bo@example.org")
    _, out, _ = run("export")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(r["address"], r["state"]) for r in rows] == [
        ("ada@example.org", "active"),
        ("bo@example.org", "left"),
    ]
    before = people()
    for address in before:
        run("remove", address)
    assert people() == {}
    file = tmp_path / "list.csv"
    file.write_text(out)
    code, said, _ = run("import", file)
    assert (code, said) == (0, "1 added, 1 kept as unsubscribed\n")
    after = people()
    assert {a: (p.state, p.wishes) for a, p in after.items()} == {
        a: (p.state, p.wishes) for a, p in before.items()
    }


def test_a_rule_with_a_semicolon_in_its_name_goes_out_and_comes_in_again(
    run, people, config, tmp_path
):
    config.write_text(CONFIG.replace('"alignment"', '"a; b"'))
    run("add", "ada@example.org", "--topic", "a; b", "--topic", "speech")
    before = people()["ada@example.org"].wishes
    file = tmp_path / "list.csv"
    file.write_text(run("export")[1])
    run("remove", "ada@example.org")
    assert run("import", file)[:2] == (0, "1 added\n")
    assert people()["ada@example.org"].wishes == before


def test_a_list_of_mere_addresses_is_enough_and_a_faulty_line_is_named(run, people, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("name,address\nAda,ada@example.org\nX,nonsense\nBo,bo@example.org\n")
    code, out, err = run("import", file)
    assert (code, out) == (1, "2 added\n")
    assert "line 3" in err
    assert people()["bo@example.org"].wishes.topics == ("alignment", "speech")
    (tmp_path / "bad.csv").write_text("ada@example.org\n")
    assert run("import", tmp_path / "bad.csv")[0] == 1


def test_faults_of_a_list_are_told_in_plain_words_with_file_and_line(run, people, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text(
        "address,hour,frequency,topics\na@b.org,99,,\na@b.org,x,,\na@b.org,8,monthly,\n"
        "a@b.org,8,,speech;speach\n"
    )
    code, out, err = run("import", file)
    assert (code, out) == (1, "nobody\n")
    assert err.splitlines() == [
        f"watcher: {file}, line 2: hour '99': must be a whole number, 0 to 23",
        f"watcher: {file}, line 3: hour 'x': must be a whole number, 0 to 23",
        f"watcher: {file}, line 4: frequency 'monthly': must be instant, daily or weekly",
        (
            f"watcher: {file}, line 5: no rule is called 'speach' in the config; "
            "did you mean 'speech'?"
        ),
    ]
    assert people() == {}
    file.write_text("address\nok@b.org\n" + "a" * 140_000 + "\n")
    code, _, err = run("import", file)
    assert code == 1
    assert err.startswith(f"watcher: {file}, line 3: this is no CSV: ")
    file.write_bytes(b"address\n\xff@b.org\n")
    assert run("import", file)[2] == (f"watcher: {file}: not UTF-8 text; save the file as UTF-8\n")


@pytest.mark.parametrize("topics", ["speech;gone", "gone", "gone;lost"])
def test_who_left_stays_unsubscribed_also_when_a_topic_is_gone(run, people, tmp_path, topics):
    file = tmp_path / "list.csv"
    file.write_text(f"address,state,topics\na@b.org,left,{topics}\n")
    assert run("import", file)[:2] == (0, "1 kept as unsubscribed\n")
    assert people()["a@b.org"].state is SubscriberState.LEFT


def test_nobody_who_has_not_confirmed_comes_in_by_an_import(run, people, tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("address,state\na@b.org,asked\nb@b.org,Unsubscribed\nc@b.org, Active\n")
    code, out, err = run("import", "--again", file)
    assert code == 1
    assert out == "1 had not confirmed and were left out, 1 added\n"
    assert err == f"watcher: {file}, line 3: state 'unsubscribed': must be active, asked or left\n"
    assert set(people()) == {"c@b.org"}


def test_nobody_who_left_comes_back_by_an_import(run, people, config, tmp_path):
    run("add", "ada@example.org")
    with open_records(config.parent / "w.db") as records, records.transaction():
        records.people.leave(records.people.by_address("ada@example.org").id, datetime.now(UTC))
    file = tmp_path / "list.csv"
    file.write_text("address\nada@example.org\n")
    assert run("import", file)[1] == "1 had unsubscribed and were left alone\n"
    assert run("add", "ada@example.org")[0] == 1
    assert people()["ada@example.org"].state is SubscriberState.LEFT
    assert run("import", "--again", file)[1] == "1 changed\n"
    assert people()["ada@example.org"].state is SubscriberState.ACTIVE


def test_removing_somebody_unknown_says_so(run):
    code, _, err = run("remove", "x@example.org")
    assert code == 1
    assert "x@example.org" in err


def test_the_list_shows_when_they_are_written_to(run):
    run("add", "a@example.org", "--frequency", "instant", "--hour", 9)
    run("add", "b@example.org", "--frequency", "weekly", "--weekday", 3, "--hour", 0)
    run("add", "c@example.org")
    out = " ".join(run()[1].split())
    assert "instant in" in out  # the next full hour, whatever hour they once chose
    assert "weekly thu 00:00 Europe/Berlin" in out
    assert "daily 08:00 Europe/Berlin" in out


def test_the_list_shows_who_bounced(run, config):
    run("add", "ada@example.org")
    with open_records(config.parent / "w.db") as records, records.transaction():
        now = datetime.now(UTC)
        records.standing.suppress("mail", "ada@example.org", "550 5.1.1 unknown", now)
    assert "bounced" in run()[1]
    (found,) = json.loads(run("list", "--json")[1])
    assert found["suppressed"] == "550 5.1.1 unknown"
    assert found["due_at"].endswith("Z")


def test_without_a_channel_for_them_nobody_is_added(run, config):
    config.write_text(
        CONFIG.replace('subscribe = "mail"\n', "").replace("from =", 'to = ["a@b.org"]\nfrom =')
    )
    code, _, err = run("add", "ada@example.org")
    assert code == 78
    assert "[web] subscribe" in err
    _, out, _ = run()
    assert "[web] subscribe" in out
    assert "watcher subscribers add" not in out
