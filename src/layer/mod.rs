//! The layer: the store and the configuration.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

pub use self::settings::ClearSiteData;
use crate::client::{ClientInfo, Peer};
use crate::data::SessionData;
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::Rejection;
use crate::event::{Event, Observer};
use crate::exchange::Exchange;
use crate::lifecycle::{DefaultData, Policy};
use crate::policy::Declared;
use crate::request::{RequestHead, navigates};
use crate::session::{Inner, Visit};
use crate::store::{Backend, Store};
use crate::time::{Clock, SystemClock, Timestamp};
use crate::turns::Turns;

mod settings;

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
/// | [`check_origin`](Self::check_origin) | a change by another site's request is refused | no browser of today is refused by mistake, and `SameSite` alone does not tell subdomains apart |
/// | [`rotation`](Self::rotation) | off | the id changes at login anyway |
/// | [`require_consent`](Self::require_consent) | not required | whether a visitor must be asked is a question of law, and of what is stored |
/// | [`client_info`](Self::client_info) | off | it is personal data |
/// | [`max_sessions`](Self::max_sessions) | off | how many there may be is the application's affair |
/// | [`encoding`](Self::encoding) | JSON | readable, and a new field needs no migration |
/// | [`login_page`](Self::login_page) | none: 401 | a program understands it, and a browser needs a page of yours |
///
/// Clones share the store and what was set before they were made.
pub struct SessionLayer<T, S> {
    pub(crate) shared: Arc<Shared<T, S>>,
}

pub(crate) struct Shared<T, S> {
    pub(crate) store: Arc<S>,
    pub(crate) policy: Policy,
    pub(crate) declared: Declared,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) default: DefaultData,
    pub(crate) turns: Arc<Turns>,
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
}

impl<T: SessionData, S: Backend> SessionLayer<T, S> {
    pub(crate) fn of(store: S) -> Self {
        Self {
            shared: Arc::new(Shared {
                store: Arc::new(store),
                policy: Policy::default(),
                declared: Declared::default(),
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                observer: Arc::new(()),
                default: DefaultData::default(),
                turns: Arc::default(),
                data: PhantomData,
            }),
        }
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

    /// Returns the name, in lower case, of the request header whose values
    /// [`open`](Self::open) is to be given.
    #[must_use]
    pub fn request_header(&self) -> &str {
        self.shared.policy.transport.request_header()
    }

    /// Opens a request's session, by what an adapter shows of the request.
    ///
    /// It costs no store call. If the exchange is [rejected](Exchange::rejection), no handler may be
    /// called: another site has caused the request, by the [`OriginCheck`](crate::csrf::OriginCheck).
    /// The ids of such a request are not even read.
    pub fn receive(&self, request: &impl RequestHead) -> Exchange<T, S> {
        let policy = &self.shared.policy;
        // First, so that what is refused costs no look at its ids: to read one may take a hash or a
        // decryption.
        if policy.transport.is_ambient()
            && let Err(why) = policy.origin_check.judge(request)
        {
            self.event(&Event::CrossOrigin { why });
            let inner = self.opened([], None, false);
            return Exchange::new(inner, Some(Box::new(Rejection::CrossOrigin(why))));
        }
        let navigates = policy.pages.are_any() && navigates(request);
        let client = policy.client.map(|policy| {
            let client = ClientInfo::new(request.fields("user-agent").next().unwrap_or_default());
            match (policy.peer, request.peer()) {
                (Peer::Kept, Some(peer)) => client.at(peer),
                (Peer::Kept, None) | (Peer::Ignored, _) => client,
            }
        });
        let fields = request.fields(self.request_header());
        Exchange::new(self.opened(fields, client, navigates), None)
    }

    /// Opens a request's session, by the values of its fields of the name
    /// [`request_header`](Self::request_header), which is `cookie` if no other
    /// [`Transport`](crate::Transport) is set.
    ///
    /// It knows nothing else of the request, so it cannot tell whether another site has caused it:
    /// [`receive`](Self::receive) can.
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
    ///
    /// Of the request itself it knows nothing, so what a [`Guard`](crate::Guard) refuses is never
    /// sent to a page: see [`receive`](Self::receive).
    pub fn open<'h>(&self, values: impl IntoIterator<Item = &'h [u8]>) -> Exchange<T, S> {
        Exchange::new(self.opened(values, None, false), None)
    }

    fn opened<'h>(
        &self,
        values: impl IntoIterator<Item = &'h [u8]>,
        client: Option<ClientInfo>,
        navigates: bool,
    ) -> Arc<Inner<T>> {
        let Shared { store, policy, .. } = &*self.shared;
        let (candidates, slot) = store.open(policy, values.into_iter());
        let driver: Arc<Shared<T, S>> = Arc::clone(&self.shared);
        // Not for nothing: to read the clock takes longer than all the rest here.
        let arrived = policy.rotation.map(|_| self.now());
        let visit = Visit { arrived, navigates, slot };
        Inner::new(candidates, client, visit, driver)
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
            declared: self.declared.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            observer: Arc::clone(&self.observer),
            default: DefaultData::default(),
            turns: Arc::clone(&self.turns),
            data: PhantomData,
        }
    }
}

impl<T, S> fmt::Debug for SessionLayer<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("policy", &self.shared.policy).finish_non_exhaustive()
    }
}
