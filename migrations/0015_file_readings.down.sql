DROP INDEX files_tried;

DELETE FROM file_chunks WHERE n >> 32 <>
    (SELECT f.reading FROM files f WHERE f.account_id = file_chunks.account_id AND f.id = file_chunks.file_id);
DELETE FROM file_pages WHERE n >> 32 <>
    (SELECT f.reading FROM files f WHERE f.account_id = file_pages.account_id AND f.id = file_pages.file_id);
UPDATE file_chunks SET n = n & 0xffffffff WHERE n >> 32 > 0;
UPDATE file_pages SET n = n & 0xffffffff WHERE n >> 32 > 0;

ALTER TABLE files DROP COLUMN tried;
ALTER TABLE files DROP COLUMN staged;
ALTER TABLE files DROP COLUMN reading;

PRAGMA user_version = 14;
