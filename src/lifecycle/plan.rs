//! The plan: what is to be stored of a session, and what that means for the
//! response.

use std::sync::Arc;

use super::judge::{Data, Held, Shown};
use super::wishes::{Rotate, Wishes};
use super::{Context, Policy};
use crate::client::ClientInfo;
use crate::codec::Encoding;
use crate::data::SessionData;
use crate::envelope::{Ids, Live, Successor};
use crate::error::Error;
use crate::event::{Event, RotationCause};
use crate::id::{SessionId, SessionKey};
use crate::lifetime::CookieLifetime;
use crate::merge;
use crate::record::{Body, Record, Revision};
use crate::sealed::Place;
use crate::subject::Subject;
use crate::time::{Millis, Timestamp};
use crate::transport::Handed;
use crate::verdict::{EndReason, Verdict};

/// What is to be asked of the store, if anything.
pub(super) enum Planned {
    /// Nothing to store; perhaps an id to offer once more.
    Nothing {
        offer: Option<Handed>,
    },
    Touch {
        key: SessionKey,
        at: Revision,
        expires_at: Timestamp,
        offer: Option<Handed>,
    },
    /// A record to store.
    Write(Attempt),
}

/// A record on its way to the store, and what it means once it is there.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The session as it will stand.
    pub(super) held: Arc<Held>,
    /// The id to hand to the client.
    pub(super) handed: Option<Handed>,
    pub(super) cause: Option<RotationCause>,
    pub(super) created: bool,
    /// The wishes that it fulfils; none if it is mere upkeep.
    pub(super) wishes: Option<u64>,
    /// It carries the staged data of a transaction.
    pub(super) staged: bool,
    /// The request has ended the session since.
    pub(super) ended: Option<EndReason>,
}

