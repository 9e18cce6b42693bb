-- Memory: what can be recalled, how it is found again, what came up for each reply, what must stay forgotten.
-- The vector index and the full-text tables here are derived: `mira-backend reindex` makes them anew.

PRAGMA user_version = 2;

-- Whether the owner paused the writing of memories, in all sessions.
ALTER TABLE mira_state ADD COLUMN memory_paused INTEGER NOT NULL DEFAULT 0 CHECK (memory_paused IN (0, 1));

-- The names the two speakers have in the documents of recall.
ALTER TABLE mira_state ADD COLUMN owner_name TEXT NOT NULL DEFAULT 'I';
ALTER TABLE mira_state ADD COLUMN mira_name TEXT NOT NULL DEFAULT 'Mira';

-- One row for each thing that can be recalled. `key` names it in the tables derived from it.
CREATE TABLE memories (
    key           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id    INTEGER NOT NULL REFERENCES accounts (id),
    -- A message's own id where the memory is a message.
    id            BLOB NOT NULL CHECK (length(id) = 16),
    kind          TEXT NOT NULL CHECK (kind IN ('message', 'fact', 'summary')),
    -- Where it was said or learnt. Facts outlive the session they were learnt in.
    session_id    TEXT,
    message_id    BLOB,
    project_id    BLOB,
    -- Facts: whom and what they are about. Kept for a message: 'owner' or 'mira', who said it.
    about         TEXT NOT NULL,
    topic         TEXT,
    -- NULL for a message, whose text stands in `messages`.
    text          TEXT,
    salience      REAL,
    pinned        INTEGER NOT NULL DEFAULT 0 CHECK (pinned IN (0, 1)),
    source        TEXT NOT NULL CHECK (source IN ('conversation', 'owner', 'tool')),
    valid_from    INTEGER NOT NULL,
    superseded_by BLOB,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (account_id, id),
    CHECK ((kind = 'message') = (text IS NULL))
) STRICT;

CREATE INDEX memories_kind ON memories (account_id, kind, key);
CREATE INDEX memories_evidence ON memories (account_id, message_id) WHERE kind <> 'message';
CREATE INDEX memories_session ON memories (account_id, session_id, key);
CREATE INDEX memories_about ON memories (account_id, about, topic) WHERE kind = 'fact';
CREATE INDEX memories_pinned ON memories (account_id, key) WHERE pinned = 1;

-- The owner's search of facts and summaries, kept by triggers; rowid = memories.key. (Messages: `messages_fts`.)
CREATE VIRTUAL TABLE memories_fts USING fts5 (
    text,
    content = '',
    contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);

-- The contextual documents of recall, rowid = memories.key. A document holds its neighbours' words too, so it can not
-- be an external-content table: the program writes and rewrites it whole.
CREATE VIRTUAL TABLE recall_fts USING fts5 (
    text,
    content = '',
    contentless_delete = 1,
    tokenize = 'porter unicode61'
);

-- The same for scripts that write without spaces: overlapping pairs of letters, made by the program.
CREATE VIRTUAL TABLE recall_grams USING fts5 (
    grams,
    content = '',
    contentless_delete = 1,
    tokenize = 'ascii'
);

-- In how many documents a term stands (vocab, pair_vocab), and in which, once for each time it stands there (terms,
-- pairs).
CREATE VIRTUAL TABLE recall_vocab USING fts5vocab (recall_fts, 'row');
CREATE VIRTUAL TABLE recall_terms USING fts5vocab (recall_fts, 'instance');
CREATE VIRTUAL TABLE recall_pair_vocab USING fts5vocab (recall_grams, 'row');
CREATE VIRTUAL TABLE recall_pairs USING fts5vocab (recall_grams, 'instance');

-- Which model made the vectors. While a new one is being filled the old one keeps answering.
CREATE TABLE spaces (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Where the vectors are: 'embedded' (table `vectors`) or the name of a Qdrant collection.
    place      TEXT NOT NULL,
    model      TEXT NOT NULL,
    dimension  INTEGER NOT NULL CHECK (dimension BETWEEN 1 AND 65536),
    state      TEXT NOT NULL CHECK (state IN ('building', 'active')),
    created_at INTEGER NOT NULL,
    UNIQUE (place, model, dimension)
) STRICT;

-- The embedded index: unit vectors, each `dimension` little-endian f32.
CREATE TABLE vectors (
    space_id INTEGER NOT NULL REFERENCES spaces (id) ON DELETE CASCADE,
    key      INTEGER NOT NULL REFERENCES memories (key) ON DELETE CASCADE,
    vector   BLOB NOT NULL,
    PRIMARY KEY (space_id, key)
) STRICT;

CREATE INDEX vectors_key ON vectors (key);

