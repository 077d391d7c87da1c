//! The pages: plain HTML, no script.

use std::fmt::{self, Display, Formatter, Write};
use std::time::Duration;

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use http::{Response, StatusCode};
use serde_json::json;
use typed_session::{CookieLifetime, Error, Rejection, Session, Timestamp};

use crate::data::{Full, MAX_BASKET, Shop};
use crate::forms::{MAX_ITEM, MAX_USER};

/// What the shop answers: a status, a few headers and a text.
pub type Page = Response<String>;

const SHELF: [(&str, &str); 6] = [
    ("Earl Grey", "black, with bergamot"),
    ("Sencha", "green, from Uji"),
    ("Milk Oolong", "creamy, half fermented"),
    ("Rooibos", "red, for the evening"),
    ("Acacia Honey", "250 g, from next door"),
    ("Teapot", "stoneware, three cups"),
];

/// The shelf, the basket, and who is logged in.
pub async fn home(session: &Session<Shop>) -> Result<Page, Error> {
    // Who has no session needs no token, and who only looks around gets no cookie for one.
    let token = match session.key() {
        Some(_) => session.csrf_token().await?.field(),
        None => String::new(),
    };
    let said = said(session);
    Ok(session.read(|shop| shelf(shop, &token, &said)))
}

fn shelf(shop: &Shop, token: &str, said: &str) -> Page {
    let mut shelf = String::new();
    for (name, what) in SHELF {
        put(
            &mut shelf,
            format_args!(
                r#"<li><form method="post" action="/basket">{token}
<b>{name}</b> <span>{what}</span>
<button name="item" value="{name}">Add</button>
</form></li>"#
            ),
        );
    }

    let mut basket = String::new();
    for (item, times) in counted(&shop.basket) {
        let times = if times == 1 { String::new() } else { format!("{times} ×") };
        put(&mut basket, format_args!("<li>{} <span>{times}</span></li>", Text(item)));
    }
    if basket.is_empty() {
        basket = "<li class=\"none\">Nothing yet.</li>".into();
    }

    let body = format!(
        r#"{said}<section>
<h1>Tea, and what goes with it</h1>
<ul class="shelf">{shelf}</ul>
<form method="post" action="/basket" class="row">{token}
<label for="item">Not on the shelf?</label>
<input id="item" name="item" maxlength="{MAX_ITEM}" required autocomplete="off" placeholder="We order it for you">
<button>Add</button>
</form>
</section>
<aside>
<div class="card"><h2>Your basket <span class="count">{count}</span></h2><ul class="basket">{basket}</ul></div>
<div class="card">{account}</div>
<div class="card"><h2>Your visits <span class="count">{visits}</span></h2>
<form method="post" action="/visit">{token}<button class="quiet">Count one more</button></form></div>
</aside>"#,
        count = shop.basket.len(),
        account = account(shop, token),
        visits = shop.visits,
    );
    page(StatusCode::OK, "Shop", &body)
}

fn account(shop: &Shop, token: &str) -> String {
    match &shop.user {
        Some(user) => format!(
            r#"<h2>Hello, <span class="user">{}</span></h2>
<form method="post" action="/logout">{token}<button class="quiet">Log out</button></form>
<p class="links"><a href="/devices">Your devices</a> <a href="/login">Somebody else?</a></p>"#,
            Text(user)
        ),
        None => r#"<h2>Log in</h2>
<p class="note">To find your basket again.</p>
<a class="button" href="/login">Log in</a>"#
            .to_owned(),
    }
}

/// The form to log in by, also for who is somebody else now.
///
/// It makes a session, for the token of the form. Without one, a strange page could log a visitor in
/// as somebody who sees from then on what they do.
pub async fn login(session: &Session<Shop>) -> Result<Page, Error> {
    let token = session.csrf_token().await?.field();
    let body = format!(
        r#"<section class="narrow"><h1>Log in</h1>
<form method="post" action="/login" class="card">{token}
{}
<label class="check"><input type="checkbox" name="remember"> Stay signed in</label>
<button>Log in</button></form>
<p class="note">Any name will do: this shop asks for no password. A real one does.</p></section>"#,
        name_field()
    );
    Ok(page(StatusCode::OK, "Log in", &body))
}