/// What is to be stored for a live session.
pub(super) fn plan<T: SessionData>(
    held: &Held,
    data: &mut T,
    staged: Option<&mut T>,
    wishes: &mut Wishes,
    client: Option<&Arc<ClientInfo>>,
    cx: &Context<'_>,
) -> Result<Planned, Error> {
    let policy = cx.policy;
    let is_staged = staged.is_some();
    let pending = wishes.pending() && !is_staged;
    let mut live = held.live.clone();
    let mut subject = held.record.subject;
    let mut encoded = None;
    let mut renamed = false;
    if pending || is_staged {
        let data = staged.unwrap_or(data);
        if let Some(fresh) = unless_same(held, data, policy.encoding)? {
            encoded = Some(fresh);
            subject = data.subject();
            // A release may have begun to name the same user in another way.
            renamed = held.record.subject.is_some()
                && subject != held.record.subject
                && decode::<T>(held).is_some_and(|base| base.subject() == subject);
            if let (Some(old), Some(new)) = (held.record.subject, subject)
                && old != new
                && !renamed
                && (is_staged || wishes.switched.as_deref() != Some(&new))
            {
                switch(held, data, new)?;
                if !is_staged {
                    wishes.switched = Some(Box::new(new));
                }
                let mut bytes = Vec::new();
                policy.encoding.encode(data, &mut bytes)?;
                encoded = Some(Fresh { bytes, data_at: 0 });
            }
            live.encoding = policy.encoding.code();
            live.version = T::VERSION;
        }
    }

    let mut cause = None;
    let mut id = None;
    let mut shown = held.shown;
    let asked_lifetime = wishes.lifetime().filter(|_| !is_staged);
    let rotate = wishes.rotate.map(|(_, rotate)| rotate).filter(|_| !is_staged);
    let remember = cx.now.plus(policy.remember_superseded);
    let changes_subject = subject != held.record.subject && !renamed;
    if changes_subject || rotate.is_some() {
        let fresh = held.id.with_fresh_secret(cx.entropy)?;
        live.ids.supersede(fresh.verifier(), cx.now, remember);
        id = Some(fresh);
        shown = Shown::Current;
        if !changes_subject {
            cause = Some(RotationCause::Asked);
            if rotate == Some(Rotate::Authenticated) && subject.is_some() {
                live.client = client.cloned().or(live.client);
                live.authenticated_at = Some(cx.now);
                live.absolute_deadline = cx.now.after(live.absolute);
            }
        } else {
            cause = Some(RotationCause::Subject);
            live.authenticated_at = subject.map(|_| cx.now);
            // Of whoever logs in, and nothing of who was there before.
            live.client = client.cloned();
            if held.record.subject.is_some() {
                // "Stay signed in" was the choice of who has left.
                live.set_lifetime(&policy.lifetime);
            }
            let deadline = cx.now.after(live.absolute);
            live.absolute_deadline = match subject {
                Some(_) => deadline,
                None => deadline.min(live.absolute_deadline),
            };
        }
    } else if held.shown == Shown::Successor {
        let grace = policy.rotation.unwrap_or_default().grace;
        live.ids.promote(cx.now, cx.now.plus(grace), remember);
        shown = Shown::Current;
        cause = Some(RotationCause::Adopted);
    } else if rotation_due(&live.ids, subject, shown, cx.now, policy) {
        let mut nonce = [0; 16];
        // Without randomness another request will offer one.
        if cx.entropy.fill(&mut nonce).is_ok() {
            let verifier = held.id.successor(&nonce).verifier();
            live.ids.successor = Some(Box::new(Successor { nonce, verifier }));
            cause = Some(RotationCause::Offered);
        }
    }

    if let Some(lifetime) = asked_lifetime {
        live.set_lifetime(&lifetime);
        live.absolute_deadline = live.anchor().plus(lifetime.absolute());
    }

    let expires_at = live.expires_at(cx.now);
    let touch_due = touch_due(&live, held, cx.now, policy);
    let handed = match (id, &live.ids.successor) {
        (Some(id), _) => Some(id),
        // Every response offers the same one until the client shows it.
        (None, Some(successor)) if shown == Shown::Current => {
            Some(held.id.successor(&successor.nonce))
        }
        (None, _) => {
            let renew = match live.cookie {
                CookieLifetime::BrowserSession => false,
                CookieLifetime::Persistent => touch_due,
            };
            let renew = policy.transport.has_max_age() && (renew || asked_lifetime.is_some());
            // Never the id before: the client has a newer one.
            (shown == Shown::Current && (renew || wishes.rewrite)).then(|| held.id.clone())
        }
    };
    let handed = match handed.map(|id| handed_out(id, cx)) {
        None => None,
        Some(Ok(handed)) => Some(handed),
        // What the request wants is not done by half.
        Some(Err(error)) if pending || is_staged => return Err(error),
        // Mere upkeep waits for another request.
        Some(Err(_)) => None,
    };

    // Not by a touch, because that does not tell whether this id is still the
    // session's: the cookie of a login must not be overwritten by a renewal, or by
    // the same id written anew.
    let renews = handed.is_some() && live.ids.successor.is_none();
    if encoded.is_none() && cause.is_none() && asked_lifetime.is_none() && !renews {
        return Ok(if touch_due {
            Planned::Touch { key: held.key, at: held.record.revision, expires_at, offer: handed }
        } else {
            Planned::Nothing { offer: handed }
        });
    }
    if policy.client.is_none() {
        // It was kept while that was asked for.
        live.client = None;
    }
    let revision = held.record.revision.next(cx.step).ok_or(Error::Conflict)?;
    let place = Place { id: &held.id, key: &held.key, subject: subject.as_ref() };
    let fresh = encoded.unwrap_or_else(|| Fresh { bytes: held.data().to_vec(), data_at: 0 });
    let made = if fresh.data_at > 0 && policy.sealing.is_none() && live == held.live {
        // The head stands before the data already, and is still right.
        Ok((Body(fresh.bytes), Data::InBody))
    } else {
        Held::body(&mut live, place, fresh.into_data(), cx)
    };
    let (body, data) = match made {
        // The request has lost nothing of its own by it, and the next one will try again.
        Err(error @ Error::Entropy(_)) if !pending && !is_staged => {
            cx.observer.event(&Event::Failed { key: Some(held.key), error: &error });
            return Ok(if touch_due {
                let at = held.record.revision;
                Planned::Touch { key: held.key, at, expires_at, offer: None }
            } else {
                Planned::Nothing { offer: None }
            });
        }
        made => made?,
    };
    let wishes = pending.then_some(wishes.last);
    let after = Held {
        key: held.key,
        id: match (&handed, cause) {
            (Some(handed), Some(RotationCause::Subject | RotationCause::Asked)) => {
                handed.id.clone()
            }
            _ => held.id.clone(),
        },
        shown,
        live,
        record: Record { revision, subject, expires_at, body },
        data,
    };
    let attempt = Attempt {
        held: Arc::new(after),
        handed,
        cause,
        created: false,
        wishes,
        staged: is_staged,
        ended: None,
    };
    Ok(Planned::Write(attempt))
}

