// The shop on actix-web; `shop::open` says what can be set.
//
//     cargo run --example actix-web --features actix-web

use actix_web::http::Method;
use actix_web::web::{Form, ServiceConfig, get, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Result, error::InternalError};
use shop::{Add, Failure, Login, Page, STAY, Shop, pages};
use typed_session::{Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let sessions = shop.sessions();
    HttpServer::new(move || App::new().configure(routes).wrap(sessions.clone()))
        .listen(shop.listen().await?.into_std()?)?
        .run() // until Ctrl-C
        .await?;
    shop.close().await;
    Ok(())
}

fn routes(routes: &mut ServiceConfig) {
    routes
        .route("/", get().to(async |s: Session<Shop>| answer(s.read(pages::home))))
        .route("/visit", post().to(visit))
        .route("/basket", post().to(add))
        .route("/login", post().to(login))
        .route("/logout", post().to(logout))
        .route("/session", get().to(show))
        .route("/session", post().to(show))
        .route("/api/session", get().to(async |s: Session<Shop>| answer(pages::api(&s))))
        .route("/style.css", get().to(async || answer(pages::style())));
}

async fn visit(session: Session<Shop>) -> HttpResponse {
    session.update(|shop| shop.visits += 1);
    answer(pages::back_home())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, form: Form<Add>) -> Result<HttpResponse> {
    let item = form.item().map_err(refused)?;
    Ok(answer(pages::added(session.transact(|shop| shop.add(&item)).await?)))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, form: Form<Login>) -> Result<HttpResponse> {
    let user = form.user().map_err(refused)?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(answer(pages::back_home()))
}

async fn logout(session: Session<Shop>) -> HttpResponse {
    session.end();
    answer(pages::back_home())
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
async fn show(session: Session<Shop>, request: HttpRequest) -> Result<HttpResponse> {
    (request.method() == Method::POST).then(|| session.rotate());
    session.commit().await?;
    Ok(answer(pages::session(&session)))
}

fn refused(page: Page) -> actix_web::Error {
    InternalError::from_response("refused", answer(page)).into()
}

/// The page in actix-web's words, which are of another version of the `http` crate.
fn answer(page: Page) -> HttpResponse {
    let mut response = HttpResponse::build(page.status().as_u16().try_into().unwrap_or_default());
    for (name, value) in page.headers() {
        response.insert_header((name.as_str(), value.as_bytes()));
    }
    response.body(page.into_body())
}
