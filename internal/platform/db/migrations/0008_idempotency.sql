-- Answers to creating requests, for repeats within a day.
-- Owned by internal/idempotency.
CREATE TABLE idempotency_keys (
    actor_id     UUID         NOT NULL,
    operation    VARCHAR(64)  NOT NULL,
    key          VARCHAR(255) NOT NULL, -- of the Idempotency-Key header
    sealing_key  TEXT         NOT NULL, -- id of the key behind request_mac and answer
    request_mac  BYTEA        NOT NULL,
    answer       BYTEA,                 -- sealed; set before the claim commits
    created_at   TIMESTAMPTZ  NOT NULL,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (actor_id, operation, key)
);

CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);
