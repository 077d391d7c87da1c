//! What several requests made of one session, brought together.

mod commit;
