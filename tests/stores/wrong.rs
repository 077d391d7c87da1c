//! The suite finds every mistake, and names the rule.

use typed_session::testing::conformance::{Rule, Suite};
use typed_session::testing::schedule::run;
use typed_session::testing::wrong::{Mistake, WrongStore};

/// The rule that is named first, and whether it is the only one that finds it.
const NAMED: [(Mistake, Rule, Guard); 61] = [
    (Mistake::AbsentIsAnError, Rule::AbsentIsNone, Guard::OneOfMany),
    (Mistake::InsertForgets, Rule::InsertCreates, Guard::OneOfMany),
    (Mistake::KeysAreCut, Rule::KeysAreWhole, Guard::OneOfMany),
    (Mistake::BodiesAreCut, Rule::BodyAsItIs, Guard::OneOfMany),
    (Mistake::BodiesAreText, Rule::BodyAsItIs, Guard::OneOfMany),
    (Mistake::SecondsOnly, Rule::DeadlineAsItIs, Guard::OneOfMany),
    (Mistake::RevisionsAreFloats, Rule::RevisionAsItIs, Guard::Only),
    (Mistake::SubjectIsForgotten, Rule::SubjectAsItIs, Guard::OneOfMany),
    (Mistake::LargeBodiesAreCut, Rule::TooLargeIsSaid, Guard::Only),
    (Mistake::LoadHidesExpired, Rule::ExpiredIsLoaded, Guard::OneOfMany),
    (Mistake::LoadHidesTombstones, Rule::TombstoneIsLoaded, Guard::OneOfMany),
    (Mistake::InsertOverwrites, Rule::InsertNeverOverwrites, Guard::OneOfMany),
    (Mistake::InsertOverwritesExpired, Rule::InsertRespectsExpired, Guard::OneOfMany),
    (Mistake::InsertOverwritesTombstones, Rule::InsertRespectsTombstones, Guard::OneOfMany),
    (Mistake::ReplaceKeepsSubject, Rule::ReplaceSetsAllFour, Guard::OneOfMany),
    (Mistake::ReplaceKeepsLaterDeadline, Rule::ReplaceMovesDeadlineBack, Guard::OneOfMany),
    (Mistake::ReplaceIgnoresRevision, Rule::ReplaceChecksRevision, Guard::OneOfMany),
    (Mistake::ReplaceTakesOlder, Rule::ReplaceChecksRevision, Guard::Only),
    (Mistake::RefusedReplaceTouches, Rule::ReplaceChecksRevision, Guard::Only),
    (Mistake::ReplaceUpserts, Rule::ReplaceChecksRevision, Guard::OneOfMany),
    (Mistake::ReplaceCreates, Rule::ReplaceNeverCreates, Guard::OneOfMany),
    (Mistake::ReplaceSaysNothing, Rule::ReplaceSaysWhatIsThere, Guard::OneOfMany),
    (Mistake::ReplaceHidesExpired, Rule::ReplaceIgnoresTime, Guard::OneOfMany),
    (Mistake::TouchForgets, Rule::TouchMovesForward, Guard::OneOfMany),
    (Mistake::TouchCreates, Rule::TouchNeverCreates, Guard::OneOfMany),
    (Mistake::TouchMovesBack, Rule::TouchNeverMovesBack, Guard::Only),
    (Mistake::TouchIgnoresRevision, Rule::TouchChecksRevision, Guard::OneOfMany),
    (Mistake::TouchBumpsRevision, Rule::TouchLeavesTheRest, Guard::OneOfMany),
    (Mistake::EndKeepsRecordsDeadline, Rule::EndWhateverIsThere, Guard::OneOfMany),
    (Mistake::EndNeedsRecord, Rule::EndIfNothingIs, Guard::OneOfMany),
    (Mistake::EndDeletes, Rule::TombstoneIsLoaded, Guard::OneOfMany),
    (Mistake::EndShortensTombstones, Rule::EndKeepsLaterDeadline, Guard::Only),
    (Mistake::ReplaceTakesTombstones, Rule::EndedRefusesReplace, Guard::OneOfMany),
    (Mistake::TombstonesLoseBody, Rule::TombstoneAsItIs, Guard::OneOfMany),
    (Mistake::InsertSkipsIndex, Rule::IndexNamesInserted, Guard::OneOfMany),
    (Mistake::ReplaceSkipsIndex, Rule::IndexFollowsReplace, Guard::OneOfMany),
    (Mistake::IndexHidesExpired, Rule::IndexNamesExpired, Guard::Only),
    (Mistake::TouchDropsIndex, Rule::IndexNamesTouched, Guard::Only),
    (Mistake::PagesDescend, Rule::PageAscends, Guard::OneOfMany),
    (Mistake::PagesIgnoreLimit, Rule::PageIsLimited, Guard::Only),
    (Mistake::PagesIgnoreAfter, Rule::PageStartsAfter, Guard::OneOfMany),
    (Mistake::PagesIncludeAfter, Rule::PageStartsAfter, Guard::OneOfMany),
    (Mistake::PagesAreShort, Rule::ShortPageIsLast, Guard::OneOfMany),
    (Mistake::PagesCount, Rule::WalkMissesNothing, Guard::Only),
    (Mistake::SweepForgets, Rule::SweepRemovesDue, Guard::OneOfMany),
    (Mistake::SweepMissesNow, Rule::SweepRemovesNow, Guard::OneOfMany),
    (Mistake::SweepTakesNext, Rule::SweepLeavesTheRest, Guard::Only),
    (Mistake::SweepIsUnbounded, Rule::SweepIsBounded, Guard::Only),
    (Mistake::SweepSaysZero, Rule::SweepCounts, Guard::OneOfMany),
    (Mistake::SweepStopsEarly, Rule::SweepFewerIsAll, Guard::Only),
    (Mistake::SweepKeepsTombstones, Rule::SweepTakesTombstones, Guard::Only),
    (Mistake::SweepGoesByFirstDeadline, Rule::SweepGoesByTheDeadline, Guard::OneOfMany),
    (Mistake::InsertInTwoSteps, Rule::OneInsertWins, Guard::OneOfMany),
    (Mistake::ReplaceInTwoSteps, Rule::OneReplaceWins, Guard::OneOfMany),
    (Mistake::TouchInTwoSteps, Rule::EndedStaysEnded, Guard::OneOfMany),
    (Mistake::EndInTwoSteps, Rule::OneStep, Guard::OneOfMany),
    (Mistake::SweepInTwoSteps, Rule::SweepOrTouch, Guard::Only),
    (Mistake::CacheIsFilledLate, Rule::NoIncrementIsLost, Guard::OneOfMany),
    (Mistake::IndexAfterRecord, Rule::IndexNeverMisses, Guard::Only),
    (Mistake::IndexDroppedFirst, Rule::IndexNeverMisses, Guard::Only),
    (Mistake::ReplaceInTwoStepsUnderLock, Rule::DroppedHalfway, Guard::Only),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Guard {
    Only,
    OneOfMany,
}

fn suite() -> Suite {
    Suite::new().seed(7)
}

#[test]
fn the_suite_names_the_rule_that_a_mistake_breaks() {
    let mut wrong = Vec::new();
    for (mistake, rule, _) in NAMED {
        match run(suite().check(async || WrongStore::new(mistake))) {
            Ok(_) => wrong.push(format!("{mistake:?} slips through, not {rule:?}")),
            Err(violation) if violation.rule() == rule => {}
            Err(violation) => wrong.push(format!("{mistake:?}, not {rule:?}: {violation}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mistake_has_its_line() {
    assert_eq!(NAMED.map(|(mistake, _, _)| mistake), Mistake::ALL);
}

#[test]
fn without_a_rule_the_mistake_that_only_it_finds_slips_through() {
    let mut wrong = Vec::new();
    for (mistake, rule, guard) in NAMED {
        let others = run(suite().skip(rule).check(async || WrongStore::new(mistake)));
        match (others, guard) {
            (Ok(_), Guard::Only) | (Err(_), Guard::OneOfMany) => {}
            (Ok(_), Guard::OneOfMany) => wrong.push(format!("{mistake:?}: only {rule:?}")),
            (Err(other), Guard::Only) => wrong.push(format!("{mistake:?}: also {other}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn without_its_mistake_the_wrong_store_is_right() {
    for seed in 0..3 {
        run(Suite::new().seed(seed).run(async || WrongStore::new(Mistake::None)));
    }
}
