"""One paper as JSON: the items of the island and of the API.

Owns the shape and order of the keys in each generation of the site. Must not know HTML. Counts
are left as holes (``Template``), so that a page made again and again only fills in numbers.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from watcher.demo.invent import InventedPaper, Organization, moment
from watcher.demo.prose import Person, dice
from watcher.demo.world import Shown

_HOLE = re.compile(rb"@([A-Z]+)@")
_QUOTED_HOLE = re.compile(rb'"(@[A-Z]+@)"')
_SUMMARY_MODEL = "invented/summary-writer-9b"


class Layout(StrEnum):
    """A generation of the site."""

    GRID_2024 = "2024"
    SITE_2026 = "2026"
    REDESIGN = "redesign"
    """Invented: no island, other class names, one copy of each card."""
    FIELD_LOST = "field-lost"
    """Invented: the site of 2026 whose island has renamed ``upvotes``."""


class Template:
    """Bytes with holes for the counts of one paper."""

    def __init__(self, text: bytes) -> None:
        pieces = _HOLE.split(text)
        self._texts = pieces[0::2]
        self._holes = [name.decode() for name in pieces[1::2]]

    def fill(self, into: list[bytes], values: dict[str, bytes]) -> None:
        """Append the filled text to ``into``, piece by piece."""
        for text, hole in zip(self._texts, self._holes, strict=False):
            into.append(text)
            into.append(values[hole])
        into.append(self._texts[-1])


def values(shown: Shown) -> dict[str, bytes]:
    """What goes into the holes: exact counts for JSON, printed ones for the cards."""
    votes, comments, stars = shown.upvotes, shown.comments, shown.stars
    link = f'<a href="/papers/{shown.paper.id}#community">{comments}</a>' if comments else ""
    return {
        "VOTES": b"%d" % votes,
        "DASH": b"%d" % votes if votes else b"-",
        "COMMENTS": b"%d" % comments,
        "LINK": link.encode(),
        "STARS": b"%d" % (stars or 0),
        "ROUND": abbreviate(stars or 0).encode(),
    }


def abbreviate(count: int) -> str:
    """Three significant digits with a lower-case k, cut as the cards show them: ``62.2k``."""
    if count < 1000:
        return str(count)
    thousands = count / 1000
    digits = 2 if thousands < 10 else 1 if thousands < 100 else 0
    text = f"{thousands:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if digits else text) + "k"


def island_item(paper: InventedPaper, *, layout: Layout, summarised: bool) -> Template:
    """One element of ``dailyPapers``, escaped for a double-quoted attribute."""
    item = _item_2024(paper) if layout is Layout.GRID_2024 else _item(paper, summarised=summarised)
    item["upvoted"] = False
    if layout is Layout.FIELD_LOST:
        item["paper"]["votes"] = item["paper"].pop("upvotes")
    return Template(escape_attribute(encode(item)))


def api_item(paper: InventedPaper, *, summarised: bool) -> Template:
    """One element of the list that ``/api/daily_papers`` answers."""
    return Template(encode(_item(paper, summarised=summarised)))


def paper_object(paper: InventedPaper, *, summarised: bool) -> Template:
    """The ``paper`` of a single page's island, escaped for a double-quoted attribute."""
    return Template(escape_attribute(encode(_paper(paper, summarised=summarised))))


def encode(value: object) -> bytes:
    """JSON with the holes unquoted."""
    return _QUOTED_HOLE.sub(rb"\1", msgspec.json.encode(value))


def escape_attribute(text: bytes) -> bytes:
    """For a double-quoted attribute, as the site does it: ``'`` stays."""
    text = text.replace(b"&", b"&amp;").replace(b'"', b"&quot;")
    return text.replace(b"<", b"&lt;").replace(b">", b"&gt;")


