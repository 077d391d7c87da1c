//! What is asked of the browser.

use serde_json::{Value, json};

use crate::attacker::Attacker;
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
        // For this host alone: with a `Domain`, the prefix would not let it in.
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
    visit.goto("/login").await;
    visit.browser.look_at(&first).await;
    visit.goto("/login").await;
    visit.browser.look_at(&second).await;
    visit.fill_in_the_login("ann").await;
    let id = visit.id().await;
    // The first still shows the page with the form, which died with the login.
    visit.browser.look_at(&first).await;
    visit.fill_in_the_login("ann").await;
    assert_eq!(visit.browser.texts("h1").await, ["That did not work"]);
    assert_eq!(visit.id().await, id);
    visit.goto("/").await;
    assert_eq!(visit.user().await.as_deref(), Some("ann"));
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
    visit.log_in("ann").await;
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
    visit.log_in("bob").await;
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
    let token = visit.token().await;
    // The pages of the shop allow no requests to scripts; a style sheet allows what it likes.
    visit.goto("/style.css").await;
    let statuses = visit
        .browser
        .run_until_done(&format!(
            "const add = n => fetch('/basket', {{
                 method: 'POST',
                 body: new URLSearchParams({{ item: `item ${{n}}`, csrf_token: '{token}' }}),
             }});
             const all = Array.from({{ length: 20 }}, (_, n) => add(n));
             Promise.all(all).then(all => done(all.map(one => one.status)), e => done(`${{e}}`));",
        ))
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

pub(crate) const OTHER_DEVICE: &str = ".devices li:not(:has(.here)) button";
const THIS_DEVICE: &str = ".devices li:has(.here) button";

pub(crate) async fn the_devices_of_a_user(framework: &str, via: Via) {
    let (here, stranger) = (Visit::start(framework, via).await, "bob");
    here.log_in("ann").await;
    assert_eq!(here.said().await, ["Welcome, ann."]);
    let there = here.elsewhere().await;
    there.log_in("ann").await;

    here.browser.follow("a[href='/devices']").await;
    assert_eq!(here.browser.texts(".devices b").await, ["Chrome on Linux", "Chrome on Linux"]);
    assert_eq!(here.browser.texts(".here").await, ["this device"]);
    here.browser.follow(OTHER_DEVICE).await;
    assert_eq!(here.said().await, ["That device is logged out."]);
    assert_eq!(here.browser.texts(".devices b").await, ["Chrome on Linux"]);
    here.goto("/devices").await;
    assert_eq!(here.said().await, [""; 0], "it is said once");
    there.goto("/").await;
    there.assert_nobody().await;

    // And once more, all of them; but nobody else's.
    there.log_in("ann").await;
    let other = here.elsewhere().await;
    other.log_in(stranger).await;
    let id = here.id().await;
    here.goto("/devices").await;
    assert_eq!(here.browser.texts(".devices b").await.len(), 2);
    here.browser.follow("form[action='/devices/end-others'] button").await;
    assert_eq!(here.said().await, ["1 other device is logged out."]);
    assert_ne!(here.id().await, id);
    there.goto("/").await;
    there.assert_nobody().await;
    other.goto("/").await;
    assert_eq!(other.user().await.as_deref(), Some(stranger));

    here.browser.follow(THIS_DEVICE).await;
    assert_eq!(here.browser.texts("h1").await, ["You are logged out"]);
    here.assert_no_cookie().await;
}

