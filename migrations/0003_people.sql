-- People who subscribe by themselves, and what pages need to be quick.
-- An address is never deleted by its owner: leaving sets the state, so that it can be undone
-- and a later import does not write to someone who left.

create table subscribers (
    id integer primary key,
    handle text not null unique,             -- random; stands in every token instead of the address
    address text not null,                   -- as written, its domain in lower case
    state text not null,                     -- asked active left
    wishes text not null,                    -- JSON: topics, query, threshold, schedule
    asked text,                              -- JSON: wishes asked for and not confirmed yet
    asked_at text,                           -- of the last letter that asked for a confirmation
    letters integer not null default 0,      -- such letters since letters_since
    letters_since text,
    nonce text not null default '',          -- in the confirmation's token: an older one is void
    created_at text not null,
    confirmed_at text,
    changed_at text not null,
    left_at text,
    told_cursor integer not null default 0,  -- events up to here were looked at for them
    told_at text,                            -- when that was
    mailed_at text,                          -- when a message was last made for them
    due_at text                              -- the promised time of the next look
) strict;
create unique index subscribers_address on subscribers (lower(address));
create index subscribers_due on subscribers (due_at) where state = 'active';

create table mutes (
    subscriber integer not null references subscribers (id) on delete cascade,
    topic text not null,                     -- a rule's name; empty for their own query
    until text not null,
    primary key (subscriber, topic)
) strict, without rowid;

-- Keys made by the watcher itself, where the config gives none.
create table own_keys (
    name text primary key,
    value blob not null,
    made_at text not null
) strict, without rowid;

-- Lists of papers, newest first.
create index papers_begun on papers (coalesce(listed_at, first_seen_at) desc, id desc);
-- Pages and feeds of one rule.
create index events_rule on events (rule, cursor) where not known;
