//! The contract's verbs on one key, as a model.

use crate::record::Record;
use crate::store::{Inserted, Revision};
use crate::subject::Subject;
use crate::time::Timestamp;

/// A call, as far as it concerns one key.
#[derive(Clone, Debug)]
pub(in crate::testing) enum Op {
    Load,
    Insert(Record),
    Replace(Revision, Record),
    Touch(Revision, Timestamp),
    End(Record),
    /// A walk through a subject's sessions, which did not name the key.
    Walk(Subject),
}

/// What it answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::testing) enum Answer {
    Found(Option<Record>),
    Inserted(Inserted),
    Replaced,
    Refused,
    Nothing,
    Missed,
}

/// What is under the key.
pub(in crate::testing) type State = Option<Record>;

impl Op {
    /// Every state and answer that the contract allows from here.
    pub(super) fn step(&self, state: &State) -> Vec<(State, Answer)> {
        let unchanged = |answer| vec![(state.clone(), answer)];
        match (self, state) {
            (Self::Load, there) => unchanged(Answer::Found(there.clone())),
            (Self::Insert(record), None) => {
                vec![(Some(record.clone()), Answer::Inserted(Inserted::Created))]
            }
            (Self::Insert(_), Some(_)) => unchanged(Answer::Inserted(Inserted::Exists)),
            (Self::Replace(expected, record), Some(there)) if there.revision == *expected => {
                vec![(Some(record.clone()), Answer::Replaced)]
            }
            (Self::Replace(..), _) => unchanged(Answer::Refused),
            (Self::Touch(at, expires_at), Some(there))
                if there.revision == *at && there.expires_at < *expires_at =>
            {
                let moved = Record { expires_at: *expires_at, ..there.clone() };
                vec![(Some(moved), Answer::Nothing)]
            }
            (Self::Touch(..), _) => unchanged(Answer::Nothing),
            (Self::End(tombstone), Some(there)) if there.revision == Revision::ENDED => {
                let expires_at = tombstone.expires_at.max(there.expires_at);
                [&tombstone.body, &there.body]
                    .map(|body| {
                        let body = body.clone();
                        (Some(Record { expires_at, body, ..tombstone.clone() }), Answer::Nothing)
                    })
                    .to_vec()
            }
            (Self::End(tombstone), _) => vec![(Some(tombstone.clone()), Answer::Nothing)],
            // The index may name too many and never misses: there was a moment
            // during the walk at which the session was not this subject's.
            (Self::Walk(subject), Some(there)) if there.subject == Some(*subject) => Vec::new(),
            (Self::Walk(_), _) => unchanged(Answer::Missed),
        }
    }

    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Insert(_) => "insert",
            Self::Replace(..) => "replace",
            Self::Touch(..) => "touch",
            Self::End(_) => "end",
            Self::Walk(_) => "sessions_of",
        }
    }

    /// Whether a call with this answer can have changed nothing.
    pub(super) fn only_looked(&self, answer: &Answer) -> bool {
        match (self, answer) {
            (Self::Load | Self::Walk(_), _)
            | (Self::Insert(_), Answer::Inserted(Inserted::Exists))
            | (Self::Replace(..), Answer::Refused) => true,
            (Self::Insert(_) | Self::Replace(..) | Self::Touch(..) | Self::End(_), _) => false,
        }
    }

    /// Whether it writes nothing, whatever it answers.
    pub(super) fn only_looks(&self) -> bool {
        matches!(self, Self::Load | Self::Walk(_))
    }
}
