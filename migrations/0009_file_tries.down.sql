ALTER TABLE files DROP COLUMN retry_at;
ALTER TABLE files DROP COLUMN tries;
PRAGMA user_version = 8;