/// The form to show again who one is.
pub async fn confirm(session: &Session<Shop>) -> Result<Page, Error> {
    let token = session.csrf_token().await?.field();
    let body = format!(
        r#"<section class="narrow"><h1>Is it still you?</h1>
<p>It is a while since you logged in, and what you are about to do is for you alone.</p>
<form method="post" action="/confirm" class="card">{token}
{}
<button>Confirm</button></form>
<p class="note">Your name must do, for this shop has no passwords. A real one asks for the password.</p>
</section>"#,
        name_field()
    );
    Ok(page(StatusCode::OK, "Confirm", &body))
}

fn name_field() -> String {
    format!(
        r#"<label for="user">Your name</label>
<input id="user" name="user" maxlength="{MAX_USER}" required autocomplete="username">"#
    )
}

/// All that a session tells of itself, with what this request has changed.
pub async fn session(session: &Session<Shop>) -> Result<Page, Error> {
    // What is changed is stored after the handler. Here before, because the page shows what it does.
    session.commit().await?;
    let none = || "none".to_owned();
    let times = session.times();
    let time = |time: Option<Timestamp>| time.map_or_else(none, |t| t.to_string());
    let rows = [
        ("Verdict on the cookie", session.verdict().to_string()),
        ("User", session.read(|shop| shop.user.clone()).unwrap_or_else(none)),
        ("Key in the store", session.key().map_or_else(none, |key| key.to_string())),
        ("Created", time(times.map(|times| times.created_at))),
        ("Authenticated", time(times.and_then(|times| times.authenticated_at))),
        ("Expires without use", time(times.map(|times| times.expires_at))),
        ("Absolute deadline", time(times.map(|times| times.absolute_deadline))),
        (
            "Lifetime",
            session.lifetime().map_or_else(none, |lifetime| {
                format!(
                    "idle {}, absolute {}, cookie {}",
                    Long(lifetime.idle()),
                    Long(lifetime.absolute()),
                    match lifetime.cookie() {
                        CookieLifetime::BrowserSession => "gone with the browser",
                        CookieLifetime::Persistent => "kept by the browser",
                    }
                )
            }),
        ),
    ];
    let mut table = String::new();
    for (name, value) in rows {
        put(&mut table, format_args!("<tr><th>{name}</th><td>{}</td></tr>", Text(&value)));
    }

    let effects = session.effects();
    let cookie = match effects.set_cookie() {
        Some(value) => format!(
            r#"<pre>Set-Cookie: {}</pre>
<p class="note">This is the secret itself, here to be looked at. A real page never shows it:
<code>HttpOnly</code> keeps it from scripts, and a page that repeats it hands it back to them.</p>"#,
            Text(value)
        ),
        None => "<p class=\"note\">None. Your browser keeps what it has.</p>".into(),
    };
    let button = match session.key() {
        Some(_) => format!(
            r#"<form method="post" action="/session">{}<button>Change the id</button></form>"#,
            session.csrf_token().await?.field()
        ),
        None => {
            "<p class=\"note\">There is no session: nothing has been written that is worth one.</p>"
                .into()
        }
    };

    let body = format!(
        r#"<section class="wide">
<h1>Your session</h1>
<table>{table}</table>
<h2>The <code>Set-Cookie</code> of this response</h2>
{cookie}
{button}
</section>"#
    );
    Ok(page(StatusCode::OK, "Session", &body))
}

/// The session for programs to read.
pub fn api(session: &Session<Shop>) -> Page {
    let verdict = session.verdict().to_string();
    let view = session.read(|shop| {
        json!({ "visits": shop.visits, "user": shop.user, "basket": shop.basket, "verdict": verdict })
    });
    with(StatusCode::OK, view.to_string(), &[(CONTENT_TYPE, "application/json"), NO_STORE])
}

/// The style sheet of all pages.
pub fn style() -> Page {
    let css = include_str!("style.css").to_owned();
    with(StatusCode::OK, css, &[(CONTENT_TYPE, "text/css; charset=utf-8")])
}

/// Sends the browser back to the first page, after a form.
pub fn back_home() -> Page {
    to("/")
}

/// What follows a logout: a page without a session, for a message in one would make a new one.
pub fn after_logout() -> Page {
    to("/goodbye")
}

