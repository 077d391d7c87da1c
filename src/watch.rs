//! Being told that a session has ended.
//!
//! Who waits asks the store by itself, through its own session; what is here only says when.
//! So nothing here can be wrong about a session: the worst is a look that was not needed, or one
//! that comes with the next round.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::data::SessionData;
use crate::event::{Event, Observer};
use crate::id::SessionKey;
use crate::session::Session;
use crate::store::{self, Change, Changes};
use crate::time::Timestamp;
use crate::verdict::Verdict;

/// Tells sockets and streams when to look whether their session has ended.
///
/// Make one for a layer, and clones of it are the same one. It learns of what happens in three
/// ways, of which the application gives it as many as it can:
///
/// | what | sees | how late |
/// | --- | --- | --- |
/// | [`SessionLayer::observer`](crate::SessionLayer::observer) with a clone of it | what the layers that have it end, and the ids that they change | not at all |
/// | [`follow`](Self::follow) with the source of changes of Redis or PostgreSQL | what any machine changes | as the engine tells |
/// | [`check_every`](Self::check_every) with an interval | everything, expiry too, on every store | the interval at most |
///
/// In a handler, [`watch`](Self::watch) makes a [`Watcher`] of the request's session, and its
/// [`ended`](Watcher::ended) is a future that is ready when the session is over. It costs no store
/// call until there is something to look at; one `load` then. There is no task but those two, which
/// the application spawns, for any number of watchers.
///
/// ```
/// use std::time::Duration;
/// use typed_session::store::MemoryStore;
/// use typed_session::{EndReason, Session, SessionData, SessionLayer, Verdict, Watch};
///
/// # #[derive(Default, serde::Deserialize, serde::Serialize)]
/// # struct Chat { user: u64 }
/// # impl SessionData for Chat {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let watch = Watch::new();
/// let sessions = SessionLayer::<Chat, _>::new(MemoryStore::new()).observer(watch.clone());
/// tokio::spawn(watch.clone().check_every(Duration::from_secs(5), tokio::time::sleep));
///
/// # let exchange = sessions.open([]);
/// # let session = exchange.session().await.unwrap();
/// # session.update(|chat| chat.user = 7);
/// # let outcome = exchange.finish().await;
/// // In the handler of a socket:
/// let mut watcher = watch.watch(&session);
/// let socket = tokio::spawn(async move { watcher.ended().await });
///
/// // Elsewhere:
/// # let key = session.key().unwrap();
/// sessions.end(&key, EndReason::Revoked).await.unwrap();
/// assert_eq!(socket.await.unwrap(), Verdict::Ended(EndReason::Revoked));
/// # }
/// ```
///
/// # Security
///
/// OWASP ASVS 5.0, 4.4.3 and 4.4.4. Without [`check_every`](Self::check_every) expiry is not noticed,
/// and neither is what other machines do, unless a source is followed.
#[derive(Clone, Default)]
pub struct Watch(Arc<Hub>);

#[derive(Default)]
struct Hub {
    /// By key, and then by a number of each watcher's own.
    places: Mutex<BTreeMap<(SessionKey, u64), Arc<Place>>>,
    numbers: AtomicU64,
    /// How many turns [`Watch::check_every`] has done.
    turns: AtomicU64,
    /// How long one takes; 0 if nobody has begun.
    turn_millis: AtomicU64,
    /// How many sources are followed.
    sources: AtomicUsize,
}

/// Where a watcher waits.
struct Place {
    waker: AtomicWaker,
    /// There is something to look at.
    called: AtomicBool,
    /// The turn at which there is, because the session's deadline has passed by then.
    due: AtomicU64,
}

/// Into so many turns an interval is divided, lest all watchers look at once.
const TURNS: u64 = 16;

/// So many times less often is looked at everything where a source is followed.
const FOLLOWED: u64 = 60;

impl Place {
    fn call(&self) {
        // In this order: who is woken finds the call.
        self.called.store(true, Ordering::SeqCst);
        self.waker.wake();
    }
}

