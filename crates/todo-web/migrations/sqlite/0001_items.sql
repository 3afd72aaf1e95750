CREATE TABLE items (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL CHECK (length(text) BETWEEN 1 AND 256),
    done INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL,
    -- What a client that tries again sends again, so that nothing is added twice.
    idempotency_key TEXT UNIQUE
) STRICT;
