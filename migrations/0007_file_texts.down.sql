DROP TABLE file_vectors;
DROP TRIGGER file_chunks_after_delete;
DROP TRIGGER file_chunks_after_insert;
DROP TABLE file_words;
DROP TABLE file_chunks;
DROP TABLE file_pages;
PRAGMA user_version = 6;
