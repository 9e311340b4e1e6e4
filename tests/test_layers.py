"""The rule of the house: imports point down, and some libraries live in one room only."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "watcher"

LAYERS = {
    0: {
        "__init__", "errors", "model",
    },
    1: {
        "agenda", "case", "clock", "config", "digest", "doubt", "drift", "gaps", "growth",
        "guard", "hearing", "identity", "inflate", "judgement", "matching", "owner", "page",
        "plain", "politeness", "prior", "query", "readers", "reasons", "render", "rows",
        "rulebook", "rules", "sample", "schedule", "series", "text", "view", "wants", "wire",
    },
    2: {
        "archive", "channels", "fetch", "process", "service", "store", "telemetry",
    },
    3: {
        "accounting", "backtest", "care", "crosscheck", "deliver", "health", "heartbeat", "hindsight",
        "learning", "notices", "outcome", "owed", "people", "reading", "record", "visit",
        "watch", "why",
    },
    4: {
        "__main__", "cli", "daemon", "demo", "front", "web",
    },
}  # fmt: skip
LEVEL = {name: level for level, names in LAYERS.items() for name in names}
HOME = {
    "apscheduler": {"daemon"},
    "selectolax": {"readers"},
    "sqlite3": {"store"},
    "sqlite_utils": {"store"},
    "luqum": {"query"},
}
IMPURE = {"asyncio", "aiohttp", "sqlite3", "logging", "structlog", "time", "socket", "httpx"}
ALLOWED = {("guard", "aiohttp"), ("guard", "asyncio"), ("guard", "socket")}


def modules():
    return [
        pytest.param(path, id=str(path.relative_to(PACKAGE)))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and getattr(test.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            if node.module == "watcher":
                yield from (f"watcher.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", sorted(set(LEVEL) - {"__init__", "__main__"}))
def test_every_room_stands_in_the_table_of_rooms(room):
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text("utf-8")
    assert re.search(rf"`{room}/?`", text)


@pytest.mark.parametrize("path", modules())
def test_every_module_has_a_layer_and_imports_only_downwards(path):
    room = room_of(path)
    assert room in LEVEL, f"{room} has no layer: add it to LAYERS and docs/architecture.md"
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "watcher" or len(parts) == 1 or parts[1] not in LEVEL or parts[1] == room:
            continue
        other = LEVEL[parts[1]]
        assert other <= LEVEL[room], f"{room} (L{LEVEL[room]}) imports {name} (L{other})"
        if LEVEL[room] == 2 and parts[1] != "telemetry":
            assert other < 2, f"{room} imports {name} sideways within L2"


@pytest.mark.parametrize("path", modules())
def test_pure_layers_do_no_io_and_libraries_stay_in_their_room(path):
    room = room_of(path)
    for name in imports_of(path):
        library = name.split(".")[0]
        if library in HOME:
            assert room in HOME[library], f"{library} belongs to {HOME[library]}, not {room}"
        if LEVEL.get(room, 9) <= 1 and (room, library) not in ALLOWED:
            assert library not in IMPURE, f"{room} is pure and imports {library}"


@pytest.mark.parametrize("path", modules())
def test_pure_layers_read_no_clock(path):
    if LEVEL.get(room_of(path), 9) > 1:
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = f"{getattr(node.func.value, 'id', '')}.{node.func.attr}"
            assert called not in {"datetime.now", "datetime.utcnow", "date.today"}, called


@pytest.mark.parametrize("path", modules())
def test_statements_of_sql_stand_in_the_store_only(path):
    if room_of(path) == "store":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.strip().lower().split()
            is_sql = words[:1] in (["select"], ["insert"], ["update"], ["delete"]) and {
                "from", "into", "set"
            } & set(words)  # fmt: skip
            assert not is_sql, f"SQL outside the store: {node.value[:60]}"


def test_every_folder_of_the_package_ships_in_the_wheel():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))
    ships = project["tool"]["setuptools"]["packages"]
    folders = {path.parent for path in PACKAGE.rglob("*") if path.is_file()}
    names = {
        ".".join(folder.relative_to(PACKAGE.parent).parts)
        for folder in folders
        if folder.name != "__pycache__"
    }
    assert set(ships) == names | {"watcher.migrations"}
