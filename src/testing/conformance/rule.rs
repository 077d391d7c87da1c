//! The sentences of the contract, by name.

/// Makes the enum, its list and its sentences of one text, so that what the
/// docs say is what a violation prints.
macro_rules! rules {
    ($($(#[doc = $more:literal])* $name:ident: $sentence:literal,)*) => {
        /// A rule of the contract of [`Store`](crate::store::Store).
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $sentence] $(#[doc = $more])* $name,)*
        }

        impl Rule {
            /// All rules, in the order in which they are checked.
            pub const ALL: [Self; [$($sentence),*].len()] = [$(Self::$name),*];

            /// Returns the contract's sentence.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }
        }
    };
}

rules! {
    AbsentIsNone: "load: Returns the record under a key, or `None` if there is none; absence is not an error.",
    InsertCreates: "insert: Creates the record under a key that has none.",
    ExpiredIsLoaded: "load: Also a record that is past its time.",
    ReplaceIgnoresTime: "No opinion on time: a record that is past its time is replaced like any other.",
    KeysAreWhole: "Different keys owe each other nothing but the index.",
    DeadlineAsItIs: "Bytes as they are: what is loaded equals what was written, also `expires_at` in milliseconds.",
    BodyAsItIs: "Bytes as they are: what is loaded equals what was written, also an empty body and a body of 64 KiB.",
    RevisionAsItIs: "Bytes as they are: what is loaded equals what was written, also every revision up to `ENDED`.",
    SubjectAsItIs: "Bytes as they are: what is loaded equals what was written, also the subject or that there is none.",
    TooLargeIsSaid: "A body that the engine cannot take is `ErrorKind::TooLarge`, never cut.",
    TombstoneIsLoaded: "load: And also a tombstone.",
    InsertNeverOverwrites: "insert: If there is any record under the key, it changes nothing and answers `Exists`.",
    InsertRespectsExpired: "insert: If there is an expired record, it changes nothing and answers `Exists`.",
    ReplaceSetsAllFour: "replace: All four values become those of `record`.",
    ReplaceMovesDeadlineBack: "replace: An `expires_at` earlier than before counts like any other.",
    ReplaceChecksRevision: "replace: Replaces the record if it is at revision `expected`; otherwise it changes nothing.",
    ReplaceSaysWhatIsThere: "replace: Answers `Conflict` with what is there.",
    ReplaceNeverCreates: "replace: It never creates: where there is no record, the answer is `Conflict(None)`.",
    TouchMovesForward: "touch: If the record's `expires_at` is earlier than `expires_at`, that becomes the new one.",
    TouchNeverCreates: "touch: It never creates.",
    TouchChecksRevision: "touch: Moves a deadline if the record is at revision `at`; at any other, nothing changes.",
    TouchNeverMovesBack: "touch: It never moves a deadline back.",
    TouchLeavesTheRest: "touch: It leaves revision, subject and body alone, so that it cannot make a `replace` fail.",
    EndWhateverIsThere: "end: Writes a tombstone under a key, whatever is there.",
    EndIfNothingIs: "end: Writes a tombstone also if nothing is there.",
    TombstoneAsItIs: "Bytes as they are: what is loaded equals what was written, also of a tombstone.",
    EndKeepsLaterDeadline: "end: A tombstone on a tombstone keeps the later deadline of both.",
    EndedRefusesReplace: "end: From then on every `replace` under this key is refused.",
    InsertRespectsTombstones: "insert: If there is a tombstone, it changes nothing and answers `Exists`.",
    IndexNamesInserted: "The index never misses: as long as a record with a subject is there, it names its key.",
    IndexFollowsReplace: "The index never misses a session that a `replace` gave to a subject.",
    IndexNamesExpired: "The index never misses: also an expired record is there.",
    IndexNamesTouched: "The index never misses a session that was touched.",
    PageAscends: "sessions_of: Returns the keys in ascending order.",
    PageIsLimited: "sessions_of: At most `limit` keys.",
    PageStartsAfter: "sessions_of: All greater than `after`.",
    ShortPageIsLast: "sessions_of: Fewer than `limit` means that these were the last.",
    WalkMissesNothing: "sessions_of: A session that is there during the whole walk through the pages is on one of them.",
    SweepRemovesDue: "remove_expired: Removes records whose `expires_at` is earlier than `now`.",
    SweepRemovesNow: "remove_expired: Removes records whose `expires_at` is `now`.",
    SweepLeavesTheRest: "remove_expired: Removes nothing whose `expires_at` is later than `now`.",
    SweepIsBounded: "remove_expired: At most `limit` of them.",
    SweepCounts: "remove_expired: Says how many.",
    SweepFewerIsAll: "remove_expired: Fewer than `limit` means that no more are known.",
    SweepTakesTombstones: "remove_expired: Tombstones too.",
    SweepGoesByTheDeadline: "remove_expired: Goes by the deadline that a record has now, not by one that it had.",
    OneInsertWins: "One row, one step: of many inserts of one key, one creates.",
    OneReplaceWins: "One row, one step: of many replaces from one revision, one is done.",
    NoIncrementIsLost: "One row, one step: nothing that a `replace` has written is lost.",
    EndedStaysEnded: "end: From then on every `insert` and `replace` is refused, also one that is under way.",
    IndexNeverMisses: "The index never misses, from the moment on at which the writing verb could be seen.",
    SweepOrTouch: "remove_expired: A record whose deadline is moved forward at the same time is either removed or moved, not both.",
    OneStep: "One row, one step: insert, replace, touch and end of one key are linearizable.",
    DroppedHalfway: "Dropped futures: the verb happened or it did not; it never happened in part.",
}