def wrap(text: str, width: int, indent: str) -> str:
    """Line breaks as the sources of old papers have them."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return f"\n{indent}".join([*lines, line])


def printed_title(paper: InventedPaper) -> str:
    """The title as JSON and cards hold it, with the line breaks of old papers."""
    return wrap(paper.title, 66, "  ") if paper.wrapped else paper.title


def printed_abstract(paper: InventedPaper) -> str:
    """The abstract as JSON and cards hold it, with the line breaks of old papers."""
    return wrap(paper.abstract, 79, "") if paper.wrapped else paper.abstract


def _item(paper: InventedPaper, *, summarised: bool) -> dict[str, Any]:
    organization = _organization(paper.organization)
    item: dict[str, Any] = {
        "paper": _paper(paper, summarised=summarised),
        # The site's own slip: the clock of New York, labelled Z, so midnight is the day before.
        "publishedAt": _iso(_midnight(paper.published_on) - timedelta(hours=4)),
        "title": printed_title(paper),
        "summary": printed_abstract(paper),
        "mediaUrls": list(paper.media) or None,
        "thumbnail": paper.thumbnail,
        "numComments": "@COMMENTS@",
        "submittedBy": _submitted_by(paper),
        "organization": organization,
        "isAuthorParticipating": bool(paper.media),
    }
    return _present(item)


def _paper(paper: InventedPaper, *, summarised: bool) -> dict[str, Any]:
    listed_on = paper.listed_on
    return _present(
        {
            "id": paper.id,
            "authors": _authors(paper),
            "mediaUrls": list(paper.media) or None,
            "publishedAt": _iso(_midnight(paper.published_on)),
            "submittedOnDailyAt": _iso(_midnight(listed_on)) if listed_on else None,
            "title": printed_title(paper),
            "submittedOnDailyBy": _user(paper.submitter) if paper.submitter else None,
            "summary": printed_abstract(paper),
            "upvotes": "@VOTES@",
            "discussionId": _ids(paper)[1] if listed_on else None,
            "projectPage": paper.project,
            "githubRepo": paper.github,
            "githubRepoAddedBy": "user" if paper.github else None,
            "ai_summary": paper.ai_summary if summarised else None,
            "ai_keywords": list(paper.keywords),
            "ai_summary_model": _SUMMARY_MODEL if summarised else None,
            "githubStars": "@STARS@" if paper.github else None,
            "organization": _organization(paper.organization),
        }
    )


def _item_2024(paper: InventedPaper) -> dict[str, Any]:
    inner = {
        "id": paper.id,
        "authors": _authors(paper),
        "publishedAt": _iso(_midnight(paper.published_on)),
        "title": paper.title,
        "summary": wrap(paper.abstract, 79, ""),
        "upvotes": "@VOTES@",
        "discussionId": _ids(paper)[1],
    }
    submitter = _submitted_by(paper) or {}
    for key in ("_id", "isHfAdmin", "followerCount", "isUserFollowing"):
        submitter.pop(key, None)
    return _present(
        {
            "paper": inner,
            "publishedAt": _iso(moment(paper.listed_at)),
            "title": paper.title,
            "mediaUrls": list(paper.media) or None,
            "thumbnail": paper.thumbnail,
            "numComments": "@COMMENTS@",
            "submittedBy": submitter or None,
        }
    )


def _authors(paper: InventedPaper) -> list[dict[str, Any]]:
    first, _ = _ids(paper)
    prefix, tail = first[:8], int(first[8:], 16)
    authors = []
    for n, person in enumerate(paper.authors):
        author: dict[str, Any] = {"_id": f"{prefix}{tail + n:016x}"}
        if person.login:
            author["user"] = _user(person)
        author["name"] = person.name
        if person.login:
            author["status"] = "claimed_verified" if n % 2 else "admin_assigned"
            author["statusLastChangedAt"] = _iso(_claimed(paper, person))
        author["hidden"] = False
        authors.append(author)
    return authors


def _claimed(paper: InventedPaper, person: Person) -> datetime:
    random = dice(paper.id, person.login)
    return moment(paper.listed_at) + timedelta(milliseconds=random.randrange(90_000_000))


def _ids(paper: InventedPaper) -> tuple[str, str]:
    """Id of the first author and of the discussion: both begin with its time, in hex."""
    tail = dice(paper.id, "ids").getrandbits(63)
    prefix = f"{paper.discussion_at:08x}"
    return f"{prefix}{tail:016x}", f"{prefix}{tail + len(paper.authors):016x}"


def _user(person: Person) -> dict[str, Any]:
    return {
        "_id": _user_id(person),
        "avatarUrl": person.avatar,
        "isPro": len(person.name) % 5 == 0,
        "fullname": person.name,
        "user": person.login,
        "type": "user",
        "name": person.login,
    }


def _submitted_by(paper: InventedPaper) -> dict[str, Any] | None:
    person = paper.submitter
    if person is None:
        return None
    return {
        "_id": _user_id(person),
        "avatarUrl": person.avatar,
        "fullname": person.name,
        "name": person.login,
        "type": "user",
        "isPro": len(person.name) % 5 == 0,
        "isHf": False,
        "isHfAdmin": False,
        "isMod": False,
        "followerCount": len(person.avatar) * 3 % 97,
        "isUserFollowing": False,
    }


def _user_id(person: Person) -> str:
    return f"{dice(person.login).getrandbits(95):024x}"


def _organization(organization: Organization | None) -> dict[str, Any] | None:
    if organization is None:
        return None
    return {
        "_id": f"{dice(organization.name).getrandbits(95):024x}",
        "name": organization.name,
        "fullname": organization.fullname,
        "avatar": organization.avatar,
    }


def _present(item: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that have no value: the site leaves them out."""
    return {key: value for key, value in item.items() if value is not None}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
