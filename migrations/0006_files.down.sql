DROP TRIGGER provider_files_after_file_delete;
DROP TABLE provider_files;
DROP TRIGGER files_after_message_delete;
-- Not by deleting its rows: the bytes stay where they are.
DROP TRIGGER files_after_insert;
DROP TRIGGER files_after_delete;
DROP TABLE file_leftovers;
DROP TABLE message_files;
DROP TABLE files;
PRAGMA user_version = 5;
