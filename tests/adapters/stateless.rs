//! Sessions that live in their cookie, on axum, called in process.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use typed_session::{KeyRing, Session, SessionData, SessionLayer, Subject};

#[derive(Default, Deserialize, Serialize)]
struct Shop {
    user: Option<String>,
    basket: Vec<String>,
}

impl SessionData for Shop {
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

fn app() -> Router {
    let keys = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
    let sessions = SessionLayer::<Shop, _>::stateless(KeyRing::from_text(keys).unwrap());
    Router::new()
        .route("/", get(async |s: Session<Shop>| s.read(|shop| shop.basket.join(" "))))
        .route("/add", post(add))
        .route("/login", post(async |s: Session<Shop>| s.update(|s| s.user = Some("ann".into()))))
        .route("/logout", post(async |s: Session<Shop>| s.end()))
        .layer(sessions)
}

async fn add(session: Session<Shop>, item: String) {
    session.update(|shop| shop.basket.push(item));
}

/// A client that keeps one cookie; each request meets another machine.
#[derive(Default)]
struct Client(Option<String>);

impl Client {
    async fn ask(&mut self, method: &str, path: &str, body: String) -> (StatusCode, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(cookie) = &self.0 {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response: Response<Body> = app().oneshot(request).await.unwrap();
        let status = response.status();
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
        assert!(cookies.len() <= 1);
        if let Some(cookie) = cookies.first() {
            assert!(cookie.is_sensitive());
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            self.0 = (!pair.ends_with('=')).then(|| pair.to_owned());
        }
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_session_goes_from_machine_to_machine_with_its_client() {
    let mut client = Client::default();
    assert_eq!(client.ask("GET", "/", String::new()).await.1, "");
    assert_eq!(client.0, None, "no cookie before there is a session");
    for item in ["tea", "milk"] {
        assert_eq!(client.ask("POST", "/add", item.to_owned()).await.0, StatusCode::OK);
    }
    assert_eq!(client.ask("GET", "/", String::new()).await.1, "tea milk");
    let before = client.0.clone();
    client.ask("POST", "/login", String::new()).await;
    assert_ne!(client.0, before);
    assert_eq!(client.ask("GET", "/", String::new()).await.1, "tea milk");
    client.ask("POST", "/logout", String::new()).await;
    assert_eq!(client.0, None);
    assert_eq!(client.ask("GET", "/", String::new()).await.1, "");
}

#[tokio::test]
async fn what_does_not_fit_is_a_500_and_the_cookie_stays() {
    let mut client = Client::default();
    client.ask("POST", "/add", "tea".to_owned()).await;
    let cookie = client.0.clone();
    let (status, body) = client.ask("POST", "/add", "x".repeat(4000)).await;
    assert_eq!(
        (status, &*body),
        (StatusCode::INTERNAL_SERVER_ERROR, "The session could not be kept.")
    );
    assert_eq!(client.0, cookie);
    assert_eq!(client.ask("GET", "/", String::new()).await.1, "tea");
}
