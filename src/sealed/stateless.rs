//! Sessions that live in their cookie alone.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use super::slot::{Session, Slot};
use super::token::{self, Opened};
use crate::candidates::Candidates;
use crate::data::SessionData;
use crate::effects::IdHeader;
use crate::envelope::{Envelope, tombstone};
use crate::error::Error;
use crate::id_form::{Read, SubKeys};
use crate::keys::KeyRing;
use crate::layer::SessionLayer;
use crate::lifecycle::{Answer, Call, Held, Policy};
use crate::lifetime::CookieLifetime;
use crate::record::Record;
use crate::seats::{self, Seated, Seating};
use crate::session::World;
use crate::store::{self, Backend, ErrorKind, Inserted, Perform, Recalled, Replaced};
use crate::subject::Subject;
use crate::time::Timestamp;
use crate::verdict::EndReason;

/// No store: the whole session is in the cookie, encrypted.
///
/// [`SessionLayer::stateless`] makes a layer of it. The cookie holds what a store would: the id, both
/// limits, the login's time, the data. A request's session is opened from it, judged and changed by the
/// same rules as any other, and if it changed, the response carries the next cookie. It costs no
/// store call, on any number of machines that have the same keys.
///
/// It is no [`Store`](crate::store::Store), so what such a layer cannot do does not compile: to end
/// a session from outside, to list those of a user, timed rotation, signed ids.
///
/// | use it | use a store |
/// | --- | --- |
/// | for a language, a theme, the name to greet | for what must be gone after a logout |
/// | for a basket before the login, that few requests change | for what parallel requests change, for counters, for what is good once |
/// | where there is nowhere to keep anything | where users see their devices and end one |
/// | for kilobytes | for more |
///
/// # Security
///
/// What it does. A cookie is XChaCha20-Poly1305 under a sub-key of the ring, and nothing of it is
/// used before its tag is verified (OWASP ASVS 5.0, 9.1.1). There is one algorithm, and a cookie cannot ask
/// for another (9.1.2); the keys are those of the ring (9.1.3). Both limits are inside and checked by the
/// server's clock (9.2.1). That it is a session, and the name of the cookie or header, are authenticated
/// (9.2.2, 9.2.3), so two layers that share a ring need two names. What an older key of the ring has written is
/// accepted and written anew. Nobody can read what is in the cookie, its holder included; how long it is, all can see.
///
/// What it cannot do, and no self-contained token can:
///
/// - **An end is a request to the browser.** The cookie is removed there. A copy, stolen or saved, is
///   good until its limits: an hour idle, and after a touch the next copy an hour more, 24 hours in all
///   by default. With [`not_before`](SessionLayer::not_before) all copies of all sessions of one user can be ended at once
///   (7.4.1); one session alone cannot.
/// - **An old id is not dead.** At a login the client gets a new cookie, and the one from before
///   still opens what it held: the session without the login.
/// - **Parallel requests overwrite each other.** The last `Set-Cookie` wins, as a whole; the other change is lost, and nobody is
///   told. An answer that was under way may even bring back the cookie of before a login or a
///   logout. [`transact`](crate::Session::transact) sees what its own request brought and nothing newer.
/// - **A socket knows the cookie of its handshake alone.** [`check`](crate::Session::check) and [`Watch`](crate::Watch) see that
///   copy's limits and `not_before`, and neither a logout nor later use. ASVS 4.4.4 needs a store.
/// - **It can be put back.** The holder of two cookies may send the older one: never keep in it what must not
///   be had twice, such as a used coupon or failed attempts.
/// - **It is small.** Name and value have 4096 octets together (RFC 6265bis, section 5.6; 3.3.5), which is about 2900
///   bytes of data. More is an error of kind [`TooLarge`](crate::store::ErrorKind::TooLarge) before any header is sent; the client keeps
///   the cookie that it has.
/// - **A lost key opens and writes every session.** Losing it from the ring logs everybody out.
///
/// # Example
///
/// ```
/// use typed_session::{KeyRing, SessionData, SessionLayer};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Visitor { language: String }
/// # impl SessionData for Visitor {}
/// # let config = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
///
/// let keys = KeyRing::from_text(config)?; // or KeyRing::from_env("SESSION_KEYS")?
/// let sessions = SessionLayer::<Visitor, _>::stateless(keys);
/// # futures_executor::block_on(async {
/// let exchange = sessions.open([]);
/// exchange.session().await?.update(|visitor| visitor.language = "sv".to_owned());
/// let cookie = exchange.finish().await.effects.set_cookie().unwrap().to_owned();
///
/// // The next request, on any machine with the same keys:
/// let cookie = cookie.split(';').next().unwrap();
/// let session = sessions.open([cookie.as_bytes()]).session().await?;
/// assert_eq!(session.read(|visitor| visitor.language.clone()), "sv");
/// # Ok::<(), typed_session::Error>(())
/// # }).unwrap();
/// # Ok::<(), typed_session::KeyError>(())
/// ```
///
/// What it has no words for, it does not compile:
///
/// ```compile_fail,E0599
/// # use typed_session::{EndReason, SessionData, SessionKey, SessionLayer, Stateless};
/// # fn with<T: SessionData>(sessions: SessionLayer<T, Stateless>, key: SessionKey) {
/// let _ = sessions.end(&key, EndReason::Revoked); // there is nothing to end
/// # }
/// ```
#[derive(Clone)]
pub struct Stateless {
    keys: SubKeys,
    not_before: Option<Arc<dyn Check>>,
}

