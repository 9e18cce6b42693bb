-- Calls that wait for the owner's word, citations, tokens of turns without a reply. Ids and times as in the first
-- migration.

PRAGMA user_version = 8;

-- JSON, the places of a reply that point at sources; NULL where there are none.
ALTER TABLE messages ADD COLUMN citations TEXT;

-- Found again when something is forgotten that a citation may quote.
CREATE INDEX messages_cited ON messages (account_id, ord) WHERE citations IS NOT NULL;

-- Tokens of a turn that ended without a reply to carry them.
ALTER TABLE turns ADD COLUMN tokens INTEGER CHECK (tokens >= 0);

CREATE INDEX turns_tokens ON turns (account_id, ended_at) WHERE tokens IS NOT NULL;

-- What the owner wants to be asked about in a project.
ALTER TABLE projects ADD COLUMN approvals TEXT NOT NULL DEFAULT 'outside' CHECK (approvals IN ('outside', 'writes'));

CREATE TABLE approvals (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    id          BLOB NOT NULL CHECK (length(id) = 16),
    session_id  TEXT NOT NULL,
    turn_id     BLOB NOT NULL REFERENCES turns (id) ON DELETE CASCADE,
    -- The turn's reply, stored or not.
    reply_id    BLOB NOT NULL CHECK (length(reply_id) = 16),
    -- The owner's message the turn answers.
    message_id  BLOB,
    project_id  BLOB,
    call_id     BLOB NOT NULL CHECK (length(call_id) = 16),
    -- JSON, with the whole arguments; with an outcome once the call has one.
    call        TEXT NOT NULL,
    reason      TEXT NOT NULL CHECK (reason IN ('untrusted', 'final', 'writes')),
    -- Whether the turn itself had read strangers' words.
    untrusted   INTEGER NOT NULL CHECK (untrusted IN (0, 1)),
    -- The owner's time zone then.
    zone        TEXT,
    status      TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'void')),
    -- Something it quotes was forgotten meanwhile: nothing of its words is kept any more.
    emptied     INTEGER NOT NULL DEFAULT 0 CHECK (emptied IN (0, 1)),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    answered_at INTEGER,
    UNIQUE (account_id, id)
) STRICT;

CREATE INDEX approvals_turn ON approvals (turn_id, call_id);
CREATE INDEX approvals_expiry ON approvals (account_id, expires_at);
