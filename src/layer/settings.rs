//! What can be set: one method each, and the layer is valid after each.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use crate::client::ClientPolicy;
use crate::codec::Encoding;
use crate::cookie::CookiePolicy;
use crate::csrf::OriginCheck;
use crate::data::SessionData;
use crate::entropy::{Entropy, SystemEntropy};
use crate::event::Observer;
use crate::id_form::IdForm;
use crate::keys::KeyRing;
use crate::layer::{SessionLayer, Shared};
use crate::lifecycle::{DefaultData, Policy, Rotation};
use crate::lifetime::Lifetime;
use crate::refusal::in_url;
use crate::seats::{Limit, OnLimit};
use crate::store::{Backend, Store};
use crate::time::Clock;
use crate::transport::Transport;

impl<T: SessionData, S: Store> SessionLayer<T, S> {
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

    /// Lets a subject have so many sessions at once, at least one, and no more (OWASP ASVS 5.0,
    /// 7.1.2).
    ///
    /// It holds at every instant, also for logins at the same time: each takes one of so many
    /// seats before its session is stored. It costs a login a few store calls, and nothing else
    /// anything. All layers on a store must say the same; a lower number takes effect at the next
    /// login. If a login dies half way, its seat is free after a minute.
    ///
    /// Two logins at the same moment may displace each other; who is displaced before the session
    /// is stored gets a 409, [`Error::Lost`](crate::Error::Lost).
    ///
    /// ```
    /// # use typed_session::{OnLimit, SessionData, SessionLayer, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop {}
    /// # impl SessionData for Shop {}
    /// let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new()).max_sessions(3, OnLimit::EndOldest);
    /// ```
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize, on_limit: OnLimit) -> Self {
        self.policy().limit = Some(Limit { sessions: sessions.max(1), on_limit });
        self
    }

    /// Lets the ids of sessions with a subject change now and then.
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.policy().rotation = Some(rotation);
        self
    }
}

