-- Tokens that no reply and no turn carries: those of notes and of vectors. They count against the day's budget.

PRAGMA user_version = 16;

-- Added up by quarters of an hour since 1970, which the day begins with in every time zone. Those of days gone by go.
CREATE TABLE spent_tokens (
    account_id INTEGER NOT NULL REFERENCES accounts (id),
    quarter    INTEGER NOT NULL,
    tokens     INTEGER NOT NULL CHECK (tokens >= 0),
    PRIMARY KEY (account_id, quarter)
) STRICT, WITHOUT ROWID;
