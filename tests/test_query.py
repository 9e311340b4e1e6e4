"""The query language: what matches, what is unknown, what is refused and with which hint."""

import math
import re
import sqlite3
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from watcher.errors import QueryError
from watcher.matching import Doc, FixedFacts, Text, doc_of, fold, spread, text_of
from watcher.model import Paper
from watcher.query import MAX_LENGTH, any_of, compile_query

DOCS = Path(__file__).resolve().parent.parent / "docs" / "rules.md"
NOW = datetime(2026, 9, 21, 12, tzinfo=UTC)


def paper(**fields) -> Paper:
    start = {"row": 1, "title": "Sparse rewards", "first_seen_at": NOW}
    return Paper(**{**start, **fields})


def doc(title: str = "", *, known: bool = True, facts: FixedFacts | None = None, **words) -> Doc:
    """A paper; what is not given is "has none", or unknown when ``known`` is False."""
    given_words = {name: spread((words[name],)) for name in words}
    rest = ("abstract", "summary", "author", "organization", "keyword")
    blank = dict.fromkeys(rest, " " if known else None)
    text = Text(**{**blank, **given_words, "title": spread((title,))})
    return Doc(text=text, facts=facts or FixedFacts())


def matches(query: str, document: Doc) -> bool | None:
    return compile_query(query).match(document)


# --- words ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("alignment", "Alignment of small models"),
        ("ALIGNMENT", "alignment"),
        ("naive", "A naïve baseline"),
        ("naïve", "A NAIVE baseline"),
        ("strasse", "Straße"),
        ("fine", "ﬁne tuning"),
        ("lukasz", "ŁUKASZ"),
        ("Łukasz", "Lukasz"),
        ("soren AND dang AND aesop AND thorn", "Søren, Đặng, Æsop, Þorn"),
        ("モデル", "ﾓﾃﾞﾙ"),
        ("reward model", "Model the reward"),
        ('"reward model"', "A reward-model zoo"),
        ('"reward model"', "Reward, model; repeat"),
        ("gpt-4o", "Asking GPT-4o"),
        ("gpt-4o", "Asking GPT 4o"),
        ("GPT-4*", "Asking GPT-4o"),
        ("VibeVoice-ASR", "VibeVoice-ASR supports speech"),
        ("align*", "Alignments"),
        ("*former", "The Reformer"),
        ("al?gn", "To align"),
        ("a*n*t", "alignment"),
        ("title:*", "anything"),
        ("*", "anything"),
        ("reward OR nothing", "reward"),
        ("nothing OR (reward AND zoo)", "reward zoo"),
        ("reward NOT survey", "reward"),
        ("reward -survey", "reward"),
        ("+reward +zoo", "zoo of reward"),
        ("NOT survey", "reward"),
        ("title:(reward OR zoo) NOT title:survey", "zoo"),
        ("TITLE:reward", "reward"),
        ("“reward model”", "the reward model"),
        ("reward\\-model", "reward model"),
        ("what\\?", "what"),
        ('"what is attention?"', "What is attention?"),
        ("C++", "Fast C++ kernels"),
        ("self_play", "self play"),
        ("TO", "going to"),
        ("title: reward", "reward"),
    ],
)
def test_a_query_matches_a_title(query, title):
    assert matches(query, doc(title)) is True


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("align", "alignment"),
        ("reward model", "reward zoo"),
        ('"reward model"', "model reward"),
        ('"reward model"', "reward for a model"),
        ("gpt-4o", "GPT-4 omni"),
        ("gpt-4?", "GPT-4"),
        ("モテル", "モデル"),
        ("al?gn", "alsign"),
        ("a*n*x", "alignment"),
        ("abstract:reward", "reward"),
        ("reward NOT survey", "a survey of reward"),
        ("reward AND NOT (survey OR zoo)", "reward zoo"),
        ("author:reward", "reward"),
        ("NOT *", "anything"),
    ],
)
def test_a_query_does_not_match_a_title(query, title):
    assert matches(query, doc(title)) is False


def test_no_field_means_title_abstract_and_summary():
    assert matches("reward", doc("x", abstract="reward")) is True
    assert matches("reward", doc("x", summary="reward")) is True
    assert matches("reward", doc("x", author="reward", keyword="reward")) is False


