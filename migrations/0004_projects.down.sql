DROP INDEX memories_project;
DROP INDEX messages_project;
DROP INDEX sessions_project;
DROP TRIGGER artifact_versions_after_message_delete;
DROP TRIGGER artifact_versions_after_delete;
-- What was in a project stays, outside of any.
UPDATE memories SET project_id = NULL WHERE project_id IS NOT NULL;
UPDATE messages SET project_id = NULL WHERE project_id IS NOT NULL;
UPDATE sessions SET project_id = NULL WHERE project_id IS NOT NULL;
DROP TABLE artifact_versions;
DROP TABLE artifact_blobs;
DROP TABLE artifacts;
DROP TABLE projects;
PRAGMA user_version = 3;
