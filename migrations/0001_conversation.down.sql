DROP TRIGGER messages_after_update;
DROP TRIGGER messages_after_delete;
DROP TRIGGER messages_after_insert;
DROP TABLE messages_grams;
DROP TABLE messages_fts;
DROP TABLE used_codes;
DROP TABLE logins;
DROP TABLE moods;
DROP TABLE turn_parts;
DROP TABLE turns;
DROP TABLE messages;
DROP TABLE sessions;
DROP TABLE mira_state;
DROP TABLE accounts;

PRAGMA user_version = 0;
PRAGMA application_id = 0;
