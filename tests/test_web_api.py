"""The events API: what webhooks gave, with the same ids, and nothing missed by a cursor."""

import asyncio
import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.webworld import (
    NOW,
    SOURCES,
    TOKEN,
    FixedClock,
    config,
    copy_of,
    open_to_readers,
    seeded,
    visiting,
)
from watcher.errors import StoreError
from watcher.health import Report, State
from watcher.web.app import ROUTES
from watcher.web.openapi import document, written
from watcher.wire import event_json

BEARER = {"Authorization": f"Bearer {TOKEN}"}
DOCS = Path(__file__).resolve().parent.parent / "docs"


@pytest.fixture
def path(tmp_path):
    return copy_of(seeded(), tmp_path)


async def test_a_cursor_walks_through_all_events_once(path):
    async with visiting(path) as (visitor, context):
        stored = await context.store.read(lambda r: r.events.after(0, known=False))
        for limit in (1, 7, 1000):
            found, cursor, more = [], 0, True
            while more:
                page = (await visitor.get(f"/api/v1/events?after={cursor}&limit={limit}")).json
                assert len(page["events"]) <= limit
                found += page["events"]
                cursor, more = page["cursor"], page["more"]
            assert found == [event_json(event) for event in stored]
        empty = (await visitor.get(f"/api/v1/events?after={cursor}")).json
        assert empty == {"events": [], "cursor": cursor, "more": False}


async def test_events_can_be_of_one_rule_or_type_and_the_cursor_still_misses_nothing(path):
    async with visiting(path) as (visitor, context):
        stored = await context.store.read(lambda r: r.events.after(0))
        wanted = [e.id for e in stored if e.type.kind == "rising" and e.rule == "fast"]
        found, cursor, more = [], 0, True
        while more:
            page = (
                await visitor.get(
                    f"/api/v1/events?after={cursor}&limit=3&rule=fast&type=paper.rising&known=true"
                )
            ).json
            found += [e["id"] for e in page["events"]]
            assert page["cursor"] > cursor
            cursor, more = page["cursor"], page["more"]
        assert found == wanted


async def test_a_paper_its_history_and_its_events(path):
    async with visiting(path) as (visitor, context):
        event = await context.store.read(lambda r: r.pages.latest_of("fast", limit=1)[0])
        paper = (await visitor.get(f"/api/v1/papers/{event.paper.name}")).json
        assert event.id in [e["id"] for e in paper["events"]]
        history = (await visitor.get(f"/api/v1/papers/{event.paper.name}/history")).json
        assert history["sightings"][-1]["upvotes"] is not None
        assert {s["source"] for s in history["sightings"]} <= {"daily", "trending"}
        assert (await visitor.get("/api/v1/papers/nothing")).status == 404


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", f"after={2**63}", "limit=0", "limit=1001", "limit=%C2%B2", "type=new",
     "known=1"],
)  # fmt: skip
async def test_a_wrong_parameter_is_named(path, query):
    async with visiting(path) as (visitor, _):
        answer = await visitor.get(f"/api/v1/events?{query}")
        assert answer.status == 400
        assert answer.json["error"]["detail"].startswith(query.partition("=")[0])


async def test_problems_are_json_under_the_api(path):
    async with visiting(path, **open_to_readers()) as (visitor, _):
        closed = await visitor.get("/api/v1/events")
        assert closed.status == 401
        assert closed.headers["WWW-Authenticate"] == "Bearer"
        assert closed.json["error"]["status"] == 401
        nowhere = await visitor.get("/api/v2/x", headers=BEARER)
        assert (nowhere.status, nowhere.json["error"]["status"]) == (404, 404)
        method = await visitor.post("/api/v1/events", headers=BEARER)
        assert (method.status, method.headers["Allow"]) == (405, "GET,HEAD")


# --- the document -----------------------------------------------------------------------


def test_the_shipped_document_is_the_served_one():
    assert (DOCS / "openapi.json").read_text("utf-8") == written(), (
        "write what watcher.web.openapi.written() gives into docs/openapi.json"
    )


def test_the_document_describes_every_path_of_the_api_and_no_other():
    served = {r.path for r in ROUTES if r.path.startswith("/api/v1/")}
    assert set(document()["paths"]) | {"/api/v1/openapi.json"} == served


