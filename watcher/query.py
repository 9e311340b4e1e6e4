"""The query language of rules and searches: Lucene syntax, compiled to a three-valued test.

Owns the syntax: fields, ranges, wildcards, what is refused and what to write instead. Pure.
Must not know rules, signals or the store; luqum appears here alone. The language is described
for users in ``docs/rules.md``.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator

import luqum.exceptions
import luqum.thread
from luqum import tree

from watcher.errors import QueryError
from watcher.matching import (
    ANY,
    ONE,
    Doc,
    Node,
    Not,
    Number,
    Outcome,
    Several,
    Source,
    Text,
    Words,
    fold,
    spread,
)

MAX_LENGTH = 500
FREE = ("title", "abstract", "summary")
"""Where a word without a field is looked for."""
TEXT_FIELDS = ("title", "abstract", "author", "organization", "keyword", "source")
NUMBER_FIELDS = ("upvotes", "comments", "stars", "age")
FIELDS = TEXT_FIELDS + NUMBER_FIELDS
_UNITS = {"m": 1 / 60, "min": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}
_CHAR = r"[^ \n]"


class Query:
    """A compiled query. Equal texts give the same object, so identity is equality."""

    __slots__ = ("notes", "root", "text")

    def __init__(self, text: str, root: Node, notes: tuple[str, ...] = ()) -> None:
        self.text = text
        self.root = root
        self.notes = notes
        """Hints about what was understood but may not have been meant."""

    def __repr__(self) -> str:
        return f"Query({self.text!r})"

    def match(self, doc: Doc) -> bool | None:
        """Whether a paper matches; None when that is unknown."""
        return self.root.outcome(doc)

    def settle(self, text: Text) -> Outcome:
        """What the words alone decide, or the part that is left to ``weigh``."""
        return self.root.settle(text)

    @property
    def asks_source(self) -> bool:
        """Whether it asks which sources show a paper."""
        return any(isinstance(part, Source) for part in self.root.leaves())

    def unknown_sources(self, names: Iterable[str]) -> tuple[str, ...]:
        """What it asks of ``source:`` that none of these names of sources has."""
        known = spread(names)
        asked = (part for part in self.root.leaves() if isinstance(part, Source))
        return tuple(
            part.shown.removeprefix("source:").strip('"') for part in asked if not part.found(known)
        )

    def fts(self) -> str | None:
        """An SQLite FTS5 MATCH expression that finds all matches and more; None for all rows.

        For an index over the columns ``title``, ``abstract``, ``ai_summary``, ``authors`` with
        ``unicode61 remove_diacritics 2``. ``match`` then decides.
        """
        return self.root.fts()

    def explain(self, doc: Doc) -> str:
        """One line: ``matches …``, ``no match for …`` or ``unknown whether …``."""
        words = {True: "matches ", False: "no match for ", None: "unknown whether "}
        parts = dict.fromkeys(self.root.blame(doc)) or {"everything": None}
        shown = ", ".join(list(parts)[:5]) + (" …" if len(parts) > 5 else "")
        return words[self.match(doc)] + shown


# --- reading a query --------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def compile_query(text: str) -> Query:
    """Compile a query.

    Raises:
        QueryError: it is not in the language; the message says where, and what to write.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"the query has {len(text)} characters, at most {MAX_LENGTH} are allowed: "
            "split it into several rules"
        )
    plain = text.translate(_QUOTES)
    if not plain.strip():
        return Query(text, Several(parts=(), decisive=False))
    _refuse_foreign(plain)
    return Query(text, _read(_parse(plain), None), _notes(plain))


def any_of(field: str, phrases: Iterable[str]) -> Query:
    """A query that holds when a field has one of the phrases, each taken literally.

    Raises:
        QueryError: a phrase has no letter or digit.
    """
    parts = tuple(_phrase(phrase, (field,), phrase) for phrase in phrases)
    return Query(", ".join(part.shown for part in parts), Several(parts=parts, decisive=True))


