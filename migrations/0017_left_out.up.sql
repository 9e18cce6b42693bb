-- What of its own conversation a prompt had no room for: the oldest messages, and the oldest notes on what came before them.

PRAGMA user_version = 17;

ALTER TABLE receipts ADD COLUMN left_out_messages INTEGER NOT NULL DEFAULT 0 CHECK (left_out_messages >= 0);
ALTER TABLE receipts ADD COLUMN left_out_notes INTEGER NOT NULL DEFAULT 0 CHECK (left_out_notes >= 0);
