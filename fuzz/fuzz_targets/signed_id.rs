//! Signed ids: whatever is sent, only what the layer has written itself is tried.
//!
//! The input is told in `guarded/mod.rs`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use typed_session::IdForm;

use crate::guarded::Server;

mod guarded;

static SERVER: LazyLock<Server> = LazyLock::new(|| Server::new(IdForm::signed));

fuzz_target!(|input: &[u8]| SERVER.check(input));