_QUOTES = str.maketrans(dict.fromkeys("“”„‟", '"'))
_PARTS = re.compile(r'\\.|"(?:[^"\\]|\\.)*"|(?P<mark>"|\|\||&&|[()\[\]{}]|(?<!\S)!)', re.DOTALL)
_INSTEAD = {"||": "write OR", "&&": "write AND", "!": "write NOT before the word"}
_CLOSES = {")": "(", "]": "[{", "}": "[{"}


def _refuse_foreign(text: str) -> None:
    """Find what luqum would misread or name badly: operators of other languages, lone brackets."""
    opened: list[tuple[str, int]] = []
    for found in _PARTS.finditer(text):
        mark, at = found["mark"], found.start() + 1
        if mark is None:
            continue
        if mark in _INSTEAD:
            raise QueryError(f"{mark} at character {at} is not understood: {_INSTEAD[mark]}")
        if mark == '"':
            raise QueryError(f"the quote at character {at} is not closed: add another one")
        if mark in "([{":
            opened.append((mark, at))
        elif not opened or opened.pop()[0] not in _CLOSES[mark]:
            raise QueryError(f"{mark} at character {at} closes nothing: remove it")
    if opened:
        raise QueryError(f"{opened[-1][0]} at character {opened[-1][1]} is not closed")


def _parse(text: str) -> tree.Item:
    try:
        return luqum.thread.parse(text)
    except (luqum.exceptions.ParseError, ArithmeticError, ValueError) as exc:
        found = re.search(r"position (\d+)", str(exc))
        if found is None:
            raise QueryError("the query ends too early: something is missing at its end") from exc
        at = int(found[1])
        hint = 'put words with special characters into double quotes, as in "a/b"'
        if re.match(r"\)|(AND|OR|NOT|TO)\b", text[at:]):
            hint = "something is missing before it"
        elif re.match(r"to\b", text[at:]):
            hint = "write TO in capitals"
        elif re.match(r"-\d", text[at:]):
            hint = "counts and ages are never negative"
        raise QueryError(
            f"cannot read {text[at : at + 12]!r} at character {at + 1}: {hint}"
        ) from exc


def _notes(text: str) -> tuple[str, ...]:
    outside = _PHRASE.sub(" ", text)
    words = dict.fromkeys(re.findall(r"(?<![\w:])(?:and|or|not)(?!\w)", outside))
    wild = [phrase for phrase in _PHRASE.findall(text) if _WILD.search(phrase)]
    return (
        *(f"{word} is searched as a word; write {word.upper()} to join" for word in words),
        *(f"{phrase}: * and ? mean nothing inside quotes; leave these out" for phrase in wild),
        *(
            f"{unit} after {age} is searched as a word; write {age}{unit[0].lower()}"
            for age, unit in _PARTED_AGE.findall(outside)
        ),
        *(
            f'{rest.strip()} is not looked for in {field}; write {field}:"{first}{rest}"'
            for field, first, rest in _PARTED_NAME.findall(outside)
        ),
        *(
            [", joins nothing, all words must be there; write OR between them, or quote a title"]
            if _COMMA.search(outside)
            else []
        ),
    )


_PHRASE = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_WILD = re.compile(r"\w\*|(?<!\\)\*\w|\w\?\w")
"""What was surely meant as a wildcard: a title may end in a question mark."""
_PARTED_AGE = re.compile(
    r"(\bage:[<>]=?\d+(?:\.\d+)?)\s+(m|min|minutes?|h|hours?|d|days?|w|weeks?)\b",
    re.ASCII | re.IGNORECASE,
)


_PARTED_NAME = re.compile(
    r"\b((?i:author|organization)):(\w[\w.'-]*)"
    r"((?:\s+(?!(?:AND|OR|NOT)\b|[A-Z]{2})(?!\d)[^\W_a-z][\w.'-]*(?![\w:]))+)"
)
"""A capital letter goes on with a name; what is looked for beside it is mostly written small, or
all in capitals, as RLHF is."""
_COMMA = re.compile(r"\w,\s+\w")


def _read(item: tree.Item, field: str | None) -> Node:
    for kind, read in _READERS.items():
        if isinstance(item, kind):
            return read(item, field)
    raise QueryError(f"cannot read {str(item).strip()!r} here")  # pragma: no cover