def test_a_word_of_each_field_is_looked_for_in_that_field_alone():
    document = doc("x", author="Ada Ngo", organization="Tiny Lab", keyword="speech")
    assert matches('author:"ada ngo" organization:lab keyword:speech', document) is True
    assert matches("author:lab", document) is False


def test_a_phrase_does_not_run_across_two_authors():
    text = text_of(paper(authors=("Ada Ngo", "Bo Li")))
    assert compile_query('author:"ngo bo"').match(Doc(text=text)) is False
    assert compile_query('author:"bo li"').match(Doc(text=text)) is True
    assert compile_query("author:ng*li").match(Doc(text=text)) is False


def test_adjacent_words_bind_like_and_which_binds_more_tightly_than_or():
    for title in ("a b", "a", "b", "c", "a c", "b c", ""):
        for left, right in (
            ("a b OR c", "(a AND b) OR c"),
            ("a OR b c", "a OR (b AND c)"),
            ("a AND b OR c", "(a AND b) OR c"),
            ("a b", "a AND b"),
            ("a NOT b OR c", "(a AND NOT b) OR c"),
        ):
            assert matches(left, doc(title)) is matches(right, doc(title)), (left, title)


LETTERS = "abcde"
OPERANDS = st.tuples(st.sampled_from(["", "-", "NOT "]), st.sampled_from(LETTERS))
JOINTS = st.sampled_from([" ", " AND ", " OR "])


@given(
    OPERANDS, st.lists(st.tuples(JOINTS, OPERANDS), max_size=7), st.sets(st.sampled_from(LETTERS))
)
@example(("", "a"), [(" AND ", ("", "b")), (" ", ("-", "c")), (" OR ", ("", "d"))], {"d"})
def test_however_joints_are_mixed_and_binds_more_tightly_than_or(first, rest, title):
    """The reference: alternatives between ORs, in each of which all must hold."""
    written = "".join(first) + "".join(joint + "".join(operand) for joint, operand in rest)
    rows = [[first]]
    for joint, operand in rest:
        if joint == " OR ":
            rows.append([])
        rows[-1].append(operand)
    wanted = any(all((sign == "") is (letter in title) for sign, letter in row) for row in rows)
    assert matches(written, doc(" ".join(title))) is wanted, written


def test_a_blank_query_matches_every_paper():
    assert matches(" ", doc("anything")) is True
    assert compile_query("").explain(doc("x")) == "matches everything"


# --- numbers, age, source ---------------------------------------------------------------


def facts(**known) -> Doc:
    return doc("x", facts=FixedFacts(**known))


@pytest.mark.parametrize(
    ("query", "count", "outcome"),
    [
        ("upvotes:>=20", 20, True),
        ("upvotes:>20", 20, False),
        ("upvotes:<20", 19, True),
        ("upvotes:<=20", 21, False),
        ("upvotes:20", 20, True),
        ("upvotes:[10 TO 20]", 20, True),
        ("upvotes:[10 TO 20}", 20, False),
        ("upvotes:{10 TO 20]", 10, False),
        ("upvotes:[10 TO *]", 10_000, True),
        ("upvotes:[* TO 10]", 11, False),
        ("upvotes:(>=5 <10)", 7, True),
        ("upvotes:(<5 OR >10)", 7, False),
        ("NOT upvotes:>5", 5, True),
        ("upvotes:*", 0, True),
        ("upvotes:>=20", None, None),
        ("NOT upvotes:>=20", None, None),
        ("upvotes:*", None, None),
    ],
)
def test_counts_are_compared(query, count, outcome):
    assert matches(query, facts(upvotes=count)) is outcome


def test_a_count_that_the_paper_has_none_of_satisfies_no_comparison():
    assert matches("stars:>=0", facts(stars=math.nan)) is False
    assert matches("stars:<5", facts(stars=math.nan)) is False
    assert matches("NOT stars:>=10", facts(stars=math.nan)) is True
    assert matches("stars:*", facts(stars=math.nan)) is False


@pytest.mark.parametrize(
    ("query", "hours", "outcome"),
    [
        ("age:<36h", 35.9, True),
        ("age:<36", 36.0, False),
        ("age:>7d", 7 * 24.1, True),
        ("age:[0 TO 24h]", 24.0, True),
        ("age:<90m", 1.4, True),
        ("age:<90min", 1.6, False),
        ("age:>1.5d", 37.0, True),
        ("age:<2w", 335.0, True),
        ("age:(>1h AND <3h)", 2.0, True),
    ],
)
def test_age_has_units_and_is_in_hours_without(query, hours, outcome):
    assert matches(query, facts(age_h=hours)) is outcome


