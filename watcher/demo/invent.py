"""Inventing papers: who wrote them, when they are listed, how they do.

Owns everything about a paper that never changes. Pure and deterministic: a day's papers depend
on the seed and the day alone. Must not know pages, order or ``now``.

The number of papers by weekday follows the measured series. No number of an invented paper can
be one of arXiv's (they count from 90,000 in their month), and no address leads anywhere.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random

from watcher.demo import prose, votes, words
from watcher.demo.prose import Person
from watcher.demo.votes import DAY, HOUR, Course, Tally
from watcher.model import Value

PAPERS_BY_WEEKDAY = (22, 33, 29, 24, 28, 2, 0)
"""New papers on Monday, Tuesday, … (means of the measured series)."""

_LISTING_HOURS = (34, 28, 28, 35, 13, 10, 5, 3, 5, 4, 3, 3, 3, 3, 3, 3, 3, 2, 1, 1)
"""Weight of each UTC hour for listings: most come in the first hours of the day."""


class Organization(Value, frozen=True, kw_only=True):
    """Who published a paper."""

    name: str
    """The last part of its address."""
    fullname: str
    avatar: str


class InventedPaper(Value, frozen=True, kw_only=True):
    """Everything about a paper that does not change, and the moments when its counts do."""

    id: str
    title: str
    abstract: str
    ai_summary: str
    ai_summary_at: int | None
    """When the site has its summary ready (Unix seconds); None is never."""
    keywords: tuple[str, ...]
    topic: str
    course: Course
    authors: tuple[Person, ...]
    organization: Organization | None
    submitter: Person | None
    """None for a paper that was never on a daily list."""
    published_on: date
    listed_at: int
    """Unix seconds. For a paper that was never on a daily list, when it was published."""
    discussion_at: int
    """The creation time hidden in its ``discussionId``; usually ``listed_at``."""
    github: str | None
    project: str | None
    media: tuple[str, ...]
    wrapped: bool
    """True when title and abstract still hold the line breaks of their source."""
    tally: Tally

    @property
    def listed_on(self) -> date | None:
        """The day of its daily list."""
        return moment(self.listed_at).date() if self.submitter else None

    @property
    def thumbnail(self) -> str:
        """Address of the picture on its card; ``.invalid`` never resolves."""
        return f"https://cdn.papers.invalid/social-thumbnails/papers/{self.id}.png"


def invent_day(seed: int, day: date) -> tuple[InventedPaper, ...]:
    """The papers listed on one day, in the order of their listing."""
    random = prose.dice(seed, day)
    usual = PAPERS_BY_WEEKDAY[day.weekday()]
    number = round(usual * random.triangular(0.75, 1.25, 1.0))
    courses = _courses(day, number)
    papers = (_invent(seed, day, n, course=course) for n, course in enumerate(courses))
    return tuple(sorted(papers, key=lambda paper: paper.listed_at))


def invent_old(
    seed: int, number: int, *, start: int, end: int, obscure: bool = False
) -> InventedPaper:
    """A paper of earlier years, as trending and search pages mix them in.

    ``start`` and ``end`` bound the time in which its counts still move. The later ones were on a
    daily list in their time, the earlier ones never. An ``obscure`` one has neither votes nor
    code and was never listed: only a search finds it.
    """
    random = prose.dice(seed, "old", number)
    published = date(2018, 1, 1) + timedelta(days=int(2850 * random.random() ** 0.45))
    tally = votes.settled(random, start, end)
    was_listed = published >= date(2024, 1, 1) and not obscure
    at = _at(published + timedelta(days=1), hour=random.randint(2, 20))
    return _write(
        random,
        words.TOPICS[number % len(words.TOPICS)],
        id=f"{published:%y%m}.{99000 + number:05}",
        course=Course.OLD,
        submitter=_submitter(random) if was_listed else None,
        published_on=published,
        listed_at=at,
        discussion_at=at,
        wrapped=published < date(2025, 11, 1),
        tally=Tally(given=(), since=start) if obscure else tally,
    )


def moment(at: int) -> datetime:
    """Unix seconds as an aware datetime."""
    return datetime.fromtimestamp(at, UTC)


def _courses(day: date, number: int) -> list[Course]:
    """Plain ones, now and then with one that climbs or one that will come back."""
    courses = [Course.PLAIN] * number
    if number > 10 and day.toordinal() % 4 == 1:
        courses[number // 3] = Course.STEEP
    if number > 10 and day.toordinal() % 5 == 2:
        courses[number // 2] = Course.RESURGING
    return courses


def _invent(seed: int, day: date, number: int, *, course: Course) -> InventedPaper:
    random = prose.dice(seed, day, number)
    hour = random.choices(range(len(_LISTING_HOURS)), weights=_LISTING_HOURS)[0]
    listed_at = _at(day, hour=hour) + random.randrange(HOUR)
    published = day - timedelta(days=random.choice((1, 1, 1, 2, 3, 5, 9)))
    repository = random.random() < 0.6
    # One page in twenty was made before the paper was listed: its id does not tell the listing.
    early = random.random() < 0.05
    return _write(
        random,
        words.TOPICS[(day.toordinal() // 4 + number * 5) % len(words.TOPICS)],
        id=f"{published:%y%m}.{90000 + day.toordinal() % 150 * 60 + number:05}",
        course=course,
        submitter=_submitter(random),
        published_on=published,
        listed_at=listed_at,
        discussion_at=listed_at - DAY if early else listed_at,
        wrapped=random.random() < 0.03,
        tally=votes.grow(random, listed_at, course=course, repository=repository),
    )


def _write(random: Random, topic: words.Topic, *, tally: Tally, **facts: object) -> InventedPaper:
    """Add the words, the people and the addresses to the facts."""
    text = prose.write(random, topic)
    listed_at = int(str(facts["listed_at"]))
    organization = _organization(random)
    account = 0.25 if organization else 0.35
    owner = organization.name if organization else "papers"
    name = prose.slug(text.name)
    return InventedPaper(
        title=text.title,
        abstract=text.abstract,
        ai_summary=text.ai_summary,
        ai_summary_at=_summary_time(random, listed_at),
        keywords=text.keywords,
        topic=topic.name,
        authors=tuple(
            prose.person(random, account=account)
            for _ in range(min(40, 1 + int(random.lognormvariate(2.0, 0.75))))
        ),
        organization=organization,
        github=f"https://github.com/invented-{owner}/{name}" if tally.stars is not None else None,
        project=f"https://{name}.papers.invalid/" if random.random() < 0.35 else None,
        media=_media(random),
        tally=tally,
        **facts,  # type: ignore[arg-type]
    )


def _summary_time(random: Random, listed_at: int) -> int | None:
    return listed_at + int(random.uniform(2, 30) * HOUR) if random.random() < 0.75 else None


def _submitter(random: Random) -> Person:
    return prose.person(random, account=1.0)


def _organization(random: Random) -> Organization | None:
    if random.random() > 0.55:
        return None
    name, fullname = random.choice(words.ORGANIZATIONS)
    # The same organisation has the same picture on every card.
    return Organization(name=name, fullname=fullname, avatar=prose.avatar(prose.dice(name)))


def _media(random: Random) -> tuple[str, ...]:
    if random.random() > 0.4:
        return ()
    kind = random.choice(("png", "png", "mp4", "jpeg"))
    return (f"https://cdn.papers.invalid/production/uploads/{prose.upload(random)}.{kind}",)


def _at(day: date, *, hour: int) -> int:
    return int(datetime.combine(day, time(hour), UTC).timestamp())
