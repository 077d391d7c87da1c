// The shop on poem; `shop::open` says what can be set.
//
//     cargo run --example poem --features poem

use poem::listener::TcpAcceptor;
use poem::middleware::SizeLimit;
use poem::web::Form;
use poem::{Endpoint, EndpointExt, Result, Route, Server, get, handler, post};
use shop::{Add, Answer, BODY_LIMIT, Failure, Login, STAY, Sessions, Shop, pages};
use typed_session::{Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let server = Server::new_with_acceptor(TcpAcceptor::from_tokio(shop.listen().await?)?);
    server.run_with_graceful_shutdown(routes(shop.sessions()), shop::interrupted(), None).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> impl Endpoint {
    Route::new()
        .at("/", get(home))
        .at("/visit", post(visit))
        .at("/basket", post(add).with(SizeLimit::new(BODY_LIMIT)))
        .at("/login", post(login).with(SizeLimit::new(BODY_LIMIT)))
        .at("/logout", post(logout))
        .at("/session", get(show).post(show))
        .at("/api/session", get(api))
        .at("/style.css", get(shop::poem::style()))
        // After the routes, so that it is around all of them. One without a `Session` costs nothing.
        .with(sessions)
}

#[handler]
fn home(session: Session<Shop>) -> Answer {
    session.read(pages::home).into()
}

#[handler]
fn api(session: Session<Shop>) -> Answer {
    pages::api(&session).into()
}

#[handler]
fn visit(session: Session<Shop>) -> Answer {
    session.update(|shop| shop.visits += 1);
    pages::back_home().into()
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
#[handler]
async fn add(session: Session<Shop>, Form(form): Form<Add>) -> Result<Answer> {
    let item = form.item().map_err(Answer)?;
    Ok(pages::added(session.transact(|shop| shop.add(&item)).await?).into())
}

/// A shop that asks for no password; one that does checks it here, before anything else.
#[handler]
async fn login(session: Session<Shop>, Form(form): Form<Login>) -> Result<Answer> {
    let user = form.user().map_err(Answer)?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

#[handler]
fn logout(session: Session<Shop>) -> Answer {
    session.end();
    pages::back_home().into()
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
#[handler]
async fn show(method: poem::http::Method, session: Session<Shop>) -> Result<Answer> {
    (method == "POST").then(|| session.rotate());
    session.commit().await?;
    Ok(pages::session(&session).into())
}
