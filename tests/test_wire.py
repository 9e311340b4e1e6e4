"""The JSON that leaves the house: schemas, golden payloads, documentation."""

import json
from functools import cache

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry, Resource

from tests.conftest import ROOT
from tests.makers import NOW, digest_of, event, message, notice, paper, rising
from watcher.channels.webhook import body_of
from watcher.model import EventType, Letter
from watcher.sample import sample_message
from watcher.wire import event_json

SCHEMAS = ROOT / "docs" / "webhook-schema"
GOLDEN = ROOT / "docs" / "golden"


@cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    schemas = {path.name: json.loads(path.read_text()) for path in SCHEMAS.glob("*.json")}
    registry = Registry().with_resources(
        (key, Resource.from_contents(schema)) for key, schema in schemas.items()
    )
    return jsonschema.Draft202012Validator(schemas[name], registry=registry)


def kinds() -> dict[str, bytes]:
    """One payload of every kind; the files in docs/golden are exactly these bytes."""
    same = paper(1, title="One Paper, Two Rules")
    two = digest_of(
        event(1, paper=same, rule="alignment", strength=1),
        event(2, paper=same, rule="my group", strength=2),
    )
    untitled = paper(3, arxiv_id=None, title="A Paper Without an Id")
    many = [event(n, reason="why " * 50) for n in range(1, 120)]
    letter = Letter(subject="A test", lines=("This was sent by a person.",))
    digests = {
        "paper-new": digest_of(event(1)),
        "paper-rising": digest_of(rising(1)),
        "paper-resurging": digest_of(event(1, type=EventType.RESURGING)),
        "paper-without-id": digest_of(event(3, paper=untitled)),
        "two-rules": two,
        "digest-empty": digest_of(),
        "digest-cut": digest_of(*many, max_papers=100),
        "notice": digest_of(notice(1)),
        **{
            kind.value.replace(".", "-"): digest_of(notice(1, type=kind))
            for kind in EventType
            if not kind.is_change
        },
    }
    said = {name: message(digest) for name, digest in digests.items()}
    said |= {"digest": sample_message(), "test": message(letter=letter)}
    return {name: body_of(one, NOW) for name, one in said.items()}


@pytest.mark.parametrize("name", kinds())
def test_every_kind_of_payload_is_what_the_schema_says(name):
    validator("webhook.json").validate(json.loads(kinds()[name]))


def test_the_golden_payloads_are_what_is_sent():
    written = {path.stem: path.read_bytes() for path in GOLDEN.glob("*.json")}
    assert set(written) >= {"paper-new", "paper-rising", "paper-resurging", "digest", "test"}
    for name, raw in written.items():
        assert kinds()[name] == raw.rstrip(b"\n"), f"docs/golden/{name}.json: run make_golden"


def make_golden() -> None:
    """Write the golden payloads anew: ``python -m tests.test_wire``."""
    for name, raw in kinds().items():
        if name not in ("digest-cut", "notice"):
            (GOLDEN / f"{name}.json").write_bytes(raw + b"\n")


def test_the_example_in_the_documentation_is_what_the_schema_says():
    text = (ROOT / "docs" / "webhooks.md").read_text()
    example = json.loads(text.partition("```json\n")[2].partition("```")[0])
    validator("webhook.json").validate(example)
    assert list(example["data"]["events"][0]) == list(event_json(event()))


def test_the_documentation_names_every_type():
    text = (ROOT / "docs" / "webhooks.md").read_text()
    schema = json.loads((SCHEMAS / "event.json").read_text())
    for kind in EventType:
        assert f"`{kind.value}`" in text
        assert kind.value in schema["properties"]["type"]["enum"]


def test_the_schema_would_notice_a_change():
    good = json.loads(kinds()["paper-rising"])
    for broken in (
        {**good, "extra": 1},
        {**good, "type": "paper.gone"},
        {**good, "data": {**good["data"], "cursor": None}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator("webhook.json").validate(broken)


@given(st.text(max_size=60), st.text(max_size=60))
def test_events_of_any_words_are_what_the_schema_says(title, reason):
    told = event_json(event(1, paper=paper(1, title=title), reason=reason))
    validator("event.json").validate(json.loads(json.dumps(told)))
    assert told["paper"]["title"].isprintable()


if __name__ == "__main__":
    make_golden()
