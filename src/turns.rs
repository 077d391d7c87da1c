//! Turns: of the requests of this process that write one session, who is next.
//!
//! Whoever meets a newer record tries again on that, and of many who do so at once one gets
//! through and all others try again: the writes that the store is asked for grow with the square
//! of their number. So after a refusal a request waits for its turn, and whoever has had it
//! leaves the record that it has written for the next. Where nobody is refused, nobody waits.
//!
//! It is good for the number of calls and for nothing else: what is true decides the store's
//! compare-and-swap, on this machine and between machines. A record that was left is something to
//! try on, and no proof of what is stored.
//!
//! Invariant: whoever waits, waits for a task that is being polled, or for the engine's word to
//! one, and never for a task that is not polled. A handler may hold a future and not poll it for
//! as long as it likes. So the turn is not handed to anybody: whoever is polled first takes it.
//! And one whose store call can go on, while nobody polls its task, is soon overtaken.

use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use crate::id::SessionKey;
use crate::lifecycle::{Answer, Call};
use crate::record::{Record, Revision};
use crate::store::{self, Replaced};

/// How often somebody who waits gives way to one who was called and is not polled yet. A runtime
/// polls whom it has called first, or nearly so.
const PATIENCE: u32 = 16;

/// The lines of those who write the same sessions.
#[derive(Default)]
pub(crate) struct Turns {
    /// How many lines there are; to be read without the lock.
    busy: AtomicUsize,
    lines: Mutex<Lines>,
}

#[derive(Default)]
struct Lines {
    /// The last number that was given out. None is given out twice.
    last: u64,
    of: HashMap<SessionKey, Line>,
}

#[derive(Default)]
struct Line {
    /// How many places there are; those of who was overtaken too.
    places: usize,
    waiting: BTreeMap<u64, Waker>,
    turn: Option<Holder>,
    /// What was written last by somebody whose turn it was.
    newest: Option<Record>,
}

struct Holder {
    number: u64,
    /// How often its task was polled.
    polls: u64,
    /// Its task is being polled.
    is_polled: bool,
    /// Its store call can go on, since it was polled last.
    is_called: bool,
}

impl Line {
    fn holder(&mut self, number: u64) -> Option<&mut Holder> {
        self.turn.as_mut().filter(|holder| holder.number == number)
    }

    fn callers(&self) -> Vec<Waker> {
        self.waiting.values().cloned().collect()
    }
}

/// What a request has of a turn.
#[derive(Default)]
pub(crate) enum Turn {
    /// It has met nobody.
    #[default]
    None,
    /// It was refused.
    Wanted,
    Held(Place),
}

