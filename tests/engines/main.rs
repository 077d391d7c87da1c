//! The stores of engines that are reached over a socket, against the real servers.
//!
//! `./tests/run engines` starts what is needed; each test is ignored otherwise.
#![allow(clippy::unwrap_used)]

mod mongodb;

fn mongodb_url() -> String {
    std::env::var("MONGODB_URL").expect("MONGODB_URL says where a MongoDB is")
}
