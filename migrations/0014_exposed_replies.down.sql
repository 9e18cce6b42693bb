-- The marks of memories stay: they say what the schema before could not derive any more.
DROP TRIGGER messages_after_message_file_insert;
CREATE TRIGGER memories_after_message_file_insert AFTER INSERT ON message_files BEGIN
    UPDATE memories SET source = 'tool'
     WHERE key IN (SELECT k.key FROM messages m
                    CROSS JOIN memories k ON k.account_id = m.account_id AND k.id = m.id AND k.kind = 'message'
                    WHERE m.account_id = new.account_id AND m.parent_id = new.message_id AND m.role = 'assistant');
END;
ALTER TABLE turns DROP COLUMN exposed;
ALTER TABLE messages DROP COLUMN exposed;
PRAGMA user_version = 13;
