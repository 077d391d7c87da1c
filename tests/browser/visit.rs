//! A visit to the shop: what a visitor does there, and sees.

use serde_json::Value;

use crate::chromium::Browser;
use crate::shop::{Shop, Via};

/// A browser at the shop.
pub(crate) struct Visit {
    pub(crate) browser: Browser,
    shop: Shop,
}

impl Visit {
    /// Opens the shop on a framework, and its first page in a new browser.
    pub(crate) async fn start(framework: &str, via: Via) -> Self {
        let visit =
            Self { shop: Shop::open(framework, via).await, browser: Browser::start().await };
        visit.goto("/").await;
        visit
    }

    pub(crate) async fn goto(&self, path: &str) {
        self.browser.goto(&format!("{}{path}", self.shop.url)).await;
    }

    pub(crate) async fn count_a_visit(&self) {
        self.browser.click("form[action='/visit'] button").await;
    }

    pub(crate) async fn put_into_basket(&self, item: &str) {
        self.browser.type_into("#item", item).await;
        self.browser.click(".row button").await;
    }

    pub(crate) async fn log_in(&self, user: &str) {
        self.browser.type_into("#user", user).await;
        self.browser.click("form[action='/login'] button").await;
    }

    pub(crate) async fn log_in_and_stay(&self, user: &str) {
        self.browser.click("[name='remember']").await;
        self.log_in(user).await;
    }

    /// Logs in as somebody else, without a logout before.
    pub(crate) async fn switch_to(&self, user: &str) {
        self.browser.click("summary").await;
        self.log_in(user).await;
    }

    pub(crate) async fn log_out(&self) {
        self.browser.click("form[action='/logout'] button").await;
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
