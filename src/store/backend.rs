//! Where a layer keeps its sessions.

use std::future::Future;

use super::{Result, Store};
use crate::candidates::Candidates;
use crate::lifecycle::{Answer, Call, Policy};
use crate::sealed::Slot;
use crate::seats::{self, Seated, Seating};
use crate::session::World;

/// Where a [`SessionLayer`](crate::SessionLayer) keeps its sessions: any [`Store`], or the cookie
/// itself (`Stateless`, with the feature `sealed`).
///
/// It is implemented by this library alone. Adapters, and whoever else is generic over the
/// layer, ask for it; who ends sessions from outside, asks for a [`Store`].
#[expect(private_bounds, reason = "how a layer asks its store is its own business")]
pub trait Backend: Perform {}

impl<S: Store> Backend for S {}

/// What the driver asks for.
pub(crate) trait Perform: Send + Sync + 'static {
    /// See [`Store::ANSWERS_AT_ONCE`].
    const AT_ONCE: bool;

    /// Reads the ids among the values of a request's fields, and what else it brings.
    fn open<'h>(
        &self,
        policy: &Policy,
        values: impl Iterator<Item = &'h [u8]>,
    ) -> (Candidates, Slot);

    /// Does what a request's machine asks for.
    fn perform(
        &self,
        call: &Call,
        slot: &Slot,
        world: World<'_>,
    ) -> impl Future<Output = Result<Answer>> + Send;

    /// Takes a seat for a login, where a subject may have so many sessions and no more.
    fn seat(
        &self,
        ask: &Seating,
        world: seats::World<'_>,
    ) -> impl Future<Output = Result<Seated>> + Send;
}

impl<S: Store> Perform for S {
    const AT_ONCE: bool = S::ANSWERS_AT_ONCE;

    fn open<'h>(
        &self,
        policy: &Policy,
        values: impl Iterator<Item = &'h [u8]>,
    ) -> (Candidates, Slot) {
        (policy.candidates(values), Slot::empty())
    }

    fn perform(
        &self,
        call: &Call,
        _: &Slot,
        _: World<'_>,
    ) -> impl Future<Output = Result<Answer>> + Send {
        call.perform(self)
    }

    fn seat(
        &self,
        ask: &Seating,
        world: seats::World<'_>,
    ) -> impl Future<Output = Result<Seated>> + Send {
        seats::take(self, ask, world)
    }
}
