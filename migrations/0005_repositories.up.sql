-- Attached repositories, and changes Mira proposes in them. Ids and times as in the first migration. The clones are
-- folders, not rows; addresses are kept without credentials, which lie in files of their own.

PRAGMA user_version = 5;

CREATE TABLE repos (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL,
    id           BLOB NOT NULL CHECK (length(id) = 16),
    project_id   BLOB NOT NULL,
    repo_url     TEXT NOT NULL CHECK (repo_url <> ''),
    -- What is checked out; before the clone is whole, what was asked for.
    branch       TEXT,
    status       TEXT NOT NULL CHECK (status IN ('cloning', 'ready', 'syncing', 'failed', 'cancelled')),
    -- JSON, while something is under way.
    progress     TEXT,
    -- Why the last clone or sync failed.
    error        TEXT,
    -- What becomes of Mira's own changes.
    writes       TEXT NOT NULL CHECK (writes IN ('propose', 'direct')),
    last_sync_at INTEGER,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (account_id, id),
    FOREIGN KEY (account_id, project_id) REFERENCES projects (account_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX repos_project ON repos (account_id, project_id, key);

-- Attachments whose row is gone and whose folder and credentials may still lie there: removed after the row, and after a
-- crash by the next start.
CREATE TABLE repo_leftovers (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    id         BLOB NOT NULL CHECK (length(id) = 16),
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER repos_after_delete AFTER DELETE ON repos BEGIN
    INSERT OR IGNORE INTO repo_leftovers (account_id, id) VALUES (old.account_id, old.id);
END;

CREATE TABLE proposals (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    repo_id    BLOB NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('write', 'create', 'delete', 'rename')),
    path       TEXT NOT NULL CHECK (path <> ''),
    -- Where a rename goes.
    new_path   TEXT,
    -- The blob that was changed; a create has none.
    base_sha   TEXT,
    -- The text that was changed, and what it is to become.
    old_text   TEXT,
    new_text   TEXT,
    -- Of the commit to be.
    message    TEXT NOT NULL,
    -- The reply that made it.
    message_id BLOB,
    state      TEXT NOT NULL CHECK (state IN ('open', 'applied', 'discarded', 'stale')),
    created_at INTEGER NOT NULL,
    decided_at INTEGER,
    commit_sha TEXT,
    UNIQUE (account_id, id),
    CHECK ((kind = 'rename') = (new_path IS NOT NULL)),
    CHECK ((kind IN ('write', 'create')) = (new_text IS NOT NULL)),
    CHECK ((kind = 'create') = (base_sha IS NULL)),
    CHECK ((state = 'applied') = (commit_sha IS NOT NULL)),
    FOREIGN KEY (account_id, repo_id) REFERENCES repos (account_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX proposals_repo ON proposals (account_id, repo_id, key);
CREATE INDEX proposals_message ON proposals (account_id, message_id) WHERE message_id IS NOT NULL;

CREATE TRIGGER proposals_after_message_delete AFTER DELETE ON messages BEGIN
    UPDATE proposals SET message_id = NULL WHERE account_id = old.account_id AND message_id = old.id;
END;
