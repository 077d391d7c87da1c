//! The machine: a request's session from its id to its last commit.

use std::sync::Arc;

use self::clients::Client;
use super::judge::{Held, Judgement, Shown, judge};
use super::plan::{Attempt, Planned, create, decode, plan, rotation_due, switch, touch_due};
use super::wishes::{Rotate, Wishes};
use super::{Answer, Call, Context, Policy, Reuse, Standing, Step};
use crate::candidates::{Candidate, Candidates};
use crate::client::ClientInfo;
use crate::csrf::{self, Token};
use crate::data::SessionData;
use crate::effects::{Effects, IdHeader};
use crate::entropy::{Entropy, EntropyError};
use crate::envelope::{Envelope, Live, tombstone};
use crate::error::Error;
use crate::event::Event;
use crate::id::{SessionId, SessionKey};
use crate::id_form::Age;
use crate::lifetime::{CookieLifetime, Lifetime};
use crate::record::Record;
use crate::store::{self, Inserted, Recalled, Replaced};
use crate::subject::Subject;
use crate::time::Timestamp;
use crate::transport::Handed;
use crate::verdict::{EndReason, Verdict};

mod clients;
mod seating;

/// After so many refused replacements somebody else's turn never ends.
const MAX_TRIES: u32 = 512;

/// After so many refused tombstones the session is ended unconditionally.
const MAX_END_TRIES: u32 = 16;

/// When a subject has proved who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Proof {
    /// In this very request, which has not stored it yet.
    Now,
    At(Timestamp),
}

/// What one request knows of its session and wants of it.
#[derive(Debug)]
pub(crate) struct Machine<T> {
    candidates: Candidates,
    stage: Stage<T>,
    /// What is being asked of the store, and for what.
    asked: Asked,
    tries: u32,
    /// What is held was left by another request, and the store has not said a word since.
    is_left: bool,
    effects: Effects,
    /// Who makes the request, if that is to be known.
    client: Client,
    /// Whose seat this commit has taken.
    sat: Option<Subject>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a box would cost each load an allocation")]
enum Stage<T> {
    /// Nobody has asked for the session.
    Untouched,
    Loaded(Loaded<T>),
}

#[derive(Debug)]
struct Loaded<T> {
    verdict: Verdict,
    /// The session, if it lives.
    held: Option<Arc<Held>>,
    /// The session, if it lives and its data cannot be read. It is left alone,
    /// but for an end.
    unreadable: Option<Arc<Held>>,
    /// The session that this request ended, until the store knows.
    dying: Option<(Arc<Held>, EndReason)>,
    /// The session that this request ended, when the store knows.
    gone: Option<Arc<Held>>,
    /// There is a session that this request wished to end and cannot; and why.
    unended: Option<Verdict>,
    /// This request could end its session, be it one of its own making.
    had_session: bool,
    /// This request's own view of the data.
    data: T,
    /// What a transaction made of the data, while it is tried. In a box, as all that is rare here:
    /// a request's state is moved about, and most requests have none of it.
    staged: Option<Box<T>>,
    /// The id that the session will have once it is created, if it had to be known before.
    reserved: Option<Box<SessionId>>,
    wishes: Wishes,
    /// What was written last, until its answer is known. An answer may get lost;
    /// then this tells our own record from somebody else's.
    attempt: Option<Attempt>,
    /// Earlier attempts whose answers never came.
    unanswered: Vec<Attempt>,
}

impl<T> Loaded<T> {
    /// What a request knows and wants right after the load.
    fn new(
        verdict: Verdict,
        held: Option<Arc<Held>>,
        unreadable: Option<Arc<Held>>,
        data: T,
    ) -> Self {
        Self {
            verdict,
            had_session: held.is_some() || unreadable.is_some(),
            held,
            unreadable,
            dying: None,
            gone: None,
            unended: None,
            data,
            staged: None,
            reserved: None,
            wishes: Wishes::default(),
            attempt: None,
            unanswered: Vec::new(),
        }
    }
}

/// Which of a request's own attempts a record is of.
enum Ours {
    Latest,
    Earlier,
}

/// What the store was asked, and for what.
#[derive(Debug)]
enum Asked {
    Nothing,
    /// The candidate of this index, by its key; and the best verdict on those
    /// before it.
    Candidate(usize, SessionKey, Verdict, Option<Arc<Held>>),
    /// To end a session because one of its old ids was shown.
    EndOfReused(SessionKey, usize, Option<Arc<Held>>),
    /// For a seat, before the attempt is written at this revision.
    Seat(seating::Expected),
    /// To write the attempt.
    Attempt,
    /// What is there instead of the attempt's new record.
    Namesake,
    /// What is there by now.
    Newer,
    /// Whether what a transaction has seen, and left as it was, is still what is there.
    StillSo,
    /// To move the idle deadline; and the id to offer once more.
    Touch(Option<Handed>),
    Tombstone,
    UnconditionalEnd,
}

impl<T> Default for Machine<T> {
    #[inline(always)]
    fn default() -> Self {
        Self {
            candidates: Candidates::default(),
            stage: Stage::Untouched,
            asked: Asked::Nothing,
            tries: 0,
            is_left: false,
            effects: Effects::NONE,
            client: Client::default(),
            sat: None,
        }
    }
}

impl<T> Machine<T> {
    /// Whatever is not stored by now is not to be stored: who changed it has panicked.
    pub(crate) const fn tear(&mut self) {
        if let Stage::Loaded(loaded) = &mut self.stage {
            loaded.wishes.torn |= loaded.wishes.pending() || loaded.dying.is_some();
        }
    }
}

impl<T: SessionData> Machine<T> {
    /// Takes what a request brings.
    pub(crate) fn begin(&mut self, candidates: Candidates, client: Option<ClientInfo>) {
        self.candidates = candidates;
        self.client = Client::of(client);
    }

