ALTER TABLE receipts DROP COLUMN left_out_notes;
ALTER TABLE receipts DROP COLUMN left_out_messages;

PRAGMA user_version = 16;
