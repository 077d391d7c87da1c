//! Random histories: the right stores have an explanation, the wrong ones none.

use std::sync::Arc;

use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::history::{self, Report, Violation, Workload};
use typed_session::testing::schedule::{run, yield_now};
use typed_session::testing::wrong::{Mistake, WrongStore};
use typed_session::testing::{Faulty, Verb, When, Yielding, Yields};

fn wrong(mistake: Mistake, seed: u64) -> Result<Report, Violation> {
    let store = Arc::new(WrongStore::new(mistake));
    let connect = async || Yielding::new(Arc::clone(&store), Yields::Around);
    run(Workload::new().seed(seed).operations(4000).check(connect))
}

#[test]
fn probe() {
    for mistake in Mistake::ALL {
        let found = (0..12).filter(|seed| wrong(mistake, *seed).is_err()).count();
        println!("{found:3} {mistake:?}");
    }
    println!("{:?}", wrong(Mistake::None, 1));
    println!("{:?}", wrong(Mistake::ReplaceInTwoSteps, 1));
}
