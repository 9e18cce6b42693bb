-- A document that could not be read now is read again later. Times as in the first migration.

PRAGMA user_version = 9;

-- How often reading it was begun since it was last asked for.
ALTER TABLE files ADD COLUMN tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0);

-- Not before; NULL for at once.
ALTER TABLE files ADD COLUMN retry_at INTEGER;
