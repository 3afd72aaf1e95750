-- Incremented by each change, so that a client cannot overwrite a change that it has not seen.
ALTER TABLE items ADD COLUMN version INTEGER NOT NULL DEFAULT 1;
-- Text of the request that added the item: the same key with another text is an error.
ALTER TABLE items ADD COLUMN idempotency_text TEXT;
