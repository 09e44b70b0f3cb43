-- The dictionary of series: what samples of metrics belong to. The samples themselves are in blocks.

-- Each process that gives ids takes the next value, and with it a range of them that nobody else has.
CREATE TABLE store_sequence (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

-- A name and a value that series share. Two collectors may give two ids to one pair; readers put them together.
CREATE TABLE label_pair (
    label_pair_id BIGINT PRIMARY KEY,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    -- A day or more after the newest sample that has it, in Unix seconds; goes when no sample is left.
    kept_until_s BIGINT NOT NULL,
    -- By the clock of the database, so that a collector finds what others have added.
    registered_s BIGINT NOT NULL DEFAULT CAST(extract(epoch FROM now()) AS BIGINT)
);

CREATE TABLE metric_series (
    series_id BIGINT PRIMARY KEY,
    -- Series that are scraped or sent together: the shard of their blocks.
    group_id BIGINT NOT NULL,
    -- Ids of its pairs by their names: their number, then the differences, as variable-length integers.
    labels BYTEA NOT NULL,
    kept_until_s BIGINT NOT NULL,
    registered_s BIGINT NOT NULL DEFAULT CAST(extract(epoch FROM now()) AS BIGINT)
);

CREATE INDEX label_pair_by_kept ON label_pair (kept_until_s);
CREATE INDEX label_pair_by_registered ON label_pair (registered_s);
CREATE INDEX metric_series_by_kept ON metric_series (kept_until_s);
CREATE INDEX metric_series_by_registered ON metric_series (registered_s);
