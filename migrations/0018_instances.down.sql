ALTER TABLE spaces DROP COLUMN instance;

PRAGMA user_version = 17;
