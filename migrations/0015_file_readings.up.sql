-- Each text of a file knows the reader that made it, so that what an older one made is made anew beside it.

PRAGMA user_version = 15;

-- In the upper half (n >> 32) of the number of each page and piece stands its reader. Of those of one file there are found
-- the ones of this reader,
ALTER TABLE files ADD COLUMN reading INTEGER NOT NULL DEFAULT 0 CHECK (reading >= 0);
-- while those of this one are whole and take their place as soon as they have their vectors. 0 for none.
ALTER TABLE files ADD COLUMN staged INTEGER NOT NULL DEFAULT 0 CHECK (staged >= 0);
-- The last reader that was tried, whatever came of it.
ALTER TABLE files ADD COLUMN tried INTEGER NOT NULL DEFAULT 0 CHECK (tried >= 0);

-- Of a file that is found it is how often the next reader was tried.
UPDATE files SET tries = 0, retry_at = NULL WHERE status = 'ready';

CREATE INDEX files_tried ON files (tried) WHERE status = 'ready';