@pytest.mark.parametrize(
    ("query", "outcome"),
    [
        ("age:>36h", True),
        ("age:>72h", None),
        ("age:<36h", False),
        ("age:<72h", None),
        ("age:[24h TO *]", True),
        ("age:[24h TO 72h]", None),
        ("age:[0 TO 24h]", False),
        ("NOT age:<72h", None),
    ],
)
def test_without_a_listing_only_older_than_can_be_known(query, outcome):
    """It was seen first 48 hours ago: it is at least so old."""
    assert matches(query, facts(older_h=48.0)) is outcome


def test_older_than_uses_the_first_sight_or_the_end_of_the_day_of_publication():
    seen = doc_of(paper(published_on=date(2026, 9, 19)), now=NOW)
    assert seen.facts.older_h == 36.0
    assert doc_of(paper(), now=NOW).facts.older_h == 0.0
    listed = doc_of(paper(listed_at=datetime(2026, 9, 21, tzinfo=UTC)), now=NOW)
    assert listed.facts.age_h == 12.0


def test_source_matches_words_of_the_names_of_all_sources_that_showed_it():
    document = doc_of(paper(), now=NOW, sources=("hf-trending", "daily"))
    assert matches("source:trending", document) is True
    assert matches("source:hf-trending", document) is True
    assert matches('source:"trending daily"', document) is False
    assert matches("source:arxiv", document) is False
    assert matches("source:arxiv", doc("x")) is None


# --- unknown ----------------------------------------------------------------------------


def test_words_of_an_unknown_field_are_unknown_also_under_not():
    document = doc("reward", known=False)
    assert matches("reward", document) is True
    assert matches("survey", document) is None
    assert matches("NOT survey", document) is None
    assert matches("title:survey", document) is False
    assert matches("abstract:survey", document) is None
    assert matches("author:ngo", document) is None


KLEENE = [True, False, None]


@pytest.mark.parametrize("left", KLEENE)
@pytest.mark.parametrize("right", KLEENE)
def test_and_or_and_not_are_three_valued(left, right):
    """Words answer on the left, counts on the right: both steps take part."""
    field = {True: "yes", False: " ", None: None}[left]
    text = Text(title=" x ", abstract=None if field is None else spread((field,)))
    count = {True: 1.0, False: 0.0, None: None}[right]
    document = Doc(text=text, facts=FixedFacts(upvotes=count))
    values = (left, right)
    both = False if False in values else None if None in values else True
    either = True if True in values else None if None in values else False
    assert matches("abstract:yes AND upvotes:1", document) is both
    assert matches("upvotes:1 abstract:yes", document) is both
    assert matches("abstract:yes OR upvotes:1", document) is either
    assert matches("NOT (upvotes:1 OR abstract:yes)", document) is (
        None if either is None else not either
    )


def test_an_author_list_cut_by_the_page_can_match_but_never_deny():
    text = text_of(paper(authors=("Ada Ngo",), author_count=3))
    assert compile_query("author:ngo").match(Doc(text=text)) is True
    assert compile_query("author:li").match(Doc(text=text)) is None
    assert compile_query("NOT author:li").match(Doc(text=text)) is None


def test_an_absent_field_that_the_page_shows_is_has_none():
    shows = frozenset({"abstract", "ai_summary", "authors", "organization", "keywords"})
    text = text_of(paper(), shows)
    assert (text.abstract, text.summary, text.organization) == (" ", " ", " ")
    assert compile_query("NOT survey").match(Doc(text=text)) is True
    assert compile_query("NOT survey").match(Doc(text=text_of(paper()))) is None


def test_unknown_words_leave_the_counts_to_decide():
    query = compile_query("abstract:reward OR upvotes:>=20")
    document = doc("x", known=False, facts=FixedFacts(upvotes=25))
    assert query.match(document) is True
    assert query.match(doc("x", known=False, facts=FixedFacts(upvotes=5))) is None


