"""Mail bodies: both halves tell the same, hostile words do nothing, size is bounded."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.makers import NOW, digest_of, event, message, notice, paper, rising
from watcher import view as views
from watcher.channels import OPTIONS
from watcher.config import load
from watcher.errors import ConfigError
from watcher.model import Counts, Letter, Links
from watcher.plain import render_text
from watcher.render import HTML_LIMIT, check_template, render
from watcher.sample import sample_message, sample_views
from watcher.view import entry_view, own_link, safe_link, view_of

TAGS = frozenset(
    ["html", "head", "meta", "title", "style", "body", "div", "table", "tbody", "tr", "td"]
) | frozenset(["h1", "h2", "h3", "p", "span", "a", "br"])
EVENTS = ("onerror", "onload", "onclick", "onfocus", "onmouseover", "onpointerenter")
XSS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "'><iframe src=javascript:alert(1)>",
    "</style><script>alert(1)</script>",
    "</title><body onload=alert(1)>",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "{{ 7*7 }}{% raw %}{{ mail.subject.__class__ }}",
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "<a href='https://evil.example'>click</a>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<form action=https://evil.example><input name=a>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<math><mtext></p><style><img src onerror=alert(1)>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)",
    "\x00<scr\x00ipt>alert(1)</script>",
    "\u202e<script>alert(1)</script>",
    "＜script＞alert(1)",
    "<x onclick=alert(1)>",
    *(f"<b {name}=alert(1)>x</b>" for name in EVENTS),
    *(f'" {name}="alert(1)' for name in EVENTS),
    *(f"' {name}='alert(1)" for name in EVENTS),
    *(f"<{tag}>alert(1)</{tag}>" for tag in ("object", "embed", "applet", "video", "template")),
    *(f"</{tag}><script>alert(1)</script>" for tag in ("p", "h3", "a", "div", "td", "table")),
    *(f"</{tag}><script>alert(1)</script>" for tag in ("html", "body", "span", "title")),
    *(f"<svg><{tag} href=javascript:alert(1)>" for tag in ["a", "use", "animate", "set", "image"]),
    *(f"{scheme}:alert(1)" for scheme in ("vbscript", "JAVASCRIPT", "java\tscript", " javascript")),
    *("<" * n + "script>alert(1)" for n in range(1, 20)),
    *(f"<img src='https://evil.example/{n}.gif'>" for n in range(20)),
]
URLS = [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "http://github.com/a/b",
    "https://github.com.evil.example/a",
    "https://evil.example/github.com",
    "https://github.com@evil.example/",
    "https://evil.example\\@github.com/",
    "https://github.com:8443/a/b",
    "//github.com/a",
    "https://git\thub.com/a",
    "https://[::1]/a",
    "https://",
    "https://github.com:x/",
    "\x01https://github.com/a",
    "https://GITHUB.com.evil.example",
]


class Reading(HTMLParser):
    """Tags, links and words as a browser's parser sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src", "action")]

    handle_startendtag = handle_starttag


def read(html: str) -> Reading:
    reading = Reading()
    reading.feed(html)
    reading.close()
    return reading


def hostile(words: str):
    """A message with these words in every field that comes from outside."""
    told = rising(
        1,
        rule=words or "r",
        reason=words,
        paper=paper(
            1,
            title=words,
            ai_summary=words,
            authors=(words, words),
            organization=words,
            github=words,
        ),
    )
    return message(
        digest_of(told, notice(2, reason=words), footer=(words,), due_at=NOW),
        links=Links(unsubscribe="https://p.example.org/u", preferences="https://p.example.org/p"),
    )


def check_harmless(html: str) -> None:
    reading = read(html)
    assert reading.tags <= TAGS
    assert not {name for name in reading.attributes if name.startswith("on")}
    hosts = {urlsplit(link).netloc for link in reading.links}
    assert hosts <= {"huggingface.co", "arxiv.org", "github.com", "p.example.org"}
    assert all(link.startswith("https://") for link in reading.links)
    assert "@import" not in html
    assert "url(" not in re.sub(r">[^<]*<", "><", html)


def test_there_are_a_hundred_hostile_strings():
    assert len(set(XSS)) >= 100


@pytest.mark.parametrize("words", XSS)
def test_hostile_words_are_no_tags(words):
    check_harmless(render(view_of(hostile(words))).html)


@given(st.text(max_size=120))
def test_no_words_are_tags(words):
    check_harmless(render(view_of(hostile(words))).html)


@given(st.text(max_size=80))
def test_no_address_from_outside_leads_elsewhere(url):
    for made in (safe_link(url), safe_link(f"https://github.com{url}"), safe_link(f"https:{url}")):
        assert made is None or urlsplit(made).hostname in views.HOSTS
        assert made is None or (made.isascii() and made.isprintable() and " " not in made)


@pytest.mark.parametrize("url", URLS)
def test_addresses_of_other_hosts_are_left_out(url):
    made = safe_link(url)
    assert made is None or made.startswith("https://github.com/")


