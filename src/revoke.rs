//! Ending sessions from outside of them.

use futures_util::{StreamExt, TryStreamExt, stream};

use crate::data::SessionData;
use crate::envelope::tombstone;
use crate::event::Event;
use crate::id::SessionKey;
use crate::layer::SessionLayer;
use crate::record::Record;
use crate::store::{self, ErrorKind, Replaced, Revision, Scan, Store};
use crate::subject::Subject;
use crate::verdict::EndReason;

/// How many keys are asked of the index at once.
const PAGE: usize = 100;

/// How many rows are asked of a walk at once.
const ROWS: usize = 1000;

/// After so many refused tombstones a session is ended unconditionally.
const MOST_TRIES: u32 = 16;

/// How many sessions a walk ends at the same time.
const AT_ONCE: usize = 16;

impl<T: SessionData, S: Store> SessionLayer<T, S> {
    /// Ends the session of this key, whatever its holder is doing.
    ///
    /// Once it returns, no request in flight can make the session readable
    /// again. Also a key without a record is marked as ended, so that an
    /// insertion under way fails.
    ///
    /// # Errors
    ///
    /// If the store fails; the session may be ended or not then.
    ///
    /// # Security
    ///
    /// It asks nobody whose the session is, and writes where there is none: the key must come from an
    /// operator or a program. For a key out of a form there is [`end_of`](Self::end_of); with
    /// [`max_sessions`](Self::max_sessions), a user's seats have a key, too, that can be computed from
    /// the user's name, and to end those keeps the user from logging in.
    pub async fn end(&self, key: &SessionKey, reason: EndReason) -> store::Result<()> {
        self.store().end(key, &tombstone(reason, self.now(), self.remembers_ended())).await?;
        self.event(&Event::Ended { key: *key, reason });
        Ok(())
    }

    /// Ends every session of a subject: "log out everywhere". Returns how many
    /// those were.
    ///
    /// It is complete: every session whose login was acknowledged before the call
    /// is ended when it returns (OWASP ASVS 5.0, 7.4.2, 7.4.5). A login that is
    /// acknowledged later is a later login.
    ///
    /// The index may name what is not the subject's, or not there at all. It must not miss a
    /// session; where it was damaged, see [`end_all_by_scan`](Self::end_all_by_scan).
    ///
    /// ```
    /// # use typed_session::{EndReason, SessionData, SessionLayer, Subject, store::MemoryStore};
    /// # #[derive(Default, serde::Serialize, serde::Deserialize)]
    /// # struct Shop { user: Option<u64> }
    /// # impl SessionData for Shop {
    /// #     fn subject(&self) -> Option<Subject> { self.user.map(Subject::from) }
    /// # }
    /// # futures_executor::block_on(async {
    /// let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new());
    /// # let exchange = sessions.open([]);
    /// # exchange.session().await.unwrap().update(|shop| shop.user = Some(42));
    /// # assert!(exchange.finish().await.error.is_none());
    /// let ended = sessions.end_all(Subject::from(42u64), EndReason::Revoked).await?;
    /// # assert_eq!(ended, 1);
    /// # Ok::<(), typed_session::store::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If the store fails; some of the sessions may be ended then, so call it
    /// again.
    pub async fn end_all(&self, subject: Subject, reason: EndReason) -> store::Result<usize> {
        self.end_all_but(&subject, None, reason).await
    }

    pub(crate) async fn end_all_but(
        &self,
        subject: &Subject,
        spared: Option<&SessionKey>,
        reason: EndReason,
    ) -> store::Result<usize> {
        let mut ended = 0;
        let mut after = None;
        loop {
            let keys = self.store().sessions_of(subject, after.as_ref(), PAGE).await?;
            for key in keys.iter().filter(|key| spared != Some(*key)) {
                ended += usize::from(self.end_if_of(subject, key, reason).await?);
            }
            match keys.last() {
                Some(last) if keys.len() == PAGE => after = Some(*last),
                _ => return Ok(ended),
            }
        }
    }

