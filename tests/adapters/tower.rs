//! The tower layer around services that no framework has made.

use std::cell::RefCell;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use axum::http::{HeaderValue, Request, Response, header};
use futures_executor::block_on;
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tower::{Layer, Service, ServiceExt, service_fn};
use typed_session::store::MemoryStore;
use typed_session::{PendingSession, SessionData, SessionLayer, Transport};

#[derive(Default, Deserialize, Serialize)]
struct Visits {
    count: u64,
}

impl SessionData for Visits {}

fn sessions() -> SessionLayer<Visits, Arc<MemoryStore>> {
    SessionLayer::new(Arc::new(MemoryStore::new()))
}

/// A body that is neither `Send` nor any framework's.
struct Local(Rc<RefCell<String>>);

impl From<&'static str> for Local {
    fn from(text: &'static str) -> Self {
        Self(Rc::new(RefCell::new(text.to_owned())))
    }
}

async fn visit(request: Request<()>) -> Result<Response<Local>, Infallible> {
    let session =
        request.extensions().get::<PendingSession<Visits>>().unwrap().load().await.unwrap();
    session.update(|visits| visits.count += 1);
    Ok(Response::new("visited".into()))
}

#[test]
fn body_and_future_need_not_be_send_nor_of_a_framework() {
    let service = sessions().layer(service_fn(visit));
    let response = block_on(service.oneshot(Request::new(()))).unwrap();
    assert!(response.headers().contains_key(header::SET_COOKIE));
    assert_eq!(*response.body().0.borrow(), "visited");
}

#[test]
fn an_error_of_the_service_passes_as_it_is_and_stores_nothing() {
    #[derive(Debug, PartialEq)]
    struct Broken(u8);

    let sessions = sessions();
    let service = sessions.layer(service_fn(async |request: Request<()>| {
        let pending = request.extensions().get::<PendingSession<Visits>>().unwrap();
        pending.load().await.unwrap().update(|visits| visits.count += 1);
        Err::<Response<Local>, _>(Broken(7))
    }));
    assert_eq!(block_on(service.oneshot(Request::new(()))).err(), Some(Broken(7)));
    assert!(sessions.store().is_empty());
}

#[test]
fn the_service_that_was_ready_is_the_one_that_is_called() {
    /// Panics if it is called without having been asked whether it is ready.
    #[derive(Clone, Default)]
    struct Strict {
        ready: bool,
    }

    impl Service<Request<()>> for Strict {
        type Response = Response<Local>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<Local>, Infallible>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Infallible>> {
            self.ready = true;
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called before it was ready");
            std::future::ready(Ok(Response::new("strict".into())))
        }
    }

    let mut service = sessions().layer(Strict::default());
    for _ in 0..2 {
        let response =
            block_on(async { service.ready().await.unwrap().call(Request::new(())).await });
        assert_eq!(*response.unwrap().body().0.borrow(), "strict");
    }
}

#[test]
fn the_service_can_be_cloned_whatever_the_data_and_the_store_are() {
    let service = sessions().layer(service_fn(visit));
    let (one, other) = (service.clone(), service);
    for service in [one, other] {
        assert!(block_on(service.oneshot(Request::new(()))).is_ok());
    }
}

#[test]
fn the_id_travels_in_the_header_of_the_transport() {
    let x_session = Transport::header("X-Session").unwrap();
    for (transport, name) in [(Transport::bearer(), "authorization"), (x_session, "x-session")] {
        let service = sessions().transport(transport).layer(service_fn(async |request| {
            let mut response = visit(request).await?;
            // Of the handler's own: one takes the place of the other.
            response.headers_mut().insert(name, HeaderValue::from_static("mine"));
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
            Ok::<_, Infallible>(response)
        }));
        let response = block_on(service.clone().oneshot(Request::new(()))).unwrap();
        let headers = response.headers();
        let ids: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(ids.len(), 1, "{name}");
        assert!(ids[0].is_sensitive() && ids[0] != "mine", "{name}");
        assert!(!headers.contains_key(header::SET_COOKIE));
        let vary: Vec<_> = headers.get_all(header::VARY).iter().collect();
        assert!(vary.len() == 2 && vary[0] == "accept", "{vary:?}");
        assert!(vary[1].to_str().unwrap().eq_ignore_ascii_case(name), "{vary:?}");

        // Beside a field of another scheme, in a clone of the service.
        let mut request = Request::new(());
        request.headers_mut().append(name, HeaderValue::from_static("Basic YW5uOnRlYQ=="));
        request.headers_mut().append(name, ids[0].clone());
        let again = block_on(service.clone().oneshot(request)).unwrap();
        assert_eq!(again.headers()[name], "mine", "the session goes on under its id");
    }
}

/// What a handler was at when it panicked is not kept, wherever the panic is caught.
#[test]
fn a_panic_that_is_caught_inside_of_the_layer_stores_nothing() {
    let panics = async |request: Request<()>| -> Result<Response<Local>, Infallible> {
        let session =
            request.extensions().get::<PendingSession<Visits>>().unwrap().load().await.unwrap();
        session.update(|visits| visits.count += 1);
        if request.uri().path() == "/committed" {
            session.commit().await.unwrap();
        }
        session.update(|visits| visits.count += 1);
        panic!("as the test wants it");
    };
    for (path, status, rows) in [("/", 500, 0), ("/committed", 500, 1)] {
        let sessions = sessions();
        let store = Arc::clone(sessions.store());
        let caught = service_fn(move |request| async move {
            match AssertUnwindSafe(panics(request)).catch_unwind().await {
                Ok(answer) => answer,
                Err(_) => Ok(Response::new("caught".into())),
            }
        });
        let request = Request::get(path).body(()).unwrap();
        let response = block_on(sessions.layer(caught).oneshot(request)).unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(store.len(), rows, "{path}");
        // What was committed before has its cookie.
        assert_eq!(response.headers().contains_key(header::SET_COOKIE), rows == 1, "{path}");
    }
}

#[test]
fn a_handler_that_is_cut_short_inside_of_the_layer_has_answered_and_outside_of_it_has_not() {
    async fn hangs(request: Request<()>) -> Result<Response<Local>, Infallible> {
        let _visited = visit(request).await;
        std::future::pending().await
    }

    /// Gives up on a service at once.
    fn cut<S>(
        service: S,
    ) -> impl Service<Request<()>, Response = Response<Local>, Error = Infallible>
    where
        S: Service<Request<()>, Response = Response<Local>, Error = Infallible> + Clone,
    {
        service_fn(move |request| {
            let cut = service.clone().oneshot(request).now_or_never();
            std::future::ready(cut.unwrap_or_else(|| Ok(Response::new("too slow".into()))))
        })
    }

    let sessions = sessions();
    let outside = cut(sessions.layer(service_fn(hangs)));
    let response = block_on(outside.oneshot(Request::new(()))).unwrap();
    assert!(response.headers().is_empty() && sessions.store().is_empty());

    let inside = sessions.layer(cut(service_fn(hangs)));
    let response = block_on(inside.oneshot(Request::new(()))).unwrap();
    assert!(response.headers().contains_key(header::SET_COOKIE));
    assert_eq!(sessions.store().len(), 1);
}
