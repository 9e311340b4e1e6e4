"""What a measure found: figures beside their aims, as one Markdown table."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number beside its aim."""

    what: str
    value: float | None = None
    """None when it could not be measured; then ``note`` says why."""
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def aim(self) -> str:
        """The aim in words; a dash when the number is there to explain another."""
        if self.at_least is not None:
            return f"≥ {shown(self.at_least, self.unit)}"
        return "–" if self.at_most is None else f"≤ {shown(self.at_most, self.unit)}"

    @property
    def met(self) -> str:
        """Whether the aim is met, in a word."""
        if self.at_least is None and self.at_most is None:
            return "–"
        if self.value is None:
            return "not measured"
        enough = self.at_least is None or self.value >= self.at_least
        little = self.at_most is None or self.value <= self.at_most
        return "yes" if enough and little else "**no**"


def shown(value: float, unit: str) -> str:
    """A number with as many digits as it deserves."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def table(figures: Iterable[Figure]) -> str:
    """One line per figure."""
    lines = ["| measure | figure | aim | met | |", "|---|---:|---:|---|---|"]
    for one in figures:
        value = "–" if one.value is None else shown(one.value, one.unit)
        lines.append(f"| {one.what} | {value} | {one.aim} | {one.met} | {one.note} |")
    return "\n".join(lines)