# --- refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("/re.*/", "regular expressions (/re.*/) are not supported: use the wildcards"),
        ("title:/re/", "wildcards"),
        ("reward^2", "boosts"),
        ("reward~", "fuzzy"),
        ('"reward model"~3', "proximity"),
        ("a || b", "|| at character 3 is not understood: write OR"),
        ("a && b", "&& at character 3 is not understood: write AND"),
        ("!a", "write NOT"),
        ("(a OR b", "( at character 1 is not closed"),
        ("a OR b)", ") at character 7 closes nothing"),
        ("[a)", ") at character 3 closes nothing"),
        ('title:"reward', "the quote at character 7 is not closed"),
        ("titel:reward", "no field 'titel' at character 1: did you mean title?"),
        ("x:y", "the fields are title, abstract"),
        ("org:lab", "did you mean organization?"),
        ("stars:[100 to *]", "write TO in capitals"),
        ("upvotes:>-1", "counts and ages are never negative"),
        ("Tidal Clocks: Keeping Time", "(or put the title into quotes)"),
        ("robot upvotes>=20", "upvotes>=20 lacks its colon: write upvotes:>=20"),
        ("Stars=5", "Stars=5 lacks its colon: write stars:5"),
        ("age<2d", "write age:<2d"),
        ("upvotes>= 20", "write upvotes:>=20"),
        ("upvotes=>20", "write upvotes:>=20"),
        ("age=24h", "write age:<24h"),
        ("age=", "write age:<24h"),
        ("title:(a OR abstract:b)", "close the group of title first"),
        (">=20", "upvotes:>=20"),
        ("title:>3", "use upvotes, comments, stars or age"),
        ("title:[a TO b]", "title holds words"),
        ("upvotes:many", "'many' is no count"),
        ("upvotes:1,000", "is no count"),
        ("upvotes:[20 TO 10]", "put the smaller number first"),
        ("upvotes:-5", "never negative"),
        ("age:old", "write hours or a unit"),
        ("age:24h", "write age:<24h or age:>24h"),
        ("reward AND", "ends too early"),
        ("title:", "ends too early"),
        ("AND reward", "something is missing before it"),
        ("()", "something is missing before it"),
        ("'reward'", "double quotes"),
        ("a OR +b", "two meanings"),
        ('"!?"', "no letter or digit"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_what_to_write_instead(query, said):
    with pytest.raises(QueryError) as caught:
        compile_query(query)
    assert said in str(caught.value)


def test_a_query_has_at_most_500_characters():
    assert compile_query("a" * MAX_LENGTH).match(doc("b")) is False
    with pytest.raises(QueryError, match="501 characters, at most 500"):
        compile_query("a" * (MAX_LENGTH + 1))


def test_a_small_or_is_a_word_and_the_query_says_so():
    query = compile_query('reward or zoo "black and white"')
    assert query.match(doc("reward zoo")) is False
    assert query.notes == ("or is searched as a word; write OR to join",)
    assert compile_query("reward OR zoo").notes == ()


@pytest.mark.parametrize(
    ("query", "notes"),
    [
        ('"reward mod*"', ('"reward mod*": * and ? mean nothing inside quotes; leave these out',)),
        ('"what is it?" "a\\*b"', ()),
        ("age:<2 d", ("d after age:<2 is searched as a word; write age:<2d",)),
        ("age:>=1.5 Days", ("Days after age:>=1.5 is searched as a word; write age:>=1.5d",)),
        ('age:<2 depth "age:<2 d"', ()),
        (
            "author:Ada Ngo speech",
            ('Ngo is not looked for in author; write author:"Ada Ngo"',),
        ),
        (
            "Organization:Tiny Lab",
            ('Lab is not looked for in Organization; write Organization:"Tiny Lab"',),
        ),
        (
            "author:Bo X. Li RLHF",
            ('X. Li is not looked for in author; write author:"Bo X. Li"',),
        ),
        ('author:Ngo AND Speech author:"Ada Ngo" Speech author:Ngo speech', ()),
        ("author:Ngo RLHF", ()),
        ("organization:Lab LLM author:Ngo GPT-4", ()),
        ("author:Ngo Title:speech", ()),
        (
            "speech, audio",
            (", joins nothing, all words must be there; write OR between them, or quote a title",),
        ),
        ('"speech, audio" 1,000', ()),
    ],
)
def test_what_may_have_been_meant_otherwise_is_noted(query, notes):
    assert compile_query(query).notes == notes


def test_a_query_names_the_sources_it_asks_for_that_are_none():
    query = compile_query('source:(dayly OR trending) robot NOT source:"hf trend*" source:*')
    assert query.unknown_sources(("daily", "hf-trending")) == ("dayly", "hf trend*")


ALPHABET = "ab :()[]{}<>=*?\"\\/~^+-!|&\x00é“ﬁ0129.,'\ud800" + "ANDORTO"


@given(st.text(alphabet=ALPHABET, max_size=40) | st.text(max_size=40))
@example("(" * 250 + "a" + ")" * 250)
@example("NOT " * 124 + "a")
@example("a^" + "9" * 400)
def test_any_text_is_a_query_or_a_query_error(text):
    try:
        query = compile_query(text)
    except QueryError:
        return
    assert query.match(doc(text)) in {True, False, None}
    assert query.explain(doc("x", known=False))
    query.fts()


def test_hostile_wildcards_take_no_long_time():
    query = compile_query("*a" * 240 + "b")
    document = doc("a" * 20_000)
    begin = time.process_time()
    assert query.match(document) is False
    assert time.process_time() - begin < 2.0


# --- the words a person reads -----------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("alignment", "matches alignment"),
        ("alignment OR zoo", "matches alignment"),
        ('title:(alignment AND "small models")', 'matches title:alignment, title:"small models"'),
        ("zoo AND alignment", "no match for zoo"),
        ("zoo OR garden", "no match for zoo, garden"),
        ("alignment NOT models", "no match for NOT models"),
        ("author:ngo", "unknown whether author:ngo"),
        ("upvotes:>=20", "matches upvotes:>=20"),
        ("a OR b OR c OR d OR e OR f", "no match for a, b, c, d, e …"),
    ],
)
def test_an_explanation_names_the_parts_that_decided(query, said):
    document = doc("Alignment of small models", facts=FixedFacts(upvotes=30))
    document = Doc(text=Text(title=document.text.title, abstract=" ", summary=" "),
                   facts=document.facts)  # fmt: skip
    assert compile_query(query).explain(document) == said


