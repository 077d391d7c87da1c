//! Handlers that run only for who is logged in.
