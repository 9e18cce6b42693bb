-- Tools: what was called on the way to a reply.

PRAGMA user_version = 3;

-- JSON, a list of calls with what came of them; NULL where there were none.
ALTER TABLE messages ADD COLUMN tool_calls TEXT;

-- Found again when something is forgotten that a call may quote.
CREATE INDEX messages_tools ON messages (account_id, ord) WHERE tool_calls IS NOT NULL;

-- The calls of a running turn, beside its text in `turn_parts`, so that a crash does not lose them.
CREATE TABLE turn_calls (
    turn_id    BLOB NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    n          INTEGER NOT NULL CHECK (n >= 0),
    account_id INTEGER NOT NULL,
    -- JSON; without an outcome while the tool is at work.
    call       TEXT NOT NULL,
    -- Something it quotes, or may quote, was forgotten meanwhile: nothing of its words is kept any more.
    emptied    INTEGER NOT NULL DEFAULT 0 CHECK (emptied IN (0, 1)),
    PRIMARY KEY (turn_id, n)
) STRICT, WITHOUT ROWID;
