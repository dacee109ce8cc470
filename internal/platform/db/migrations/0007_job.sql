-- Work to be done later, at least once. A row goes when its work is done.
-- Owned by internal/platform/job.
CREATE TABLE jobs (
    id           UUID         NOT NULL,
    kind         VARCHAR(64)  NOT NULL,
    unique_key   VARCHAR(128),          -- only until a worker takes the job
    payload      BYTEA        NOT NULL, -- sealed by its owner where it is not public
    attempts     BIGINT       NOT NULL, -- begun so far
    max_attempts BIGINT       NOT NULL,
    due_at       TIMESTAMPTZ  NOT NULL, -- its time, its next try, or the end of its lease
    lease        UUID,                  -- of the worker that has it
    last_error   TEXT         NOT NULL,
    created_at   TIMESTAMPTZ  NOT NULL,
    dead_at      TIMESTAMPTZ,           -- given up; kept for a while to be looked at
    CONSTRAINT jobs_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX jobs_kind_unique_key_key ON jobs (kind, unique_key);
CREATE INDEX jobs_due_at_idx ON jobs (due_at) WHERE dead_at IS NULL;
CREATE INDEX jobs_dead_at_idx ON jobs (dead_at) WHERE dead_at IS NOT NULL;
