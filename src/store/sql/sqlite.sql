CREATE TABLE IF NOT EXISTS "typed_sessions" (
    key        BLOB    NOT NULL PRIMARY KEY,
    revision   INTEGER NOT NULL,
    subject    BLOB,
    expires_at INTEGER NOT NULL, -- milliseconds since 1970
    body       BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS "typed_sessions_expires_at" ON "typed_sessions" (expires_at);
CREATE INDEX IF NOT EXISTS "typed_sessions_subject" ON "typed_sessions" (subject, key)
    WHERE subject IS NOT NULL;
