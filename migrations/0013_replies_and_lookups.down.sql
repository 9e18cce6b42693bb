DROP INDEX file_vectors_model;
DROP INDEX files_bytes;
CREATE INDEX files_bytes ON files (account_id, sha256);
DROP TRIGGER memories_after_message_file_insert;
UPDATE memories SET source = 'conversation' WHERE kind = 'message';
PRAGMA user_version = 12;