pub(crate) async fn an_account_is_deleted(framework: &str, via: Via) {
    let here = Visit::start(framework, via).await;
    // Who is not logged in is led to the login.
    here.goto("/devices").await;
    assert_eq!(here.browser.texts("h1").await, ["Log in"]);
    here.fill_in_the_login("ann").await;
    let there = here.elsewhere().await;
    there.log_in("ann").await;

    here.goto("/confirm").await;
    here.browser.type_into("#user", "bob").await;
    here.browser.follow("form[action='/confirm'] button").await;
    assert_eq!(here.browser.texts("h1").await, ["That did not work"]);
    here.goto("/confirm").await;
    let id = here.id().await;
    here.browser.type_into("#user", "ann").await;
    here.browser.follow("form[action='/confirm'] button").await;
    assert_ne!(here.id().await, id);

    here.browser.follow("form[action='/account/delete'] button").await;
    assert_eq!(here.browser.texts("h1").await, ["Your account is deleted"]);
    here.assert_no_cookie().await;
    there.goto("/").await;
    there.assert_nobody().await;
}

/// What the shop says to a form of another site's page.
const REFUSED: &str = "another site";

/// A page of another site.
pub(crate) async fn forms_of_another_site(framework: &str, via: Via) {
    let (shop, attacker) = match via {
        Via::Http => ("localhost", "127.0.0.1"),
        Via::Tls => ("shop.example.test", "teapots.test"),
    };
    forged_forms(framework, via, shop, &[attacker]).await;
}

/// A page of the same site, which the shop's cookie is sent along with: a sibling of the shop's host, and
/// another port of the very host. `SameSite` is no help.
pub(crate) async fn forms_of_a_sibling(framework: &str, via: Via) {
    let (shop, attackers) = match via {
        Via::Http => ("localhost", &["localhost"][..]),
        Via::Tls => ("shop.example.test", &["blog.example.test", "shop.example.test"][..]),
    };
    forged_forms(framework, via, shop, attackers).await;
}

async fn forged_forms(framework: &str, via: Via, host: &str, attackers: &[&str]) {
    let attacker = Attacker::open(via).await;
    let victim = Visit::start_at(host, framework, via).await;
    // The attacker is a customer, too, and knows what the shop's forms are like.
    let mallory = victim.elsewhere().await;
    mallory.goto("/login").await;
    let of_login = mallory.token().await;
    mallory.fill_in_the_login("mallory").await;
    let own = mallory.token().await;

    for from in attackers {
        // A login as mallory, who would see from then on what the victim buys.
        for fields in [
            &[("user", "mallory")][..],
            &[("user", "mallory"), ("csrf_token", &of_login)],
            &[("user", "mallory"), ("csrf_token", &own)],
        ] {
            let (status, said) = attacker.lure(&victim, from, "/login", fields).await;
            assert_eq!(status, 403, "{from}: {said}");
            assert!(said.contains(REFUSED), "{said}");
        }
        let (status, _) = attacker.lure(&victim, from, "/basket", &[("item", "poison")]).await;
        assert_eq!(status, 403, "{from}");
        victim.goto("/").await;
        victim.assert_nobody().await;
        victim.assert_no_cookie().await;
    }

    victim.log_in("ann").await;
    victim.put_into_basket("tea").await;
    let id = victim.id().await;
    for from in attackers {
        for (path, field) in [
            ("/basket", ("item", "poison")),
            ("/login", ("user", "mallory")),
            ("/logout", ("", "")),
            ("/session", ("", "")),
            ("/confirm", ("user", "ann")),
            ("/devices/end-others", ("", "")),
            ("/account/delete", ("", "")),
        ] {
            for token in [None, Some(&own)] {
                let token = token.map(|token| ("csrf_token", token.as_str()));
                let fields: Vec<_> = [field].into_iter().chain(token).collect();
                let (status, said) = attacker.lure(&victim, from, path, &fields).await;
                assert_eq!(status, 403, "{from} {path} {fields:?}: {said}");
                assert!(said.contains(REFUSED), "{said}");
            }
        }
    }
    assert_eq!(victim.id().await, id);
    victim.goto("/").await;
    assert_eq!(victim.user().await.as_deref(), Some("ann"));
    assert_eq!(victim.basket().await, ["tea"]);
    // The shop's own are as good as ever.
    victim.put_into_basket("honey").await;
    assert_eq!(victim.basket().await, ["tea", "honey"]);
}
