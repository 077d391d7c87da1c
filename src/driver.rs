//! The driver: the one place that awaits the store on behalf of a request.

use std::cell::Cell;
use std::pin::pin;
use std::sync::{Arc, MutexGuard};
use std::task::{Poll, Waker};

use crate::data::SessionData;
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::Error;
use crate::event::Event;
use crate::exchange::Outcome;
use crate::layer::Shared;
use crate::lifecycle::{Call, Context, Machine, Standing, Step};
use crate::seats;
use crate::session::{BoxFuture, Driven, Driver, Inner, Job, Visit, World};
use crate::store::Backend;
use crate::time::Timestamp;
use crate::turns::Turn;

/// The way to a request's machine, for a moment at a time.
pub(crate) trait Reach<T> {
    /// Never across an `await`.
    fn machine(&mut self) -> impl AsMut<Machine<T>>;
}

/// It is locked for each moment.
impl<T> Reach<T> for &Inner<T> {
    fn machine(&mut self) -> impl AsMut<Machine<T>> {
        Locked(Inner::machine(self))
    }
}

/// It is one's own.
impl<T> Reach<T> for &mut Machine<T> {
    fn machine(&mut self) -> impl AsMut<Machine<T>> {
        Own(self)
    }
}

struct Locked<'a, T>(MutexGuard<'a, Machine<T>>);

impl<T> AsMut<Machine<T>> for Locked<'_, T> {
    fn as_mut(&mut self) -> &mut Machine<T> {
        &mut self.0
    }
}

struct Own<'a, T>(&'a mut Machine<T>);

impl<T> AsMut<Machine<T>> for Own<'_, T> {
    fn as_mut(&mut self) -> &mut Machine<T> {
        self.0
    }
}

impl<T: SessionData, S: Backend> Shared<T, S> {
    /// Awaits the store, for a machine that does not. It is the caller's turn.
    async fn run(
        &self,
        mut reach: impl Reach<T>,
        visit: &Visit,
        job: Job,
        mut now: Timestamp,
        turn: &mut Turn,
    ) -> Result<Driven, Error> {
        let mut step = {
            let cx = self.context(job, visit, now);
            let mut machine = reach.machine();
            let machine = machine.as_mut();
            match job {
                Job::Load => machine.start_load(&cx),
                Job::Commit | Job::Finish => machine.start_commit(&cx),
                Job::Attempt { first } => machine.start_attempt(first, &cx),
            }
        };
        loop {
            step = match step {
                Ok(Step::Done) => return Ok(Driven::Done),
                Ok(Step::Again) => return Ok(Driven::Again),
                Ok(Step::Call(call)) => {
                    let asked = self.store.perform(&call, &visit.slot, self.surroundings());
                    let answer = if S::AT_ONCE {
                        // Nor is there anybody to wait for, and to try again costs little.
                        asked.await
                    } else {
                        let answer = self.turns.ask(turn, &call, asked).await;
                        now = self.clock.now();
                        answer
                    };
                    let cx = self.context(job, visit, now);
                    let mut machine = reach.machine();
                    let step = machine.as_mut().answer(answer, &cx);
                    if let Some(header) = visit.slot.take_written() {
                        machine.as_mut().hand_out_instead(header);
                    }
                    step
                }
                Ok(Step::Seat(seating)) => {
                    let now = self.clock.now();
                    let world = seats::World {
                        now,
                        remember_ended: self.policy.remember_ended,
                        observer: &*self.observer,
                        step: step_of(now),
                    };
                    // In a box: it is rare, and all other requests would carry its size.
                    let seated = turn.during(Box::pin(self.store.seat(&seating, world))).await;
                    reach.machine().as_mut().seated(seated)
                }
                Err(error) => {
                    let key = {
                        let mut machine = reach.machine();
                        machine.as_mut().failed();
                        machine.as_mut().key()
                    };
                    self.observer.event(&Event::Failed { key, error: &error });
                    return Err(error);
                }
            };
        }
    }

