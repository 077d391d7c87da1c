//! The suite itself: how it is called, and what it prints.

use std::panic::{AssertUnwindSafe, catch_unwind};

use typed_session::store::{DynStore, MemoryStore, Store};
use typed_session::testing::conformance::{self, Rule, Suite};
use typed_session::testing::schedule::run;
use typed_session::testing::wrong::{Mistake, WrongStore};
use typed_session::testing::{Yielding, Yields};

#[test]
fn one_line_holds_a_store_to_the_contract() {
    run(conformance::run(async || MemoryStore::new()));
}

#[test]
fn the_erased_store_keeps_the_contract_of_the_one_inside() {
    run(conformance::run(async || DynStore::new(MemoryStore::new())));
}

#[test]
fn a_store_with_await_points_keeps_the_contract() {
    run(conformance::run(async || Yielding::new(MemoryStore::new(), Yields::Around)));
}

#[test]
fn races_run_on_threads_if_they_are_given() {
    let suite = Suite::new().spawn(|task| {
        std::thread::spawn(|| run(task));
    });
    let suite = suite.skip(Rule::OneStep).skip(Rule::DroppedHalfway);
    let races = std::thread::spawn(move || {
        // The caller waits for other threads here, which `run` does not.
        futures_executor::block_on(suite.check(async || MemoryStore::new()))
    });
    let report = races.join().unwrap().unwrap();
    assert_eq!(report.kept.len() + report.skipped.len(), Rule::ALL.len());
}

#[test]
fn a_violation_says_the_sentence_what_happened_and_the_seed() {
    let check = Suite::new().seed(42);
    let violation = run(check.check(async || WrongStore::new(Mistake::TouchCreates))).unwrap_err();
    assert_eq!(
        violation.to_string(),
        "the store breaks its contract (TouchNeverCreates):\n  \
         touch: It never creates.\n  \
         touch of an absent key made a record\n  \
         seed 42"
    );
    assert_eq!((violation.rule(), violation.seed()), (Rule::TouchNeverCreates, 42));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        run(check.run(async || WrongStore::new(Mistake::TouchCreates)));
    }));
    let text = panicked.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*text, violation.to_string());
}

#[test]
fn a_race_that_breaks_a_rule_prints_its_order() {
    let suite = Suite::new().seed(1);
    let violation = run(suite.check(async || WrongStore::new(Mistake::EndInTwoSteps))).unwrap_err();
    let text = violation.to_string();
    assert!(text.contains("in the order: "), "{text}");
    assert!(text.contains("no order of these calls explains their answers"), "{text}");
}

#[test]
fn the_suite_leaves_nothing_behind_but_tombstones() {
    use std::sync::Arc;
    let store = Arc::new(MemoryStore::new());
    run(Suite::new().check(async || Arc::clone(&store))).unwrap();
    let far = typed_session::Timestamp::from_millis(i64::MAX / 2000);
    let left = run(store.remove_expired(far, usize::MAX)).unwrap();
    let forever = run(store.remove_expired(typed_session::Timestamp::MAX, usize::MAX)).unwrap();
    assert!(left > 0, "tombstones are left to expire");
    assert_eq!(forever, 0, "nothing is left for ever");
}

#[test]
fn a_store_that_expires_by_itself_passes_if_the_suite_is_told() {
    let native = || WrongStore::new(Mistake::LoadHidesExpired);
    assert_eq!(
        run(Suite::new().check(async || native())).unwrap_err().rule(),
        Rule::ExpiredIsLoaded
    );
    run(Suite::new().native_expiry().run(async || native()));
    let lazy = async || WrongStore::new(Mistake::SweepForgets);
    run(Suite::new().native_expiry().run(lazy));
}
