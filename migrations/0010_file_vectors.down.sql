DROP TRIGGER file_chunks_wait;
DROP TABLE file_waiting;

CREATE TABLE file_vectors_plain (
    chunk_key INTEGER PRIMARY KEY REFERENCES file_chunks (key) ON DELETE CASCADE,
    model     TEXT NOT NULL,
    vector    BLOB NOT NULL
) STRICT;

INSERT INTO file_vectors_plain (chunk_key, model, vector)
SELECT chunk_key, model, vector FROM file_vectors WHERE vector IS NOT NULL;

DROP TABLE file_vectors;
ALTER TABLE file_vectors_plain RENAME TO file_vectors;

PRAGMA user_version = 9;
