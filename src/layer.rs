//! The layer: the configuration, and the one driver that awaits the store.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::codec::Encoding;
use crate::cookie::CookiePolicy;
use crate::data::SessionData;
use crate::effects::Effects;
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::lifecycle::{Candidates, Context, Policy, Rotation, Step};
use crate::lifetime::Lifetime;
use crate::session::{BoxFuture, Driven, Driver, Inner, Job, PendingSession, Session};
use crate::store::Store;
use crate::time::{Clock, SystemClock, Timestamp};

/// Sessions with data of type `T`, kept in a store of type `S`.
///
/// It is the middleware of every framework that an adapter exists for, and
/// [`open`](Self::open) is all that is needed without one. It is made of a store
/// and good defaults; each setter changes one of them, and the layer is valid
/// after each.
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | [`cookie`](Self::cookie) | `__Host-session; Secure; HttpOnly; SameSite=Lax; Path=/` | no other host can set it and no script can read it |
/// | [`lifetime`](Self::lifetime) | idle 1 hour, absolute 24 hours, gone with the browser | NIST SP 800-63B-4 at AAL2 |
/// | [`touch_every`](Self::touch_every) | 1 minute | a session that is only read costs one write a minute at most |
/// | [`rotation`](Self::rotation) | off | the id changes at login anyway |
/// | [`encoding`](Self::encoding) | JSON | readable, and a new field needs no migration |
///
/// Clones share the store and what was set before they were made.
pub struct SessionLayer<T, S> {
    pub(crate) shared: Arc<Shared<T, S>>,
}

pub(crate) struct Shared<T, S> {
    store: Arc<S>,
    policy: Policy,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
    steps: Arc<AtomicU64>,
    data: PhantomData<fn() -> T>,
}

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Makes a layer that keeps its sessions in `store`.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Arc::new(store),
                policy: Policy::default(),
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                observer: Arc::new(()),
                steps: Arc::new(AtomicU64::new(0)),
                data: PhantomData,
            }),
        }
    }

    /// Sets the cookie's name and attributes.
    #[must_use]
    pub fn cookie(mut self, cookie: CookiePolicy) -> Self {
        self.policy().cookie = cookie;
        self
    }

    /// Sets how long sessions live, unless they say otherwise.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.policy().lifetime = lifetime;
        self
    }

    /// Sets how often the idle deadline of a session in use is moved: at most
    /// once in this time, or in a quarter of the idle limit if that is shorter.
    ///
    /// A session may end earlier by this much than its idle limit says.
    #[must_use]
    pub fn touch_every(mut self, interval: Duration) -> Self {
        self.policy().touch_every = interval;
        self
    }

    /// Lets the ids of sessions with a subject change now and then.
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.policy().rotation = Some(rotation);
        self
    }

    /// Sets how long an ended session is remembered as ended: 10 minutes by
    /// default. After that it is unknown, which is as good.
    #[must_use]
    pub fn remember_ended(mut self, time: Duration) -> Self {
        self.policy().remember_ended = time;
        self
    }

    /// Sets how long the ids that a login made void are remembered as superseded:
    /// 2 minutes by default.
    ///
    /// For so long a request that carries one can write nothing, lest its answer
    /// overwrite the new cookie; it should be the longest time that a request of
    /// a browser takes. Of one session at most eight are remembered, the newest.
    #[must_use]
    pub fn remember_superseded(mut self, time: Duration) -> Self {
        self.policy().remember_superseded = time;
        self
    }

    /// Sends `Clear-Site-Data` when a session is ended (OWASP ASVS 5.0, 14.3.1).
    #[must_use]
    pub fn clear_site_data(mut self, what: ClearSiteData) -> Self {
        self.policy().clear_site_data = Some(what.value());
        self
    }

    /// Sets how new data is written. Old data is read as what it is.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        self.policy().encoding = encoding;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings().clock = Arc::new(clock);
        self
    }

    /// Sets the random source of the ids. They are as unguessable as it is.
    #[must_use]
    pub fn dangerous_entropy(mut self, entropy: impl Entropy) -> Self {
        self.settings().entropy = Arc::new(entropy);
        self
    }

    /// Sets who is told what happens; a pair of observers is one.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings().observer = Arc::new(observer);
        self
    }

    /// Returns the store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.shared.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn event(&self, event: &Event<'_>) {
        self.shared.observer.event(event);
    }

    pub(crate) fn remembers_ended(&self) -> Duration {
        self.shared.policy.remember_ended
    }

    fn policy(&mut self) -> &mut Policy {
        &mut self.settings().policy
    }

    fn settings(&mut self) -> &mut Shared<T, S> {
        Arc::make_mut(&mut self.shared)
    }

    /// Opens a request's session, by the values of its `Cookie` fields.
    ///
    /// It costs no store call. Several fields are one list.
    ///
    /// ```
    /// # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Visits { count: u64 }
    /// # impl SessionData for Visits {}
    /// # futures_executor::block_on(async {
    /// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new());
    ///
    /// let exchange = sessions.open([&b"theme=dark"[..]]);
    /// let session = exchange.session().await?;
    /// session.update(|visits| visits.count += 1);
    /// let outcome = exchange.finish().await;
    ///
    /// assert!(outcome.error.is_none());
    /// for header in outcome.effects.headers() {
    ///     println!("{}: {}", header.name, header.value);
    /// }
    /// # assert_eq!(outcome.effects.headers().count(), 3);
    /// # Ok::<(), typed_session::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn open<'h>(&self, cookies: impl IntoIterator<Item = &'h [u8]>) -> Exchange<T, S> {
        let candidates = Candidates::read(cookies, self.shared.policy.cookie.name());
        let driver: Arc<Shared<T, S>> = Arc::clone(&self.shared);
        let inner = Inner::new(candidates, self.shared.clock.now(), driver);
        Exchange { inner: Arc::new(inner), shared: Arc::clone(&self.shared) }
    }
}