impl Hub {
    fn places(&self) -> MutexGuard<'_, BTreeMap<(SessionKey, u64), Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self, key: SessionKey) {
        let range = (key, 0)..=(key, u64::MAX);
        let called: Vec<_> = self.places().range(range).map(|(_, place)| place.clone()).collect();
        // Without the lock: a waker is somebody else's code.
        for place in called {
            place.call();
        }
    }

    fn call_if(&self, is_called: impl Fn(&SessionKey, &Place) -> bool) {
        let places = self.places();
        let called = places.iter().filter(|((key, _), place)| is_called(key, place));
        let called: Vec<_> = called.map(|(_, place)| Arc::clone(place)).collect();
        drop(places);
        for place in called {
            place.call();
        }
    }

    /// One turn of so many that make an interval.
    fn turn(&self) {
        let turn = self.turns.fetch_add(1, Ordering::SeqCst) + 1;
        let followed = self.sources.load(Ordering::SeqCst) > 0;
        let period = if followed { TURNS * FOLLOWED } else { TURNS };
        self.call_if(|key, place| {
            // Keys are hashes, so their turns are spread evenly.
            let [.., high, low] = *key.as_bytes();
            turn % period == u64::from(u16::from_be_bytes([high, low])) % period
                || turn >= place.due.load(Ordering::SeqCst)
        });
    }

    /// The turn at which this time will have passed.
    fn turn_after(&self, time: Duration) -> u64 {
        let now = self.turns.load(Ordering::SeqCst);
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let turns = millis.checked_div(self.turn_millis.load(Ordering::SeqCst)).unwrap_or(0);
        now.saturating_add(turns).saturating_add(1)
    }
}

impl Watch {
    /// Makes one without any watchers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a watcher of a session. It costs no store call.
    pub fn watch<T: SessionData>(&self, session: &Session<T>) -> Watcher<T> {
        Watcher {
            session: session.clone(),
            hub: Arc::clone(&self.0),
            seat: None,
            look: true,
            verdict: None,
        }
    }

    /// Returns how many watchers wait, or have waited and are still there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.places().len()
    }

    /// Tells whether nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lets every watcher look once in this time, for ever.
    ///
    /// It is the delay, at most, with which a watcher learns of an end elsewhere or of expiry, and
    /// costs one `load` for each watcher and interval; five seconds is a good one. While a source
    /// is [followed](Self::follow), all look 60 times more seldom, for the case that it has gone
    /// without a word, and also when their session is about to expire, as in time as ever.
    ///
    /// Spawn the future on whatever runtime there is; it needs to be told how to sleep there.
    /// Dropping it stops it.
    pub async fn check_every<F>(self, interval: Duration, mut sleep: impl FnMut(Duration) -> F)
    where
        F: Future<Output = ()>,
    {
        let turn = (interval / TURNS as u32).max(Duration::from_millis(1));
        let millis = u64::try_from(turn.as_millis()).unwrap_or(u64::MAX);
        self.0.turn_millis.store(millis, Ordering::SeqCst);
        loop {
            sleep(turn).await;
            self.0.turn();
        }
    }

    /// Lets watchers look when the engine tells that their session has changed.
    ///
    /// The sources are `RedisStore::changes` and `PostgresStore::changes`. Spawn it, and call it
    /// again, with a new source, after it has returned; meanwhile
    /// [`check_every`](Self::check_every) does the work. At the beginning and at the end all
    /// watchers look, as changes may have been missed before and will be missed after. It returns
    /// why the source came to its end.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use typed_session::{Watch, store::Changes};
    /// async fn keep_following<C: Changes>(watch: Watch, connect: impl AsyncFn() -> C) {
    ///     loop {
    ///         let error = watch.follow(connect().await).await;
    ///         eprintln!("changes are not followed: {error}"); // and wait a while
    ///     }
    /// }
    /// ```
    pub async fn follow(&self, mut changes: impl Changes) -> store::Error {
        let _following = Following::begin(&self.0);
        loop {
            match changes.next().await {
                Ok(Change::Key(key)) => self.0.call(key),
                Ok(Change::Missed) => self.0.call_if(|_, _| true),
                Err(error) => return error,
            }
        }
    }
}

/// As long as a source is followed; also if the future that does is dropped.
struct Following<'a>(&'a Hub);

