//! Futures without a runtime.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Polls the future of an application that never waits.
pub fn at_once<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("nothing in this application waits"),
    }
}
