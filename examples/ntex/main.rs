// The shop on ntex; `shop::open` says what can be set.
//
//     cargo run --example ntex --features ntex

use ntex::web::{App, HttpRequest, HttpResponse, HttpServer, InternalError, ServiceConfig};
use ntex::{SharedCfg, http::Method, web::WebError, web::get, web::post, web::types::Form};
use shop::{Add, Failure, Login, Page, STAY, Shop, pages};
use typed_session::{Lifetime, Session};

#[ntex::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let sessions = shop.sessions();
    HttpServer::new(async move |_| App::new().middleware(sessions.clone()).configure(routes))
        .listen(shop.listen().await?.into_std()?, SharedCfg::default())?
        .run() // until Ctrl-C
        .await?;
    shop.close().await;
    Ok(())
}

fn routes(routes: &mut ServiceConfig<()>) {
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
async fn add(session: Session<Shop>, form: Form<Add>) -> Result<HttpResponse, WebError> {
    let item = form.item().map_err(refused)?;
    let added = session.transact(|shop| shop.add(&item)).await.map_err(WebError::from_err)?;
    Ok(answer(pages::added(added)))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, form: Form<Login>) -> Result<HttpResponse, WebError> {
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
async fn show(session: Session<Shop>, request: HttpRequest) -> Result<HttpResponse, WebError> {
    (request.method() == Method::POST).then(|| session.rotate());
    session.commit().await.map_err(WebError::from_err)?;
    Ok(answer(pages::session(&session)))
}

fn refused(page: Page) -> WebError {
    WebError::from_err(InternalError::from_response("refused", answer(page)))
}

/// The page in ntex's words.
fn answer(page: Page) -> HttpResponse {
    let mut response = HttpResponse::builder(page.status().as_u16().try_into().unwrap_or_default());
    for (name, value) in page.headers() {
        response.header(name.as_str(), value.as_bytes());
    }
    response.body(page.into_body())
}
