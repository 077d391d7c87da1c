// The shop on cot, with the tower layer; `shop::open` says what can be set.
//
//     cargo run --example cot --features cot

use cot::project::{MiddlewareContext, RegisterAppsContext, RootHandler, RootHandlerBuilder};
use cot::router::{Route, Router, method::get, method::post};
use cot::{AppBuilder, Project, bytes::Bytes};
use shop::cot::{Pages, fixed, page};
use shop::{Add, Failure, Login, Page, STAY, Sessions, Shop, pages};
use typed_session::{Lifetime, Session};

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let shop = shop::open().await?;
    let project = Tea(shop.sessions());
    shop::cot::serve(shop, project).await
}

struct Tea(Sessions);

impl Project for Tea {
    fn register_apps(&self, apps: &mut AppBuilder, _: &RegisterAppsContext) {
        apps.register_with_views(Pages(routes), "");
    }

    fn middlewares(&self, handler: RootHandlerBuilder, _: &MiddlewareContext) -> RootHandler {
        handler.middleware(self.0.clone()).build()
    }
}

fn routes() -> Router {
    Router::with_urls([
        Route::with_handler("/", get(page(async |session, _| Ok(session.read(pages::home))))),
        Route::with_handler("/visit", post(page(visit))),
        Route::with_handler("/basket", post(page(add))),
        Route::with_handler("/login", post(page(login))),
        Route::with_handler("/logout", post(page(logout))),
        Route::with_handler("/session", get(page(show)).post(page(rotate))),
        Route::with_handler("/api/session", get(page(async |session, _| Ok(pages::api(&session))))),
        Route::with_handler("/style.css", get(fixed(pages::style))),
    ])
}

async fn visit(session: Session<Shop>, _: Bytes) -> Result<Page, Page> {
    session.update(|shop| shop.visits += 1);
    Ok(pages::back_home())
}

/// `transact` sees the newest basket, so its limit holds for any number of requests at once.
async fn add(session: Session<Shop>, form: Bytes) -> Result<Page, Page> {
    let item = shop::form::<Add>(&form)?.item()?;
    let added = session.transact(|shop| shop.add(&item)).await;
    Ok(pages::added(added.map_err(pages::failed)?))
}

/// A shop that asks for no password; one that does checks it here, before anything else.
async fn login(session: Session<Shop>, form: Bytes) -> Result<Page, Page> {
    let form: Login = shop::form(&form)?;
    let user = form.user()?;
    session.update(|shop| shop.user = Some(user));
    session.set_lifetime(if form.stays() { STAY } else { Lifetime::default() });
    session.rotate(); // for who logs in again; a new user has a new id anyway
    Ok(pages::back_home())
}

async fn logout(session: Session<Shop>, _: Bytes) -> Result<Page, Page> {
    session.end();
    Ok(pages::back_home())
}

async fn rotate(session: Session<Shop>, _: Bytes) -> Result<Page, Page> {
    session.rotate();
    show(session, Bytes::new()).await
}

/// What is changed is stored after the handler. Here before, because the page shows what it does.
async fn show(session: Session<Shop>, _: Bytes) -> Result<Page, Page> {
    session.commit().await.map_err(pages::failed)?;
    Ok(pages::session(&session))
}
