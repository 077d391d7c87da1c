//! Step-up grants: a second check, and what it permits, once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::data::SessionData;
use crate::error::Error;
use crate::session::Session;
use crate::time::Timestamp;

/// Permissions for single operations, each given after a second check and good once.
///
/// It is a field of the session data. [`Session::grant`] puts a permission in when the user has
/// passed the check, and [`Session::use_up`] takes it out when the operation is done
/// (OWASP ASVS 5.0, 7.5.3).
///
/// ```
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use typed_session::{Error, Grants, Session, SessionData, Subject};
///
/// #[derive(Default, Deserialize, Serialize)]
/// #[serde(default)]
/// struct Bank {
///     user: Option<u64>,
///     grants: Grants,
/// }
///
/// impl SessionData for Bank {
///     fn subject(&self) -> Option<Subject> {
///         self.user.map(Subject::from)
///     }
/// }
///
/// /// The user has typed in the code that came by post.
/// async fn code_was_right(session: &Session<Bank>) -> Result<bool, Error> {
///     let two_minutes = Duration::from_secs(120);
///     session.grant("close account 7", two_minutes, |bank| &mut bank.grants).await
/// }
///
/// async fn close(session: &Session<Bank>) -> Result<&'static str, Error> {
///     if session.use_up("close account 7", |bank| &mut bank.grants).await? {
///         Ok("closed")
///     } else {
///         Ok("we have to ask you for a code first")
///     }
/// }
/// # use typed_session::{SessionLayer, store::MemoryStore};
/// # futures_executor::block_on(async {
/// # let sessions = SessionLayer::<Bank, _>::new(MemoryStore::new());
/// # let session = sessions.open([]).session().await.unwrap();
/// # assert!(!code_was_right(&session).await.unwrap());
/// # session.update(|bank| bank.user = Some(42));
/// # assert!(code_was_right(&session).await.unwrap());
/// # assert_eq!(close(&session).await.unwrap(), "closed");
/// # assert_eq!(close(&session).await.unwrap(), "we have to ask you for a code first");
/// # });
/// ```
///
/// A purpose is any text. Put into it what the user was shown, so that a permission for one
/// transfer is none for another. It is kept as a hash, so its length does not matter. Of one
/// session at most eight are kept; one more drops the one that would expire first.
///
/// # Security
///
/// A grant is bound to the session, its subject, and the proof of who that is: after a logout, a
/// login, a switch of the subject or a [`reauthenticate`](Session::reauthenticate) it is void, also
/// if the data is carried over. A client that [must authenticate](Session::authentication_demanded)
/// first can use none. Times are the layer's. Both calls are transactions in the store, so of two
/// requests that use up one grant one alone is told yes; and three-way merge brings none back, as
/// long as nothing else writes the field. It is for one field: do not keep copies.
/// In a stateless session nothing is good once, because its holder can
/// send an older cookie: keep no grants there.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Grants(BTreeMap<String, Grant>);

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Grant {
    /// In milliseconds, as every timestamp.
    until: i64,
    /// The authentication that it stands on.
    bond: String,
}

impl<T: SessionData> Session<T> {
    /// Permits the user to do something once, within a short time: 15 minutes at most, whatever is
    /// asked for.
    ///
    /// Call it when a second check was passed. It is stored at once, with what this request has
    /// changed before. Another grant of this purpose takes the place of the last one. Returns
    /// whether it was given, which it is not without a subject, nor while the user
    /// [must authenticate again](Self::authentication_demanded).
    ///
    /// # Errors
    ///
    /// Those of [`transact`](Self::transact): it was not given, or the answer was lost.
    pub async fn grant(
        &self,
        purpose: &str,
        within: Duration,
        grants: impl Fn(&mut T) -> &mut Grants,
    ) -> Result<bool, Error> {
        let name = digest("typed-session 2026-11-22 purpose of a grant", purpose.as_bytes());
        self.transact(|data| {
            let Some(bond) = self.bond(data) else { return false };
            let now = self.now();
            let until = now.plus(within.min(LONGEST)).as_millis();
            grants(data).insert(name.clone(), Grant { until, bond }, now);
            true
        })
        .await
    }

