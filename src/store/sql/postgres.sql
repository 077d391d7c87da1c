CREATE TABLE IF NOT EXISTS "typed_sessions" (
    key        bytea  NOT NULL PRIMARY KEY,
    revision   bigint NOT NULL,
    subject    bytea,
    expires_at bigint NOT NULL, -- milliseconds since 1970
    body       bytea  NOT NULL
);
CREATE INDEX IF NOT EXISTS "typed_sessions_expires_at" ON "typed_sessions" (expires_at);
CREATE INDEX IF NOT EXISTS "typed_sessions_subject" ON "typed_sessions" (subject, key)
    WHERE subject IS NOT NULL;
