-- Replies that strangers' words led to are marked; files are found by their bytes alone, and vectors of files by their
-- model.

PRAGMA user_version = 13;

-- A reply is her own account of what was read for it, or of what came with the message it answers: marked as facts
-- learnt there are.
UPDATE memories SET source = 'tool'
 WHERE kind = 'message' AND EXISTS (
       SELECT 1 FROM messages m
        WHERE m.account_id = memories.account_id AND m.id = memories.id AND m.role = 'assistant'
          AND (instr(m.tool_calls, '"untrusted":true') > 0
               OR EXISTS (SELECT 1 FROM message_files f
                           WHERE f.account_id = m.account_id AND f.message_id = m.parent_id)));

-- Files that an import brings after the conversation they belong to.
CREATE TRIGGER memories_after_message_file_insert AFTER INSERT ON message_files BEGIN
    UPDATE memories SET source = 'tool'
     WHERE key IN (SELECT k.key FROM messages m
                    CROSS JOIN memories k ON k.account_id = m.account_id AND k.id = m.id AND k.kind = 'message'
                    WHERE m.account_id = new.account_id AND m.parent_id = new.message_id AND m.role = 'assistant');
END;

-- Whether any account's row speaks of bytes is asked too.
DROP INDEX files_bytes;
CREATE INDEX files_bytes ON files (sha256, account_id);

-- Those of other models than the one in use are looked for at each start.
CREATE INDEX file_vectors_model ON file_vectors (model);
