ALTER TABLE turn_parts DROP COLUMN citations;
PRAGMA user_version = 10;
