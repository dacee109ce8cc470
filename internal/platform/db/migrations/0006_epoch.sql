-- What became stale, and since when, for the nodes that cache it. Rows live
-- for an hour.
CREATE TABLE epoch_changes (
    subject    UUID NOT NULL,
    epoch      BIGINT NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT epoch_changes_pkey PRIMARY KEY (subject, epoch)
);
-- Followed by time.
CREATE INDEX epoch_changes_changed_at_idx ON epoch_changes (changed_at);
