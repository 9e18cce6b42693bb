-- Vectors of files in the order they were made, so that a copy in memory reads only what is new, and the pieces that
-- wait for one in a table of their own, so that finding them reads nothing else. Ids and times as in the first migration.

PRAGMA user_version = 10;

-- One unit vector for each piece, little-endian f32; NULL where the model does not take the piece. Of another model than
-- the one in use, it waits to be made anew.
CREATE TABLE file_vectors_ordered (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    chunk_key INTEGER NOT NULL UNIQUE REFERENCES file_chunks (key) ON DELETE CASCADE,
    model     TEXT NOT NULL,
    vector    BLOB
) STRICT;

INSERT INTO file_vectors_ordered (chunk_key, model, vector)
SELECT chunk_key, model, vector FROM file_vectors ORDER BY chunk_key;

DROP TABLE file_vectors;
ALTER TABLE file_vectors_ordered RENAME TO file_vectors;

CREATE TABLE file_waiting (
    chunk_key INTEGER PRIMARY KEY REFERENCES file_chunks (key) ON DELETE CASCADE
) STRICT;

INSERT INTO file_waiting (chunk_key)
SELECT key FROM file_chunks WHERE key NOT IN (SELECT chunk_key FROM file_vectors);

CREATE TRIGGER file_chunks_wait AFTER INSERT ON file_chunks BEGIN
    INSERT INTO file_waiting (chunk_key) VALUES (new.key);
END;
