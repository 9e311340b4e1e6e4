"""Invented texts: titles, abstracts, summaries, names.

Owns how patterns of ``words.py`` become sentences. Pure: everything comes from the random
generator that is handed in. Must not know votes, pages or times.
"""

from __future__ import annotations

import re
from random import Random

from watcher.demo import words
from watcher.demo.words import Topic
from watcher.model import Value

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeio]|un(?!i)|honest)")
_SMALL_WORDS = frozenset(
    {
        "a",
        "an",
        "and",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "of",
        "on",
        "or",
        "over",
        "the",
        "to",
        "via",
        "with",
        "without",
    }
)
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_WANDER = 0.45
"""Chance that a sentence names something else of the topic than the paper's own subject."""


class Text(Value, frozen=True, kw_only=True):
    """The words of one paper."""

    title: str
    abstract: str
    ai_summary: str
    keywords: tuple[str, ...]
    name: str
    """What its system is called."""


class Person(Value, frozen=True, kw_only=True):
    """An author or submitter."""

    name: str
    login: str | None = None
    """The account, if the person has one."""
    avatar: str = ""


def dice(*parts: object) -> Random:
    """The generator that belongs to these words: the same for the same parts, for ever."""
    return Random(":".join(map(str, parts)))  # noqa: S311 - invented data, no secrets


def write(random: Random, topic: Topic) -> Text:
    """A whole paper's words, about 1,300 characters of abstract."""
    slots = _slots(random, topic)
    title = _expand(random, random.choice(words.TITLES), slots)
    fill = _Fill(random, topic, slots)
    return Text(
        title=_title_case(title),
        abstract=" ".join(fill.sentence(pattern) for pattern in _outline(random)),
        ai_summary=_expand(random, random.choice(words.SUMMARIES), slots),
        keywords=tuple(random.sample(topic.term, random.randint(4, 9))),
        name=slots["Name"],
    )


def person(random: Random, *, account: float = 0.0) -> Person:
    """An invented person, with an account at the given chance."""
    given = random.choice(words.GIVEN)
    family = random.choice(words.FAMILY_START) + random.choice(words.FAMILY_END)
    if random.random() < 0.12:
        given = f"{given} {random.choice('ABCDEFGHJKLMNPRSTVW')}."
    name = f"{given} {family}"
    if random.random() >= account:
        return Person(name=name)
    tail = random.choice(["", "", "-ml", str(random.randint(2, 99))])
    login = f"{given[0].lower()}{family.lower()}{tail}"
    return Person(name=name, login=login, avatar=avatar(random))


def avatar(random: Random) -> str:
    """The address of a portrait: site-relative or absolute, as on the real pages."""
    if random.random() < 0.6:
        return f"/avatars/{random.getrandbits(128):032x}.svg"
    return f"https://cdn.papers.invalid/v1/production/uploads/{upload(random)}.jpeg"


def upload(random: Random) -> str:
    """Owner and picture, as addresses of uploaded files name them."""
    picture = "".join(random.choices(_BASE62, k=21))
    return f"{random.getrandbits(96):024x}/{picture}"


def slug(name: str) -> str:
    """A name as it may stand in an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _slots(random: Random, topic: Topic) -> dict[str, str]:
    """The subject of one paper: what each slot says throughout."""
    slots = {}
    for key in ("problem", "method", "thing", "term", "trouble"):
        slots[key], slots[key + "2"] = random.sample(getattr(topic, key), 2)
    name = _name(random)
    slots["adjective"] = random.choice(words.ADJECTIVE)
    slots["a_adjective"] = "a " + slots["adjective"]
    for key in ("problem", "method", "thing", "term", "trouble", "adjective"):
        slots[key.capitalize()] = _upper_first(slots[key])
    slots["Name"] = name
    slots["Bench"] = _name(random).removesuffix("Bench") + "Bench"
    slots["Bench2"] = _name(random) + "Eval"
    slots["Number"] = random.choice(("10K", "50K", "1M", "100M", "Thousands of", "Billions of"))
    slots["Phrase"] = f"{random.choice(words.MODIFIER)} {_part(random)}"
    slots["url"] = f"https://github.com/invented-papers/{slug(name)}"
    return slots


def _outline(random: Random) -> list[str]:
    return [
        random.choice(words.OPENERS),
        random.choice(words.GAPS),
        random.choice(words.APPROACHES),
        *random.sample(words.DETAILS, random.randint(3, 5)),
        *random.sample(words.MECHANISMS, random.randint(1, 2)),
        *random.sample(words.RESULTS, random.randint(2, 3)),
        random.choice(words.CLOSERS),
    ]


def _part(random: Random) -> str:
    return f"{random.choice(words.FOCUS)} {random.choice(words.HEAD)}"


def _phrase(random: Random) -> str:
    """An invented part of a system: ``monotone token router of ReedFold``."""
    head = _part(random)
    chance = random.random()
    if chance < 0.15:
        return head
    if chance < 0.5:
        return f"{random.choice(words.MODIFIER)} {head}"
    first, second = random.sample(words.MODIFIER, 2)
    return f"{first}, {second} {head}" if chance < 0.8 else f"{first} {head} of {_name(random)}"


class _Fill:
    """Fills the slots of one abstract, wandering now and then within its topic."""

    def __init__(self, random: Random, topic: Topic, slots: dict[str, str]) -> None:
        self._random, self._topic, self._slots = random, topic, slots

    def sentence(self, pattern: str) -> str:
        return _expand(self._random, pattern, self)

    def __getitem__(self, key: str) -> str:
        random = self._random
        if key == "phrase":
            return _phrase(random)
        if key in ("thing", "term", "method", "trouble") and random.random() < _WANDER:
            return str(random.choice(getattr(self._topic, key)))
        number = _number(random, key)
        return self._slots[key] if number is None else number


def _number(random: Random, key: str) -> str | None:
    if key == "number":
        return str(random.choice((12, 40, 64, 96, 128, 350, 500, 720, 1200, 5000)))
    if key.startswith("pct"):
        return str(random.randint(8, 60 if key == "pct2" else 94))
    if key == "small":
        return str(random.randint(2, 9))
    return str(random.choice((2, 3, 4, 5, 6, 7, 9))) if key.startswith("digit") else None


def _expand(random: Random, pattern: str, slots: dict[str, str] | _Fill) -> str:
    chosen = _CHOICE.sub(lambda match: random.choice(match[1].split("|")), pattern)
    text = _SLOT.sub(lambda match: slots[match[1]], chosen)
    return _upper_first(_ARTICLE.sub(r"\1n ", text))


def _upper_first(text: str) -> str:
    return text[0].upper() + text[1:]


def _name(random: Random) -> str:
    return random.choice(words.NAME_START) + random.choice(words.NAME_END)


def _title_case(text: str) -> str:
    """Capitals as titles have them; words that begin with another sign are left alone."""
    parts = text.split()
    return " ".join(
        part if i and part in _SMALL_WORDS else _upper_first(part) for i, part in enumerate(parts)
    )
