UPDATE memories SET source = 'conversation' WHERE kind = 'summary';
ALTER TABLE provider_files DROP COLUMN sent_at;
ALTER TABLE provider_files DROP COLUMN sent_bytes;
ALTER TABLE provider_files DROP COLUMN sent_name;
PRAGMA user_version = 11;
