"""Write the lists of log events and metrics into docs/operations.md, from the code."""

import re
import sys
from pathlib import Path

from watcher.telemetry import LOG_EVENTS, Metrics

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operations.md"


def events_table() -> str:
    """One row per log event."""
    rows = [f"| `{name}` | {words} |" for name, words in LOG_EVENTS.items()]
    return "\n".join(["| event | when |", "|---|---|", *rows])


def metrics_table() -> str:
    """One row per metric, with its labels."""
    rows = []
    for collector in Metrics().registry._collector_to_names:  # noqa: SLF001 - no public way
        for family in collector.describe():
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # noqa: SLF001
            rows.append(f"| `{name}` | {family.type} | {labels or '–'} | {family.documentation} |")
    return "\n".join(["| metric | type | labels | |", "|---|---|---|---|", *rows])


def written(text: str) -> str:
    """The page with both lists as the code has them."""
    for name, table in (("events", events_table()), ("metrics", metrics_table())):
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = mark.sub(lambda m, table=table: f"{m[1]}\n{table}\n\n{m[2]}", text)
    return text


if __name__ == "__main__":
    before = PAGE.read_text("utf-8")
    after = written(before)
    if "--check" in sys.argv:
        sys.exit(0 if after == before else f"{PAGE} is stale: python -m tools.operations_tables")
    PAGE.write_text(after, "utf-8")