/// One request and its response, as far as the session goes.
///
/// Dropped without [`finish`](Self::finish), as in a panic or when the client
/// hangs up, it stores nothing but what a handler has committed by itself.
#[must_use = "what the request changes is stored by `finish`"]
pub struct Exchange<T, S> {
    inner: Arc<Inner<T>>,
    shared: Arc<Shared<T, S>>,
}

/// What a response must carry, and whether it may be sent as it is.
#[derive(Debug)]
#[must_use = "without its effects the client never learns of its session"]
pub struct Outcome {
    /// The headers that the session asks for, also on an error response.
    pub effects: Effects,
    /// Why something that the request did was not kept. The handler's response
    /// must not be sent then, but one of this error's
    /// [`status`](Error::status).
    pub error: Option<Error>,
}

impl<T: SessionData, S: Store> Exchange<T, S> {
    /// Returns the session for handlers to load if they want it.
    #[must_use]
    pub fn pending(&self) -> PendingSession<T> {
        PendingSession(Arc::clone(&self.inner))
    }

    /// Loads the session.
    ///
    /// # Errors
    ///
    /// See [`PendingSession::load`].
    pub async fn session(&self) -> Result<Session<T>, Error> {
        self.pending().load().await
    }

    /// Stores what was changed and returns what the response needs.
    ///
    /// Call it before the headers leave, also for an error response.
    pub async fn finish(self) -> Outcome {
        match self.finish_now() {
            Ok(outcome) => outcome,
            Err(exchange) => exchange.finish_later().await,
        }
    }

    /// Finishes at once, if there is nothing to ask the store; as for every
    /// request that left the session alone or only read it.
    pub(crate) fn finish_now(self) -> Result<Outcome, Self> {
        let Some(turn) = self.inner.turn.try_lock() else { return Err(self) };
        let mut machine = self.inner.machine();
        if !machine.is_settled(|| self.shared.clock.now(), &self.shared.policy) {
            drop((machine, turn));
            return Err(self);
        }
        Ok(Outcome { effects: machine.take_effects(), error: None })
    }

    pub(crate) async fn finish_later(self) -> Outcome {
        let _turn = self.inner.turn.lock().await;
        let error = self.shared.run(&self.inner, Job::Commit).await.err();
        Outcome { effects: self.inner.machine().take_effects(), error }
    }
}

impl<T: SessionData, S: Store> Shared<T, S> {
    /// Awaits the store, for a machine that does not. It is the caller's turn.
    async fn run(&self, inner: &Inner<T>, job: Job) -> Result<Driven, Error> {
        let mut step = {
            let mut machine = inner.machine();
            match job {
                // Nothing is judged before the record is there: any time will do.
                Job::Load => machine.start_load(&self.context(job, inner, inner.arrived)),
                Job::Commit => machine.start_commit(&self.context(job, inner, self.clock.now())),
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
                    let answer = call.perform(&*self.store).await;
                    let cx = self.context(job, inner, self.clock.now());
                    inner.machine().answer(answer, &cx)
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

    fn context(&self, job: Job, inner: &Inner<T>, now: Timestamp) -> Context<'_> {
        Context {
            now,
            arrived: inner.arrived,
            policy: &self.policy,
            entropy: &*self.entropy,
            observer: &*self.observer,
            step: match job {
                // It makes no revision, and all threads share the counter.
                Job::Load => 0,
                Job::Commit | Job::Attempt { .. } => self.step(now),
            },
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

impl<T: SessionData, S: Store> Driver<T> for Shared<T, S> {
    fn drive<'a>(&'a self, inner: &'a Inner<T>, job: Job) -> BoxFuture<'a, Result<Driven, Error>> {
        Box::pin(self.run(inner, job))
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

/// What a browser is told to forget when a session is ended.
///
/// Cookies are not among it: other cookies of the site are none of a session's
/// business, and its own is removed by name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClearSiteData {
    /// Cached responses, so that "back" shows nothing old.
    Cache,
    /// Cached responses, and what scripts have stored.
    CacheAndStorage,
}

impl ClearSiteData {
    const fn value(self) -> &'static str {
        match self {
            Self::Cache => "\"cache\"",
            Self::CacheAndStorage => "\"cache\", \"storage\"",
        }
    }
}

impl<T, S> Clone for SessionLayer<T, S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T, S> Clone for Shared<T, S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            policy: self.policy.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            observer: Arc::clone(&self.observer),
            steps: Arc::clone(&self.steps),
            data: PhantomData,
        }
    }
}

impl<T, S> fmt::Debug for SessionLayer<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("policy", &self.shared.policy).finish_non_exhaustive()
    }
}

impl<T, S> fmt::Debug for Exchange<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(..)")
    }
}
