-- What was read of files: their text by pages, and the pieces of it that are searched, by words and by vectors. All of it
-- goes with its file. Ids and times as in the first migration.

PRAGMA user_version = 7;

CREATE TABLE file_pages (
    account_id INTEGER NOT NULL,
    file_id    BLOB NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    -- From 1, in documents that have pages.
    page       INTEGER CHECK (page >= 1),
    text       TEXT NOT NULL,
    PRIMARY KEY (account_id, file_id, n),
    FOREIGN KEY (account_id, file_id) REFERENCES files (account_id, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE file_chunks (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    file_id    BLOB NOT NULL,
    n          INTEGER NOT NULL CHECK (n >= 0),
    page       INTEGER CHECK (page >= 1),
    line_from  INTEGER CHECK (line_from >= 1),
    line_to    INTEGER CHECK (line_to >= line_from),
    -- The title and the nearest heading above; empty where there is none.
    heading    TEXT NOT NULL,
    text       TEXT NOT NULL,
    UNIQUE (account_id, file_id, n),
    FOREIGN KEY (account_id, file_id) REFERENCES files (account_id, id) ON DELETE CASCADE
) STRICT;

CREATE VIRTUAL TABLE file_words USING fts5 (
    heading,
    text,
    content = 'file_chunks',
    content_rowid = 'key',
    tokenize = 'porter unicode61 remove_diacritics 2'
);
INSERT INTO file_words (file_words, rank) VALUES ('secure-delete', 1);

CREATE TRIGGER file_chunks_after_insert AFTER INSERT ON file_chunks BEGIN
    INSERT INTO file_words (rowid, heading, text) VALUES (new.key, new.heading, new.text);
END;

CREATE TRIGGER file_chunks_after_delete AFTER DELETE ON file_chunks BEGIN
    INSERT INTO file_words (file_words, rowid, heading, text) VALUES ('delete', old.key, old.heading, old.text);
END;

-- One unit vector for each piece, little-endian f32; of another model than the one in use, it waits to be made anew.
CREATE TABLE file_vectors (
    chunk_key INTEGER PRIMARY KEY REFERENCES file_chunks (key) ON DELETE CASCADE,
    model     TEXT NOT NULL,
    vector    BLOB NOT NULL
) STRICT;
