-- The dictionary of series: what samples of metrics belong to. The samples themselves are in blocks.

-- Each process that gives ids takes the next value, and with it a range of them that nobody else has.
CREATE TABLE store_sequence (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

-- A name and a value that series share. Two collectors may give two ids to one pair; readers put them together.
CREATE TABLE label_pair (
    label_pair_id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    -- A day or more after the newest sample that has it, in Unix seconds; goes when no sample is left.
    kept_until_s INTEGER NOT NULL,
    registered_s INTEGER NOT NULL DEFAULT (unixepoch())
);

CREATE TABLE metric_series (
    series_id INTEGER PRIMARY KEY,
    -- Series that are scraped or sent together: the shard of their blocks.
    group_id INTEGER NOT NULL,
    -- Ids of its pairs by their names: their number, then the differences, as variable-length integers.
    labels BLOB NOT NULL,
    kept_until_s INTEGER NOT NULL,
    registered_s INTEGER NOT NULL DEFAULT (unixepoch())
);

CREATE INDEX label_pair_by_kept ON label_pair (kept_until_s);
CREATE INDEX metric_series_by_kept ON metric_series (kept_until_s);