def _read_field(item: tree.SearchField, field: str | None) -> Node:
    name = item.name.lower()
    if field is not None:
        raise QueryError(f"{name}: stands inside {field}:(…): close the group of {field} first")
    if name not in FIELDS:
        begun = [known for known in FIELDS if len(name) > 1 and known.startswith(name)]
        near = begun or difflib.get_close_matches(name, FIELDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "the fields are " + ", ".join(FIELDS)
        raise QueryError(
            f"there is no field {item.name!r} at character {item.pos + 1}: {hint} "
            "(or put the title into quotes)"
        )
    return _read(item.expr, name)


def _read_group(item: tree.BaseGroup, field: str | None) -> Node:
    return _read(item.expr, field)


def _read_joined(item: tree.BaseOperation, field: str | None) -> Node:
    """Operands in the order they are written, parted at each OR: where AND, a space and OR are
    mixed, luqum nests them in ways of its own."""
    rows: list[list[tree.Item]] = []
    for begins, operand in _flat(item):
        if begins:
            rows.append([])
        rows[-1].append(operand)
    if len(rows) > 1 and any(isinstance(first, tree.Plus) for first, *rest in rows if not rest):
        raise QueryError("+ beside OR has two meanings: leave it out, or join by AND")
    parts = [_read(row[0], field) if len(row) == 1 else _read_row(row, field) for row in rows]
    return parts[0] if len(parts) == 1 else Several(parts=tuple(parts), decisive=True)


def _flat(item: tree.Item, begins: bool = True) -> Iterator[tuple[bool, tree.Item]]:
    """Every operand down to groups and words, and whether it begins an alternative."""
    if not isinstance(item, tree.BaseOperation):
        yield begins, item
        return
    for operand in item.operands:
        yield from _flat(operand, begins)
        begins = isinstance(item, tree.OrOperation)


def _read_row(row: list[tree.Item], field: str | None) -> Node:
    return Several(parts=tuple(_read(i, field) for i in row), decisive=False)


def _read_not(item: tree.Not | tree.Prohibit, field: str | None) -> Node:
    if field in NUMBER_FIELDS and isinstance(item, tree.Prohibit):
        raise QueryError(f"{field} is never negative: to exclude, write NOT before it")
    return Not(part=_read(item.a, field))


def _read_plus(item: tree.Plus, field: str | None) -> Node:
    return _read(item.a, field)


def _read_term(item: tree.Word | tree.Phrase, field: str | None) -> Node:
    if field in NUMBER_FIELDS:
        return _read_equal(item, field)
    shown = str(item).strip()
    shown = f"{field}:{shown}" if field else shown
    fields = (field,) if field else FREE
    if isinstance(item, tree.Phrase):
        return _phrase(item.value[1:-1], fields, shown)
    if found := _COLONLESS.fullmatch(item.value):
        raise QueryError(f"{item.value} lacks its colon: write {_with_colon(*found.groups())}")
    marked = re.sub(r"\\(.)|[*?]", _mark, item.value, flags=re.DOTALL)
    return _words(marked, fields, shown)


_COLONLESS = re.compile(rf"({'|'.join(NUMBER_FIELDS)})([<>=]+)(.*)", re.IGNORECASE | re.DOTALL)


def _with_colon(name: str, sign: str, number: str) -> str:
    name, way = name.lower(), sign.strip("=")[:1]
    if name == "age":
        return f"age:{way or '<'}{number or '24h'}"  # an age is never exactly so much
    return f"{name}:{way}{'=' if way and '=' in sign else ''}{number or 20}"


def _mark(found: re.Match[str]) -> str:
    escaped: str | None = found[1]
    if escaped is not None:
        return escaped
    return ANY if found[0] == "*" else ONE


def _phrase(words: str, fields: tuple[str, ...], shown: str) -> Words:
    return _words(re.sub(rf"[{ANY}{ONE}]", " ", words), fields, shown)


def _words(words: str, fields: tuple[str, ...], shown: str) -> Words:
    tokens = tuple(fold(words).split())
    if not tokens:
        raise QueryError(f"{shown} has no letter or digit to look for: leave it out")
    wild = any(mark in token for token in tokens for mark in (ANY, ONE))
    pattern = re.compile(" " + " ".join(map(_glob, tokens)) + " ") if wild else None
    kind = Source if fields == ("source",) else Words
    return kind(shown=shown, tokens=tokens, fields=fields, pattern=pattern)


def _glob(token: str) -> str:
    """A token with wildcards as a regular expression that cannot backtrack across pieces."""
    head, *rest = (re.escape(piece).replace(ONE, _CHAR) for piece in token.split(ANY))
    if not rest:
        return head
    *middle, tail = rest
    steps = "".join(f"(?>{_CHAR}*?{piece})" for piece in middle if piece)
    return f"{head}{steps}{_CHAR}*{tail}" if head or steps or tail else f"{_CHAR}+"


def _read_range(item: tree.Range, field: str | None) -> Node:
    name = _numeric(field, item)
    low, high = _bound(item.low, name, -math.inf), _bound(item.high, name, math.inf)
    if low > high:
        raise QueryError(f"{name}:{str(item).strip()} is empty: put the smaller number first")
    return Number(
        shown=f"{name}:{str(item).strip()}",
        field=name,
        low=low,
        high=high,
        with_low=item.include_low,
        with_high=item.include_high,
    )


def _read_from(item: tree.From, field: str | None) -> Node:
    name = _numeric(field, item)
    low = _bound(item.a, name, None)
    return Number(shown=f"{name}:{str(item).strip()}", field=name, low=low, with_low=item.include)


def _read_to(item: tree.To, field: str | None) -> Node:
    name = _numeric(field, item)
    high = _bound(item.a, name, None)
    return Number(
        shown=f"{name}:{str(item).strip()}", field=name, high=high, with_high=item.include
    )


def _read_equal(item: tree.Word | tree.Phrase, field: str) -> Node:
    shown = f"{field}:{str(item).strip()}"
    if item.value == "*":
        return Number(shown=shown, field=field)
    value = _bound(item, field, None)
    if field == "age":
        raise QueryError(f"{shown} is one instant: write age:<{item.value} or age:>{item.value}")
    return Number(shown=shown, field=field, low=value, high=value)


def _numeric(field: str | None, item: tree.Item) -> str:
    if field in NUMBER_FIELDS:
        return field
    shown = str(item).strip()
    if field is None:
        raise QueryError(f"{shown} needs a field: write for example upvotes:>=20")
    raise QueryError(f"{field} holds words, {shown} compares numbers: use {_listed(NUMBER_FIELDS)}")


def _bound(item: tree.Item, field: str, unbounded: float | None) -> float:
    raw = str(item).strip().strip('"')
    if raw == "*" and unbounded is not None:
        return unbounded
    if field == "age":
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(m|min|h|d|w)?", raw, re.ASCII)
        if found is None:
            raise QueryError(f"{raw!r} is no age: write hours or a unit, as in 36h or 7d")
        return float(found[1]) * _UNITS[found[2] or "h"]
    if re.fullmatch(r"\d{1,12}", raw, re.ASCII) is None:
        raise QueryError(f"{raw!r} is no count: write {field} with a whole number, as in 20")
    return float(raw)


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return ", ".join(most) + " or " + last


def _refuse(what: str, instead: str) -> Callable[[tree.Item, str | None], Node]:
    def read(item: tree.Item, _field: str | None) -> Node:
        shown = str(item).strip()
        raise QueryError(f"{what} ({shown}) are not supported: {instead}")

    return read


_READERS: dict[type[tree.Item], Callable[..., Node]] = {
    tree.SearchField: _read_field,
    tree.BaseGroup: _read_group,
    tree.BaseOperation: _read_joined,
    tree.Not: _read_not,
    tree.Prohibit: _read_not,
    tree.Plus: _read_plus,
    tree.Range: _read_range,
    tree.From: _read_from,
    tree.To: _read_to,
    tree.Regex: _refuse("regular expressions", "use the wildcards * and ?, or OR"),
    tree.Boost: _refuse("boosts", "leave out ^ and the number; a rule fires or not"),
    tree.Fuzzy: _refuse("fuzzy words", "leave out ~, or use the wildcards * and ?"),
    tree.Proximity: _refuse("proximity searches", 'leave out ~; join words by AND or "a phrase"'),
    tree.Term: _read_term,
}