/// Draws what it takes to write the id, while nothing is stored yet.
fn handed_out(id: SessionId, cx: &Context<'_>) -> Result<Handed, Error> {
    let salt = cx.policy.id_form.salt(cx.entropy)?;
    Ok(Handed { id, salt })
}

/// Data, encoded anew; with the head of the record's body before it, if that may serve again.
struct Fresh {
    bytes: Vec<u8>,
    data_at: usize,
}

impl Fresh {
    fn into_data(mut self) -> Vec<u8> {
        self.bytes.drain(..self.data_at);
        self.bytes
    }
}

/// The data's bytes, or nothing if it is what the record holds.
fn unless_same<T: SessionData>(
    held: &Held,
    data: &T,
    encoding: Encoding,
) -> Result<Option<Fresh>, Error> {
    // Room for what a login adds to the data and, one more dead id, to the head: to move it later
    // costs more than the room.
    let mut bytes = Vec::with_capacity(held.record.body.len() + 256);
    if held.live.version == T::VERSION
        && let Some(old) = held.live.encoding()
    {
        let head = held.head();
        bytes.extend_from_slice(head);
        // In the record's own encoding: that another one is wanted now is no change.
        old.encode(data, &mut bytes)?;
        if old.equal(held.data(), &bytes[head.len()..]) {
            return Ok(None);
        }
        if old == encoding {
            return Ok(Some(Fresh { bytes, data_at: head.len() }));
        }
        bytes.clear();
    }
    encoding.encode(data, &mut bytes)?;
    Ok(Some(Fresh { bytes, data_at: 0 }))
}

/// Makes the data fit for another subject: what was written stays, the rest
/// falls back to its default, unless the type carries it over.
pub(super) fn switch<T: SessionData>(
    held: &Held,
    data: &mut T,
    subject: Subject,
) -> Result<(), Error> {
    let base = decode::<T>(held).ok_or(Error::Switch)?;
    let mut switched =
        merge::written_over(&base, data, &T::default()).map_err(|_| Error::Switch)?;
    T::carry(&base, &mut switched);
    if switched.subject() != Some(subject) {
        return Err(Error::Switch);
    }
    *data = switched;
    Ok(())
}

pub(super) fn rotation_due(
    ids: &Ids,
    subject: Option<Subject>,
    shown: Shown,
    now: Timestamp,
    policy: &Policy,
) -> bool {
    // Not without a subject: a rotation that crosses a login would cost the login.
    policy.rotation.is_some_and(|rotation| {
        subject.is_some()
            && shown == Shown::Current
            && ids.successor.is_none()
            && now.since(ids.since) >= rotation.every
    })
}

/// The idle deadline has been left where it is for long enough.
pub(super) fn touch_due(live: &Live, held: &Held, now: Timestamp, policy: &Policy) -> bool {
    let quarter = live.idle.as_u64() / 4;
    let interval = Millis::from(policy.touch_every).as_u64().min(quarter).max(1);
    live.expires_at(now).millis_since(held.record.expires_at) >= interval.cast_signed()
}

