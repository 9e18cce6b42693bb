-- Several databases may use one Qdrant server, and a server outlives a database: each has collections of its own, by a
-- name it gets with its first space, the same in all its spaces. Databases that were in Qdrant before have none, and go on
-- with the collections they have.

PRAGMA user_version = 18;

ALTER TABLE spaces ADD COLUMN instance TEXT NOT NULL DEFAULT '';
UPDATE spaces SET instance = (SELECT lower(hex(randomblob(4))))
 WHERE NOT EXISTS (SELECT 1 FROM spaces WHERE place <> 'embedded');
