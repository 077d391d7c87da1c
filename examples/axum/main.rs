// The shop on axum; `shop::open` says what can be set.
//
//     cargo run --example axum

use axum::extract::DefaultBodyLimit;
use axum::response::Result;
use axum::routing::{get, post};
use axum::{Form, Router};
use shop::{Add, BODY_LIMIT, Failure, Login, Page, STAY, Sessions, Shop, pages};
use typed_session::{Lifetime, Session};

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
        .route("/", get(home))
        .route("/visit", post(visit))
        .route("/basket", post(add))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/session", get(show).post(rotate))
        .route("/api/session", get(api))
        .route("/style.css", get(async || pages::style()))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .layer(sessions)
}

async fn home(session: Session<Shop>) -> Page {
    session.read(pages::home)
}

async fn api(session: Session<Shop>) -> Page {
    pages::api(&session)
}

async fn visit(session: Session<Shop>) -> Page {
    session.update(|shop| shop.visits += 1);
    pages::back_home()
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, Form(form): Form<Add>) -> Result<Page> {
    let item = form.item()?;
    let added = session.transact(|shop| shop.add(&item)).await?;
    Ok(pages::added(added))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, Form(form): Form<Login>) -> Result<Page> {
    let user = form.user()?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home())
}

async fn logout(session: Session<Shop>) -> Page {
    session.end();
    pages::back_home()
}

async fn rotate(session: Session<Shop>) -> Result<Page> {
    session.rotate();
    show(session).await
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
async fn show(session: Session<Shop>) -> Result<Page> {
    session.commit().await?;
    Ok(pages::session(&session))
}
