CREATE TABLE IF NOT EXISTS `typed_sessions` (
    `key`      BINARY(32) NOT NULL PRIMARY KEY,
    revision   BIGINT     NOT NULL,
    subject    BINARY(32),
    expires_at BIGINT     NOT NULL, -- milliseconds since 1970
    body       LONGBLOB   NOT NULL,
    KEY `typed_sessions_expires_at` (expires_at),
    KEY `typed_sessions_subject` (subject, `key`)
) ENGINE=InnoDB;