    /// Does the job without a wait, if the store is one that answers at once.
    ///
    /// Nothing is lost if it waits all the same: what it was asked is then asked again, as after a
    /// future that was dropped.
    fn run_at_once(
        &self,
        machine: &mut Machine<T>,
        visit: &Visit,
        job: Job,
        now: Timestamp,
    ) -> Option<Result<Driven, Error>> {
        if !S::AT_ONCE {
            return None;
        }
        let mut turn = Turn::None;
        let run = pin!(self.run(machine, visit, job, now, &mut turn));
        match run.poll(&mut std::task::Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    /// Judges the session by what the store has now. It is the caller's turn.
    pub(crate) async fn look(&self, inner: &Inner<T>) -> Result<Standing, Error> {
        let key = match inner.machine().key_to_check() {
            Ok(key) => key,
            Err(verdict) => return Ok(Standing { verdict, expires_at: None }),
        };
        let call = Call::Load { key };
        let answer = self.store.perform(&call, &inner.visit.slot, self.surroundings()).await;
        let standing = {
            let cx = self.context(Job::Load, &inner.visit, self.clock.now());
            inner.machine().check(answer, &cx)
        };
        if let Err(error) = &standing {
            self.observer.event(&Event::Failed { key: Some(key), error });
        }
        standing
    }

    pub(crate) fn context(&self, job: Job, visit: &Visit, now: Timestamp) -> Context<'_> {
        Context {
            now,
            arrived: visit.arrived.unwrap_or(now),
            policy: &self.policy,
            entropy: &*self.entropy,
            observer: &*self.observer,
            finishing: job == Job::Finish,
            step: match job {
                // It makes no revision.
                Job::Load => 0,
                Job::Commit | Job::Finish | Job::Attempt { .. } => step_of(now),
            },
            default: &self.default,
        }
    }

    fn surroundings(&self) -> World<'_> {
        World {
            policy: &self.policy,
            clock: &*self.clock,
            entropy: &*self.entropy,
            observer: &*self.observer,
        }
    }
}

/// By how much the next revision grows.
///
/// No two writers may go in step, or one would take the other's record for its own. For that a
/// counter that starts at random in each thread, and the time, well mixed, do. It is no secret.
fn step_of(now: Timestamp) -> u32 {
    thread_local!(static COUNT: Cell<u64> = Cell::new(seed()));
    let count = COUNT.get().wrapping_add(1);
    COUNT.set(count);
    (mix(count ^ mix(now.as_millis().cast_unsigned())) >> 32) as u32
}

fn seed() -> u64 {
    let mut bytes = [0; 8];
    match SystemEntropy.fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // No id can be made then, so there is little to write.
        Err(_) => std::ptr::from_ref(&bytes).addr() as u64,
    }
}

/// A bijection that spreads every bit over all (the finalizer of SplitMix64).
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl<T: SessionData, S: Backend> Driver<T> for Shared<T, S> {
    fn drive<'a>(
        &'a self,
        inner: &'a Inner<T>,
        job: Job,
        turn: &'a mut Turn,
    ) -> BoxFuture<'a, Result<Driven, Error>> {
        Box::pin(self.run(inner, &inner.visit, job, self.clock.now(), turn))
    }

    fn check<'a>(&'a self, inner: &'a Inner<T>) -> BoxFuture<'a, Result<Standing, Error>> {
        Box::pin(self.look(inner))
    }

    fn world(&self) -> World<'_> {
        self.surroundings()
    }

    fn load_at_once(
        &self,
        machine: &mut Machine<T>,
        visit: &Visit,
    ) -> Option<Result<Driven, Error>> {
        if machine.is_loaded() {
            return Some(Ok(Driven::Done));
        }
        if machine.has_no_candidate() {
            // Nothing is judged, so any time will do.
            let cx = self.context(Job::Load, visit, Timestamp::default());
            return match machine.start_load(&cx) {
                Ok(Step::Done) => Some(Ok(Driven::Done)),
                _ => None,
            };
        }
        // Another handle may be waiting for the answer, if the store waits all the same.
        if !S::AT_ONCE || machine.is_asking() {
            return None;
        }
        self.run_at_once(machine, visit, Job::Load, self.clock.now())
    }

    fn finish_at_once(&self, machine: &mut Machine<T>, visit: &Visit) -> Option<Outcome> {
        let error = if machine.is_loaded() {
            let now = self.clock.now();
            if machine.is_settled(now, &self.policy) {
                None
            } else {
                self.run_at_once(machine, visit, Job::Finish, now)?.err()
            }
        } else {
            None
        };
        Some(Outcome { effects: machine.take_effects(), error })
    }

    fn finish(self: Arc<Self>, inner: Arc<Inner<T>>) -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            let _turn = inner.turn.lock().await;
            let (now, turn) = (self.clock.now(), &mut Turn::None);
            let error = self.run(&*inner, &inner.visit, Job::Finish, now, turn).await.err();
            Outcome { effects: inner.machine().take_effects(), error }
        })
    }
}