def test_good_addresses_stay_as_they_are():
    for url in (
        "https://github.com/owner/repo-1.0",
        "https://arxiv.org/abs/2611.00001",
        "https://huggingface.co/papers/2611.00001",
        "https://huggingface.co/papers?date=2026-11-21",
    ):
        assert safe_link(url) == url
    assert own_link("https://p.example.org/u/a_b-c.d=?x=1&y=2") == (
        "https://p.example.org/u/a_b-c.d=?x=1&y=2"
    )
    assert own_link("javascript:alert(1)") is None


# --- what is told --------------------------------------------------------------------


def test_both_halves_show_every_fact():
    told = rising(
        1,
        rule="alignment",
        reason="3.4 times the votes of its age",
        counts=Counts(upvotes=142, comments=8, stars=62_200),
        paper=paper(
            1,
            title="On Sparks & Lines <i>",
            authors=tuple(f"Author {n}" for n in range(12)),
            author_count=12,
            organization="The Lab",
            github="https://github.com/a/b",
            ai_summary="A short summary.",
        ),
    )
    digest = digest_of(
        told, notice(2), footer=("48 of 48 checks ok",), votes={1: (0, 50, 142)}, due_at=NOW
    )
    body = render(view_of(message(digest, timezone="Europe/Berlin")))
    html = re.sub(r"<[^>]+>", "", body.html).replace("&lt;", "<").replace("&gt;", ">")
    html = html.replace("&amp;", "&")
    links = read(body.html).links
    for part in (
        "Sat 21 Nov, 08:00",
        "alignment",
        "Rising",
        "On Sparks & Lines <i>",
        "Author 0, Author 1, Author 2 et al. (12 authors)",
        "The Lab",
        "142 votes",
        "8 comments · 62.2k stars",
        "▁▃█",
        "3.4 times the votes of its age",
        "A short summary.",
        "source trending fails",
        "48 of 48 checks ok",
    ):
        assert part in html
        assert part in re.sub(r"\s+", " ", body.text)
    for link in (
        "https://huggingface.co/papers/2611.00001",
        "https://arxiv.org/abs/2611.00001",
        "https://github.com/a/b",
    ):
        assert link in links
        assert link in body.text.split()


def test_the_abstract_stands_in_for_a_missing_summary():
    told = event(1, paper=paper(1, abstract="We show that " + "words " * 200))
    (entry,) = view_of(message(digest_of(told))).entries
    assert entry.summary.startswith("We show that")
    assert entry.summary.endswith("…")
    assert len(entry.summary) <= views.SUMMARY_LIMIT


def test_a_paper_without_id_is_told_without_links():
    body = render(view_of(message(digest_of(event(1, paper=paper(1, arxiv_id=None))))))
    assert "Paper number 1" in body.html
    assert read(body.html).links == []


def test_an_empty_digest_says_that_all_is_well():
    body = render(view_of(message(digest_of(due_at=NOW, footer=("48 of 48 checks ok",)))))
    for half in (body.text, body.html):
        assert "The watcher is well" in half
        assert "48 of 48 checks ok" in half


def test_a_late_digest_says_when_it_was_due():
    late = digest_of(event(1), due_at=NOW.replace(day=20))
    body = render(view_of(message(late, timezone="Europe/Berlin")))
    for half in (body.text, body.html):
        assert "due on Fri 20 Nov, 08:00" in re.sub(r"\s+", " ", half)


@pytest.mark.parametrize("zone", ["", "Nowhere/Atlantis", "../etc/passwd", "/etc/passwd"])
def test_a_zone_that_is_none_costs_nobody_their_mail(zone):
    assert view_of(message(timezone=zone)).date == "Sat 21 Nov, 07:00"


def test_a_letter_shows_its_words_and_its_link():
    letter = Letter(
        subject="Please confirm", lines=("One.", "Two."), link="https://p.example.org/c/t"
    )
    body = render(view_of(message(letter=letter)))
    for half in (body.text, body.html):
        assert "Please confirm" in half
        assert "One." in half
        assert "https://p.example.org/c/t" in half
        assert "The watcher is well" not in half


@pytest.mark.parametrize("count", [1, 40, 400, 1000])
@pytest.mark.parametrize("title", ["A title", "ü" * 300, "<&>" * 100])
def test_the_html_stays_small_and_both_halves_tell_the_same_papers(count, title):
    events = [
        rising(n, paper=paper(n, title=f"{n} {title}", abstract="word " * 400), strength=-n)
        for n in range(1, count + 1)
    ]
    body = render(view_of(message(digest_of(*events, max_papers=1000))))
    assert len(body.html.encode()) <= HTML_LIMIT < 100_000
    in_html = {link for link in read(body.html).links if "huggingface" in link}
    in_text = {word for word in body.text.split() if "huggingface.co/papers" in word}
    assert in_html == in_text
    assert len(in_html) + body.view.cut == count
    if count > len(in_html):
        assert f"{count - len(in_html):,} more paper" in body.text
        assert f"{count - len(in_html):,} more paper" in body.html
    assert count > 40 or len(in_html) == count


def test_nothing_is_asked_of_any_server():
    html = render(view_of(sample_message())).html
    assert not read(html).tags & {"img", "svg", "link", "script", "iframe"}
    assert "src=" not in html
    assert "@import" not in html
    assert "url(" not in html


