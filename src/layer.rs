//! The layer: the store and the configuration.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::codec::Encoding;
use crate::cookie::CookiePolicy;
use crate::data::SessionData;
use crate::entropy::{Entropy, SystemEntropy};
use crate::event::{Event, Observer};
use crate::exchange::Exchange;
use crate::id_form::IdForm;
use crate::keys::KeyRing;
use crate::lifecycle::{Policy, Rotation};
use crate::lifetime::Lifetime;
use crate::request::RequestHead;
use crate::session::Inner;
use crate::store::{Backend, Store};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::transport::Transport;

/// Sessions with data of type `T`, kept in a store of type `S`.
///
/// It is the middleware of every framework that an adapter exists for, and
/// [`open`](Self::open) is all that is needed without one. It is made of a store
/// and good defaults; each setter changes one of them, and the layer is valid
/// after each.
///
/// | setting | default | why |
/// | --- | --- | --- |
/// | [`transport`](Self::transport) | a cookie | it is what browsers keep, out of reach of scripts |
/// | [`cookie`](Self::cookie) | `__Host-session; Secure; HttpOnly; SameSite=Lax; Path=/` | no other host can set it and no script can read it |
/// | [`id_form`](Self::id_form) | unsigned | an id is 256 random bits; keys are one more thing to keep and to lose |
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
    pub(crate) store: Arc<S>,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) steps: Arc<AtomicU64>,
    data: PhantomData<fn() -> T>,
}

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Makes a layer that keeps its sessions in `store`.
    ///
    /// # Security
    ///
    /// A store, or a table of one, is for one layer and one type of data, on any
    /// number of machines. An id does not say which layer made it, unless it is
    /// [signed](Self::sign_ids).
    #[must_use]
    pub fn new(store: S) -> Self {
        Self::of(store)
    }

    /// Sets how ids are written: as they are, signed, or encrypted; and which forms are accepted.
    #[must_use]
    pub fn id_form(mut self, form: IdForm) -> Self {
        self.policy().id_form = form;
        self
    }

    /// Signs ids with the newest of these keys, and accepts those that any of them has signed; short
    /// for the [`id_form`](Self::id_form) of that name.
    #[must_use]
    pub fn sign_ids(self, keys: KeyRing) -> Self {
        self.id_form(IdForm::signed(keys))
    }

    /// Lets the ids of sessions with a subject change now and then.
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.policy().rotation = Some(rotation);
        self
    }
}

impl<T: SessionData, S: Backend> SessionLayer<T, S> {
    pub(crate) fn of(store: S) -> Self {
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

    /// Sets the cookie's name and attributes; short for the
    /// [`transport`](Self::transport) of that policy.
    #[must_use]
    pub fn cookie(self, cookie: CookiePolicy) -> Self {
        self.transport(Transport::cookie(cookie))
    }

    /// Sets how ids travel: in a cookie, as a `Bearer` token, or in a header of
    /// their own. Ids that come in any other way are not looked at.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.policy().transport = transport;
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

    pub(crate) fn policy(&mut self) -> &mut Policy {
        &mut self.settings().policy
    }

    pub(crate) fn settings(&mut self) -> &mut Shared<T, S> {
        Arc::make_mut(&mut self.shared)
    }

    /// Returns the name, in lower case, of the request header whose values
    /// [`open`](Self::open) is to be given.
    #[must_use]
    pub fn request_header(&self) -> &str {
        self.shared.policy.transport.request_header()
    }

    /// Opens a request's session, by what an adapter shows of the request.
    ///
    /// It costs no store call. If the exchange is [refused](Exchange::refused), no handler may be
    /// called.
    pub fn receive(&self, request: &impl RequestHead) -> Exchange<T, S> {
        self.open(request.fields(self.request_header()))
    }

    /// Opens a request's session, by the values of its fields of the name
    /// [`request_header`](Self::request_header), which is `cookie` if no other
    /// [`Transport`] is set.
    ///
    /// It costs no store call. All the fields are wanted, if there are several: of
    /// `Cookie` they are one list; in the other headers each holds one id, and of a
    /// list with commas, as a proxy may make of them, none is taken.
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
    pub fn open<'h>(&self, values: impl IntoIterator<Item = &'h [u8]>) -> Exchange<T, S> {
        let Shared { store, policy, .. } = &*self.shared;
        let (candidates, slot) = store.open(policy, values.into_iter());
        let driver: Arc<Shared<T, S>> = Arc::clone(&self.shared);
        let inner = Inner::new(candidates, slot, self.shared.clock.now(), driver);
        Exchange { inner: Arc::new(inner), shared: Arc::clone(&self.shared) }
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
