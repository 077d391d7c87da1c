//! A visit to the shop: what a visitor does there, and sees.

use std::sync::Arc;

use serde_json::Value;

use crate::chromium::Browser;
use crate::shop::{Shop, Via};

/// A browser at the shop.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    /// Where the shop is.
    pub(crate) url: String,
    shop: Arc<Shop>,
}

impl Visit {
    /// Opens the shop on a framework, and its first page in a new browser.
    pub(crate) async fn start(framework: &str, via: Via) -> Self {
        Self::start_at("localhost", framework, via).await
    }

    /// The same, under another name of this host's.
    pub(crate) async fn start_at(host: &str, framework: &str, via: Via) -> Self {
        let shop = Arc::new(Shop::open(framework, via).await);
        let url = shop.url.replace("localhost", host);
        let visit = Self { browser: Browser::start().await, url, shop };
        visit.goto("/").await;
        visit
    }

    /// Opens the first page of the same shop in another browser.
    pub(crate) async fn elsewhere(&self) -> Self {
        let (url, shop) = (self.url.clone(), Arc::clone(&self.shop));
        let visit = Self { browser: Browser::start().await, url, shop };
        visit.goto("/").await;
        visit
    }

    pub(crate) async fn goto(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.url)).await;
    }

    pub(crate) async fn count_a_visit(&self) {
        self.browser.follow("form[action='/visit'] button").await;
    }

    pub(crate) async fn put_into_basket(&self, item: &str) {
        self.browser.type_into("#item", item).await;
        self.browser.follow(".row button").await;
    }

    pub(crate) async fn log_in(&self, user: &str) {
        self.browser.follow("a[href='/login']").await;
        self.fill_in_the_login(user).await;
    }

    /// Logs in by the form that is there.
    pub(crate) async fn fill_in_the_login(&self, user: &str) {
        self.browser.type_into("#user", user).await;
        self.browser.follow("form[action='/login'] button").await;
    }

    pub(crate) async fn log_in_and_stay(&self, user: &str) {
        self.browser.follow("a[href='/login']").await;
        self.browser.click("[name='remember']").await;
        self.fill_in_the_login(user).await;
    }

    /// Logs out, and looks at the first page again.
    pub(crate) async fn log_out(&self) {
        self.browser.follow("form[action='/logout'] button").await;
        assert_eq!(self.browser.texts("h1").await, ["You are logged out"]);
        self.browser.follow("main a").await;
    }

    /// The token in the forms of the page.
    pub(crate) async fn token(&self) -> String {
        let token = "return document.querySelector('[name=csrf_token]').value";
        self.browser.run(token).await.as_str().unwrap().to_owned()
    }

    /// What the page says once.
    pub(crate) async fn said(&self) -> Vec<String> {
        self.browser.texts(".said p").await
    }

    /// Who the page greets.
    pub(crate) async fn user(&self) -> Option<String> {
        self.browser.texts(".user").await.pop()
    }

    /// What the page shows of the basket, with how often each is in it.
    pub(crate) async fn basket(&self) -> Vec<String> {
        self.browser.texts(".basket li:not(.none)").await
    }

    /// The one cookie that the browser has.
    pub(crate) async fn cookie(&self) -> Value {
        let mut cookies = self.browser.cookies().await;
        assert_eq!(cookies.len(), 1, "the shop has one cookie: {cookies:?}");
        cookies.remove(0)
    }

    pub(crate) async fn id(&self) -> String {
        self.cookie().await["value"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn assert_no_cookie(&self) {
        let cookies = self.browser.cookies().await;
        assert!(cookies.is_empty(), "{cookies:?}");
    }

    pub(crate) async fn assert_nobody(&self) {
        assert_eq!(self.user().await, None);
        assert_eq!(self.basket().await, [""; 0]);
    }

    /// Asserts that neither the page nor any other of the shop has a word of somebody.
    pub(crate) async fn assert_nothing_of(&self, words: &[&str]) {
        for path in ["", "/", "/session", "/api/session"] {
            if !path.is_empty() {
                self.goto(path).await;
            }
            let source = self.browser.source().await;
            for word in words {
                assert!(!source.contains(word), "{word:?} is on the page {path:?}: {source}");
            }
        }
        self.goto("/").await;
    }
}
