DROP TRIGGER proposals_after_message_delete;
DROP TABLE proposals;
-- Not by deleting its rows: the folders of the clones stay where they are.
DROP TRIGGER repos_after_delete;
DROP TABLE repo_leftovers;
DROP TABLE repos;
PRAGMA user_version = 4;
