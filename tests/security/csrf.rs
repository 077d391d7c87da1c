//! Requests that another site has caused.