    // ---- What a handler sees.

    pub(crate) const fn is_loaded(&self) -> bool {
        matches!(self.stage, Stage::Loaded(_))
    }

    /// Tells whether the store was asked something that it has not answered yet.
    pub(crate) const fn is_asking(&self) -> bool {
        !matches!(self.asked, Asked::Nothing)
    }

    /// Tells whether to load means to ask the store nothing.
    pub(crate) fn has_no_candidate(&self) -> bool {
        self.candidates.get(0).is_none()
    }

    const fn loaded(&self) -> Option<&Loaded<T>> {
        match &self.stage {
            Stage::Untouched => None,
            Stage::Loaded(loaded) => Some(loaded),
        }
    }

    const fn loaded_mut(&mut self) -> Option<&mut Loaded<T>> {
        match &mut self.stage {
            Stage::Untouched => None,
            Stage::Loaded(loaded) => Some(loaded),
        }
    }

    pub(crate) fn data(&self) -> Option<&T> {
        self.loaded().map(|loaded| &loaded.data)
    }

    /// The data, for a change; until [`changed`](Self::changed) is called the
    /// change counts as torn.
    pub(crate) fn data_mut(&mut self) -> Option<&mut T> {
        let loaded = self.loaded_mut()?;
        loaded.wishes.torn = true;
        Some(&mut loaded.data)
    }