/// What is to be stored for a new session, if there is anything to store.
pub(super) fn create<T: SessionData>(
    id: Option<SessionId>,
    data: &T,
    staged: Option<&T>,
    wishes: &Wishes,
    verdict: Verdict,
    client: Option<&Arc<ClientInfo>>,
    cx: &Context<'_>,
) -> Result<Planned, Error> {
    let is_staged = staged.is_some();
    if !wishes.pending() && !is_staged {
        return Ok(Planned::Nothing { offer: None });
    }
    let policy = cx.policy;
    let data = staged.unwrap_or(data);
    let mut encoded = unless_default(data, cx)?;
    if encoded.is_none() && wishes.establish {
        let mut bytes = Vec::new();
        policy.encoding.encode(data, &mut bytes)?;
        encoded = Some(bytes);
    }
    let Some(encoded) = encoded else { return Ok(Planned::Nothing { offer: None }) };
    if verdict == Verdict::Superseded {
        // Invariant: no id, so that this late response cannot overwrite that of
        // a login.
        return Err(Error::Lost(verdict));
    }
    if policy.requires_consent && !wishes.consent {
        // Only what nobody was told is stored may be dropped, and a login never: a user who
        // logs in and is not logged in is the worst that can come of it.
        if is_staged || !cx.finishing || data.subject().is_some() {
            return Err(Error::NoConsent);
        }
        cx.observer.event(&Event::Withheld);
        return Ok(Planned::Nothing { offer: None });
    }
    let id = match id {
        Some(id) => id,
        None => SessionId::generate(cx.entropy)?,
    };
    let lifetime = wishes.lifetime().unwrap_or(policy.lifetime);
    let subject = data.subject();
    let mut live = Live {
        ids: Ids::new(id.verifier(), cx.now),
        created_at: cx.now,
        authenticated_at: subject.map(|_| cx.now),
        absolute_deadline: cx.now.plus(lifetime.absolute()),
        idle: lifetime.idle().into(),
        absolute: lifetime.absolute().into(),
        cookie: lifetime.cookie(),
        client: client.cloned(),
        encoding: policy.encoding.code(),
        version: T::VERSION,
        sealed: false,
        data_at: 0,
    };
    let key = id.key();
    let place = Place { id: &id, key: &key, subject: subject.as_ref() };
    let (body, data) = Held::body(&mut live, place, encoded, cx)?;
    let held = Held {
        key,
        id: id.clone(),
        shown: Shown::Current,
        record: Record {
            revision: Revision::first(cx.step),
            subject,
            expires_at: live.expires_at(cx.now),
            body,
        },
        live,
        data,
    };
    let attempt = Attempt {
        held: Arc::new(held),
        handed: Some(handed_out(id, cx)?),
        cause: None,
        created: true,
        // A transaction fulfils no wish that came while it ran.
        wishes: Some(if is_staged { wishes.done } else { wishes.last }),
        staged: is_staged,
        ended: None,
    };
    Ok(Planned::Write(attempt))
}

/// The data's bytes, or nothing if it is the default: a session is created by
/// the first real write.
fn unless_default<T: SessionData>(data: &T, cx: &Context<'_>) -> Result<Option<Vec<u8>>, Error> {
    let encoding = cx.policy.encoding;
    let default = cx.default.bytes::<T>(encoding)?;
    let mut bytes = Vec::with_capacity(256.max(default.len() + 128));
    encoding.encode(data, &mut bytes)?;
    Ok(if encoding.equal(&bytes, default) { None } else { Some(bytes) })
}

/// The data of a record, or nothing if this program cannot read it.
pub(super) fn decode<T: SessionData>(held: &Held) -> Option<T> {
    match held.data {
        Data::InBody | Data::Opened(_) => {
            held.live.encoding()?.decode(held.live.version, held.data())
        }
        Data::Shut => None,
    }
}