async def test_answers_are_what_the_document_says(path):
    async with visiting(path) as (visitor, _):
        name = (await visitor.get("/api/v1/papers?limit=1")).json["papers"][0]["paper_id"]
        described = (await visitor.get("/api/v1/openapi.json")).json
        for template, item in described["paths"].items():
            answer = await visitor.get(template.replace("{paper_id}", name))
            schema = item["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            _check(answer.json, schema, described)
        wrong = await visitor.get("/api/v1/events?limit=0")
        _check(wrong.json, {"$ref": "#/components/schemas/Error"}, described)


def _check(value, schema, described):
    whole = {**schema, "components": described["components"]}
    jsonschema.Draft202012Validator(whole).validate(value)


_POSITIVE = schemathesis.GenerationMode.POSITIVE


def _serve(path, where, started, stop):
    async def life():
        async with visiting(path) as (visitor, _):
            where["url"] = visitor.base
            started.set()
            await asyncio.to_thread(stop.wait)

    asyncio.run(life())


@contextlib.contextmanager
def server_elsewhere(path):
    """The address of a web part that runs on a thread of its own."""
    where, started, stop = {}, threading.Event(), threading.Event()
    thread = threading.Thread(target=_serve, args=(path, where, started, stop))
    thread.start()
    try:
        assert started.wait(20)
        yield where["url"]
    finally:
        stop.set()
        thread.join()


def test_the_running_server_holds_its_word(path):
    """Schemathesis asks the real server what the document allows, and what it forbids."""
    schema = schemathesis.openapi.from_dict(json.loads(written()))
    # Whether words are a query cannot be said in JSON Schema: such a 400 is no broken word.
    excluded = [positive_data_acceptance]
    asking = settings(
        max_examples=15,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    with server_elsewhere(path) as url:
        schema.config.update(base_url=url)
        for found in schema.get_all_operations():
            operation = found.ok()
            can_be_wrong = operation.path in ("/api/v1/events", "/api/v1/papers")
            for mode in schemathesis.GenerationMode if can_be_wrong else [_POSITIVE]:

                @asking
                @given(case=operation.as_strategy(generation_mode=mode))
                def ask(case):
                    has_query = case.operation.path == "/api/v1/papers"
                    case.call_and_validate(excluded_checks=excluded if has_query else [])

                ask()


# --- for machines that watch ------------------------------------------------------------


def report(status=State.OK, age=60.0, **more):
    return Report(
        status=status,
        ready=True,
        last_good_check=datetime.fromtimestamp(NOW.timestamp() - age, UTC),
        last_good_check_age=age,
        **more,
    )


@pytest.mark.parametrize(
    ("state", "status", "word"),
    [
        (report(), 200, "ok"),
        (report(State.DEGRADED), 200, "degraded"),
        (
            report(State.FAILING, problems=("the store cannot be written: disk full",)),
            503,
            "failing",
        ),
        (report(age=7 * 3600), 503, "blind"),
        (report(State.DEGRADED, age=7 * 3600), 503, "blind"),
    ],
)
async def test_health_is_503_when_blind_or_failing(path, state, status, word):
    async with visiting(path, hooks={"health": lambda: state}) as (visitor, _):
        answer = await visitor.get("/healthz")
        assert (answer.status, answer.json["status"]) == (status, word)


async def test_a_page_visited_twice_a_day_is_no_blindness_in_between(path):
    seldom = msgspec.structs.replace(SOURCES[0], every=timedelta(hours=12))
    rare = msgspec.structs.replace(config(path), sources=(seldom,))
    for age, status in ((14, 200), (16, 503)):
        hooks = {"health": lambda age=age: report(age=age * 3600)}
        async with visiting(path, hooks=hooks) as (visitor, context):
            context.use(rare, ())
            assert (await visitor.get("/healthz")).status == status


async def test_strangers_learn_how_many_problems_there_are_not_which(path):
    state = report(State.FAILING, problems=("a secret source fails",))
    async with visiting(path, hooks={"health": lambda: state}, **open_to_readers()) as (v, _):
        assert (await v.get("/healthz")).json["problems"] == 1
        assert (await v.get("/healthz", headers=BEARER)).json["problems"] == list(state.problems)


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("route", ["/api/v1/rules", "/rules", "/rules/{name}"])
async def test_a_rule_may_leave_the_config_while_it_is_looked_at(path, route, early):
    async with visiting(path) as (visitor, context):
        learnt, name = context.learnt, context.rules[0].name

        def meanwhile(records, now):
            if early:
                context.use(context.config, ())
            found = learnt(records, now)
            context.use(context.config, ())
            return found

        context.learnt = meanwhile
        assert (await visitor.get(route.format(name=name))).status == 200


async def test_without_an_owner_health_is_told_by_the_sources(path):
    clock = FixedClock()
    async with visiting(path, clock=clock) as (visitor, _):
        assert (await visitor.get("/healthz")).json["status"] == "degraded"
        clock.move(hours=7)
        assert (await visitor.get("/healthz")).status == 503
        assert (await visitor.get("/readyz")).json == {"ready": True}


async def test_metrics_can_be_read_and_are_private(path):
    async with visiting(path) as (visitor, context):
        context.metrics.checks.labels("daily", "ok").inc()
        families = list(text_string_to_metric_families((await visitor.get("/metrics")).text))
        assert "watcher_checks" in {family.name for family in families}
    async with visiting(path, **open_to_readers()) as (visitor, _):
        assert (await visitor.get("/metrics")).status == 401
        assert (await visitor.get("/metrics", headers=BEARER)).status == 200


async def test_a_store_that_cannot_be_read_is_503_and_says_when_to_come_back(path):
    async with visiting(path) as (visitor, context):

        async def broken(_):
            raise StoreError("the disk is full")

        context.store.read = broken
        for route in ("/", "/api/v1/events"):
            answer = await visitor.get(route)
            assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
            assert "disk" not in answer.text