impl Turns {
    /// Asks the store, in turn if others write this session too.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        turn: &mut Turn,
        call: &Call,
        asked: impl Future<Output = store::Result<Answer>> + Send,
    ) -> store::Result<Answer> {
        let Some((key, expected)) = call.swap() else { return turn.during(asked).await };
        // In a box: it is rare, and all other requests would carry its size.
        if let Some(newest) = match turn {
            Turn::None if self.busy.load(Ordering::Relaxed) == 0 => None,
            Turn::None | Turn::Wanted | Turn::Held(_) => {
                Box::pin(self.take(turn, key, expected)).await
            }
        } {
            return Ok(Answer::Left(newest));
        }
        let answer = turn.during(asked).await;
        match (&answer, &turn) {
            (Ok(Answer::Replaced(Replaced::Conflict(Some(there)))), Turn::None)
                if there.revision != Revision::ENDED =>
            {
                *turn = Turn::Wanted;
            }
            (Ok(Answer::Replaced(Replaced::Conflict(_))), Turn::Held(place)) => place.0.forget(),
            (Ok(Answer::Replaced(Replaced::Done)), Turn::Held(place)) => {
                place.0.leave(call);
                *turn = Turn::None;
            }
            _ => {}
        }
        answer
    }

    /// Waits for the turn, and says what is newer by then than what was expected.
    async fn take(
        self: &Arc<Self>,
        turn: &mut Turn,
        key: &SessionKey,
        expected: Revision,
    ) -> Option<Record> {
        let place = match &*turn {
            Turn::Held(place) if place.0.key == *key && place.0.is_held() => None,
            Turn::None => self.place(key, Who::Joins),
            Turn::Wanted | Turn::Held(_) => self.place(key, Who::Begins),
        };
        if let Some(place) = place {
            *turn = Turn::Wanted;
            let mut patience = Patience::default();
            poll_fn(|context| place.0.poll(&mut patience, context)).await;
            *turn = Turn::Held(place);
        }
        match turn {
            Turn::Held(place) => place.0.newer(expected),
            Turn::None | Turn::Wanted => None,
        }
    }

    fn place(self: &Arc<Self>, key: &SessionKey, who: Who) -> Option<Place> {
        let mut lines = self.lock();
        match who {
            Who::Joins if !lines.of.contains_key(key) => return None,
            Who::Joins | Who::Begins => {}
        }
        lines.last += 1;
        let number = lines.last;
        lines.of.entry(*key).or_default().places += 1;
        self.busy.store(lines.of.len(), Ordering::Relaxed);
        let (turns, key, task) = (Arc::clone(self), *key, AtomicWaker::new());
        Some(Place(Arc::new(Spot { turns, key, number, task })))
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who asks for a place.
#[derive(Clone, Copy)]
enum Who {
    /// Who was refused, and begins a line where there is none.
    Begins,
    /// Who was not, and joins a line that is there.
    Joins,
}

impl Turn {
    pub(crate) async fn during<T>(&self, asked: impl Future<Output = T>) -> T {
        let mut asked = pin!(asked);
        match self {
            Self::None | Self::Wanted => asked.await,
            Self::Held(place) => {
                let waker = Waker::from(Arc::clone(&place.0));
                poll_fn(|context| place.0.during(asked.as_mut(), &waker, context)).await
            }
        }
    }
}

/// With one who was called and is not polled.
#[derive(Default)]
struct Patience {
    /// Whom, and after which poll.
    with: (u64, u64),
    tries: u32,
}

impl Patience {
    fn bears(&mut self, holder: &Holder) -> bool {
        let with = (holder.number, holder.polls);
        if self.with != with {
            *self = Self { with, tries: 0 };
        }
        self.tries += 1;
        self.tries <= PATIENCE
    }
}

/// A place in a line, which is left when this is dropped.
pub(crate) struct Place(Arc<Spot>);

impl Drop for Place {
    fn drop(&mut self) {
        let Spot { turns, key, number, .. } = &*self.0;
        let mut lines = turns.lock();
        let Some(line) = lines.of.get_mut(key) else { return };
        line.places -= 1;
        let gone = line.waiting.remove(number);
        let mut callers = Vec::new();
        if line.holder(*number).is_some() {
            line.turn = None;
            callers = line.callers();
        }
        if line.places == 0 {
            lines.of.remove(key);
            turns.busy.store(lines.of.len(), Ordering::Relaxed);
        }
        drop((lines, gone));
        callers.into_iter().for_each(Waker::wake);
    }
}

/// What there is of a place while somebody may still call its task.
struct Spot {
    turns: Arc<Turns>,
    key: SessionKey,
    number: u64,
    /// The task, while the store is asked.
    task: AtomicWaker,
}

impl Spot {
    /// Takes the turn, if it is free.
    fn poll(&self, patience: &mut Patience, context: &Context<'_>) -> Poll<()> {
        let waker = context.waker();
        let mut lines = self.turns.lock();
        let Some(line) = lines.of.get_mut(&self.key) else { return Poll::Ready(()) };
        let gives_way = match &line.turn {
            Some(holder) if holder.is_polled || !holder.is_called => false,
            Some(holder) if patience.bears(holder) => true,
            Some(_) | None => {
                let gone = line.waiting.remove(&self.number);
                line.turn = Some(Holder {
                    number: self.number,
                    polls: 0,
                    is_polled: true,
                    is_called: false,
                });
                drop((lines, gone));
                return Poll::Ready(());
            }
        };
        let known = line.waiting.get(&self.number).is_some_and(|known| known.will_wake(waker));
        let gone = if known { None } else { line.waiting.insert(self.number, waker.clone()) };
        // Without the lock: a waker may be all that there is of a task, and whatever it is called
        // for may be done on the spot.
        drop((lines, gone));
        if gives_way {
            waker.wake_by_ref();
        }
        Poll::Pending
    }

    fn is_held(&self) -> bool {
        self.turns
            .lock()
            .of
            .get_mut(&self.key)
            .is_some_and(|line| line.holder(self.number).is_some())
    }

    fn newer(&self, expected: Revision) -> Option<Record> {
        let lines = self.turns.lock();
        let newest = lines.of.get(&self.key)?.newest.as_ref()?;
        (newest.revision > expected).then(|| newest.clone())
    }

    /// Leaves what was written to the next, if there is one.
    fn leave(&self, call: &Call) {
        let Some(record) = call.written() else { return };
        let mut lines = self.turns.lock();
        if let Some(line) = lines.of.get_mut(&self.key)
            && line.places > 1
        {
            line.newest = Some(record.clone());
        }
    }

    /// Forgets what was left: the store, which may have been set back, has said otherwise.
    fn forget(&self) {
        if let Some(line) = self.turns.lock().of.get_mut(&self.key) {
            line.newest = None;
        }
    }

    /// Polls a store call, and notes whether it can go on.
    fn during<F: Future>(
        &self,
        asked: Pin<&mut F>,
        waker: &Waker,
        context: &Context<'_>,
    ) -> Poll<F::Output> {
        self.task.register(context.waker());
        self.note(|holder| {
            holder.polls += 1;
            holder.is_polled = true;
            holder.is_called = false;
        });
        let polled = asked.poll(&mut Context::from_waker(waker));
        if polled.is_pending() {
            self.note(|holder| holder.is_polled = false);
        }
        polled
    }

    /// Changes what is known of who has the turn, if that is this one, and tells the others if
    /// it can be overtaken now.
    fn note(&self, change: impl FnOnce(&mut Holder)) {
        let callers = {
            let mut lines = self.turns.lock();
            let Some(line) = lines.of.get_mut(&self.key) else { return };
            let Some(holder) = line.holder(self.number) else { return };
            change(holder);
            if holder.is_polled || !holder.is_called { Vec::new() } else { line.callers() }
        };
        callers.into_iter().for_each(Waker::wake);
    }
}

/// The engine's word to who has the turn.
impl Wake for Spot {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // First the one who is meant, who is polled first then.
        self.task.wake();
        self.note(|holder| holder.is_called = true);
    }
}
