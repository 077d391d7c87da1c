//! Sockets that learn of the end of their session.
