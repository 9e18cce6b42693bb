-- Where a running turn's reply points at sources, so that a crash does not lose it.

PRAGMA user_version = 11;

-- JSON, as in `messages.citations`; NULL where the piece has none.
ALTER TABLE turn_parts ADD COLUMN citations TEXT;
