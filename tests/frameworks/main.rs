//! Every adapter against its real framework.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

#[cfg(feature = "axum")]
mod axum;

/// Binds a socket, and serves on it in threads of its own until the process ends; for frameworks
/// that run on any tokio runtime.
#[cfg(feature = "axum")]
fn serve<F>(serve: impl FnOnce(tokio::net::TcpListener) -> F) -> std::net::SocketAddr
where
    F: Future + Send + 'static,
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = Box::leak(Box::new(runtime.unwrap()));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn({
        let serving = serve(listener);
        async move { drop(serving.await) }
    });
    address
}
