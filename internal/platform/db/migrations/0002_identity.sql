CREATE TABLE users (
    id UUID NOT NULL,
    email VARCHAR(255) NOT NULL,
    canonical_email TEXT NOT NULL,
    username VARCHAR(50),
    canonical_username TEXT,
    password_hash VARCHAR(255) NOT NULL,
    password_change_required BOOLEAN NOT NULL DEFAULT FALSE,
    first_name VARCHAR(100),
    last_name VARCHAR(100),
    phone BYTEA,
    avatar_url TEXT,
    email_verified BOOLEAN NOT NULL DEFAULT FALSE,
    account_status VARCHAR(20) NOT NULL DEFAULT 'active',
    search_text TEXT NOT NULL,
    last_login_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ,
    epoch BIGINT NOT NULL DEFAULT 1,
    version BIGINT NOT NULL DEFAULT 1,
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_account_status_check
        CHECK (account_status IN ('active', 'pending', 'suspended', 'deactivated'))
);

-- One for each order of the listing; the id makes the key of a page unique.
CREATE INDEX users_created_at_idx ON users (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX users_last_login_at_idx ON users (last_login_at, id) WHERE deleted_at IS NULL;

-- The few deleted people, for their own listing.
CREATE INDEX users_deleted_idx ON users (created_at, id) WHERE deleted_at IS NOT NULL;
