// The shop on salvo; `shop::open` says what can be set.
//
//     cargo run --example salvo --features salvo

use salvo::conn::tcp::TcpAcceptor;
use salvo::{extract::FormBody, prelude::*};
use shop::{Add, Answer, BODY_LIMIT, Failure, Login, STAY, Sessions, Shop, pages};
use typed_session::{Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let server = Server::new(TcpAcceptor::try_from(shop.listen().await?)?);
    shop::salvo::stop_when_interrupted(server.handle());
    server.try_serve(routes(shop.sessions())).await?;
    shop.close().await;
    Ok(())
}

fn routes(sessions: Sessions) -> Router {
    Router::new()
        // Before the routes, and around all of them. One without a `Session` costs nothing.
        .hoop(sessions)
        .hoop(salvo::http::request::SecureMaxSize(BODY_LIMIT))
        .get(home)
        .push(Router::with_path("visit").post(visit))
        .push(Router::with_path("basket").post(add))
        .push(Router::with_path("login").post(login))
        .push(Router::with_path("logout").post(logout))
        .push(Router::with_path("session").get(show).post(show))
        .push(Router::with_path("api/session").get(api))
        .push(Router::with_path("style.css").get(shop::salvo::style))
}

#[handler]
async fn home(session: Session<Shop>) -> Answer {
    session.read(pages::home).into()
}

#[handler]
async fn api(session: Session<Shop>) -> Answer {
    pages::api(&session).into()
}

#[handler]
async fn visit(session: Session<Shop>) -> Answer {
    session.update(|shop| shop.visits += 1);
    pages::back_home().into()
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
#[handler]
async fn add(session: Session<Shop>, form: FormBody<Add>) -> Result<Answer, Answer> {
    let item = form.item()?;
    Ok(pages::added(session.transact(|shop| shop.add(&item)).await?).into())
}

/// A shop that asks for no password; one that does checks it here, before anything else.
#[handler]
async fn login(session: Session<Shop>, form: FormBody<Login>) -> Result<Answer, Answer> {
    let user = form.user()?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home().into())
}

#[handler]
async fn logout(session: Session<Shop>) -> Answer {
    session.end();
    pages::back_home().into()
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
#[handler]
async fn show(request: &mut Request, session: Session<Shop>) -> Result<Answer, Answer> {
    (request.method() == "POST").then(|| session.rotate());
    session.commit().await?;
    Ok(pages::session(&session).into())
}
