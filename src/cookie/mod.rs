//! The cookie header and `Set-Cookie`.
