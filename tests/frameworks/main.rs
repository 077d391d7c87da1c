//! Every adapter against its real framework.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime;

#[cfg(feature = "actix-web")]
mod actix_web;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "cot")]
mod cot;
#[cfg(feature = "hyper")]
mod hyper;
mod loopback;
#[cfg(feature = "ntex")]
mod ntex;
#[cfg(feature = "poem")]
mod poem;
#[cfg(feature = "rocket")]
mod rocket;
#[cfg(feature = "salvo")]
mod salvo;
mod versions;
#[cfg(feature = "viz")]
mod viz;
#[cfg(feature = "warp")]
mod warp;
#[cfg(feature = "axum")]
mod wrong;

/// Serves on a socket of this machine until the process ends: for frameworks that run wherever
/// tokio does.
#[allow(dead_code, reason = "not every framework is one of them")]
fn serve<F: Future + Send + 'static>(serve: impl FnOnce(TcpListener) -> F) -> SocketAddr {
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = Box::leak(Box::new(runtime.unwrap()));
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let serving = serve(listener);
    runtime.spawn(async move { drop(serving.await) });
    address
}