-- Work of the indexer, written in the transaction of what it is about. One row for a memory and step; done work is
-- deleted. `document`: (re)write the recall document. `vector`: embed it into the space. `remove`: take it out of an
-- index that is not in this file.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    memory_id  BLOB NOT NULL CHECK (length(memory_id) = 16),
    kind       TEXT NOT NULL CHECK (kind IN ('message', 'fact', 'summary')),
    step       TEXT NOT NULL CHECK (step IN ('document', 'vector', 'remove')),
    -- NULL until the step `vector`: which space it is embedded into (0: the active one).
    space_id   INTEGER,
    attempts   INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at    INTEGER NOT NULL DEFAULT 0,
    queued_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX outbox_due ON outbox (account_id, step, next_at, id);
CREATE INDEX outbox_memory ON outbox (account_id, memory_id);

-- Summaries of stretches of a branch. The text of each stands in `memories` under the same id.
CREATE TABLE summaries (
    account_id  INTEGER NOT NULL,
    id          BLOB NOT NULL CHECK (length(id) = 16),
    session_id  TEXT NOT NULL,
    -- 'range': a block of messages. 'overview': everything up to `last_id`.
    level       TEXT NOT NULL CHECK (level IN ('range', 'overview')),
    first_id    BLOB NOT NULL CHECK (length(first_id) = 16),
    last_id     BLOB NOT NULL CHECK (length(last_id) = 16),
    first_depth INTEGER NOT NULL CHECK (first_depth >= 0),
    last_depth  INTEGER NOT NULL CHECK (last_depth >= first_depth),
    tokens      INTEGER NOT NULL CHECK (tokens >= 0),
    model       TEXT NOT NULL,
    -- Something in its range was forgotten: it is out of prompts until it is written anew.
    stale       INTEGER NOT NULL DEFAULT 0 CHECK (stale IN (0, 1)),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, id),
    UNIQUE (account_id, session_id, level, last_id, first_id),
    FOREIGN KEY (account_id, session_id) REFERENCES sessions (account_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What each reply was made of. No text stands here: memories are named by id.
CREATE TABLE receipts (
    account_id  INTEGER NOT NULL,
    message_id  BLOB NOT NULL CHECK (length(message_id) = 16),
    prompt_hash BLOB NOT NULL CHECK (length(prompt_hash) = 32),
    -- JSON: [{memory_id, kind, fate, lexical, cosine, bonus, total, rank, tokens, reason}]
    items       TEXT NOT NULL,
    -- JSON: [[name, tokens]]
    parts       TEXT NOT NULL,
    degraded    TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_id),
    FOREIGN KEY (account_id, message_id) REFERENCES messages (account_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What must not be learnt again: keyed hashes, never the text.
CREATE TABLE tombstones (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    digest     BLOB NOT NULL CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, digest)
) STRICT, WITHOUT ROWID;

-- A message that goes takes its memory along (facts learnt from it stay).
CREATE TRIGGER memories_after_message_delete AFTER DELETE ON messages BEGIN
    DELETE FROM memories WHERE account_id = old.account_id AND id = old.id AND kind = 'message';
END;

CREATE TRIGGER memories_after_summary_delete AFTER DELETE ON summaries BEGIN
    DELETE FROM memories WHERE account_id = old.account_id AND id = old.id AND kind = 'summary';
END;

CREATE TRIGGER memories_after_text_insert AFTER INSERT ON memories WHEN new.text IS NOT NULL BEGIN
    INSERT INTO memories_fts (rowid, text)
    VALUES (new.key, new.about || ' ' || coalesce(new.topic, '') || ' ' || new.text);
END;

CREATE TRIGGER memories_after_text_update AFTER UPDATE OF about, topic, text ON memories WHEN new.text IS NOT NULL BEGIN
    DELETE FROM memories_fts WHERE rowid = new.key;
    INSERT INTO memories_fts (rowid, text)
    VALUES (new.key, new.about || ' ' || coalesce(new.topic, '') || ' ' || new.text);
END;

CREATE TRIGGER memories_after_text_delete AFTER DELETE ON memories WHEN old.text IS NOT NULL BEGIN
    DELETE FROM memories_fts WHERE rowid = old.key;
END;

-- A memory that goes takes its documents, its work and its place in every index along.
CREATE TRIGGER memories_after_delete AFTER DELETE ON memories BEGIN
    DELETE FROM recall_fts WHERE rowid = old.key;
    DELETE FROM recall_grams WHERE rowid = old.key;
    DELETE FROM outbox WHERE account_id = old.account_id AND memory_id = old.id;
    INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
    SELECT old.account_id, old.id, old.kind, 'remove', old.updated_at
     WHERE EXISTS (SELECT 1 FROM spaces WHERE place <> 'embedded');
END;

-- Deleted text leaves the pages of the search index at once, not when it is next merged.
INSERT INTO messages_fts (messages_fts, rank) VALUES ('secure-delete', 1);

-- Everything said before memory came is taken up, unless it was said off the record.
INSERT INTO outbox (account_id, memory_id, kind, step, queued_at)
SELECT m.account_id, m.id, 'message', 'document', CAST(unixepoch('subsec') * 1000 AS INTEGER)
  FROM messages m JOIN sessions s ON s.account_id = m.account_id AND s.id = m.session_id
 WHERE s.memory = 'on' AND m.status IN ('complete', 'stopped', 'interrupted') AND m.content <> ''
 ORDER BY m.ord;
