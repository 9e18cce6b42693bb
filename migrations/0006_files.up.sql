-- The owner's files, and those Mira makes. Ids and times as in the first migration. The bytes lie in the data directory
-- under their SHA-256; here stands what is known of them.

PRAGMA user_version = 6;

CREATE TABLE files (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    id         BLOB NOT NULL CHECK (length(id) = 16),
    project_id BLOB,
    name       TEXT NOT NULL CHECK (name <> ''),
    media_type TEXT NOT NULL CHECK (media_type <> ''),
    size       INTEGER NOT NULL CHECK (size >= 0),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    status     TEXT NOT NULL CHECK (status IN ('processing', 'ready', 'failed')),
    -- Why its text could not be read.
    error      TEXT,
    pages      INTEGER CHECK (pages >= 0),
    author     TEXT NOT NULL CHECK (author IN ('owner', 'mira')),
    -- The message it came with, or the reply it was made for.
    message_id BLOB,
    recency    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (account_id, id),
    FOREIGN KEY (account_id, project_id) REFERENCES projects (account_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX files_recency ON files (account_id, recency);
CREATE INDEX files_project ON files (account_id, project_id, recency);
CREATE INDEX files_bytes ON files (account_id, sha256);
CREATE INDEX files_message ON files (account_id, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX files_processing ON files (account_id, key) WHERE status = 'processing';

-- What was sent with a message, in its order.
CREATE TABLE message_files (
    account_id INTEGER NOT NULL,
    message_id BLOB NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    file_id    BLOB NOT NULL,
    PRIMARY KEY (account_id, message_id, n),
    FOREIGN KEY (account_id, message_id) REFERENCES messages (account_id, id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, file_id) REFERENCES files (account_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX message_files_file ON message_files (account_id, file_id);

-- Bytes no row speaks of any more: removed after the row, and after a crash by the next start.
CREATE TABLE file_leftovers (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER files_after_delete AFTER DELETE ON files
WHEN NOT EXISTS (SELECT 1 FROM files f WHERE f.sha256 = old.sha256) BEGIN
    INSERT OR IGNORE INTO file_leftovers (sha256) VALUES (old.sha256);
END;

CREATE TRIGGER files_after_insert AFTER INSERT ON files BEGIN
    DELETE FROM file_leftovers WHERE sha256 = new.sha256;
END;

CREATE TRIGGER files_after_message_delete AFTER DELETE ON messages BEGIN
    UPDATE files SET message_id = NULL WHERE account_id = old.account_id AND message_id = old.id;
END;

-- Copies that lie with a provider of hosted tools.
CREATE TABLE provider_files (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    -- Not a reference: a copy outlives its file until the provider has removed it.
    file_id    BLOB NOT NULL,
    -- Whose: the endpoint's address.
    provider   TEXT NOT NULL,
    remote_id  TEXT,
    store_id   TEXT,
    state      TEXT NOT NULL CHECK (state IN ('wanted', 'sent', 'ready', 'failed', 'doomed')),
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, file_id, provider)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER provider_files_after_file_delete AFTER DELETE ON files BEGIN
    UPDATE provider_files SET state = 'doomed' WHERE account_id = old.account_id AND file_id = old.id;
END;