    /// Uses up what was [granted](Self::grant), and tells whether there was anything.
    ///
    /// Call it right before the operation. A `true` is given once, and it is in the store by then
    /// that the grant is gone.
    ///
    /// # Errors
    ///
    /// Those of [`transact`](Self::transact). The grant may be gone after it, and nothing may be
    /// done: check the user again.
    pub async fn use_up(
        &self,
        purpose: &str,
        grants: impl Fn(&mut T) -> &mut Grants,
    ) -> Result<bool, Error> {
        let name = digest("typed-session 2026-11-22 purpose of a grant", purpose.as_bytes());
        self.transact(|data| {
            let Some(bond) = self.bond(data) else { return false };
            grants(data).take(&name, &bond, self.now())
        })
        .await
    }

    /// What a grant stands on, if there is anything, by data as it is in the store.
    fn bond(&self, data: &T) -> Option<String> {
        let subject = data.subject()?;
        if self.authentication_demanded() {
            return None;
        }
        let machine = self.0.machine();
        let (live, _) = machine.live()?;
        let authenticated_at = live.authenticated_at?.as_millis().to_be_bytes();
        let key = machine.key()?;
        let material = [&key.as_bytes()[..], subject.as_bytes(), &authenticated_at].concat();
        Some(digest("typed-session 2026-11-22 bond of a grant", &material))
    }
}

impl Grants {
    fn insert(&mut self, name: String, grant: Grant, now: Timestamp) {
        self.0.retain(|_, old| old.bond == grant.bond && old.is_good(now));
        self.0.remove(&name);
        while self.0.len() >= MOST {
            let first = self.0.iter().min_by_key(|(_, grant)| grant.until);
            let Some(first) = first.map(|(name, _)| name.clone()) else { break };
            self.0.remove(&first);
        }
        self.0.insert(name, grant);
    }

    fn take(&mut self, name: &str, bond: &str, now: Timestamp) -> bool {
        let is_good =
            self.0.get(name).is_some_and(|grant| grant.bond == bond && grant.is_good(now));
        is_good && self.0.remove(name).is_some()
    }
}

impl Grant {
    fn is_good(&self, now: Timestamp) -> bool {
        let until = Timestamp::from_millis(self.until);
        // No grant is good for longer, unless some clock was wrong.
        now < until && until.since(now) <= LONGEST
    }
}

const LONGEST: Duration = Duration::from_secs(15 * 60);
const MOST: usize = 8;

/// 128 bits, as text that every encoding has.
fn digest(context: &str, material: &[u8]) -> String {
    let mut text = String::with_capacity(32);
    for byte in &blake3::derive_key(context, material)[..16] {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(count: i64) -> Grants {
        let mut grants = Grants::default();
        for number in 1..=count {
            let grant = Grant { until: 1000 * number, bond: "b".to_owned() };
            grants.insert(number.to_string(), grant, Timestamp::from_millis(0));
        }
        grants
    }

    #[test]
    fn more_grants_than_fit_drop_those_that_expire_first() {
        let grants = grants(100);
        assert_eq!(grants.0.len(), MOST);
        assert!(grants.0.values().all(|grant| grant.until > 92_000), "{grants:?}");
    }

    #[test]
    fn a_new_grant_clears_away_what_is_void() {
        let mut grants = grants(3);
        let void = Grant { until: 9000, bond: "another".to_owned() };
        grants.0.insert("void".to_owned(), void);
        let new = Grant { until: 9000, bond: "b".to_owned() };
        grants.insert("new".to_owned(), new, Timestamp::from_millis(2000));
        assert_eq!(grants.0.keys().collect::<Vec<_>>(), ["3", "new"]);
    }

    #[test]
    fn a_grant_of_a_clock_that_was_far_ahead_is_none() {
        let grant = Grant { until: 3_600_000, bond: "b".to_owned() };
        assert!(!grant.is_good(Timestamp::from_millis(0)));
        assert!(grant.is_good(Timestamp::from_millis(3_000_000)));
        assert!(!grant.is_good(Timestamp::from_millis(3_600_000)));
    }

    #[test]
    fn what_is_stored_of_grants_is_read_for_ever() {
        let text = include_str!("golden/grants.json").trim_end();
        let grants: Grants = serde_json::from_str(text).unwrap();
        let name = digest("typed-session 2026-11-22 purpose of a grant", b"close account 7");
        let bond = digest("typed-session 2026-11-22 bond of a grant", b"material");
        assert_eq!(grants.0[&name], Grant { until: 1_800_000_120_000, bond });
        assert_eq!(serde_json::to_string(&grants).unwrap(), text);
    }
}
