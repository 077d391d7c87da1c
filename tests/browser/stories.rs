//! What is asked of the browser.

use serde_json::{Value, json};

use crate::shop::Via;
use crate::visit::Visit;

pub(crate) async fn the_cookie_of_tls(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    // Who only looks gets none.
    visit.assert_no_cookie().await;
    visit.count_a_visit().await;
    assert_is_of_a_browser_session(&visit.cookie().await, "__Host-session", true);
}

pub(crate) async fn the_cookie_of_localhost(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.count_a_visit().await;
    assert_is_of_a_browser_session(&visit.cookie().await, "session", false);
}

#[track_caller]
fn assert_is_of_a_browser_session(cookie: &Value, name: &str, secure: bool) {
    let expected = [
        ("name", json!(name)),
        ("secure", json!(secure)),
        ("httpOnly", json!(true)),
        ("sameSite", json!("Lax")),
        ("path", json!("/")),
        // For this host alone; with a `Domain`, it would be `.localhost`.
        ("domain", json!("localhost")),
        // Gone with the browser.
        ("session", json!(true)),
    ];
    for (attribute, value) in expected {
        assert_eq!(cookie[attribute], value, "{attribute} of {cookie}");
    }
}

pub(crate) async fn no_script_has_the_cookie(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.log_in("ann").await;
    let id = visit.id().await;
    assert_eq!(visit.browser.run("return document.cookie").await, json!(""));
    let replace = "document.cookie = '__Host-session=mine; Path=/; Secure'; return document.cookie";
    assert_eq!(visit.browser.run(replace).await, json!(""));
    assert_eq!(visit.id().await, id);
}

pub(crate) async fn a_login_changes_the_id(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.put_into_basket("tea").await;
    let visitor = visit.id().await;
    visit.log_in("ann").await;
    let ann = visit.id().await;
    assert_ne!(ann, visitor);
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    assert_eq!(visit.basket().await, ["tea"], "a visitor's basket goes along");

    visit.log_out().await;
    visit.assert_no_cookie().await;
    visit.assert_nobody().await;
    visit.log_in("ann").await;
    assert!(![visitor, ann].contains(&visit.id().await));
    assert_eq!(visit.basket().await, [""; 0], "what was ended does not come back");
}

pub(crate) async fn a_logout_in_one_of_two_tabs(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    let first = visit.browser.tab().await;
    let second = visit.browser.open_tab().await;
    visit.goto("/").await;
    visit.log_in("ann").await;
    let id = visit.id().await;
    // The first still shows the page with the form, and so she logs in once more.
    visit.browser.look_at(&first).await;
    assert_eq!(visit.user().await, None);
    visit.log_in("ann").await;
    assert_ne!(visit.id().await, id);
    visit.put_into_basket("a secret present").await;
    // What one tab does is no logout of the other.
    visit.browser.look_at(&second).await;
    visit.put_into_basket("tea").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    assert_eq!(visit.basket().await, ["a secret present", "tea"]);

    visit.browser.look_at(&first).await;
    visit.log_out().await;
    visit.browser.look_at(&second).await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"), "a page of before the logout");
    visit.put_into_basket("honey").await;
    assert_eq!((visit.user().await, visit.basket().await), (None, vec!["honey".to_owned()]));
    visit.assert_nothing_of(&["ann", "a secret present"]).await;
    visit.browser.look_at(&first).await;
    visit.assert_nothing_of(&["ann", "a secret present"]).await;
}

pub(crate) async fn a_restart_of_who_stays(framework: &str, via: Via) {
    let mut visit = Visit::start(framework, via).await;
    visit.log_in_and_stay("ann").await;
    visit.put_into_basket("tea").await;
    let id = visit.id().await;
    assert_eq!(visit.cookie().await["session"], json!(false));
    visit.browser.restart().await;
    visit.goto("/").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    assert_eq!(visit.basket().await, ["tea"]);
    assert_eq!(visit.id().await, id);

    // And a logout is one for the next start as well.
    visit.log_out().await;
    visit.browser.restart().await;
    visit.goto("/").await;
    visit.assert_nobody().await;
    visit.assert_no_cookie().await;
}

pub(crate) async fn a_restart_of_who_does_not(framework: &str, via: Via) {
    let mut visit = Visit::start(framework, via).await;
    visit.log_in("ann").await;
    visit.put_into_basket("tea").await;
    visit.browser.restart().await;
    visit.goto("/").await;
    visit.assert_nobody().await;
    visit.assert_no_cookie().await;

    // The last choice counts.
    visit.log_in_and_stay("ann").await;
    visit.switch_to("ann").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    visit.browser.restart().await;
    visit.goto("/").await;
    assert_eq!(visit.user().await, None);
}

pub(crate) async fn back_after_a_logout(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.log_in("ann").await;
    visit.put_into_basket("a secret present").await;
    visit.goto("/session").await;
    visit.goto("/").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    visit.log_out().await;
    // The history is the first page a few times, with the other in between; and further back is
    // where the browser came from.
    let mut seen = Vec::new();
    for _ in 0..5 {
        let source = visit.browser.source().await;
        assert!(!source.contains("ann"), "{source}");
        assert!(!source.contains("a secret present"), "{source}");
        seen.extend(visit.browser.texts("h1").await);
        visit.browser.back().await;
    }
    assert!(seen.contains(&"Your session".to_owned()), "{seen:?}");
    assert!(seen.contains(&"Tea, and what goes with it".to_owned()), "{seen:?}");
}

pub(crate) async fn two_users(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.log_in("ann").await;
    visit.put_into_basket("a secret present").await;
    visit.log_out().await;
    visit.log_in("bob").await;
    assert_eq!(visit.user().await.as_deref(), Some("bob"));
    visit.assert_nothing_of(&["ann", "a secret present"]).await;
    visit.put_into_basket("a book on bees").await;
    visit.log_out().await;

    visit.log_in("ann").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    visit.assert_nothing_of(&["bob", "a book on bees"]).await;
}

pub(crate) async fn a_switch(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.log_in("ann").await;
    visit.put_into_basket("a secret present").await;
    let ann = visit.id().await;
    visit.switch_to("bob").await;
    assert_eq!((visit.user().await.as_deref(), visit.basket().await), (Some("bob"), vec![]));
    assert_ne!(visit.id().await, ann);
    visit.assert_nothing_of(&["ann", "a secret present"]).await;
    for _ in 0..3 {
        visit.browser.back().await;
        let source = visit.browser.source().await;
        assert!(!source.contains("ann") && !source.contains("a secret present"), "{source}");
    }
}

pub(crate) async fn twenty_at_once(framework: &str, via: Via) {
    let visit = Visit::start(framework, via).await;
    visit.log_in("ann").await;
    let id = visit.id().await;
    // The pages of the shop allow no requests to scripts; a style sheet allows what it likes.
    visit.goto("/style.css").await;
    let statuses = visit
        .browser
        .run_until_done(
            "const add = n => fetch('/basket', {
                 method: 'POST',
                 body: new URLSearchParams({ item: `item ${n}` }),
             });
             const all = Array.from({ length: 20 }, (_, n) => add(n));
             Promise.all(all).then(all => done(all.map(one => one.status)), e => done(`${e}`));",
        )
        .await;
    assert_eq!(statuses, json!(vec![200; 20]), "each is sent on to the first page");
    visit.goto("/").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
    assert_eq!(visit.id().await, id, "the id is still the one of the login");
    let mut basket = visit.basket().await;
    basket.sort();
    let mut items: Vec<String> = (0..20).map(|n| format!("item {n}")).collect();
    items.sort();
    assert_eq!(basket, items);
}
