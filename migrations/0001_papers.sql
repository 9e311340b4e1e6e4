-- Papers, how their counts move, the visits that saw them, and what was said of them.
-- Times are text YYYY-MM-DDTHH:MM:SS.ffffffZ, but integer Unix seconds in the tables that
-- grow with every visit. Statements only: each file runs inside one transaction.

create table sources (
    id integer primary key,
    name text not null unique,
    url text not null default '',
    family text not null,    -- the source of the config it belongs to; its own name for that one
    etag text,
    last_modified text,
    context text,            -- fingerprint of rules and reader the validators were stored under
    island_hash text,        -- of the last judged page: equal bytes are "unchanged"
    kind text,
    cards integer,
    first_ok_at text,
    last_ok_at text,
    last_check_at text,
    failing_since text,
    failures integer not null default 0,
    told_failing integer not null default 0,
    last_error text,
    next_due_at text
) strict;

-- The narrow half of a paper, touched by every visit; the words are in texts.
create table papers (
    id integer primary key,
    key text not null unique,     -- its name at birth; keys of events are built on it
    arxiv_id text unique,
    title_hash text not null,
    first_seen_at integer not null,
    listed_on text,
    listed_at integer,
    listed_exact integer not null default 0,
    upvotes integer,
    comments integer,
    stars integer,
    richness integer not null default 0,     -- of the reader that gave the words
    fingerprint integer not null default 0,  -- of the words last seen, to skip equal ones
    told integer not null default 0          -- which words are known, a bit for each
) strict;
create index papers_title_hash on papers (title_hash);
create index papers_listed_at on papers (listed_at);
create index papers_first_seen_at on papers (first_seen_at);

create table texts (
    paper integer primary key references papers (id),
    title text not null,
    abstract text,
    ai_summary text,
    authors text,                 -- JSON array, complete lists only
    author_count integer,
    published_on text,
    github text,
    project text,
    organization text,
    submitted_by text,
    keywords text,                -- JSON array
    thumbnail text
) strict;

-- What a paper's words and listing were before they changed, so that history can be judged
-- with the words of its time.
create table revisions (
    paper integer not null references papers (id),
    until integer not null,
    before text not null,         -- JSON object of the fields that changed
    primary key (paper, until)
) strict, without rowid;

create virtual table texts_index using fts5 (
    title, abstract, ai_summary, authors,
    content = 'texts', content_rowid = 'paper', tokenize = 'unicode61 remove_diacritics 2'
);
create trigger texts_inserted after insert on texts begin
    insert into texts_index (rowid, title, abstract, ai_summary, authors)
    values (new.paper, new.title, new.abstract, new.ai_summary, new.authors);
end;
create trigger texts_deleted after delete on texts begin
    insert into texts_index (texts_index, rowid, title, abstract, ai_summary, authors)
    values ('delete', old.paper, old.title, old.abstract, old.ai_summary, old.authors);
end;
create trigger texts_updated after update on texts begin
    insert into texts_index (texts_index, rowid, title, abstract, ai_summary, authors)
    values ('delete', old.paper, old.title, old.abstract, old.ai_summary, old.authors);
    insert into texts_index (rowid, title, abstract, ai_summary, authors)
    values (new.paper, new.title, new.abstract, new.ai_summary, new.authors);
end;

-- One row when a source first shows a paper, and one each time its counts differ from that
-- source's last. Ordered by time within the paper: the latest is one seek away.
create table sightings (
    paper integer not null,
    at integer not null,
    source integer not null,
    upvotes integer,
    comments integer,
    stars integer,
    primary key (paper, at, source)
) strict, without rowid;

-- A count that fell by more than three is not believed until three visits have seen it.
create table falls (
    paper integer not null,
    source integer not null,
    field text not null,
    seen integer not null,
    primary key (paper, source, field)
) strict, without rowid;

-- The papers of a page in their order, packed, when it moved.
create table orders (
    source integer not null,
    at integer not null,
    ranked integer not null,
    papers blob not null,
    primary key (source, at)
) strict, without rowid;

create table checks (
    id integer primary key,
    source integer not null references sources (id),
    at text not null,
    outcome text not null,
    status integer,
    bytes integer not null default 0,
    duration_ms integer not null default 0,
    reader text,
    cards integer,
    fresh integer not null default 0,        -- papers never seen before
    moved integer not null default 0,        -- papers whose counts moved
    events integer not null default 0,
    fills text,                              -- JSON: field -> cards that carry it
    error text,
    page text                                -- hash of the archived page
) strict;
create index checks_source_at on checks (source, at);
create index checks_at on checks (at);

create table events (
    cursor integer primary key autoincrement,
    id text not null unique,
    type text not null,
    at text not null,
    rule text,
    paper integer references papers (id),
    source integer,
    subject text,                            -- of a notice: the source's or channel's name
    upvotes integer,
    comments integer,
    stars integer,
    reason text not null default '',
    conditions text,                         -- JSON array
    strength real not null default 0,
    known integer not null default 0,
    late integer not null default 0
) strict;
create index events_at on events (at);
create index events_paper on events (paper) where paper is not null;

-- What has been said of which paper: hashes of rule, paper and kind. Never pruned: without
-- its key old news would be told again.
create table keys (
    paper integer not null,
    key text not null,
    at text not null,
    primary key (paper, key)
) strict, without rowid;

-- Pairs whose first judged snapshot has been taken, and under which wording of the rule.
create table pairs (
    rule text not null,
    source text not null,
    fingerprint text not null,
    at text not null,
    primary key (rule, source)
) strict, without rowid;

-- What was learnt from the records before an instant.
create table learnt (
    name text not null,
    before integer not null,
    body text not null,
    primary key (name, before)
) strict, without rowid;

-- The worst rank of a paper on a trending list, per day: all that "came into the top from
-- below" needs to know.
create table places (
    paper integer not null,
    source integer not null,
    day integer not null,                    -- days since 1970-01-01 UTC
    at integer not null,
    rank integer not null,
    page_size integer not null,
    primary key (paper, source, day)
) strict, without rowid;