    pub(crate) fn changed(&mut self) {
        if let Some(loaded) = self.loaded_mut() {
            loaded.wishes.torn = false;
            loaded.wishes.next();
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.loaded().map_or(Verdict::New, |loaded| loaded.verdict)
    }

    pub(crate) fn key(&self) -> Option<SessionKey> {
        Some(self.loaded()?.held.as_ref()?.key)
    }

    pub(crate) fn live(&self) -> Option<(&Live, Timestamp)> {
        let held = self.loaded()?.held.as_ref()?;
        Some((&held.live, held.record.expires_at))
    }

    /// When the subject has proved who they are, if that still counts.
    pub(crate) fn proof(&self) -> Option<Proof> {
        let loaded = self.loaded()?;
        let subject = loaded.data.subject()?;
        let wishes = &loaded.wishes;
        if wishes.torn {
            return None;
        }
        let Some(held) = &loaded.held else { return wishes.pending().then_some(Proof::Now) };
        if wishes.rotate.is_some_and(|(_, rotate)| rotate == Rotate::Authenticated) {
            return Some(Proof::Now);
        }
        // A release may have begun to name the same user in another way, which is no login.
        if held.record.subject == Some(subject) || decode::<T>(held)?.subject() == Some(subject) {
            return held.live.authenticated_at.map(Proof::At);
        }
        Some(Proof::Now)
    }

    /// Judges this request's session by what is there now, and says whose it is.
    pub(crate) fn stands(
        &self,
        record: Option<Record>,
        cx: &Context<'_>,
    ) -> Result<(SessionKey, Option<Subject>), Verdict> {
        let Some(loaded) = self.loaded() else { return Err(Verdict::New) };
        let Some(held) = &loaded.held else { return Err(loaded.verdict) };
        match judge::<T>(&held.id, held.key, record, cx) {
            Judgement::Live(newer, _) => Ok((newer.key, newer.record.subject)),
            judgement => Err(judgement.verdict()),
        }
    }

    /// The id of the session, or the one that it will have once it is created.
    pub(crate) fn id_to_be(&mut self, entropy: &dyn Entropy) -> Result<SessionId, EntropyError> {
        let Some(loaded) = self.loaded_mut() else { return SessionId::generate(entropy) };
        if let Some(held) = &loaded.held {
            return Ok(held.id.clone());
        }
        // An insertion whose answer was lost is repeated under its own id.
        let mut attempts = loaded.unanswered.iter().chain(&loaded.attempt);
        let lost = attempts.find(|attempt| attempt.created && attempt.ended.is_none());
        if let Some(id) = lost.map(|attempt| &attempt.held.id).or(loaded.reserved.as_deref()) {
            return Ok(id.clone());
        }
        let id = SessionId::generate(entropy)?;
        loaded.reserved = Some(Box::new(id.clone()));
        Ok(id)
    }

    /// Tells whether the session is stored, and a commit would give it another id.
    pub(crate) fn changes_id(&self) -> bool {
        self.loaded().is_some_and(|loaded| {
            loaded.held.as_ref().is_some_and(|held| {
                loaded.wishes.rotate.is_some()
                    || (loaded.wishes.pending() && loaded.data.subject() != held.record.subject)
            })
        })
    }

    /// Makes a token for the forms of this session, and makes sure that there is one.
    pub(crate) fn csrf_token(&mut self, entropy: &dyn Entropy) -> Result<Token, EntropyError> {
        let id = self.id_to_be(entropy)?;
        // Under a superseded id none may be created: the page is shown, and its form is refused.
        if self.verdict() != Verdict::Superseded {
            self.establish();
        }
        match self.live() {
            Some((live, _)) => {
                // The newest, because it lives the longest.
                let successor = live.ids.successor.as_ref().map(|successor| &successor.verifier);
                Token::new(&id, successor.unwrap_or(&live.ids.current), entropy)
            }
            None => Token::new(&id, &id.verifier(), entropy),
        }
    }

    /// Tells whether the text is a token of this session.
    pub(crate) fn has_csrf_token(&self, text: &[u8]) -> bool {
        let held = self.loaded().and_then(|loaded| loaded.held.as_ref());
        held.is_some_and(|held| {
            let ids = &held.live.ids;
            let successor = ids.successor.as_ref().map(|successor| &successor.verifier);
            let previous = ids.previous.as_ref().map(|previous| &previous.0);
            let verifiers = [Some(&ids.current), successor, previous].into_iter().flatten();
            csrf::is_good(text, &held.id, verifiers)
        })
    }

    /// Wishes for a session, whatever its data is.
    pub(crate) fn establish(&mut self) {
        if let Some(loaded) = self.loaded_mut()
            && loaded.held.is_none()
        {
            loaded.wishes.next();
            loaded.wishes.establish = true;
        }
    }

    /// Notes that the user allows to be remembered, which is itself to be remembered.
    pub(crate) fn give_consent(&mut self) {
        self.establish();
        if let Some(loaded) = self.loaded_mut() {
            loaded.wishes.consent = true;
        }
    }

    /// Tells whether the user allows to be remembered: by word, or by a session that is there.
    pub(crate) fn has_consent(&self) -> bool {
        self.loaded().is_some_and(|loaded| loaded.held.is_some() || loaded.wishes.consent)
    }

    pub(crate) fn rotate(&mut self, rotate: Rotate) {
        if let Some(loaded) = self.loaded_mut() {
            let earlier = loaded.wishes.rotate.map(|(_, rotate)| rotate);
            // To have proved who one is, is not undone by a mere change of the id.
            let rotate =
                if earlier == Some(Rotate::Authenticated) { Rotate::Authenticated } else { rotate };
            loaded.wishes.rotate = Some((loaded.wishes.next(), rotate));
        }
    }

    pub(crate) fn set_lifetime(&mut self, lifetime: Lifetime) {
        if let Some(loaded) = self.loaded_mut() {
            loaded.wishes.lifetime = Some(Box::new((loaded.wishes.next(), lifetime)));
        }
    }

    /// Ends the session as far as this request can see; the store learns of it
    /// at the commit. What is written from here on is a new session's.
    pub(crate) fn end(&mut self, reason: EndReason) {
        if let Some(loaded) = self.loaded_mut() {
            let attempts = loaded.attempt.iter_mut().chain(&mut loaded.unanswered);
            let mut held = loaded.held.take().or_else(|| loaded.unreadable.take());
            for attempt in attempts {
                attempt.ended = Some(reason);
                if attempt.created && held.is_none() && loaded.dying.is_none() {
                    // It may be there, and in the index; nobody has its id.
                    held = Some(attempt.held.clone());
                }
            }
            match (held, loaded.verdict) {
                (Some(held), _) => loaded.dying = Some((held, reason)),
                // There is a session, and this request cannot end it.
                (None, verdict @ (Verdict::Superseded | Verdict::Undecodable))
                    if loaded.dying.is_none() && !loaded.had_session =>
                {
                    loaded.unended = Some(verdict);
                }
                (None, _) => {}
            }
            loaded.data = T::default();
            loaded.reserved = None;
            let last = loaded.wishes.last;
            loaded.wishes = Wishes { last, done: last, ..Wishes::default() };
        }
    }

    /// A copy of the data as it is in the store, for a transaction, or nothing
    /// if there is something to commit first.
    pub(crate) fn copy(&self) -> Result<Option<T>, Error> {
        let Some(loaded) = self.loaded() else { return Ok(Some(T::default())) };
        if loaded.wishes.pending() || loaded.dying.is_some() || loaded.wishes.torn {
            return Ok(None);
        }
        match &loaded.held {
            // What this request has stored itself may be data that does not decode.
            Some(held) => decode(held).map(Some).ok_or(Error::Lost(Verdict::Undecodable)),
            None => Ok(Some(T::default())),
        }
    }

    pub(crate) fn stage(&mut self, data: T) {
        if let Some(loaded) = self.loaded_mut() {
            loaded.staged = Some(Box::new(data));
        }
    }

    pub(crate) const fn effects(&self) -> &Effects {
        &self.effects
    }

    /// What stands in the place of an id, where the session itself travels.
    pub(crate) fn hand_out_instead(&mut self, header: IdHeader) {
        self.effects.id = Some(header);
    }

    pub(crate) const fn failed(&mut self) {
        self.effects.failed = true;
    }

    pub(crate) const fn take_effects(&mut self) -> Effects {
        std::mem::replace(&mut self.effects, Effects::NONE)
    }

    /// Tells whether a commit would ask the store nothing and add nothing to the
    /// response. A quick and careful look; "no" costs no more than time.
    pub(crate) fn is_settled(&self, now: Timestamp, policy: &Policy) -> bool {
        let Some(loaded) = self.loaded() else { return true };
        let wishes = &loaded.wishes;
        if wishes.pending() || wishes.torn || loaded.dying.is_some() || loaded.unended.is_some() {
            return false;
        }
        loaded.held.as_ref().is_none_or(|held| {
            held.shown != Shown::Successor
                && !(wishes.rewrite && held.shown == Shown::Current)
                && held.live.ids.successor.is_none()
                && !touch_due(&held.live, held, now, policy)
                && !rotation_due(&held.live.ids, held.record.subject, held.shown, now, policy)
        })
    }

    // ---- Loading.

    /// Starts to load the session, once.
    pub(crate) fn start_load(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        match self.stage {
            Stage::Loaded(_) => Ok(Step::Done),
            Stage::Untouched => {
                self.effects.vary = Some(cx.policy.transport.vary());
                self.next_candidate(0, self.candidates.refused(), None, cx)
            }
        }
    }

    fn next_candidate(
        &mut self,
        index: usize,
        verdict: Verdict,
        unreadable: Option<Arc<Held>>,
        cx: &Context<'_>,
    ) -> Result<Step, Error> {
        match self.candidates.get(index) {
            Some(candidate) => {
                let key = candidate.id.key();
                self.asked = Asked::Candidate(index, key, verdict, unreadable);
                Ok(Step::Call(Call::Recall { key }))
            }
            None => {
                if matches!(verdict, Verdict::Malformed | Verdict::Unverified) {
                    cx.observer.event(&Event::Rejected { key: None, verdict });
                }
                let loaded = Loaded::new(verdict, None, unreadable, T::default());
                self.stage = Stage::Loaded(loaded);
                Ok(Step::Done)
            }
        }
    }

    fn candidate_loaded(
        &mut self,
        index: usize,
        key: SessionKey,
        best: Verdict,
        unreadable: Option<Arc<Held>>,
        answer: store::Result<Recalled>,
        cx: &Context<'_>,
    ) -> Result<Step, Error> {
        let Some(Candidate { id, age }) = self.candidates.get(index) else {
            return Ok(Step::Done);
        };
        let judgement = match answer {
            Ok(Recalled::Current(record)) => judge(id, key, record, cx),
            Ok(Recalled::Remembered(record)) => {
                let judgement = judge(id, key, record, cx);
                if !judgement.stands() {
                    self.asked = Asked::Candidate(index, key, best, unreadable);
                    return Ok(Step::Call(Call::Load { key }));
                }
                judgement
            }
            // A row that makes no sense must not be an outage for ever.
            Err(error) if error.kind() == store::ErrorKind::Corrupt => {
                let error = Error::Store(error);
                cx.observer.event(&Event::Failed { key: Some(key), error: &error });
                Judgement::Dead(Verdict::Undecodable)
            }
            Err(error) => return Err(error.into()),
        };
        let verdict = judgement.verdict();
        let best = if verdict.weight() > best.weight() { verdict } else { best };
        if verdict != Verdict::Resumed {
            cx.observer.event(&Event::Rejected { key: Some(key), verdict });
        }
        match judgement {
            Judgement::Live(held, data) => {
                cx.observer.event(&Event::Resumed { key });
                let mut loaded = Loaded::new(verdict, Some(held), None, data);
                loaded.wishes.rewrite = *age == Age::Old;
                self.stage = Stage::Loaded(loaded);
                self.report_client(cx.policy, cx.observer);
                Ok(Step::Done)
            }
            Judgement::Unreadable(held) => self.next_candidate(index + 1, best, Some(held), cx),
            Judgement::Dead(_) => self.next_candidate(index + 1, best, unreadable, cx),
            Judgement::Reused(expected) => {
                let end = cx.policy.rotation.is_some_and(|rotation| match rotation.on_reuse {
                    Reuse::Reject => false,
                    Reuse::EndSession => true,
                });
                if end {
                    self.asked = Asked::EndOfReused(key, index, unreadable);
                    let tombstone =
                        tombstone(EndReason::IdReused, cx.now, cx.policy.remember_ended);
                    let tombstone = Box::new(tombstone);
                    // A compare-and-swap, because somebody may just have logged in.
                    Ok(Step::Call(Call::ReplaceByTombstone { key, expected, tombstone }))
                } else {
                    self.next_candidate(index + 1, best, unreadable, cx)
                }
            }
        }
    }

    // ---- Looking again.

    /// The session that this request has, or had, as it knows it.
    fn latest(&self) -> Option<&Arc<Held>> {
        let loaded = self.loaded()?;
        let dying = loaded.dying.as_ref().map(|(held, _)| held);
        let created = || self.attempts().next();
        let held = loaded.held.as_ref().or(loaded.unreadable.as_ref()).or(dying);
        held.or_else(created).or(loaded.gone.as_ref())
    }

    /// What may be in the store, by an answer that was lost.
    fn attempts(&self) -> impl Iterator<Item = &Arc<Held>> {
        let attempts = self.loaded().map(|loaded| loaded.attempt.iter().chain(&loaded.unanswered));
        attempts.into_iter().flatten().map(|attempt| &attempt.held)
    }

    /// The key to load in order to judge anew; or the verdict, if there is nothing to ask.
    pub(crate) fn key_to_check(&self) -> Result<SessionKey, Verdict> {
        self.latest().map(|held| held.key).ok_or_else(|| self.verdict())
    }

    /// Judges this request's ids by what is there now, and changes nothing.
    pub(crate) fn check(
        &self,
        answer: store::Result<Answer>,
        cx: &Context<'_>,
    ) -> Result<Standing, Error> {
        let over = |verdict| Standing { verdict, expires_at: None };
        let Some(latest) = self.latest() else { return Ok(over(self.verdict())) };
        let record = match answer {
            Ok(Answer::Loaded(record)) => record,
            Ok(Answer::Recalled(Recalled::Current(record) | Recalled::Remembered(record))) => {
                record
            }
            Err(error) if error.kind() == store::ErrorKind::Corrupt => {
                let error = Error::Store(error);
                cx.observer.event(&Event::Failed { key: Some(latest.key), error: &error });
                return Ok(over(Verdict::Undecodable));
            }
            Err(error) => return Err(error.into()),
            Ok(answer) => {
                debug_assert!(false, "a load was answered by {answer:?}");
                return Ok(over(Verdict::Unknown));
            }
        };
        // A commit whose answer was lost may have given the session another id.
        let ours = self.attempts().filter(|held| held.key == latest.key);
        let mut verdict = Verdict::New;
        for held in std::iter::once(latest).chain(ours) {
            let judgement = judge::<T>(&held.id, held.key, record.clone(), cx);
            if let Judgement::Live(held, _) = judgement {
                let expires_at = Some(held.record.expires_at);
                return Ok(Standing { verdict: Verdict::Resumed, expires_at });
            }
            let its = match judgement.verdict() {
                // It was good once, and nobody remembers.
                Verdict::Forged => Verdict::Superseded,
                its => its,
            };
            if its.weight() > verdict.weight() {
                verdict = its;
            }
        }
        Ok(over(verdict))
    }

    // ---- Committing.

    /// Starts to bring the request's wishes to the store.
    pub(crate) fn start_commit(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        self.tries = 0;
        self.sat = None;
        self.asked = Asked::Nothing;
        self.commit(cx)
    }

    /// Starts to bring staged data to the store. [`Step::Again`] means that the
    /// transaction must be run again, on a newer [`copy`](Self::copy).
    pub(crate) fn start_attempt(&mut self, first: bool, cx: &Context<'_>) -> Result<Step, Error> {
        if first {
            self.tries = 0;
            self.sat = None;
        }
        self.asked = Asked::Nothing;
        let Some(loaded) = self.loaded_mut() else { return Ok(Step::Done) };
        match loaded.staged.take() {
            Some(staged) => self.write(Some(staged), cx),
            None => Ok(Step::Done),
        }
    }

    fn commit(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        let Stage::Loaded(loaded) = &mut self.stage else { return Ok(Step::Done) };
        if loaded.wishes.torn {
            return Err(Error::Torn);
        }
        if let Some(verdict) = loaded.unended {
            return Err(Error::Lost(verdict));
        }
        if let Some((held, reason)) = &loaded.dying {
            let key = held.key;
            let tombstone = tombstone(*reason, cx.now, cx.policy.remember_ended);
            let tombstone = Box::new(tombstone);
            // Invariant: a request's own end is a compare-and-swap too, so that a
            // superseded id cannot end the session that has just logged in.
            return Ok(Step::Call(if self.tries < MAX_END_TRIES {
                self.asked = Asked::Tombstone;
                Call::ReplaceByTombstone { key, expected: held.record.revision, tombstone }
            } else {
                self.asked = Asked::UnconditionalEnd;
                Call::End { key, tombstone }
            }));
        }
        self.write(None, cx)
    }

    fn write(&mut self, staged: Option<Box<T>>, cx: &Context<'_>) -> Result<Step, Error> {
        let Stage::Loaded(loaded) = &mut self.stage else { return Ok(Step::Done) };
        let mut staged = staged;
        let is_staged = staged.is_some();
        let pending = loaded.wishes.pending();
        let client = self.client.shown.as_ref();
        // Invariant: `attempt` is the one whose answer is awaited, and no other.
        loaded.unanswered.extend(loaded.attempt.take());
        let plan = match &loaded.held {
            Some(held) if cx.now >= held.record.expires_at => {
                // The session expired while the request was at work, or another
                // request has kept it alive: the store knows. Mere upkeep would
                // be wrong in the first case and is done in the second.
                if !pending && !is_staged {
                    return Ok(Step::Done);
                }
                let key = held.key;
                loaded.staged = staged;
                self.asked = Asked::Newer;
                return Ok(Step::Call(Call::Load { key }));
            }
            Some(held) => {
                let (data, wishes) = (&mut loaded.data, &mut loaded.wishes);
                plan(held, data, staged.as_deref_mut(), wishes, client, cx)?
            }
            None => {
                // An insertion whose answer was lost is repeated under its own id.
                // Not that of a session which this request has ended since.
                let mut unanswered = loaded.unanswered.iter();
                let lost = unanswered.find(|attempt| attempt.created && attempt.ended.is_none());
                let id = lost.map(|attempt| attempt.held.id.clone());
                let id = id.or_else(|| loaded.reserved.as_deref().cloned());
                let (data, wishes) = (&loaded.data, &loaded.wishes);
                create(id, data, staged.as_deref(), wishes, loaded.verdict, client, cx)?
            }
        };
        if let (Some(held), Planned::Nothing { .. } | Planned::Touch { .. }) = (&loaded.held, &plan)
            && ((is_staged && self.tries == 0) || (self.is_left && (is_staged || pending)))
        {
            // A transaction that changes nothing is an answer all the same, and what it has seen
            // may be of long ago. And what another request has left is no proof that what is
            // wished is stored.
            let key = held.key;
            loaded.staged = staged;
            self.asked = if is_staged { Asked::StillSo } else { Asked::Newer };
            return Ok(Step::Call(Call::Load { key }));
        }
        match plan {
            Planned::Nothing { offer } => {
                // Not by a transaction: a wish may have come while it ran.
                match (&loaded.held, is_staged) {
                    (_, true) => {}
                    (Some(_), false) => loaded.wishes.fulfil(loaded.wishes.last),
                    // A lifetime is kept in mind until there is a session to have it.
                    (None, false) => loaded.wishes.done = loaded.wishes.last,
                }
                if let (Some(handed), Some(held)) = (offer, &loaded.held) {
                    let (cookie, expires_at) = (held.live.cookie, held.record.expires_at);
                    hand_out(&mut self.effects, &handed, cookie, expires_at, cx);
                }
                Ok(Step::Done)
            }
            Planned::Touch { key, at, expires_at, offer } => {
                if !is_staged {
                    loaded.wishes.fulfil(loaded.wishes.last);
                }
                self.asked = Asked::Touch(offer);
                Ok(Step::Call(Call::Touch { key, at, expires_at }))
            }
            Planned::Write(attempt) => {
                // Shared and not copied: its answer may get lost, see `ours`.
                let written = Arc::clone(&attempt.held);
                let seat = seating::needed(loaded, &attempt, self.sat, cx.policy);
                let call = match &loaded.held {
                    Some(held) => Call::Replace { held: written, expected: held.record.revision },
                    None => Call::Insert { held: written },
                };
                loaded.attempt = Some(attempt);
                loaded.staged = staged;
                if let Some(seat) = seat {
                    self.asked = Asked::Seat(seat.expected);
                    return Ok(Step::Seat(Box::new(seat)));
                }
                self.asked = Asked::Attempt;
                Ok(Step::Call(call))
            }
        }
    }

    /// Takes the store's answer.
    pub(crate) fn answer(
        &mut self,
        answer: store::Result<Answer>,
        cx: &Context<'_>,
    ) -> Result<Step, Error> {
        self.is_left = matches!(answer, Ok(Answer::Left(_)));
        let answer = match answer {
            Ok(Answer::Left(record)) => Ok(Answer::Replaced(Replaced::Conflict(Some(record)))),
            answer => answer,
        };
        match (std::mem::replace(&mut self.asked, Asked::Nothing), answer) {
            (Asked::Candidate(index, key, best, unreadable), Ok(Answer::Recalled(recalled))) => {
                self.candidate_loaded(index, key, best, unreadable, Ok(recalled), cx)
            }
            (Asked::Candidate(index, key, best, unreadable), Ok(Answer::Loaded(record))) => {
                let current = Ok(Recalled::Current(record));
                self.candidate_loaded(index, key, best, unreadable, current, cx)
            }
            (Asked::Candidate(index, key, best, unreadable), Err(error)) => {
                self.candidate_loaded(index, key, best, unreadable, Err(error), cx)
            }
            (Asked::EndOfReused(key, index, unreadable), answer) => match answer {
                Ok(Answer::Replaced(Replaced::Conflict(record))) => {
                    let best = Verdict::Superseded;
                    let current = Ok(Recalled::Current(record));
                    self.candidate_loaded(index, key, best, unreadable, current, cx)
                }
                Ok(_) => {
                    cx.observer.event(&Event::Ended { key, reason: EndReason::IdReused });
                    self.next_candidate(index + 1, Verdict::Superseded, unreadable, cx)
                }
                Err(error) => Err(error.into()),
            },
            (Asked::Attempt, Ok(Answer::Inserted(Inserted::Created)))
            | (Asked::Attempt, Ok(Answer::Replaced(Replaced::Done))) => {
                self.accept(cx);
                self.after_accept(cx)
            }
            (Asked::Attempt, Ok(Answer::Inserted(Inserted::Exists))) => match self.key_of_attempt()
            {
                Some(key) => {
                    self.asked = Asked::Namesake;
                    Ok(Step::Call(Call::Load { key }))
                }
                None => Ok(Step::Done),
            },
            (Asked::Namesake, Ok(Answer::Loaded(record))) => match self.ours(record.as_ref()) {
                Some(ours) => self.accepted_late(ours, cx),
                None => {
                    // Somebody who learnt of the key first has ended it: an "end all"
                    // that found it in the index before the record was there.
                    // Or a later login that took its seat.
                    let body = record.as_ref().and_then(|record| Envelope::decode(&record.body));
                    let reason = match body {
                        Some(Envelope::Tombstone(tombstone)) => tombstone.reason,
                        Some(Envelope::Live(_)) | None => EndReason::Revoked,
                    };
                    self.forget_attempt();
                    Err(Error::Lost(Verdict::Ended(reason)))
                }
            },
            (Asked::StillSo, Ok(Answer::Loaded(record))) => {
                let held = self.loaded().and_then(|loaded| loaded.held.as_ref());
                let is_so = held.zip(record.as_ref()).is_some_and(|(held, there)| {
                    held.record.revision == there.revision && cx.now < there.expires_at
                });
                if is_so {
                    self.forget_attempt();
                    return Ok(Step::Done);
                }
                self.newer(record, cx)
            }
            (Asked::Attempt, Ok(Answer::Replaced(Replaced::Conflict(record))))
            | (Asked::Newer, Ok(Answer::Loaded(record))) => self.newer(record, cx),
            (Asked::Attempt | Asked::Newer | Asked::Namesake | Asked::StillSo, Err(error)) => {
                let upkeep = self.attempt_is_upkeep();
                let error = Error::Store(error);
                if upkeep {
                    // The request has lost nothing of its own by it.
                    let key = self.key();
                    cx.observer.event(&Event::Failed { key, error: &error });
                    self.forget_attempt();
                    Ok(Step::Done)
                } else {
                    Err(error)
                }
            }
            (Asked::Touch(offer), answer) => {
                let Some(held) = self.loaded_mut().and_then(|loaded| loaded.held.as_mut()) else {
                    return Ok(Step::Done);
                };
                match answer {
                    Ok(_) => {
                        let held = Arc::make_mut(held);
                        held.record.expires_at =
                            held.live.expires_at(cx.now).max(held.record.expires_at);
                    }
                    Err(error) => {
                        let key = Some(held.key);
                        cx.observer.event(&Event::Failed { key, error: &Error::Store(error) });
                    }
                }
                let (cookie, expires_at) = (held.live.cookie, held.record.expires_at);
                if let Some(handed) = offer {
                    hand_out(&mut self.effects, &handed, cookie, expires_at, cx);
                }
                Ok(Step::Done)
            }
            (Asked::Tombstone, Ok(Answer::Replaced(Replaced::Done)))
            | (Asked::UnconditionalEnd, Ok(Answer::Ended)) => self.ended(true, cx),
            (Asked::Tombstone, Ok(Answer::Replaced(Replaced::Conflict(record)))) => {
                self.end_refused(record, cx)
            }
            (Asked::Tombstone | Asked::UnconditionalEnd, Err(error)) => Err(error.into()),
            // The driver performs the call that it was given.
            (asked, Ok(answer)) => {
                debug_assert!(false, "{asked:?} was answered by {answer:?}");
                Ok(Step::Done)
            }
            (Asked::Nothing | Asked::Seat(_), Err(error)) => Err(error.into()),
        }
    }

    fn ended(&mut self, by_us: bool, cx: &Context<'_>) -> Result<Step, Error> {
        let Some(loaded) = self.loaded_mut() else { return Ok(Step::Done) };
        if let Some((held, reason)) = loaded.dying.take() {
            if by_us {
                cx.observer.event(&Event::Ended { key: held.key, reason });
            }
            loaded.gone = Some(held);
        }
        loaded.attempt = None;
        self.effects.id = Some(cx.policy.transport.take_back());
        self.effects.clear_site_data = cx.policy.clear_site_data;
        self.tries = 0;
        // What was written after the end is a new session's.
        self.write(None, cx)
    }

    fn end_refused(&mut self, record: Option<Record>, cx: &Context<'_>) -> Result<Step, Error> {
        self.tries += 1;
        let is_ours = self.ours(record.as_ref()).is_some();
        let Some(loaded) = self.loaded_mut() else { return Ok(Step::Done) };
        let Some((held, reason)) = loaded.dying.take() else { return Ok(Step::Done) };
        if is_ours && let Some(attempt) = loaded.attempt.take() {
            // Of a login perhaps, whose answer was lost: its id is another one.
            loaded.dying = Some((attempt.held, reason));
            return self.commit(cx);
        }
        match judge::<T>(&held.id, held.key, record, cx) {
            Judgement::Live(newer, _) | Judgement::Unreadable(newer) => {
                loaded.dying = Some((newer, reason));
                self.commit(cx)
            }
            Judgement::Dead(
                Verdict::Unknown
                | Verdict::Ended(_)
                | Verdict::IdleExpired
                | Verdict::AbsoluteExpired,
            ) => self.ended(false, cx),
            judgement @ (Judgement::Dead(_) | Judgement::Reused(_)) => {
                // It stays wished for, so that no later commit says yes to it.
                loaded.dying = Some((held, reason));
                self.effects.id = None;
                Err(Error::Lost(judgement.verdict()))
            }
        }
    }

    /// The attempt is in the store: what it means comes true.
    fn accept(&mut self, cx: &Context<'_>) {
        let Stage::Loaded(loaded) = &mut self.stage else { return };
        let Some(attempt) = loaded.attempt.take() else { return };
        let Attempt { held, handed, cause, created, wishes, staged, ended } = attempt;
        let key = held.key;
        if created {
            cx.observer.event(&Event::Created { key });
        }
        if let Some(cause) = cause {
            cx.observer.event(&Event::Rotated { key, cause });
        }
        loaded.unanswered.clear();
        if let Some(reason) = ended {
            loaded.staged = None;
            loaded.dying = Some((held, reason));
            return;
        }
        if let Some(handed) = handed {
            hand_out(&mut self.effects, &handed, held.live.cookie, held.record.expires_at, cx);
            loaded.wishes.rewrite = false;
        }
        if staged && let Some(data) = loaded.staged.take() {
            if loaded.wishes.pending() {
                // Something was changed while the transaction was on its way; by the
                // last subject, if the transaction was a logout or a switch.
                let base = loaded.held.as_deref().map_or_else(|| Some(T::default()), decode);
                let base = base.filter(|base| {
                    let was = base.subject();
                    was.is_none() || was == data.subject()
                });
                match base.map(|base| T::merge(&base, &loaded.data, &data)) {
                    // Not of two subjects.
                    Some(Ok(merged)) if merged.data.subject() == data.subject() => {
                        loaded.data = merged.data;
                    }
                    _ => loaded.wishes.torn = true,
                }
            } else {
                loaded.data = *data;
            }
        }
        if let Some(wishes) = wishes {
            loaded.wishes.fulfil(wishes);
        }
        loaded.wishes.switched = None;
        loaded.had_session = true;
        loaded.held = Some(held);
    }

    /// A clone of the session may have ended it while the attempt was on its way.
    fn after_accept(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        match self.loaded() {
            Some(loaded) if loaded.dying.is_some() => self.commit(cx),
            _ => Ok(Step::Done),
        }
    }

    /// An attempt was in the store already, by an answer that was lost. What was
    /// wished since then is still to be written.
    fn accepted_late(&mut self, ours: Ours, cx: &Context<'_>) -> Result<Step, Error> {
        let Some(loaded) = self.loaded_mut() else { return Ok(Step::Done) };
        let Some(attempt) = loaded.attempt.take() else { return Ok(Step::Done) };
        let again = match ours {
            Ours::Latest => {
                if attempt.staged {
                    loaded.attempt = Some(attempt);
                    self.accept(cx);
                    return self.after_accept(cx);
                }
                false
            }
            Ours::Earlier => {
                if attempt.staged && attempt.ended.is_none() {
                    // A transaction that was given up: this request has not seen its
                    // data yet.
                    let theirs = decode(&attempt.held).ok_or(Error::Conflict)?;
                    if loaded.wishes.pending() {
                        merge_data(loaded, theirs)?;
                    } else {
                        loaded.data = theirs;
                    }
                }
                loaded.staged.take().is_some()
            }
        };
        loaded.attempt = Some(attempt);
        self.accept(cx);
        if again { Ok(Step::Again) } else { self.commit(cx) }
    }

    fn key_of_attempt(&self) -> Option<SessionKey> {
        Some(self.loaded()?.attempt.as_ref()?.held.key)
    }

    fn attempt_is_upkeep(&self) -> bool {
        self.loaded()
            .and_then(|loaded| loaded.attempt.as_ref())
            .is_some_and(|attempt| attempt.wishes.is_none() && !attempt.staged)
    }

    fn forget_attempt(&mut self) {
        if let Some(loaded) = self.loaded_mut() {
            loaded.attempt = None;
            loaded.staged = None;
        }
    }

    /// Tells whether the record is one that this request wrote, by an answer that
    /// was lost; that attempt is then the one to accept.
    fn ours(&mut self, record: Option<&Record>) -> Option<Ours> {
        let (Some(loaded), Some(record)) = (self.loaded_mut(), record) else { return None };
        let wrote = |attempt: &Attempt| {
            attempt.held.record.revision == record.revision
                && attempt.held.record.body == record.body
        };
        if loaded.attempt.as_ref().is_some_and(wrote) {
            return Some(Ours::Latest);
        }
        let index = loaded.unanswered.iter().position(wrote)?;
        loaded.attempt = Some(loaded.unanswered.swap_remove(index));
        Some(Ours::Earlier)
    }

    /// There is a newer record than the one that was loaded, or none any more.
    fn newer(&mut self, record: Option<Record>, cx: &Context<'_>) -> Result<Step, Error> {
        if let Some(ours) = self.ours(record.as_ref()) {
            return self.accepted_late(ours, cx);
        }
        let upkeep = self.attempt_is_upkeep();
        self.tries += 1;
        let Some(loaded) = self.loaded_mut() else { return Ok(Step::Done) };
        let attempt = loaded.attempt.take();
        let is_staged =
            loaded.staged.take().is_some() || attempt.is_some_and(|attempt| attempt.staged);
        let Some(held) = &loaded.held else {
            // Ended by another clone of the session while this was on its way.
            return Ok(if is_staged { Step::Again } else { Step::Done });
        };
        match judge::<T>(&held.id, held.key, record, cx) {
            Judgement::Live(newer, theirs) => {
                if newer.data() == held.data() && newer.live.version == held.live.version {
                    // Theirs is about the id or the deadline.
                } else if loaded.wishes.pending() {
                    let overwritten = merge_data(loaded, theirs)?;
                    cx.observer.event(&Event::Conflict { key: newer.key, overwritten });
                } else {
                    loaded.data = theirs;
                }
                loaded.held = Some(newer);
                if self.tries >= MAX_TRIES {
                    return if upkeep { Ok(Step::Done) } else { Err(Error::Conflict) };
                }
                if is_staged { Ok(Step::Again) } else { self.write(None, cx) }
            }
            judgement => {
                // Invariant: no id of an earlier commit either, so that this late
                // response cannot overwrite the id of a login.
                self.effects.id = None;
                // What the request read was true when it was read.
                if upkeep { Ok(Step::Done) } else { Err(Error::Lost(judgement.verdict())) }
            }
        }
    }
}

/// Merges theirs into the request's data and says how many values it overwrote.
fn merge_data<T: SessionData>(loaded: &mut Loaded<T>, theirs: T) -> Result<usize, Error> {
    let ours = loaded.data.subject();
    // By the names that this program gives, and not by those in the records: a release may have
    // begun to name the same user in another way, which is no switch.
    let (base, was) = match &loaded.held {
        Some(held) => {
            let base = decode::<T>(held).ok_or(Error::Conflict)?;
            let was = base.subject();
            (base, was)
        }
        None => (T::default(), None),
    };
    let is = theirs.subject();
    let changes_subject = ours != was;
    if let (Some(held), Some(_), true) = (&loaded.held, was, changes_subject) {
        // What somebody else wrote meanwhile is the last subject's, who leaves. What
        // this request has written can be told by the data that it loaded alone.
        if let Some(new) = ours.filter(|new| loaded.wishes.switched.as_deref() != Some(new)) {
            switch(held, &mut loaded.data, new)?;
            loaded.wishes.switched = Some(Box::new(new));
        }
        return Ok(0);
    }
    let merged = T::merge(&base, &loaded.data, &theirs).map_err(|_| Error::Conflict)?;
    // Invariant: a merge that would mix two subjects is no merge.
    let expected = if changes_subject { ours } else { is };
    if merged.data.subject() != expected || (changes_subject && is != was) {
        return Err(Error::Conflict);
    }
    loaded.data = merged.data;
    Ok(merged.overwritten)
}

fn hand_out(
    effects: &mut Effects,
    handed: &Handed,
    cookie: CookieLifetime,
    expires_at: Timestamp,
    cx: &Context<'_>,
) {
    let max_age = match cookie {
        CookieLifetime::BrowserSession => None,
        CookieLifetime::Persistent => Some(expires_at.since(cx.now)),
    };
    effects.id = cx.policy.transport.hand_out(&cx.policy.id_form, handed, max_age);
}