def test_phrases_taken_literally_know_no_syntax():
    query = any_of("author", ("O'Neil-Smith (ed.)", "Ada *"))
    assert query.match(doc("x", author="o neil smith ed")) is True
    assert query.match(doc("x", author="Ada Ngo")) is True
    assert query.match(doc("x", author="Adam Ngo")) is False
    with pytest.raises(QueryError, match="no letter or digit"):
        any_of("author", ("—",))


# --- properties -------------------------------------------------------------------------

WORD = st.sampled_from(["ant", "bee", "cat", "dog", "gpt 4o", "Émile", "naïve"])
TITLE = st.lists(WORD, max_size=5).map(" ".join)


@st.composite
def trees(draw, depth: int = 3):
    """A query text and what it should say of (tokens of the title, upvotes)."""
    kind = draw(st.sampled_from(["word", "count", "and", "or", "not"]))
    if depth == 0 or kind == "word":
        word = fold(draw(WORD))
        text = f'title:"{word}"' if " " in word else f"title:{word}"
        return text, lambda title, _: f" {word} " in f" {title} "
    if kind == "count":
        least = draw(st.integers(0, 9))
        return f"upvotes:>={least}", lambda _, votes: None if votes is None else votes >= least
    left, says_left = draw(trees(depth=depth - 1))
    if kind == "not":
        return f"NOT ({left})", lambda t, v: None if (x := says_left(t, v)) is None else not x
    right, says_right = draw(trees(depth=depth - 1))

    def both(title, votes):
        values = (says_left(title, votes), says_right(title, votes))
        strong = kind == "or"
        return strong if strong in values else None if None in values else not strong

    joined = draw(st.sampled_from([" AND ", " "])) if kind == "and" else " OR "
    return f"({left}){joined}({right})", both


@given(trees(), TITLE, st.none() | st.integers(0, 9))
def test_a_query_means_what_its_tree_means(tree, title, votes):
    text, means = tree
    if len(text) > MAX_LENGTH:
        return
    document = doc(title, facts=FixedFacts(upvotes=votes))
    assert matches(text, document) is means(fold(title), votes)


@given(st.text(max_size=30))
def test_folded_text_is_tokens_of_letters_and_digits(text):
    folded = fold(text)
    assert all(token and "_" not in token for token in folded.split(" ")) or not folded
    assert folded == " ".join(folded.split())


