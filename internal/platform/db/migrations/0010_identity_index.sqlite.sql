-- They decide races for a name, and the one on e-mail also carries the listing
-- by it. Of a person whose names are both taken the address is told: SQLite
-- checks indexes in the reverse of the order they were made in.
CREATE UNIQUE INDEX users_canonical_username_key ON users (canonical_username) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_canonical_email_key ON users (canonical_email) WHERE deleted_at IS NULL;

-- An index of every three characters in a row. It holds no text of its own
-- but follows users by row number.
CREATE VIRTUAL TABLE users_search USING fts5(
    search_text, content='users', tokenize='trigram case_sensitive 1', columnsize=0
);

CREATE TRIGGER users_search_insert AFTER INSERT ON users BEGIN
    INSERT INTO users_search (rowid, search_text) VALUES (new.rowid, new.search_text);
END;

CREATE TRIGGER users_search_delete AFTER DELETE ON users BEGIN
    INSERT INTO users_search (users_search, rowid, search_text) VALUES ('delete', old.rowid, old.search_text);
END;

CREATE TRIGGER users_search_update AFTER UPDATE OF search_text ON users
WHEN old.search_text <> new.search_text BEGIN
    INSERT INTO users_search (users_search, rowid, search_text) VALUES ('delete', old.rowid, old.search_text);
    INSERT INTO users_search (rowid, search_text) VALUES (new.rowid, new.search_text);
END;
