-- Which of the collectors that share this database scrapes what. All times are of the database's clock.

CREATE TABLE collector (
    collector_id TEXT PRIMARY KEY,
    -- A collector that has not extended this in time counts as gone, and its targets are anybody's.
    alive_until_ms INTEGER NOT NULL
);

CREATE TABLE target_lease (
    target_key TEXT PRIMARY KEY,
    collector_id TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    -- The target in the shape of Prometheus' /api/v1/targets, for the answers of the other collectors.
    described TEXT NOT NULL
);