impl<'a> Following<'a> {
    fn begin(hub: &'a Hub) -> Self {
        hub.sources.fetch_add(1, Ordering::SeqCst);
        hub.call_if(|_, _| true);
        Self(hub)
    }
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        self.0.sources.fetch_sub(1, Ordering::SeqCst);
        self.0.call_if(|_, _| true);
    }
}

/// Hears of what the layer does.
impl Observer for Watch {
    fn event(&self, event: &Event<'_>) {
        if let Event::Ended { key, .. } | Event::Rotated { key, .. } = event {
            self.0.call(*key);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Waits for the end of a session, for as long as it is kept.
///
/// See [`Watch`]. When it is dropped, nothing of it is left.
#[must_use = "it tells nothing unless it is asked"]
pub struct Watcher<T> {
    session: Session<T>,
    hub: Arc<Hub>,
    seat: Option<Seat>,
    /// There is something to look at, and nobody has come to an end with it.
    look: bool,
    verdict: Option<Verdict>,
}

/// A place among those of a key.
struct Seat {
    hub: Arc<Hub>,
    at: (SessionKey, u64),
    place: Arc<Place>,
}

impl Seat {
    fn take(hub: &Arc<Hub>, key: SessionKey) -> Self {
        let at = (key, hub.numbers.fetch_add(1, Ordering::Relaxed));
        let place = Arc::new(Place {
            waker: AtomicWaker::new(),
            called: AtomicBool::new(false),
            due: AtomicU64::new(u64::MAX),
        });
        hub.places().insert(at, Arc::clone(&place));
        Self { hub: Arc::clone(hub), at, place }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.places().remove(&self.at);
    }
}

impl<T: SessionData> Watcher<T> {
    /// Waits until the session is over, and returns why it is.
    ///
    /// Over is every verdict of [`Session::check`] but [`Resumed`](Verdict::Resumed): also
    /// [`Superseded`](Verdict::Superseded), where the session goes on under another id. At first it
    /// looks by itself, so an end that came before is not missed. If the request had no session,
    /// it is ready at once.
    ///
    /// A store that fails is no end: that is an [event](Event::Failed), and after an interval of
    /// [`Watch::check_every`] it looks again. The future may be dropped and the method called again,
    /// as `select!` does, without missing anything and without a store call of its own.
    pub async fn ended(&mut self) -> Verdict {
        loop {
            if let Some(verdict) = self.verdict {
                return verdict;
            }
            // Invariant: first the place, then the look, then the wait. What happens after the
            // look began finds the place and calls.
            self.sit();
            self.called().await;
            let looked = self.session.standing().await;
            self.look = false;
            match looked {
                Ok(standing) if standing.verdict == Verdict::Resumed => {
                    self.look_again_at(standing.expires_at);
                }
                Ok(standing) => {
                    self.verdict = Some(standing.verdict);
                    self.seat = None;
                }
                Err(_) => self.look_again_after(None),
            }
        }
    }

    /// Takes a place under the key that the session has now.
    fn sit(&mut self) {
        let key = self.session.key_to_check();
        if self.seat.as_ref().map(|seat| seat.at.0) != key {
            self.seat = key.map(|key| Seat::take(&self.hub, key));
            self.look = true;
        }
    }

    /// Waits until there is something to look at.
    async fn called(&mut self) {
        let Self { seat: Some(seat), look, .. } = self else { return };
        poll_fn(|context| {
            seat.place.waker.register(context.waker());
            *look |= seat.place.called.swap(false, Ordering::SeqCst);
            if *look { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn look_again_at(&self, deadline: Option<Timestamp>) {
        self.look_again_after(deadline.map(|deadline| deadline.since(self.session.now())));
    }

    /// Or after an interval, if it is not said when.
    fn look_again_after(&self, time: Option<Duration>) {
        let Some(seat) = &self.seat else { return };
        let due = match time {
            Some(time) => self.hub.turn_after(time),
            None => self.hub.turns.load(Ordering::SeqCst).saturating_add(TURNS),
        };
        seat.place.due.store(due, Ordering::SeqCst);
    }
}

impl<T> fmt::Debug for Watcher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("verdict", &self.verdict).finish_non_exhaustive()
    }
}
