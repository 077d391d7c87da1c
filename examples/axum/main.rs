// The shop on axum; `shop::open` says what can be set.
//
//     cargo run --example axum

use axum::extract::{DefaultBodyLimit, State};
use axum::response::Result;
use axum::routing::{get, post};
use axum::{Form, Router};
use shop::{
    Add, BODY_LIMIT, Device, Failure, Login, Page, STAY, Sent, Sessions, Shop, account, pages,
};
use typed_session::{Authenticated, AuthenticatedWithin, Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    axum::serve(shop.listen().await?, routes(shop.sessions()))
        .with_graceful_shutdown(shop::interrupted())
        .await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> Router {
    Router::new()
        .route("/", get(async |s: Session<Shop>| pages::home(&s).await))
        .route("/visit", post(visit))
        .route("/basket", post(add))
        .route("/login", get(async |s: Session<Shop>| pages::login(&s).await).post(login))
        .route("/logout", post(logout))
        .route("/goodbye", get(async || pages::goodbye()))
        .route("/devices", get(devices))
        .route("/devices/end", post(end))
        .route("/devices/end-others", post(end_others))
        .route("/confirm", get(async |s: User| pages::confirm(&s).await).post(confirm))
        .route("/account/delete", post(delete))
        .route("/deleted", get(async || pages::deleted()))
        .route("/session", get(async |s: Session<Shop>| pages::session(&s).await).post(rotate))
        .route("/api/session", get(async |s: Session<Shop>| pages::api(&s)))
        .route("/style.css", get(async || pages::style()))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .layer(sessions.clone())
        .with_state(sessions)
}

async fn visit(session: Session<Shop>, Form(form): Form<Sent>) -> Result<Page> {
    form.verified_unless_new(&session)?;
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, Form(form): Form<Sent<Add>>) -> Result<Page> {
    let item = form.verified_unless_new(&session)?.item()?;
    let added = session.transact(|shop| shop.add(&item)).await?;
    Ok(pages::added(added))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, Form(form): Form<Sent<Login>>) -> Result<Page> {
    let form = form.verified(&session)?;
    let user = form.user()?;
    session.update(|shop| shop.welcome(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.reauthenticate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home())
}

async fn logout(session: Session<Shop>, Form(form): Form<Sent>) -> Result<Page> {
    form.verified_unless_new(&session)?;
    session.end();
    Ok(pages::after_logout())
}

async fn rotate(session: Session<Shop>, Form(form): Form<Sent>) -> Result<Page> {
    form.verified(&session)?;
    session.rotate();
    Ok(pages::session(&session).await?)
}

/// A session that somebody is logged in to. Who is not, is sent to the login, and gets no further.
type User = Authenticated<Shop>;

/// The same, of who has logged in or confirmed it in the last five minutes: who has got hold of a
/// cookie, or finds a browser open, is to throw nobody out.
type RecentUser = AuthenticatedWithin<Shop, 300>;

async fn devices(user: User, all: State<Sessions>) -> Result<Page> {
    Ok(account::devices(&all, &user).await?)
}

async fn end(user: User, all: State<Sessions>, Form(form): Form<Sent<Device>>) -> Result<Page> {
    let key = form.verified(&user)?.key()?;
    Ok(account::end(&all, &user, key).await?)
}

async fn end_others(user: RecentUser, all: State<Sessions>, form: Form<Sent>) -> Result<Page> {
    form.0.verified(&user)?;
    Ok(account::end_others(&all, &user).await?)
}

async fn delete(user: RecentUser, all: State<Sessions>, form: Form<Sent>) -> Result<Page> {
    form.0.verified(&user)?;
    Ok(account::delete(&all, &user).await?)
}

async fn confirm(user: User, Form(form): Form<Sent<Login>>) -> Result<Page> {
    let name = form.verified(&user)?.user()?;
    Ok(account::confirmed(&user, &name))
}
