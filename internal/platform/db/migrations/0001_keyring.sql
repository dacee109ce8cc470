-- Master keys that some key or person key may still be wrapped by. The id is
-- a one-way digest of the key: a node that does not hold every one of them
-- does not start. The first row is unique, so that two nodes with different
-- master keys cannot both claim an empty database.
CREATE TABLE master_keys (
    id         VARCHAR(16) NOT NULL,
    first      BOOLEAN     NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT master_keys_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX master_keys_first_key ON master_keys (first) WHERE first;

-- Signing keys and symmetric keys of Gatehouse itself.
CREATE TABLE keys (
    id          UUID        NOT NULL,
    purpose     VARCHAR(32) NOT NULL,
    algorithm   VARCHAR(16) NOT NULL,
    status      VARCHAR(16) NOT NULL,
    master_key  VARCHAR(16) NOT NULL,
    wrapped     BYTEA,                -- the secret half; NULL once destroyed
    public_key  BYTEA       NOT NULL, -- PKIX; empty for a symmetric key
    created_at  TIMESTAMPTZ NOT NULL,
    active_from TIMESTAMPTZ,          -- planned of a next key, true of the others
    retired_at  TIMESTAMPTZ,
    destroy_at  TIMESTAMPTZ,          -- of a retired key; NULL: never
    CONSTRAINT keys_pkey PRIMARY KEY (id),
    CONSTRAINT keys_status_check CHECK (status IN ('next', 'active', 'retired', 'withdrawn'))
);

CREATE UNIQUE INDEX keys_active_key ON keys (purpose) WHERE status = 'active';
CREATE UNIQUE INDEX keys_next_key ON keys (purpose) WHERE status = 'next';

-- One data key for each person. Deleting the row shreds what it sealed.
CREATE TABLE person_keys (
    user_id    UUID        NOT NULL,
    master_key VARCHAR(16) NOT NULL,
    wrapped    BYTEA       NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT person_keys_pkey PRIMARY KEY (user_id)
);