    /// Ends the session of this key, if it belongs to the subject. The index may
    /// name others; ending one of those would log out somebody else.
    async fn end_if_of(
        &self,
        subject: &Subject,
        key: &SessionKey,
        reason: EndReason,
    ) -> store::Result<bool> {
        let record = match self.store().load(key).await {
            // A row that makes no sense must not keep the others logged in; and the
            // index says that it is the subject's.
            Err(error) if error.kind() == ErrorKind::Corrupt => None,
            record => record?,
        };
        if let Some(there) = record
            && let Some(ended) = self.end_while_of(subject, key, there, reason).await?
        {
            return Ok(ended);
        }
        // In the index and not yet, or no more, in the store: what comes later must find it
        // ended.
        self.end(key, reason).await?;
        Ok(false)
    }

    /// Ends the session of this key as long as it belongs to the subject, and tells whether it
    /// did; or nothing, if it is gone meanwhile.
    pub(crate) async fn end_while_of(
        &self,
        subject: &Subject,
        key: &SessionKey,
        mut there: Record,
        reason: EndReason,
    ) -> store::Result<Option<bool>> {
        let mut tries = 0;
        while there.subject == Some(*subject) && there.revision != Revision::ENDED {
            tries += 1;
            if tries > MOST_TRIES {
                // Somebody writes without a pause: it is the subject's, and was all the time.
                self.end(key, reason).await?;
                return Ok(Some(true));
            }
            let tombstone = tombstone(reason, self.now(), self.remembers_ended());
            there = match self.store().replace(key, there.revision, &tombstone).await? {
                Replaced::Done => {
                    self.event(&Event::Ended { key: *key, reason });
                    return Ok(Some(true));
                }
                Replaced::Conflict(Some(newer)) => newer,
                Replaced::Conflict(None) => return Ok(None),
            };
        }
        Ok(Some(false))
    }
}

impl<T: SessionData, S: Scan> SessionLayer<T, S> {
    /// Ends every session of everybody, and returns how many records those were (OWASP ASVS 5.0,
    /// 7.4.5).
    ///
    /// It is complete: every session that was acknowledged before the call is ended when it
    /// returns, those without a subject as well. It walks through the whole store, and what has
    /// expired and is not removed yet counts with the rest, because this machine's clock may be
    /// wrong.
    ///
    /// A [`DynStore`](store::DynStore) can be walked through if it was made by
    /// [`scannable`](store::DynStore::scannable) or of a URL.
    ///
    /// # Errors
    ///
    /// If the store fails; some of the sessions may be ended then, so call it again.
    pub async fn end_everyone(&self, reason: EndReason) -> store::Result<usize> {
        let mut ended = 0;
        let mut from = None;
        loop {
            let page = self.store().scan(from.as_ref(), ROWS).await?;
            let rows = page.rows.iter();
            let alive = rows.filter(|row| row.is_session() && row.revision != Revision::ENDED);
            let keys = alive.map(|row| row.key).chain(page.corrupt);
            ended += stream::iter(keys)
                .map(|key| async move { self.end(&key, reason).await })
                .buffer_unordered(AT_ONCE)
                .try_fold(0, |count, ()| std::future::ready(Ok(count + 1)))
                .await?;
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(ended),
            }
        }
    }

    /// Ends every session of a subject without the index: by a walk through the whole store.
    ///
    /// For an index that was lost or damaged, by a restored backup or by hand, say.
    /// [`end_all`](Self::end_all) is much cheaper, and as complete where the index is whole. Returns
    /// how many sessions were ended.
    ///
    /// A row that makes no sense is left alone: whose it is cannot be told, and no request can
    /// read it.
    ///
    /// # Errors
    ///
    /// If the store fails; some of the sessions may be ended then, so call it again.
    pub async fn end_all_by_scan(
        &self,
        subject: Subject,
        reason: EndReason,
    ) -> store::Result<usize> {
        let mut ended = 0;
        let mut from = None;
        loop {
            let page = self.store().scan(from.as_ref(), ROWS).await?;
            for row in page.rows.iter().filter(|row| row.subject == Some(subject)) {
                ended += usize::from(self.end_if_of(&subject, &row.key, reason).await?);
            }
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(ended),
            }
        }
    }
}
