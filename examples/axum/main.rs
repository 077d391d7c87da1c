// A small shop on axum: visits, a basket, a login, and a page that shows the session.
//
//     cargo run --example axum
//
// Sessions live where `DATABASE_URL` says, so they survive a restart: in the SQLite file `shop.db`
// if it is not set, or in any other store that is built in, as with
//
//     DATABASE_URL=postgres://user@host/shop cargo run --example axum --features postgres
//
// The shop listens on 127.0.0.1, at `PORT` (3000 if it is not set, and any free one for 0).

use std::env::{self, VarError};
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::{Deserialize, Serialize};
use typed_session::cookie::CookiePolicy;
use typed_session::store::{DynStore, TimeLimit};
use typed_session::{Lifetime, Session, SessionData, SessionLayer, Subject, TracingObserver};

mod pages;

/// What the shop knows of a visitor: an ordinary struct.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)] // a field that is added later is no migration
struct Shop {
    visits: u64,
    user: Option<String>,
    basket: Vec<String>,
}

impl SessionData for Shop {
    /// Who is logged in. When this changes, the id of the session does, by itself; and on a switch
    /// from one user to another, nothing of the first one's data reaches the second.
    fn subject(&self) -> Option<Subject> {
        self.user.as_ref().map(Subject::from)
    }
}

/// For those who tick "stay signed in": two weeks without a visit, 90 days at most.
const STAY: Lifetime = Lifetime::new(DAY.saturating_mul(14), DAY.saturating_mul(90)).persistent();
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const MAX_USER: usize = 40;
const MAX_ITEM: usize = 80;
const MAX_BASKET: usize = 500;

fn shop(sessions: SessionLayer<Shop, TimeLimit<DynStore>>) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/visit", post(visit))
        .route("/basket", post(add))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/session", get(show).post(rotate))
        .route("/api/session", get(api))
        .route("/style.css", get(style))
        .layer(DefaultBodyLimit::max(16 * 1024))
        // After the routes, so that it is around all of them. One that takes no `Session` costs no
        // query.
        .layer(sessions)
}

// ---- Pages that only read: they cost one query, and write nothing.

async fn home(session: Session<Shop>) -> Response {
    session.read(pages::home)
}

#[derive(Serialize)]
struct View {
    visits: u64,
    user: Option<String>,
    basket: Vec<String>,
    verdict: String,
}

async fn api(session: Session<Shop>) -> impl IntoResponse {
    let verdict = session.verdict().to_string();
    let view = session.read(|shop| View {
        visits: shop.visits,
        user: shop.user.clone(),
        basket: shop.basket.clone(),
        verdict,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(view))
}

async fn show(session: Session<Shop>) -> Result<Response, Problem> {
    // It would happen after the handler anyway. Here, because the page shows what it does.
    session.commit().await?;
    Ok(pages::session(&session))
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

// ---- Forms that change something. The browser is sent back to the first page.

/// `update` changes the data in memory, and it is stored before the response leaves. Changes of two
/// requests at once are merged; but two that both make a 3 of a 2 end at 3. No matter, for visits.
async fn visit(session: Session<Shop>) -> Redirect {
    session.update(|shop| shop.visits += 1);
    Redirect::to("/")
}

#[derive(Deserialize)]
struct Add {
    #[serde(default)]
    item: String,
}

/// `transact` sees the newest basket, so that the limit holds for any number of requests at once;
/// and when it returns, the item is in the store.
async fn add(session: Session<Shop>, Form(form): Form<Add>) -> Result<Redirect, Problem> {
    let item = line("An item", &form.item, MAX_ITEM)?;
    let added = session
        .transact(|shop| {
            let room = shop.basket.len() < MAX_BASKET;
            if room {
                shop.basket.push(item.clone());
            }
            room
        })
        .await?;
    if added {
        Ok(Redirect::to("/"))
    } else {
        Err(Problem::Input(format!("Your basket is full: it holds {MAX_BASKET} items.")))
    }
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    user: String,
    remember: Option<String>,
}

/// A shop that asks for no password. One that does checks it here, before anything else.
async fn login(session: Session<Shop>, Form(form): Form<Login>) -> Result<Redirect, Problem> {
    let user = line("A name", &form.user, MAX_USER)?;
    let stay = matches!(form.remember.as_deref(), Some("on" | "yes" | "true" | "1"));
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if stay { STAY } else { Lifetime::default() });
    // The id changes with the user. This is for those who log in again as who they are.
    session.rotate();
    Ok(Redirect::to("/"))
}

async fn logout(session: Session<Shop>) -> Redirect {
    session.end();
    Redirect::to("/")
}

/// Gives the session a new id; the page shows the cookie.
async fn rotate(session: Session<Shop>) -> Result<Response, Problem> {
    session.rotate();
    show(session).await
}

// ---- What can go wrong.

enum Problem {
    /// What was typed cannot be taken. A sentence says why.
    Input(String),
    /// The session could not be kept; it knows its status.
    Session(typed_session::Error),
}

impl From<typed_session::Error> for Problem {
    fn from(error: typed_session::Error) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::Input(sentence) => {
                (StatusCode::BAD_REQUEST, pages::problem(&sentence)).into_response()
            }
            Self::Session(error) => error.into_response(),
        }
    }
}

/// One line of text, as someone types it.
fn line(what: &str, text: &str, max: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::Input(format!("{what} must not be empty.")));
    }
    if text.chars().count() > max {
        return Err(Problem::Input(format!("{what} is at most {max} characters long.")));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::Input(format!("{what} is one line of plain text.")));
    }
    Ok(text.to_owned())
}

// ---- The program.

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let port = setting("PORT", "3000")?;
    let port: u16 = port.parse().map_err(|_| "PORT must be a number up to 65535".to_owned())?;
    let url = setting("DATABASE_URL", "sqlite://shop.db?mode=rwc")?;
    let store = DynStore::connect(&url).await.map_err(|error| reasons("DATABASE_URL", &error))?;
    store.migrate().await.map_err(|error| reasons("cannot make the table", &error))?;

    // Whatever becomes of a server, a visitor has an answer by then.
    let limited = TimeLimit::new(store.clone(), Duration::from_secs(10), tokio::time::sleep);
    let sessions = SessionLayer::new(limited)
        // The default, `__Host-session`, is for HTTPS alone.
        .cookie(CookiePolicy::dangerous_plain_http_on_localhost())
        .observer(TracingObserver);

    // What has expired is dead at once; this gives its space back, now and every hour.
    let hour = Duration::from_secs(60 * 60);
    tokio::spawn(sessions.clone().sweep_every(hour, tokio::time::sleep));

    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(|error| format!("cannot listen on 127.0.0.1:{port}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    println!("The shop is open at http://{address}");
    axum::serve(listener, shop(sessions))
        .with_graceful_shutdown(async {
            // Without the signal there is nothing to wait for but a kill.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await
        .map_err(|error| error.to_string())?;
    store.close().await;
    println!("The shop is closed.");
    Ok(())
}

fn setting(name: &str, default: &str) -> Result<String, String> {
    match env::var(name) {
        Ok(value) => Ok(value),
        Err(VarError::NotPresent) => Ok(default.to_owned()),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8")),
    }
}

/// An error with what led to it.
fn reasons(what: &str, error: &dyn std::error::Error) -> String {
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(reason) = source {
        text.push_str(&format!(": {reason}"));
        source = reason.source();
    }
    text
}
