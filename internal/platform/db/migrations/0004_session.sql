-- Sign-ins that may be renewed, and the refresh tokens they have used up.
-- Owned by internal/session.
CREATE TABLE sessions (
    id               UUID         NOT NULL,
    user_id          UUID         NOT NULL,
    client_id        VARCHAR(255) NOT NULL,
    refresh_token    BYTEA        NOT NULL, -- SHA-256 of the only valid one
    token_delivery   VARCHAR(8)   NOT NULL, -- cookie or body
    successor        BYTEA,                 -- that token, sealed under the one before it
    rotated_at       TIMESTAMPTZ,           -- when it took that one's place
    ip_address       INET,
    user_agent       TEXT         NOT NULL,
    amr              VARCHAR(255) NOT NULL, -- RFC 8176, separated by spaces
    auth_time        TIMESTAMPTZ  NOT NULL,
    created_at       TIMESTAMPTZ  NOT NULL,
    last_activity_at TIMESTAMPTZ  NOT NULL,
    idle_since       TIMESTAMPTZ  NOT NULL, -- last activity before the last rotation
    expires_at       TIMESTAMPTZ  NOT NULL, -- the absolute limit
    privileged       BOOLEAN      NOT NULL, -- holds a permission: shorter limits
    revoked_at       TIMESTAMPTZ,
    revoke_reason    VARCHAR(32)  NOT NULL,
    epoch            BIGINT       NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id)
);

CREATE INDEX sessions_user_id_idx ON sessions (user_id, created_at);
CREATE INDEX sessions_expires_at_idx ON sessions (expires_at);
CREATE INDEX sessions_revoked_at_idx ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX sessions_rotated_at_idx ON sessions (rotated_at) WHERE successor IS NOT NULL;

CREATE TABLE spent_refresh_tokens (
    session_id UUID        NOT NULL,
    hash       BYTEA       NOT NULL, -- SHA-256
    spent_at   TIMESTAMPTZ NOT NULL,
    CONSTRAINT spent_refresh_tokens_pkey PRIMARY KEY (session_id, hash),
    CONSTRAINT spent_refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES sessions (id) ON DELETE CASCADE
);
