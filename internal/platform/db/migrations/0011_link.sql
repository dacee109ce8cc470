-- Mailed links and the one-time set-up link. Owned by internal/link.
CREATE TABLE links (
    hash       BYTEA NOT NULL, -- SHA-256 of the token
    purpose    VARCHAR(32) NOT NULL,
    user_id    UUID,           -- none: nobody exists yet
    email      VARCHAR(255) NOT NULL, -- canonical address that it was sent to
    password_hash VARCHAR(255),       -- the password that using the link puts in force
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT links_pkey PRIMARY KEY (hash),
    CONSTRAINT links_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
);
-- Void the older links of a person; purge by time.
CREATE INDEX links_user_id_idx ON links (user_id, purpose);
CREATE INDEX links_expires_at_idx ON links (expires_at);
