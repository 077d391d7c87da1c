//! The clauses that the core itself answers for.