@given(st.text(alphabet="ABCxyz019 -_.", max_size=30))
def test_plain_and_foreign_text_are_folded_alike(text):
    """The fast way for ASCII agrees with the general way."""
    assert fold(text) == fold(text + " é").removesuffix("e").strip()


def indexed(titles) -> sqlite3.Connection:
    index = sqlite3.connect(":memory:")
    index.execute(
        "create virtual table t using fts5(title, abstract, ai_summary, authors,"
        " tokenize='unicode61 remove_diacritics 2')"
    )
    for row, title in enumerate(titles):
        index.execute("insert into t(rowid, title) values (?, ?)", (row, title))
    return index


@given(st.lists(trees(), min_size=1, max_size=3), st.lists(TITLE, min_size=1, max_size=6))
def test_the_full_text_prefilter_finds_every_match(found, titles):
    index = indexed(titles)
    for text, _ in found:
        query = compile_query(text[:MAX_LENGTH]) if len(text) <= MAX_LENGTH else compile_query("*")
        fts = query.fts()
        rows = set(range(len(titles)))
        if fts is not None:
            sql = "select rowid from t where t match ?"
            rows = {row for (row,) in index.execute(sql, (fts,))}
        wanted = {i for i, t in enumerate(titles) if query.match(doc(t)) is True}
        assert wanted <= rows, (text, fts)
    index.close()


@pytest.mark.parametrize(
    ("query", "fts"),
    [
        ("title:gpt-4o", '{title} : ("gpt 4o" OR '),
        ("title:gpt-4*", '{title} : ("gpt 4" * OR '),
        ("title:a OR keyword:b", None),
        ("title:a AND keyword:b", '({title} : ("a" OR "ａ"))'),
        ("NOT title:a", None),
        ("title:é", '{title} : ("e" OR "ｅ")'),
        ("title:*a", None),
        ("upvotes:>1", None),
    ],
)
def test_the_prefilter_drops_what_the_index_cannot_say(query, fts):
    found = compile_query(query).fts()
    assert found is None if fts is None else (found or "").startswith(fts)


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("fine", "ﬁne tuning"),
        ("effic*", "An eﬃcient net"),
        ("H2O", "Models of H₂O"),
        ("x2", "The norm x²"),
        ("strasse", "Straße"),
        ('"full width"', "Ｆｕｌｌ Ｗｉｄｔｈ letters"),
        ("lojasiewicz", "The Polyak-Łojasiewicz condition"),
        ("Władysław", "Władysław in a title"),
        ('"soren kierkegaard"', "On Søren Kierkegaard"),
        ("thor", "Þór"),
    ],
)
def test_the_prefilter_knows_the_spellings_that_its_index_does_not_fold(query, title):
    assert matches(query, doc(title)) is True
    index = indexed([title])
    assert index.execute(
        "select 1 from t where t match ?", (compile_query(query).fts(),)
    ).fetchone()
    index.close()


def test_a_long_query_has_no_more_spellings_than_an_index_can_look_up():
    fts = compile_query('"' + "old filed solid " * 30 + '"').fts()
    assert fts is not None
    assert fts.count(" OR ") < 50
    index = indexed(["old"])
    assert index.execute("select 1 from t where t match ?", (fts,)).fetchone() is None
    index.close()


# --- the documentation ------------------------------------------------------------------


def examples() -> list[tuple[str, str, str]]:
    """Rows ``| `query` | matching title | other title |`` of docs/rules.md."""
    table = DOCS.read_text("utf-8").partition("| query | matches | does not match |")[2]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    return [(query.replace("\\|", "|"), yes, no) for query, yes, no in rows]


def test_every_example_in_the_documentation_is_true():
    assert len(examples()) >= 10
    for query, yes, no in examples():
        assert matches(query, doc(yes)) is True, query
        assert matches(query, doc(no)) is False, query


def test_every_refusal_in_the_documentation_is_refused():
    block = re.search(r"```refused\n(.+?)```", DOCS.read_text("utf-8"), re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        with pytest.raises(QueryError):
            compile_query(line)


def test_a_single_letter_is_not_gathered_from_the_whole_index():
    assert compile_query("a*").fts() is None
    assert compile_query("a* OR agent").fts() is None
    assert "agent" in (compile_query("a* agent").fts() or "")
    assert compile_query("ag*").fts() is not None
