//! Private cookies and encrypted data.
