-- They decide races for a name, and the one on e-mail also carries the listing
-- by it. Of a person whose names are both taken the address is told: PostgreSQL
-- checks indexes in the order they were made in.
CREATE UNIQUE INDEX users_canonical_email_key ON users (canonical_email) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_canonical_username_key ON users (canonical_username) WHERE deleted_at IS NULL;

CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Searches read the pending list from end to end, and writes that fill it empty
-- it: long enough for the one, short enough for the other.
CREATE INDEX users_search_idx ON users USING gin (search_text gin_trgm_ops) WITH (gin_pending_list_limit = 1024);
