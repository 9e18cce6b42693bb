DROP TABLE approvals;
ALTER TABLE projects DROP COLUMN approvals;
DROP INDEX turns_tokens;
ALTER TABLE turns DROP COLUMN tokens;
DROP INDEX messages_cited;
ALTER TABLE messages DROP COLUMN citations;
PRAGMA user_version = 7;
