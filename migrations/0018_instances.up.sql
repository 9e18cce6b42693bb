-- Several databases may use one Qdrant server, and a server outlives a database: each has collections of its own, by a
-- name it gets with its first space. Databases from before have none, and go on with the collections they have.

PRAGMA user_version = 18;

ALTER TABLE spaces ADD COLUMN instance TEXT NOT NULL DEFAULT '';
