-- What the watcher remembers about itself: how pages usually look, which housekeeping was done
-- when, and how politely each host was visited.

-- One row per source; JSON of watcher.drift.Portrait.
create table portraits (
    source integer primary key references sources (id),
    body text not null
) strict;

-- Housekeeping by name (backup, prune, quick-check, pulse …): when it was last done well.
create table chores (
    name text primary key,
    at text not null,
    note text
) strict, without rowid;

-- The politeness ledger: what was asked of each host in each hour.
create table ledger (
    host text not null,
    hour integer not null,                   -- hours since 1970-01-01 UTC
    requests integer not null default 0,
    pages integer not null default 0,
    not_modified integer not null default 0,
    failures integer not null default 0,
    too_many integer not null default 0,
    retries integer not null default 0,
    bytes_read integer not null default 0,
    bytes_saved integer not null default 0,
    share real not null default 0,           -- largest part of the site's window used up
    primary key (host, hour)
) strict, without rowid;

-- Hosts that asked to be left alone, so that a restart does not forget it.
create table pauses (
    host text primary key,
    until text not null
) strict, without rowid;

create index events_subject on events (subject) where subject is not null;

-- Under whose name a source was told to fail: its own, or its host's when many failed together.
alter table sources add column told_as text;
