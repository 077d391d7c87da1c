//! The driver: the one place that awaits the store on behalf of a request.

use std::sync::atomic::Ordering;

use crate::data::SessionData;
use crate::error::Error;
use crate::event::Event;
use crate::layer::Shared;
use crate::lifecycle::{Call, Context, Standing, Step};
use crate::seats;
use crate::session::{BoxFuture, Driven, Driver, Inner, Job, World};
use crate::store::Backend;
use crate::time::Timestamp;
use crate::turns::Turn;

impl<T: SessionData, S: Backend> Shared<T, S> {
    /// Awaits the store, for a machine that does not. It is the caller's turn.
    pub(crate) async fn run(
        &self,
        inner: &Inner<T>,
        job: Job,
        turn: &mut Turn,
    ) -> Result<Driven, Error> {
        let mut step = {
            let mut machine = inner.machine();
            match job {
                // Nothing is judged before the record is there: any time will do.
                Job::Load => machine.start_load(&self.context(job, inner, inner.arrived)),
                Job::Commit | Job::Finish => {
                    machine.start_commit(&self.context(job, inner, self.clock.now()))
                }
                Job::Attempt { first } => {
                    machine.start_attempt(first, &self.context(job, inner, self.clock.now()))
                }
            }
        };
        loop {
            step = match step {
                Ok(Step::Done) => return Ok(Driven::Done),
                Ok(Step::Again) => return Ok(Driven::Again),
                Ok(Step::Call(call)) => {
                    let asked = self.store.perform(&call, &inner.slot, self.surroundings());
                    let answer = self.turns.ask(turn, &call, asked).await;
                    let cx = self.context(job, inner, self.clock.now());
                    let mut machine = inner.machine();
                    let step = machine.answer(answer, &cx);
                    if let Some(header) = inner.slot.take_written() {
                        machine.hand_out_instead(header);
                    }
                    step
                }
                Ok(Step::Seat(seating)) => {
                    let now = self.clock.now();
                    let world = seats::World {
                        now,
                        remember_ended: self.policy.remember_ended,
                        observer: &*self.observer,
                        step: self.step(now),
                    };
                    // In a box: it is rare, and all other requests would carry its size.
                    let seated = turn.during(Box::pin(self.store.seat(&seating, world))).await;
                    inner.machine().seated(seated)
                }
                Err(error) => {
                    let key = {
                        let mut machine = inner.machine();
                        machine.failed();
                        machine.key()
                    };
                    self.observer.event(&Event::Failed { key, error: &error });
                    return Err(error);
                }
            };
        }
    }

    /// Judges the session by what the store has now. It is the caller's turn.
    pub(crate) async fn look(&self, inner: &Inner<T>) -> Result<Standing, Error> {
        let key = match inner.machine().key_to_check() {
            Ok(key) => key,
            Err(verdict) => return Ok(Standing { verdict, expires_at: None }),
        };
        let call = Call::Load { key };
        let answer = self.store.perform(&call, &inner.slot, self.surroundings()).await;
        let standing = {
            let cx = self.context(Job::Load, inner, self.clock.now());
            inner.machine().check(answer, &cx)
        };
        if let Err(error) = &standing {
            self.observer.event(&Event::Failed { key: Some(key), error });
        }
        standing
    }

    pub(crate) fn context(&self, job: Job, inner: &Inner<T>, now: Timestamp) -> Context<'_> {
        Context {
            now,
            arrived: inner.arrived,
            policy: &self.policy,
            entropy: &*self.entropy,
            observer: &*self.observer,
            finishing: job == Job::Finish,
            step: match job {
                // It makes no revision, and all threads share the counter.
                Job::Load => 0,
                Job::Commit | Job::Finish | Job::Attempt { .. } => self.step(now),
            },
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

    /// By how much the next revision grows.
    fn step(&self, now: Timestamp) -> u32 {
        // Two layers, and two runs of one program, must not go in step; for that the
        // time and a counter, well mixed, do. It is no secret.
        let count = self.steps.fetch_add(1, Ordering::Relaxed);
        let here = std::ptr::from_ref(self).addr() as u64;
        let mixed = mix(count ^ mix(now.as_millis().cast_unsigned()) ^ mix(here));
        (mixed >> 32) as u32
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
        Box::pin(self.run(inner, job, turn))
    }

    fn check<'a>(&'a self, inner: &'a Inner<T>) -> BoxFuture<'a, Result<Standing, Error>> {
        Box::pin(self.look(inner))
    }

    fn world(&self) -> World<'_> {
        self.surroundings()
    }

    fn load_now(&self, inner: &Inner<T>) -> bool {
        let mut machine = inner.machine();
        machine.is_loaded()
            || machine.has_no_candidate()
                && matches!(
                    machine.start_load(&self.context(Job::Load, inner, inner.arrived)),
                    Ok(Step::Done)
                )
    }
}