pub(crate) fn to(path: &'static str) -> Page {
    with(StatusCode::SEE_OTHER, String::new(), &[(LOCATION, path)])
}

/// The page after a logout.
pub fn goodbye() -> Page {
    farewell("You are logged out", "Whoever comes to this browser next finds nothing of yours.")
}

/// The page after the end of an account.
pub fn deleted() -> Page {
    farewell("Your account is deleted", "You are logged out on all your devices.")
}

fn farewell(title: &str, sentence: &str) -> Page {
    let body = format!(
        r#"<section class="wide"><h1>{title}</h1>
<p>{sentence}</p>
<p><a href="/">Back to the shop</a></p></section>"#
    );
    page(StatusCode::OK, title, &body)
}

/// What follows an attempt to put something into the basket.
pub fn added(added: Result<(), Full>) -> Page {
    match added {
        Ok(()) => back_home(),
        Err(Full) => refused(&format!("Your basket is full: it holds {MAX_BASKET} items.")),
    }
}

/// There is no such page.
pub fn not_found() -> Page {
    problem(StatusCode::NOT_FOUND, "There is no such page.")
}

/// What was typed cannot be taken. A sentence says why.
pub fn refused(sentence: &str) -> Page {
    problem(StatusCode::BAD_REQUEST, sentence)
}

/// The session could not be loaded or kept, or is none for this page, where the framework does not
/// say so itself.
pub fn failed(error: impl Into<Rejection>) -> Page {
    let error = error.into();
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut page = problem(status, error.public_message());
    for header in error.headers() {
        let (Ok(name), Ok(value)) = (header.name.parse::<HeaderName>(), header.value.parse())
        else {
            continue;
        };
        page.headers_mut().insert(name, value);
    }
    page
}

/// Takes what is to be said once, and puts it on a page.
pub(crate) fn said(session: &Session<Shop>) -> String {
    let mut said = String::new();
    for message in session.update(|shop| shop.flash.take()) {
        let text = Text(&message.text);
        put(&mut said, format_args!(r#"<p role="status">{text}</p>"#));
    }
    if said.is_empty() { said } else { format!(r#"<div class="said">{said}</div>"#) }
}

pub(crate) fn problem(status: StatusCode, sentence: &str) -> Page {
    let body = format!(
        r#"<section class="wide"><h1>That did not work</h1>
<p>{} Nothing was changed.</p>
<p><a href="/">Back to the shop</a></p></section>"#,
        Text(sentence)
    );
    page(status, "Problem", &body)
}

/// "Back" after a logout must show nothing of who has left.
const NO_STORE: (HeaderName, &str) = (CACHE_CONTROL, "no-store");

/// No script, and nothing from elsewhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Page {
    let html = format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} – The Tea Shelf</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header><a class="name" href="/">The Tea Shelf</a>
<nav><a href="/">Shop</a> <a href="/devices">Devices</a> <a href="/session">Session</a></nav></header>
<main>{body}</main>
</body>
</html>
"#
    );
    let kind = (CONTENT_TYPE, "text/html; charset=utf-8");
    with(status, html, &[kind, NO_STORE, (CONTENT_SECURITY_POLICY, POLICY)])
}

fn with(status: StatusCode, text: String, headers: &[(HeaderName, &'static str)]) -> Page {
    let mut page = Page::new(text);
    *page.status_mut() = status;
    for (name, value) in headers {
        page.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    page
}

/// Text of a visitor's in a page, escaped.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A duration as people say it.
struct Long(Duration);

impl Display for Long {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() / 3600 {
            0 => write!(f, "{} seconds", self.0.as_secs()),
            1 => f.write_str("1 hour"),
            hours @ 2..=48 => write!(f, "{hours} hours"),
            hours => write!(f, "{} days", hours / 24),
        }
    }
}

/// Each item once, in the order of its first appearance, and how often it is there.
fn counted(items: &[String]) -> Vec<(&str, usize)> {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for item in items {
        match counted.iter_mut().find(|(known, _)| known == item) {
            Some((_, times)) => *times += 1,
            None => counted.push((item, 1)),
        }
    }
    counted
}

pub(crate) fn put(to: &mut String, text: fmt::Arguments<'_>) {
    to.write_fmt(text).expect("a String takes any text");
}
