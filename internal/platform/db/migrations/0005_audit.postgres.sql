-- The log of every change and every attempt. Rows are only ever added.
CREATE TABLE audit_logs (
    id          UUID NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    action      TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    actor_type  TEXT NOT NULL,
    actor_id    UUID,
    target_type TEXT NOT NULL,
    target_id   UUID,
    request_id  TEXT NOT NULL,
    ip_digest   BYTEA,
    envelope    BYTEA NOT NULL, -- the entry itself: what is hashed, chained and shown
    CONSTRAINT audit_logs_pkey PRIMARY KEY (occurred_at, id)
) PARTITION BY RANGE (occurred_at);

CREATE INDEX audit_logs_actor_idx ON audit_logs (actor_id, occurred_at, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_logs_target_idx ON audit_logs (target_id, occurred_at, id) WHERE target_id IS NOT NULL;
CREATE INDEX audit_logs_action_idx ON audit_logs (action, occurred_at, id);
CREATE INDEX audit_logs_refused_idx ON audit_logs (outcome, occurred_at, id) WHERE outcome <> 'success';
CREATE INDEX audit_logs_ip_idx ON audit_logs (ip_digest, occurred_at, id) WHERE ip_digest IS NOT NULL;
CREATE INDEX audit_logs_request_idx ON audit_logs (request_id) WHERE request_id <> '';

-- Catches what no month's partition was made for in time.
CREATE TABLE audit_logs_default PARTITION OF audit_logs DEFAULT;

-- Committed entries that have no position yet.
CREATE TABLE audit_queue (
    occurred_at TIMESTAMPTZ NOT NULL,
    entry_id    UUID NOT NULL,
    CONSTRAINT audit_queue_pkey PRIMARY KEY (occurred_at, entry_id)
) WITH (autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_scale_factor = 0); -- every row dies young

-- The gapless order of the entries, and the chain over them.
CREATE TABLE audit_seals (
    position    BIGINT NOT NULL,
    entry_id    UUID NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    entry_hash  BYTEA NOT NULL,
    chain_hash  BYTEA NOT NULL,
    sealed_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT audit_seals_pkey PRIMARY KEY (position)
);
CREATE UNIQUE INDEX audit_seals_entry_id_key ON audit_seals (entry_id);

-- Signatures over the chain, one a minute while it grows.
CREATE TABLE audit_heads (
    number     BIGINT NOT NULL,
    position   BIGINT NOT NULL,
    chain_hash BYTEA NOT NULL,
    signed_at  TIMESTAMPTZ NOT NULL,
    previous   BYTEA NOT NULL, -- SHA-256 of the signature before
    key_id     TEXT NOT NULL,
    signature  BYTEA NOT NULL,
    CONSTRAINT audit_heads_pkey PRIMARY KEY (number)
);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_logs_default_no_truncate BEFORE TRUNCATE ON audit_logs_default FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_seals_append_only BEFORE UPDATE OR DELETE ON audit_seals FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_seals_no_truncate BEFORE TRUNCATE ON audit_seals FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_heads_append_only BEFORE UPDATE OR DELETE ON audit_heads FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_heads_no_truncate BEFORE TRUNCATE ON audit_heads FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
