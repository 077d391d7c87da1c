//! A stopwatch that stands still while another program has the processor.

use std::time::Duration;

/// Returns how long this thread has run.
pub fn thread_time() -> Duration {
    time(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Returns how long all threads of this program have run.
pub fn process_time() -> Duration {
    time(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn time(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a value that lives through the call.
    let code = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(code, 0, "there is such a clock on every Unix");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
