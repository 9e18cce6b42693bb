-- How near strangers' words were when a reply was made, kept with the reply: it outlasts the files and results it came
-- from.

PRAGMA user_version = 14;

-- 0: no mark; 1: an account of such words stood in its prompt; 2: the words themselves. The owner's messages: 0.
ALTER TABLE messages ADD COLUMN exposed INTEGER NOT NULL DEFAULT 0 CHECK (exposed BETWEEN 0 AND 2);

-- What is known of a running turn's prompt, for a crash; NULL until it has said something.
ALTER TABLE turns ADD COLUMN exposed INTEGER CHECK (exposed BETWEEN 0 AND 2);

-- Replies of before: those whose calls read such words, those marked already (the file may be gone meanwhile), and what
-- was answered within a window's length after such a reply, or after a message with files. Each message is visited once:
-- the walk ends where another begins.
WITH RECURSIVE
begins (ord) AS MATERIALIZED (
    SELECT ord FROM messages INDEXED BY messages_tools
     WHERE tool_calls IS NOT NULL AND instr(tool_calls, '"untrusted":true') > 0
     UNION
    SELECT m.ord FROM message_files f CROSS JOIN messages m ON m.account_id = f.account_id AND m.id = f.message_id
     UNION
    SELECT m.ord FROM memories k CROSS JOIN messages m ON m.account_id = k.account_id AND m.id = k.id
     WHERE k.kind = 'message' AND k.source = 'tool'),
near (ord, account_id, session_id, id, n) AS (
    SELECT m.ord, m.account_id, m.session_id, m.id, 0 FROM begins b CROSS JOIN messages m ON m.ord = b.ord
     UNION ALL
    SELECT m.ord, m.account_id, m.session_id, m.id, n.n + 1
      FROM near n CROSS JOIN messages m
        ON m.account_id = n.account_id AND m.parent_id = n.id AND m.session_id = n.session_id
     WHERE n.n < 30 AND m.ord NOT IN (SELECT ord FROM begins))
UPDATE messages SET exposed = 2 WHERE role = 'assistant' AND ord IN (SELECT ord FROM near);

UPDATE memories SET source = 'tool'
 WHERE kind = 'message' AND source = 'conversation' AND EXISTS (
       SELECT 1 FROM messages m
        WHERE m.account_id = memories.account_id AND m.id = memories.id AND m.exposed > 0);

-- Files that an import brings after the conversation they belong to.
DROP TRIGGER memories_after_message_file_insert;
CREATE TRIGGER messages_after_message_file_insert AFTER INSERT ON message_files BEGIN
    UPDATE messages SET exposed = 2
     WHERE account_id = new.account_id AND parent_id = new.message_id AND role = 'assistant';
    UPDATE memories SET source = 'tool'
     WHERE key IN (SELECT k.key FROM messages m
                    CROSS JOIN memories k ON k.account_id = m.account_id AND k.id = m.id AND k.kind = 'message'
                    WHERE m.account_id = new.account_id AND m.parent_id = new.message_id AND m.role = 'assistant');
END;
