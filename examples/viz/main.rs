// The shop on viz; `shop::open` says what can be set.
//
//     cargo run --example viz --features viz

use shop::viz::{Form, answer, refusal};
use shop::{Add, Failure, Login, STAY, Sessions, Shop, pages};
use typed_session::{Lifetime, Session};
use viz::{IntoHandler, Request, Response, Result, Router, get};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    viz::serve(shop.listen().await?, routes(shop.sessions())).signal(shop::interrupted()).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> Router {
    Router::new()
        .get("/", home.into_handler())
        .post("/visit", visit.into_handler())
        .post("/basket", add.into_handler())
        .post("/login", login.into_handler())
        .post("/logout", logout.into_handler())
        .route("/session", get(show.into_handler()).post(rotate.into_handler()))
        .get("/api/session", api.into_handler())
        .get("/style.css", async |_: Request| Ok(answer(pages::style())))
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .with(sessions)
}

async fn home(session: Session<Shop>) -> Result<Response> {
    Ok(answer(session.read(pages::home)))
}

async fn api(session: Session<Shop>) -> Result<Response> {
    Ok(answer(pages::api(&session)))
}

async fn visit(session: Session<Shop>) -> Result<Response> {
    session.update(|shop| shop.visits += 1);
    Ok(answer(pages::back_home()))
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, Form(form): Form<Add>) -> Result<Response> {
    let item = form.item().map_err(refusal)?;
    let added = session.transact(|shop| shop.add(&item)).await?;
    Ok(answer(pages::added(added)))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, Form(form): Form<Login>) -> Result<Response> {
    let user = form.user().map_err(refusal)?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(answer(pages::back_home()))
}

async fn logout(session: Session<Shop>) -> Result<Response> {
    session.end();
    Ok(answer(pages::back_home()))
}

async fn rotate(session: Session<Shop>) -> Result<Response> {
    session.rotate();
    show(session).await
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
async fn show(session: Session<Shop>) -> Result<Response> {
    session.commit().await?;
    Ok(answer(pages::session(&session)))
}
