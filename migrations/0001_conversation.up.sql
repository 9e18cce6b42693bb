-- The conversation: sessions, the message tree, turns, moods, logins and full-text search.
-- Ids are UUIDs as 16-byte blobs (session ids are text), times are milliseconds since the Unix epoch, UTC.
-- Every row belongs to an account. `ord` is the order of arrival; time stamps never decide an order.

PRAGMA application_id = 1298756193; -- "Mira"
PRAGMA user_version = 1;

CREATE TABLE accounts (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO accounts (id, name) VALUES (1, 'owner');

-- Mira's own state: one row per account, shared by all its sessions.
CREATE TABLE mira_state (
    account_id INTEGER PRIMARY KEY REFERENCES accounts (id),
    persona    TEXT NOT NULL,
    mood       TEXT NOT NULL,
    mood_cause TEXT,
    nudged     INTEGER NOT NULL DEFAULT 0 CHECK (nudged IN (0, 1))
) STRICT;

CREATE TABLE sessions (
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    id             TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 64),
    title          TEXT,
    pinned_persona TEXT,
    project_id     BLOB,
    head_id        BLOB,
    memory         TEXT NOT NULL CHECK (memory IN ('on', 'read_only', 'off')),
    pinned         INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    archived       INTEGER NOT NULL DEFAULT 0 CHECK (archived IN (0, 1)),
    message_count  INTEGER NOT NULL DEFAULT 0 CHECK (message_count >= 0),
    seq_reserved   INTEGER NOT NULL DEFAULT 0 CHECK (seq_reserved >= 0),
    -- Counts up with each change of any session of the account; the order of the list, whatever the clock does.
    recency        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_recency ON sessions (account_id, recency);
CREATE INDEX sessions_list ON sessions (account_id, pinned, recency);

CREATE TABLE messages (
    ord              INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id       INTEGER NOT NULL,
    session_id       TEXT NOT NULL,
    id               BLOB NOT NULL CHECK (length(id) = 16),
    parent_id        BLOB,
    -- Messages above it on its branch; 0 for the first.
    depth            INTEGER NOT NULL CHECK (depth >= 0),
    role             TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
    content          TEXT NOT NULL,
    status           TEXT NOT NULL CHECK (status IN ('complete', 'stopped', 'interrupted', 'failed', 'forgotten')),
    client_id        TEXT,
    turn_id          BLOB,
    project_id       BLOB,
    metadata         TEXT,
    persona          TEXT,
    mood             TEXT,
    mood_cause       TEXT,
    intent           TEXT,
    owner_mood       TEXT,
    tags             TEXT,
    salience         REAL,
    model            TEXT,
    input_tokens     INTEGER,
    cached_tokens    INTEGER,
    output_tokens    INTEGER,
    reasoning_tokens INTEGER,
    created_at       INTEGER NOT NULL,
    UNIQUE (account_id, id),
    FOREIGN KEY (account_id, session_id) REFERENCES sessions (account_id, id) ON DELETE CASCADE,
    FOREIGN KEY (account_id, parent_id) REFERENCES messages (account_id, id)
) STRICT;

CREATE INDEX messages_parent ON messages (account_id, parent_id, session_id);
CREATE INDEX messages_session ON messages (account_id, session_id);
CREATE UNIQUE INDEX messages_client ON messages (account_id, session_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX messages_usage ON messages (account_id, created_at, input_tokens, output_tokens)
    WHERE output_tokens IS NOT NULL;

CREATE TABLE turns (
    id              BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id      INTEGER NOT NULL,
    session_id      TEXT NOT NULL,
    -- The turn it waited for.
    after_turn      BLOB,
    kind            TEXT NOT NULL CHECK (kind IN ('send', 'edit', 'regenerate')),
    user_message_id BLOB NOT NULL,
    reply_id        BLOB NOT NULL CHECK (length(reply_id) = 16),
    state           TEXT NOT NULL CHECK (state IN ('running', 'complete', 'stopped', 'interrupted', 'failed')),
    -- What the reply said of itself before its first word; kept for a turn that a crash cuts off.
    persona         TEXT,
    mood            TEXT,
    mood_cause      TEXT,
    model           TEXT,
    started_at      INTEGER NOT NULL,
    ended_at        INTEGER,
    FOREIGN KEY (account_id, session_id) REFERENCES sessions (account_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE INDEX turns_session ON turns (account_id, session_id);
CREATE INDEX turns_after ON turns (after_turn) WHERE after_turn IS NOT NULL;
CREATE INDEX turns_running ON turns (account_id, user_message_id) WHERE state = 'running';

-- The text of a running turn as it streams, piece by piece.
CREATE TABLE turn_parts (
    turn_id    BLOB NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    n          INTEGER NOT NULL,
    account_id INTEGER NOT NULL,
    text       TEXT NOT NULL,
    PRIMARY KEY (turn_id, n)
) STRICT, WITHOUT ROWID;

-- The mood timeline. A cleared session keeps its moods, without the messages they came with.
CREATE TABLE moods (
    ord        INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    id         BLOB NOT NULL CHECK (length(id) = 16),
    message_id BLOB,
    persona    TEXT NOT NULL,
    mood       TEXT NOT NULL,
    cause      TEXT,
    source     TEXT NOT NULL CHECK (source IN ('reply', 'owner')),
    created_at INTEGER NOT NULL,
    UNIQUE (account_id, id),
    FOREIGN KEY (account_id, session_id) REFERENCES sessions (account_id, id) ON DELETE CASCADE
) STRICT;

CREATE INDEX moods_session ON moods (account_id, session_id);

CREATE TABLE logins (
    id                BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account_id        INTEGER NOT NULL REFERENCES accounts (id),
    token_hash        BLOB NOT NULL UNIQUE,
    -- Which owner's token it was given for: a new token ends all logins of the old one.
    token_fingerprint BLOB NOT NULL,
    label             TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    last_seen_at      INTEGER NOT NULL,
    expires_at        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_account ON logins (account_id);

CREATE TABLE used_codes (
    code_hash  BLOB NOT NULL PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Full-text search by word, kept by triggers.
CREATE VIRTUAL TABLE messages_fts USING fts5 (
    content,
    content = 'messages',
    content_rowid = 'ord',
    tokenize = 'unicode61 remove_diacritics 2'
);

-- The same for scripts that write without spaces: overlapping pairs of letters, made by the program, only of messages
-- that hold such letters.
CREATE VIRTUAL TABLE messages_grams USING fts5 (
    grams,
    content = '',
    contentless_delete = 1,
    tokenize = 'ascii'
);

-- Every message has its row in the index, an empty one too: FTS5's own integrity check compares them one by one.
CREATE TRIGGER messages_after_insert AFTER INSERT ON messages BEGIN
    INSERT INTO messages_fts (rowid, content) VALUES (new.ord, new.content);
END;

CREATE TRIGGER messages_after_delete AFTER DELETE ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content) VALUES ('delete', old.ord, old.content);
    DELETE FROM messages_grams WHERE rowid = old.ord;
END;

-- The text of a message changes in one way only: it is forgotten.
CREATE TRIGGER messages_after_update AFTER UPDATE OF content ON messages BEGIN
    INSERT INTO messages_fts (messages_fts, rowid, content) VALUES ('delete', old.ord, old.content);
    INSERT INTO messages_fts (rowid, content) VALUES (new.ord, new.content);
    DELETE FROM messages_grams WHERE rowid = old.ord;
END;