impl<T: SessionData, S: Backend> SessionLayer<T, S> {
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
    /// default, a minute at least. After that it is unknown.
    ///
    /// It should be longer than any request takes: a login that was under way when its user was
    /// logged out everywhere is refused by what is remembered, and by nothing else.
    #[must_use]
    pub fn remember_ended(mut self, time: Duration) -> Self {
        self.policy().remember_ended = time.max(LEAST_REMEMBERED);
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

    /// Sends `Clear-Site-Data` with the response to the request that ends the session (OWASP ASVS 5.0,
    /// 14.3.1): not when it expires, nor when it is ended from elsewhere.
    #[must_use]
    pub fn clear_site_data(mut self, what: ClearSiteData) -> Self {
        self.policy().clear_site_data = Some(what.value());
        self
    }

    /// Sends browsers to this page where a [`Guard`](crate::Guard) wants somebody logged in: 303,
    /// with the page as `Location`. Without it, and for all other clients, the answer is a 401.
    ///
    /// Only a navigation is redirected, that is what a browser would show: the request's
    /// `Sec-Fetch-Mode` is `navigate`, also for a form that is posted; or, without that field, the
    /// method is `GET` or `HEAD` and no `Upgrade` is asked for. A script that fetches data learns
    /// of a 401 and not of a login page in its place. With another [`Transport`] than a cookie
    /// nobody is redirected.
    ///
    /// ```
    /// # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { user: Option<u64> }
    /// # impl SessionData for Shop {}
    /// let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new())
    ///     .login_page("/login")
    ///     .reauthentication_page("/confirm");
    /// ```
    ///
    /// Leave the page itself without a guard, or browsers go round in circles.
    ///
    /// # Security
    ///
    /// It is a path of this site, or the URL of another one that you trust: a constant of the
    /// application's, so that no request can say where it leads to. What cannot stand in a URL is
    /// percent-encoded. Where the user came from is not told to it; a path to go back to must be
    /// checked to be a local one before anybody is sent there.
    #[must_use]
    pub fn login_page(mut self, page: &str) -> Self {
        self.policy().pages.login = Some(in_url(page));
        self
    }

    /// Sends browsers to this page where the user must prove again who they are, as with
    /// [`AuthenticatedWithin`](crate::AuthenticatedWithin). Without it they are sent to the
    /// [`login_page`](Self::login_page), if there is one.
    #[must_use]
    pub fn reauthentication_page(mut self, page: &str) -> Self {
        self.policy().pages.reauthentication = Some(in_url(page));
        self
    }

    /// Sets which origins may cause requests that change something: by default the site itself.
    ///
    /// All others are answered by a 403, whether their handler takes the session or not, cost no store
    /// call, and are an [`Event::CrossOrigin`](crate::Event::CrossOrigin). It is so for ids in a
    /// cookie alone: no browser adds another header by itself.
    #[must_use]
    pub fn check_origin(mut self, check: OriginCheck) -> Self {
        self.policy().origin_check = check;
        self
    }

    /// Stores and sends nothing for a visitor who has not agreed to it: no session is created
    /// before a handler has called [`Session::give_consent`](crate::Session::give_consent).
    ///
    /// For those who may set no cookie before consent. Until then handlers read and change data as
    /// ever; when the request ends it is dropped, which is an
    /// [`Event::Withheld`](crate::Event::Withheld) and no error. What must not be dropped is refused
    /// instead, with [`Error::NoConsent`](crate::Error::NoConsent):
    ///
    /// | without consent | what comes of it |
    /// | --- | --- |
    /// | a change of data, `establish` | dropped at the end of the request |
    /// | a login: data with a subject | 500. A login that is silently none would be worse |
    /// | `commit` or `transact`, if there is something to store | an error, for the handler to see |
    ///
    /// A cookie that a login needs is, in the law of the EU, strictly necessary for a service that
    /// the user has asked for (Directive 2002/58/EC, article 5(3)), and needs no consent. Whether
    /// it is so for yours, you know: if it is, call `give_consent` in the handler of the login.
    ///
    /// A [token](crate::Session::csrf_token) is bound to a session, so before consent no form can
    /// have one that is good; the [check of the origin](Self::check_origin) needs none.
    ///
    /// Sessions that exist are taken for consent given, those too that were made before this was
    /// set. With a session that expires or ends, its consent is gone.
    ///
    /// ```
    /// # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Visits { count: u64 }
    /// # impl SessionData for Visits {}
    /// # futures_executor::block_on(async {
    /// let sessions = SessionLayer::<Visits, _>::new(MemoryStore::new()).require_consent();
    ///
    /// let visit = async |agrees| {
    ///     let exchange = sessions.open([]);
    ///     let session = exchange.session().await?;
    ///     session.update(|visits| visits.count += 1);
    ///     if agrees {
    ///         session.give_consent();
    ///     }
    ///     Ok::<_, typed_session::Error>(exchange.finish().await.effects)
    /// };
    /// assert!(visit(false).await?.set_cookie().is_none());
    /// assert!(visit(true).await?.set_cookie().is_some());
    /// # Ok::<(), typed_session::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn require_consent(mut self) -> Self {
        self.policy().requires_consent = true;
        self
    }

    /// Keeps in each session's record who logged in, or created it: the program's own name for
    /// itself and, if that is asked for, the address.
    ///
    /// Users then know their sessions by it ([`sessions_of`](Self::sessions_of)), and a session
    /// that turns up at another client is an [`Event::ClientChanged`](crate::Event::ClientChanged).
    ///
    /// # Security
    ///
    /// It is personal data, and so it is off by default. It is gone with the session, and from
    /// a session's next write on if this is switched off again.
    #[must_use]
    pub fn client_info(mut self, policy: ClientPolicy) -> Self {
        self.policy().client = Some(policy);
        self
    }

    /// Sets how new data is written. Old data is read as what it is.
    #[must_use]
    pub fn encoding(mut self, encoding: Encoding) -> Self {
        let settings = self.settings();
        settings.policy.encoding = encoding;
        settings.default = DefaultData::default();
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
    pub fn dangerous_entropy<E: Entropy>(mut self, entropy: E) -> Self {
        self.settings().declared.own_entropy = TypeId::of::<E>() != TypeId::of::<SystemEntropy>();
        self.settings().entropy = Arc::new(entropy);
        self
    }

    /// Sets who is told what happens; a pair of observers is one.
    #[must_use]
    pub fn observer<O: Observer>(mut self, observer: O) -> Self {
        self.settings().declared.is_observed = TypeId::of::<O>() != TypeId::of::<()>();
        self.settings().observer = Arc::new(observer);
        self
    }

    pub(crate) fn policy(&mut self) -> &mut Policy {
        &mut self.settings().policy
    }

    pub(crate) fn settings(&mut self) -> &mut Shared<T, S> {
        Arc::make_mut(&mut self.shared)
    }
}

/// Less could be over before a login that is under way.
const LEAST_REMEMBERED: Duration = Duration::from_secs(60);

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
