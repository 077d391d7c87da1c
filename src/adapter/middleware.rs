//! What the layer makes of a service, where frameworks keep no more of it than that.

use crate::layer::SessionLayer;

/// An actix-web or ntex service with sessions around it; [`SessionLayer`] makes it.
///
/// It puts a [`PendingSession`](crate::PendingSession) among each request's extensions, and adds
/// what the session needs to the response. The body of an error of its own is a sentence.
#[derive(Debug)]
pub struct SessionMiddleware<T, S, I> {
    pub(super) layer: SessionLayer<T, S>,
    pub(super) inner: I,
}