def test_text_lines_are_short_unless_they_are_addresses():
    text = render(view_of(sample_message())).text
    assert all(len(line) <= 78 or "https://" in line for line in text.splitlines())


# --- templates of one's own ----------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("<p>{{ mail.subject }", "line 1"),
        ("<p>\n{% for x in mail.entries %}", "line"),
        ("{{ mail.nothing }}", "nothing"),
        ("{{ nothing }}", "nothing"),
        ("{{ 1 / 0 }}", "zero"),
        ("{{ mail.subject.__class__.__mro__ }}", "unsafe"),
        ("{% include 'other.html' %}", "other.html"),
        ("{{ range(10000000) | list }}", "too big"),
        ("{{ mail.subject | nofilter }}", "nofilter"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
    ],
)
def test_a_faulty_template_is_named_with_its_fault(tmp_path, source, fault):
    path = tmp_path / "mail.html.j2"
    path.write_text(source)
    with pytest.raises(ConfigError) as caught:
        check_template(path)
    assert str(path) in str(caught.value)
    assert fault in str(caught.value)


def test_the_line_of_a_fault_is_that_of_the_template(tmp_path):
    path = tmp_path / "mine.html.j2"
    path.write_text("<p>\n{% for paper in mail.entries %}\n{{ paper.titel }}\n{% endfor %}</p>")
    with pytest.raises(ConfigError, match=r"mine\.html\.j2, line 3: .*titel"):
        check_template(path)


def test_a_template_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        check_template(tmp_path / "none.j2")
    (tmp_path / "bytes.j2").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        check_template(tmp_path / "bytes.j2")


def test_a_good_template_is_used_and_escapes(tmp_path):
    path = tmp_path / "mail.html.j2"
    path.write_text(
        "<style>p { color: red }</style>{% for paper in mail.entries %}"
        "<p class='{{ kind_class(paper.kind) }}'>{{ paper.title }}</p>{% endfor %}"
    )
    check_template(path)
    body = render(view_of(message(digest_of(event(1, paper=paper(1, title="<b>x</b>"))))), path)
    assert "color:red" in body.html.replace(" ", "")
    assert "&lt;b&gt;x&lt;/b&gt;" in body.html


def test_the_built_in_template_is_a_valid_one_of_ones_own():
    check_template(ROOT / "watcher" / "templates" / "mail.html.j2")


def test_samples_show_every_kind_of_mail():
    full, *others = sample_views()
    assert {entry.kind for entry in full.entries} == {"New", "Rising", "Resurging", "Late bloomer"}
    assert full.more
    assert full.notices
    assert any(view.is_quiet for view in others)
    assert any(view.is_letter for view in others)


def test_every_field_of_a_view_is_documented():
    text = (ROOT / "docs" / "mail.md").read_text()
    for kind in (views.View, views.SectionView, views.EntryView):
        part = text.partition(f"<!-- {kind.__name__} -->")[2].partition("<!--")[0]
        names = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
        documented = set(re.findall(r"`(\w+)`", " ".join(names)))
        properties = {n for n, v in vars(kind).items() if isinstance(v, property)}
        assert documented - {"mail"} == set(kind.__struct_fields__) | properties


def test_a_faulty_template_is_a_fault_of_the_config(tmp_path):
    (tmp_path / "mail.html.j2").write_text("{% if %}")
    text = """
        [channel.me]
        type = "maildir"
        path = "box"
        template = "mail.html.j2"
    """
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, OPTIONS, {})
    (problem,) = caught.value.problems
    assert "template" in problem
    assert "line 1" in problem


def test_the_kind_is_not_said_again_in_the_reason():
    view = view_of(message(digest_of(event(1, reason="new: 26 votes, needs 20 · matches agent*"))))
    assert view.entries[0].reasons == ("26 votes, needs 20 · matches agent*",)
    both = view_of(
        message(
            digest_of(
                event(1, rule="a", reason="new: 26 votes, needs 20", paper=paper(1)),
                event(2, rule="b", reason="new: 26 votes", paper=paper(1)),
            )
        )
    )
    assert both.entries[0].reasons == ("b: 26 votes", "a: 26 votes, needs 20")


def test_beside_a_subject_that_is_the_title_stands_the_reason():
    view = view_of(message(digest_of(event(1, reason="new: 26 votes, needs 20"), instant=True)))
    assert view.entries[0].title in view.subject
    assert view.entries[0].title not in view.preview
    assert view.preview.startswith("26 votes, needs 20")


def test_a_flat_curve_is_not_drawn():
    (entry,) = digest_of(event(1)).entries
    assert entry_view(msgspec.structs.replace(entry, votes=(7, 7, 7))).sparkline == ""
    assert entry_view(msgspec.structs.replace(entry, votes=(7, 7, 9))).sparkline


def test_a_text_without_spaces_is_folded_and_an_address_never():
    title = "多様な視覚言語モデルの整合性を検証する枠組み" * 8
    told = event(1, paper=paper(1, title=title), reason="見" * 200)
    text = render_text(view_of(message(digest_of(told))))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 76
    assert "*" not in lines
