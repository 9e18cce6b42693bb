-- Projects and artifacts. Ids and times as in the first migration; `recency` counts up with each change, and is the
-- order of the lists, whatever the clock does.

PRAGMA user_version = 4;

CREATE TABLE projects (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    id           BLOB NOT NULL CHECK (length(id) = 16),
    name         TEXT NOT NULL CHECK (name <> ''),
    description  TEXT NOT NULL,
    -- JSON: a list of texts.
    tags         TEXT NOT NULL,
    instructions TEXT NOT NULL,
    -- Name, description and tags as runs of letters and digits in lower case, for the search.
    words        TEXT NOT NULL,
    recency      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (account_id, id)
) STRICT;

CREATE INDEX projects_recency ON projects (account_id, recency);

CREATE TABLE artifacts (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    project_id BLOB NOT NULL,
    name       TEXT NOT NULL CHECK (name <> ''),
    kind       TEXT NOT NULL
               CHECK (kind IN ('code', 'markdown', 'html', 'svg', 'note', 'image', 'log', 'json')),
    language   TEXT,
    -- The newest; 0 while an import has not brought the first yet: then nobody sees it.
    version    INTEGER NOT NULL CHECK (version >= 0),
    recency    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    UNIQUE (account_id, id),
    FOREIGN KEY (account_id, project_id) REFERENCES projects (account_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX artifacts_project ON artifacts (account_id, project_id, recency);
CREATE INDEX artifacts_recency ON artifacts (account_id, recency);

-- What versions hold, once for each content, named by its SHA-256. Text lies as text, so that it can be searched for.
CREATE TABLE artifact_blobs (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    sha256     BLOB NOT NULL CHECK (length(sha256) = 32),
    text       TEXT,
    bytes      BLOB,
    UNIQUE (account_id, sha256),
    CHECK ((text IS NULL) <> (bytes IS NULL))
) STRICT;

-- Versions are added and go with their artifact; nothing of them changes, but that the message that made one may go.
CREATE TABLE artifact_versions (
    ord         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id  INTEGER NOT NULL,
    artifact_id BLOB NOT NULL,
    version     INTEGER NOT NULL CHECK (version >= 1),
    sha256      BLOB NOT NULL,
    size        INTEGER NOT NULL CHECK (size >= 0),
    author      TEXT NOT NULL CHECK (author IN ('owner', 'mira')),
    message_id  BLOB,
    created_at  INTEGER NOT NULL,
    UNIQUE (account_id, artifact_id, version),
    FOREIGN KEY (account_id, artifact_id) REFERENCES artifacts (account_id, id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, sha256) REFERENCES artifact_blobs (account_id, sha256)
) STRICT;

CREATE INDEX artifact_versions_blob ON artifact_versions (account_id, sha256);
CREATE INDEX artifact_versions_message ON artifact_versions (account_id, message_id) WHERE message_id IS NOT NULL;

-- A content goes with the last version that holds it.
CREATE TRIGGER artifact_versions_after_delete AFTER DELETE ON artifact_versions BEGIN
    DELETE FROM artifact_blobs
     WHERE account_id = old.account_id AND sha256 = old.sha256
       AND NOT EXISTS (SELECT 1 FROM artifact_versions v
                        WHERE v.account_id = old.account_id AND v.sha256 = old.sha256);
END;

CREATE TRIGGER artifact_versions_after_message_delete AFTER DELETE ON messages BEGIN
    UPDATE artifact_versions SET message_id = NULL WHERE account_id = old.account_id AND message_id = old.id;
END;

-- What leaves a project when it goes.
CREATE INDEX sessions_project ON sessions (account_id, project_id) WHERE project_id IS NOT NULL;
CREATE INDEX messages_project ON messages (account_id, project_id) WHERE project_id IS NOT NULL;
CREATE INDEX memories_project ON memories (account_id, project_id) WHERE project_id IS NOT NULL;
