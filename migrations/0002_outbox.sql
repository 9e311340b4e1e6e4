-- The outbox: which event goes to which channel in which batch, and the messages that carry
-- all state. Times are text YYYY-MM-DDTHH:MM:SS.ffffffZ.

-- One row per channel that was ever owed something, also of those that left the config.
create table channels (
    name text primary key,
    since text not null,             -- when it was met first: no digest is owed for a time before
    disabled_at text,
    disabled_why text,
    by_hand integer not null default 0,      -- disabled by a person, who need not be told
    muted_until text,
    rest_until text,                 -- the other side asked to be left alone until then
    failures integer not null default 0,     -- failed sends since the last good one
    failing_since text,              -- the first of them
    last_failed_at text,
    last_sent_at text,
    last_error text,
    told text                        -- the notice that is out about it: its recovery is owed one
) strict, without rowid;

-- A batch is open until its first message is claimed; then its words are frozen in the body.
create table batches (
    channel text not null,
    batch text not null,
    due_at text not null,
    opened_at text not null,
    closed_at text,
    body text,                       -- JSON of the composed digest
    primary key (channel, batch)
) strict, without rowid;
create index batches_open on batches (channel, due_at) where closed_at is null;

-- An event goes to a channel in a batch. No state: that is the messages'.
create table deliveries (
    event integer not null references events (cursor),
    channel text not null,
    batch text not null,
    primary key (event, channel)
) strict, without rowid;
create index deliveries_batch on deliveries (channel, batch);

-- Channel + batch + recipient: what is claimed, sent, retried and resent.
create table messages (
    key text primary key,
    channel text not null,
    batch text not null,
    recipient text not null,
    promised_at text not null,
    due_at text not null,            -- of the next attempt; while claimed, the end of the lease
    leased integer not null default 0,
    attempts integer not null default 0,
    state text not null default 'waiting',
    error text,
    first_failed_at text,
    ended_at text,                   -- when it was sent or given up
    words text,                      -- JSON: words of its own instead of its batch's (letters)
    unique (channel, batch, recipient)
) strict, without rowid;
create index messages_due on messages (channel, due_at) where state = 'waiting';
create index messages_promised on messages (channel, promised_at, key) where state = 'waiting';
create index messages_dead on messages (channel) where state = 'dead';
create index messages_ended on messages (ended_at) where ended_at is not null;

-- Addresses that are not written to again, until a person says otherwise.
create table suppressed (
    channel text not null,
    address text not null,
    reason text not null,
    at text not null,
    primary key (channel, address)
) strict, without rowid;
