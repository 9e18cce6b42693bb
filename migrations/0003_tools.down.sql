DROP TABLE turn_calls;
DROP INDEX messages_tools;
ALTER TABLE messages DROP COLUMN tool_calls;
PRAGMA user_version = 2;
