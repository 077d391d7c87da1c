//! axum, called in process.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use typed_session::store::MemoryStore;
use typed_session::{Session, SessionData, SessionLayer, Subject};

#[derive(Default, Deserialize, Serialize)]
struct Shop {
    user: Option<String>,
    visits: u64,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

fn app() -> Router {
    Router::new()
        .route("/plain", get(|| async { "plain" }))
        .route("/read", get(|s: Session<Shop>| async move { s.read(|s| s.visits).to_string() }))
        .route("/visit", post(|s: Session<Shop>| async move { s.update(|s| s.visits += 1) }))
        .route(
            "/login",
            post(|s: Session<Shop>| async move { s.update(|s| s.user = Some("ann".into())) }),
        )
        .route("/logout", post(|s: Session<Shop>| async move { s.end() }))
        .layer(SessionLayer::<Shop, _>::new(MemoryStore::new()))
}

async fn call(app: &Router, method: &str, path: &str, cookie: &str) -> Response<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::COOKIE, cookie)
        .body(Body::empty())
        .unwrap();
    app.clone().oneshot(request).await.unwrap()
}

fn cookie(response: &Response<Body>) -> Option<String> {
    let line = response.headers().get(header::SET_COOKIE)?.to_str().unwrap();
    Some(line.split(';').next().unwrap().to_owned())
}

async fn text(response: Response<Body>) -> String {
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_session_is_created_by_the_first_write_and_read_by_the_next_request() {
    let app = app();
    let first = call(&app, "GET", "/read", "").await;
    assert_eq!(cookie(&first), None);
    let created = call(&app, "POST", "/visit", "").await;
    let id = cookie(&created).unwrap();
    assert_eq!(text(call(&app, "GET", "/read", &id).await).await, "1");
    let again = call(&app, "POST", "/visit", &id).await;
    assert_eq!(cookie(&again), None);
    assert_eq!(text(call(&app, "GET", "/read", &id).await).await, "2");

    let login = call(&app, "POST", "/login", &id).await;
    let logged_in = cookie(&login).unwrap();
    assert_ne!(logged_in, id);
    assert_eq!(text(call(&app, "GET", "/read", &logged_in).await).await, "2");
    let late = call(&app, "POST", "/visit", &id).await;
    assert_eq!(late.status(), StatusCode::CONFLICT);
    assert_eq!(cookie(&late), None);
    assert_eq!(text(call(&app, "GET", "/read", &id).await).await, "0");

    let logout = call(&app, "POST", "/logout", &logged_in).await;
    assert_eq!(cookie(&logout).unwrap(), "__Host-session=");
    assert_eq!(text(call(&app, "GET", "/read", &logged_in).await).await, "0");
}
