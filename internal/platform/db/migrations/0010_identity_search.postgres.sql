CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Searches read the pending list from end to end, so it is kept short.
CREATE INDEX users_search_idx ON users USING gin (search_text gin_trgm_ops) WITH (gin_pending_list_limit = 256);
