-- Edges can be forgotten: `edge_generation` grows when some were retired or deleted, and whoever holds ids of edges in memory
-- reads them anew. A retired edge is used by nobody and goes soon; writing to it brings it back.
ALTER TABLE store_info ADD COLUMN edge_generation INTEGER NOT NULL DEFAULT 0;
ALTER TABLE edge ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;

-- The time by which retention last dropped: a clock that is far ahead of it is not taken at its word. 0: not known yet.
ALTER TABLE store_info ADD COLUMN believed_ms INTEGER NOT NULL DEFAULT 0;
