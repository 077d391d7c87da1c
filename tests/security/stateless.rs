//! Sessions that live in their cookie alone.
