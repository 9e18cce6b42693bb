DROP TABLE spent_tokens;

PRAGMA user_version = 15;
