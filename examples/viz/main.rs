// The shop on viz; `shop::open` says what can be set.
//
//     cargo run --example viz --features viz

use shop::{Add, BODY_LIMIT, Failure, Login, Page, STAY, Sessions, Shop, pages};
use typed_session::{Lifetime, Session};
use viz::types::{Form, Limits};
use viz::{Body, IntoHandler, IntoResponse, Request, Response, Result, Router, get};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    viz::serve(shop.listen().await?, routes(shop.sessions())).signal(shop::interrupted()).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> Router {
    let limits = Limits::new().set("form", BODY_LIMIT as u64);
    Router::new()
        .get("/", home.into_handler())
        .post("/visit", visit.into_handler())
        .post("/basket", add.into_handler())
        .post("/login", login.into_handler())
        .post("/logout", logout.into_handler())
        .route("/session", get(show.into_handler()).post(rotate.into_handler()))
        .get("/api/session", api.into_handler())
        .get("/style.css", async |_: Request| Ok(reply(pages::style())))
        .with(viz::middleware::limits::Config::new().limits(limits))
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .with(sessions)
}

async fn home(session: Session<Shop>) -> Result<Response> {
    Ok(reply(session.read(pages::home)))
}

async fn api(session: Session<Shop>) -> Result<Response> {
    Ok(reply(pages::api(&session)))
}

async fn visit(session: Session<Shop>) -> Result<Response> {
    session.update(|shop| shop.visits += 1);
    Ok(reply(pages::back_home()))
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, Form(form): Form<Add>) -> Result<Response> {
    let item = form.item().map_err(|page| reply(page).into_error())?;
    Ok(reply(pages::added(session.transact(|shop| shop.add(&item)).await?)))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, Form(form): Form<Login>) -> Result<Response> {
    let user = form.user().map_err(|page| reply(page).into_error())?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(reply(pages::back_home()))
}

async fn logout(session: Session<Shop>) -> Result<Response> {
    session.end();
    Ok(reply(pages::back_home()))
}

async fn rotate(session: Session<Shop>) -> Result<Response> {
    session.rotate();
    show(session).await
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
async fn show(session: Session<Shop>) -> Result<Response> {
    session.commit().await?;
    Ok(reply(pages::session(&session)))
}

fn reply(page: Page) -> Response {
    page.map(|text| Body::Full(text.into()))
}
