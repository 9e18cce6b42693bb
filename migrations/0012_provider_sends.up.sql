-- What is sent to a provider is known before it is sent, even where the answer never comes.

PRAGMA user_version = 12;

-- Under which name, how many bytes and when a copy was last sent: what may lie there under an id nobody was told.
ALTER TABLE provider_files ADD COLUMN sent_name TEXT;
ALTER TABLE provider_files ADD COLUMN sent_bytes INTEGER;
ALTER TABLE provider_files ADD COLUMN sent_at INTEGER;

-- Notes on stretches that show what strangers wrote are marked as facts learnt there are. On another branch of the same
-- session counts too: rather one too many.
UPDATE memories SET source = 'tool'
 WHERE kind = 'summary' AND EXISTS (
       SELECT 1 FROM summaries s
         JOIN messages m ON m.account_id = s.account_id AND m.session_id = s.session_id
                        AND m.depth BETWEEN s.first_depth AND s.last_depth
        WHERE s.account_id = memories.account_id AND s.id = memories.id
          AND (m.tool_calls LIKE '%"untrusted":true%'
               OR EXISTS (SELECT 1 FROM message_files f WHERE f.account_id = m.account_id AND f.message_id = m.id)));