/// Shows the ids of the keys.
impl fmt::Debug for Stateless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateless").field("keys", &self.keys).finish_non_exhaustive()
    }
}

impl<T: SessionData> SessionLayer<T, Stateless> {
    /// Makes a layer without a store, whose sessions travel as a whole in their cookie, encrypted
    /// by the newest of these keys.
    ///
    /// With another [`transport`](Self::transport), in its header. See [`Stateless`] for what that
    /// is good for, and for what not.
    #[must_use]
    pub fn stateless(keys: KeyRing) -> Self {
        let mut layer = Self::of(Stateless { keys: token::sub_keys(&keys), not_before: None });
        layer.settings().declared.is_stateless = true;
        layer
    }

    /// Asks, for each session with a subject that a request shows, from when on that subject's
    /// logins count; earlier ones are [ended](crate::Verdict::Ended).
    ///
    /// It is what makes "log out everywhere" true without a store of sessions: the application keeps one
    /// time for each user, and sets it to now when the user logs out everywhere, changes the password or
    /// is locked out (OWASP ASVS 5.0, 7.4.1 to 7.4.3). A layer has one check; the last one
    /// that is set counts.
    #[must_use]
    pub fn not_before(mut self, check: impl NotBefore) -> Self {
        let settings = self.settings();
        let keys = settings.store.keys.clone();
        settings.store = Arc::new(Stateless { keys, not_before: Some(Arc::new(check)) });
        settings.declared.asks_not_before = true;
        self
    }
}

/// From when on the logins of a subject count: what an application keeps for each user where
/// sessions are [`Stateless`].
///
/// It is asked once a request, of sessions with a subject alone, after the cookie was verified. So it
/// costs what a store's `load` does, and a table of one time a user is smaller than one of
/// sessions.
///
/// # Security
///
/// A login counts if it is as new as the time or newer. Set the time by the clock of the machine that
/// handles the logout, and remember that clocks differ: a login that happened elsewhere in the
/// same second may count or not. Forget a time no earlier than the absolute limit after it.
///
/// # Example
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::RwLock;
/// use typed_session::{NotBefore, Subject, Timestamp, store};
///
/// /// In earnest, a table.
/// #[derive(Default)]
/// struct Logouts(RwLock<HashMap<Subject, Timestamp>>);
///
/// impl NotBefore for Logouts {
///     async fn not_before(&self, subject: &Subject) -> store::Result<Option<Timestamp>> {
///         let times = self.0.read().map_err(|_| store::ErrorKind::Other)?;
///         Ok(times.get(subject).copied())
///     }
/// }
/// ```
pub trait NotBefore: Send + Sync + 'static {
    /// Returns the time before which no login of this subject counts, or `None` if all do.
    ///
    /// # Errors
    ///
    /// If it cannot be told: the request is then answered as in an outage of a store, by a 503, and
    /// the client keeps its cookie.
    fn not_before(
        &self,
        subject: &Subject,
    ) -> impl Future<Output = store::Result<Option<Timestamp>>> + Send;
}

/// [`NotBefore`], callable through `dyn`.
#[async_trait]
trait Check: Send + Sync {
    async fn time_of(&self, subject: &Subject) -> store::Result<Option<Timestamp>>;
}

#[async_trait]
impl<N: NotBefore> Check for N {
    async fn time_of(&self, subject: &Subject) -> store::Result<Option<Timestamp>> {
        self.not_before(subject).await
    }
}

impl Backend for Stateless {}

impl Perform for Stateless {
    /// It may ask the application's [`NotBefore`].
    const AT_ONCE: bool = false;

    fn open<'h>(
        &self,
        policy: &Policy,
        values: impl Iterator<Item = &'h [u8]>,
    ) -> (Candidates, Slot) {
        let slot = Slot::empty();
        let scope = policy.transport.scope();
        let candidates = policy.transport.candidates_by(values, |text| {
            match token::read(&self.keys, text, scope) {
                Opened::Session(id, record, age) => {
                    slot.put(id.clone(), record);
                    Read::Id(id, age)
                }
                Opened::Unverified => Read::Unverified,
                Opened::Malformed => Read::Malformed,
            }
        });
        (candidates, slot)
    }

    async fn perform(&self, call: &Call, slot: &Slot, world: World<'_>) -> store::Result<Answer> {
        let conflict = |there| Ok(Answer::Replaced(Replaced::Conflict(there)));
        match call {
            Call::Recall { key } => {
                let record = self.judged(slot.get(key), world).await?;
                Ok(Answer::Recalled(Recalled::Current(record)))
            }
            Call::Load { key } => Ok(Answer::Loaded(self.judged(slot.get(key), world).await?)),
            Call::Insert { held } => {
                let session = session(held);
                let written = self.write(&session, world)?;
                Ok(Answer::Inserted(match slot.insert(session, written) {
                    true => Inserted::Created,
                    false => Inserted::Exists,
                }))
            }
            Call::Replace { held, expected } => {
                let session = session(held);
                let written = self.write(&session, world)?;
                match slot.replace(*expected, session, Some(written)) {
                    Ok(()) => Ok(Answer::Replaced(Replaced::Done)),
                    Err(there) => conflict(there),
                }
            }
            Call::ReplaceByTombstone { key, expected, tombstone } => match slot.get(key) {
                Some(there) if there.record.revision == *expected => {
                    slot.end(key, tombstone);
                    Ok(Answer::Replaced(Replaced::Done))
                }
                there => conflict(there.map(|there| there.record)),
            },
            Call::Touch { key, at, expires_at } => {
                if let Some(there) = slot.get(key)
                    && there.record.revision == *at
                    && there.record.expires_at < *expires_at
                {
                    let session = there.until(*expires_at);
                    let written = self.write(&session, world)?;
                    // Nobody else has it: the request takes turns with itself.
                    let _ = slot.replace(*at, session, Some(written));
                }
                Ok(Answer::Touched)
            }
            Call::End { key, tombstone } => {
                slot.end(key, tombstone);
                Ok(Answer::Ended)
            }
        }
    }

    /// Nobody counts these sessions, and no layer on them has a limit to set.
    async fn seat(&self, _: &Seating, _: seats::World<'_>) -> store::Result<Seated> {
        Ok(Seated::Taken)
    }
}

impl Stateless {
    /// The header that gives the session to the client.
    fn write(&self, session: &Session, world: World<'_>) -> store::Result<IdHeader> {
        let Session { id, record, .. } = session;
        let transport = &world.policy.transport;
        let scope = transport.scope();
        let text = token::write(&self.keys, id, record, scope, world.entropy).map_err(failed)?;
        let octets = scope.name.len() + text.len();
        if octets > token::LONGEST {
            return Err(store::Error::new(ErrorKind::TooLarge, TooLong { octets }));
        }
        let max_age = match Envelope::decode(&record.body) {
            Some(Envelope::Live(live)) if live.cookie == CookieLifetime::Persistent => {
                Some(record.expires_at.since(world.clock.now()))
            }
            _ => None,
        };
        transport
            .hand_out_text(&text, max_age)
            .map_err(|error| store::Error::new(ErrorKind::Other, error))
    }

    /// The session's record, or a tombstone if its subject's logins do not count any more.
    async fn judged(
        &self,
        session: Option<Session>,
        world: World<'_>,
    ) -> store::Result<Option<Record>> {
        let Some(Session { record, .. }) = session else { return Ok(None) };
        let (Some(check), Some(subject)) = (&self.not_before, &record.subject) else {
            return Ok(Some(record));
        };
        let Some(Envelope::Live(live)) = Envelope::decode(&record.body) else {
            return Ok(Some(record));
        };
        let counts = check.time_of(subject).await?.is_none_or(|time| live.anchor() >= time);
        Ok(Some(if counts {
            record
        } else {
            let remember = world.policy.remember_ended;
            tombstone(EndReason::Revoked, world.clock.now(), remember)
        }))
    }
}

fn session(held: &Held) -> Session {
    Session { id: held.id.clone(), key: held.key, record: held.record.clone() }
}

/// The session does not fit into a cookie (RFC 6265bis, section 5.6).
#[derive(Debug, thiserror::Error)]
#[error(
    "the session takes {octets} octets with its name, and browsers keep 4096; put less into it, or use a store"
)]
struct TooLong {
    octets: usize,
}

/// No session is written without its keys or its nonce: an outage.
fn failed(error: Error) -> store::Error {
    store::Error::new(ErrorKind::Unavailable, error)
}
