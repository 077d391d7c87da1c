//! A user's devices and account, and requests that are none of the user's.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use serde_json::Value;

use crate::client::{FIELD, Reply, Shop};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0";

type Fields = &'static [(&'static str, &'static str)];

/// All forms of the shop, and whether one is for users alone.
const FORMS: [(&str, Fields, bool); 9] = [
    ("/visit", &[], false),
    ("/basket", &[("item", "tea")], false),
    ("/login", &[("user", "mallory")], false),
    ("/logout", &[], false),
    ("/session", &[], false),
    ("/devices/end-others", &[], true),
    ("/account/delete", &[], true),
    ("/confirm", &[("user", "mallory")], true),
    ("/devices/end", &[("key", "")], true),
];

#[test]
fn asvs_7_5_2_a_user_sees_each_device_and_logs_one_out() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let dora = somebody("dora");
    let phone = login(&shop, &dora, FIREFOX);
    let desk = login(&shop, &dora, "curl/8.5.0");
    let page = shop.get("/devices", &desk);
    assert_eq!((page.status, page.set_cookie()), (200, None));
    for text in ["Firefox on Linux", "<b>curl</b>", "this device", "last seen 20"] {
        assert_eq!(
            page.body.matches(text).count(),
            if text.ends_with("20") { 2 } else { 1 },
            "{text}"
        );
    }
    // This one is the first.
    let keys: Vec<&str> = page.fields("key").collect();
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], key(&shop, &desk));

    let ended = shop.post("/devices/end", &desk, &[("key", keys[1])]);
    assert_eq!((ended.status, ended.location()), (303, Some("/devices")));
    assert_eq!(shop.user(&phone), None);
    assert_eq!(shop.session(&phone)["verdict"], "ended: revoked");
    assert_eq!(shop.user(&desk), Some(dora));
    let page = shop.get("/devices", &desk);
    assert!(page.body.contains("That device is logged out."), "{}", page.body);
    assert_eq!(page.fields("key").count(), 1);
    let page = shop.get("/devices", &desk);
    assert!(!page.body.contains("That device is logged out."), "it is said once");

    // What is over cannot be ended again.
    assert_eq!(shop.post("/devices/end", &desk, &[("key", keys[1])]).status, 404);
}

#[test]
fn the_key_of_a_device_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let (dora, emil) = (somebody("dora"), somebody("emil"));
    let (of_dora, of_emil) = (shop.login("", &dora), shop.login("", &emil));
    let visitor = shop.visitor();
    let theirs = key(&shop, &of_dora);
    for key in [&*theirs, &*key(&shop, &visitor), &"0".repeat(64)] {
        let reply = shop.post("/devices/end", &of_emil, &[("key", key)]);
        assert_eq!((reply.status, reply.set_cookie()), (404, None), "{}", reply.body);
    }
    for key in ["", "nonsense", &theirs[1..]] {
        assert_eq!(shop.post("/devices/end", &of_emil, &[("key", key)]).status, 400);
    }
    assert_eq!(shop.user(&of_dora), Some(dora));
    assert_eq!(shop.user(&of_emil), Some(emil));
    assert_eq!(shop.session(&visitor)["visits"], 1);
}

#[test]
fn the_device_at_hand_can_be_logged_out_like_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.login("", &somebody("dora"));
    let reply = shop.post("/devices/end", &id, &[("key", &key(&shop, &id))]);
    assert_eq!((reply.status, reply.location()), (303, Some("/goodbye")));
    assert!(reply.removes_cookie());
    assert_eq!(shop.user(&id), None);
}

#[test]
fn asvs_7_4_3_a_user_logs_the_other_devices_out() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let (dora, emil) = (somebody("dora"), somebody("emil"));
    let others = [shop.login("", &dora), shop.login("", &dora)];
    let (here, of_emil) = (shop.login("", &dora), shop.login("", &emil));
    let reply = shop.post("/devices/end-others", &here, &[]);
    assert_eq!((reply.status, reply.location()), (303, Some("/devices")));
    let new = reply.id().expect("whoever shares the id is out, too");
    for id in others.iter().chain([&here]) {
        assert_eq!(shop.user(id), None);
    }
    assert_eq!((shop.user(&new), shop.user(&of_emil)), (Some(dora), Some(emil)));
    let page = shop.get("/devices", &new);
    assert!(page.body.contains("2 other devices are logged out."), "{}", page.body);
    assert_eq!(page.fields("key").count(), 1);
}

#[test]
fn asvs_7_5_1_who_deletes_an_account_has_shown_lately_who_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let dora = somebody("dora");
    let (id, other) = (shop.login("", &dora), shop.login("", &dora));
    drop(shop);

    let shop = Shop::open_later(dir.path(), Duration::from_secs(6 * 60));
    for path in ["/account/delete", "/devices/end-others"] {
        let reply = shop.post_from(path, &id, &[], &[("Sec-Fetch-Mode", "navigate")]);
        assert_eq!((reply.status, reply.location()), (303, Some("/confirm")), "{path}");
        assert_eq!(reply.set_cookie(), None);
        let reply = shop.post(path, &id, &[]);
        assert_eq!(
            (reply.status, reply.set_cookie()),
            (401, None),
            "a program learns of it, {path}"
        );
    }
    let wrong = shop.post("/confirm", &id, &[("user", "mallory")]);
    assert_eq!((wrong.status, wrong.set_cookie()), (403, None));
    assert_eq!(shop.post("/account/delete", &id, &[]).status, 401);
    assert_eq!([&id, &other].map(|id| shop.user(id)), [Some(dora.clone()), Some(dora.clone())]);

    let confirmed = shop.post("/confirm", &id, &[("user", &dora)]);
    assert_eq!((confirmed.status, confirmed.location()), (303, Some("/devices")));
    let new = confirmed.id().expect("who has shown who they are has a new id");
    let page = shop.get("/devices", &new);
    assert!(page.body.contains("Thank you."), "{}", page.body);

    let deleted = shop.post("/account/delete", &new, &[]);
    assert_eq!((deleted.status, deleted.location()), (303, Some("/deleted")));
    assert!(deleted.removes_cookie());
    for id in [&id, &new, &other] {
        assert_eq!(shop.user(id), None);
    }
    let page = shop.get("/deleted", "");
    assert_eq!((page.status, page.set_cookie()), (200, None));
}

#[test]
fn who_is_not_logged_in_is_sent_to_the_login() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    for id in ["", &shop.visitor(), "nonsense"] {
        for path in ["/devices", "/confirm"] {
            let reply = shop.get(path, id);
            assert_eq!((reply.status, reply.location()), (303, Some("/login")), "{path} {id:?}");
            assert_eq!(reply.set_cookie(), None);
        }
        for (path, form, is_for_users) in FORMS {
            if is_for_users {
                let reply = shop.post(path, id, form);
                assert_eq!((reply.status, reply.set_cookie()), (401, None), "{path} {id:?}");
            }
        }
    }
}

#[test]
fn a_form_without_the_token_of_its_session_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let (dora, emil) = (somebody("dora"), somebody("emil"));
    let visitor = shop.visitor();
    let of_visitor = shop.token(&visitor).unwrap();
    let (id, other, of_emil) =
        (shop.login(&visitor, &dora), shop.login("", &dora), shop.login("", &emil));
    shop.post("/basket", &id, &[("item", "tea")]);
    let before = state(&shop, &id);
    let stolen = shop.token(&of_emil).unwrap();
    // Of the same user's other device.
    let cousin = shop.token(&other).unwrap();
    let mut turned = shop.token(&id).unwrap();
    let last = if turned.pop() == Some('A') { 'B' } else { 'A' };
    turned.push(last);
    let key = key(&shop, &other);
    for (path, form, _) in FORMS {
        let form = if path == "/devices/end" { &[("key", &*key)] } else { form };
        let send = |token: Option<&str>| {
            let token = token.map(|token| (FIELD, token));
            let form: Vec<_> = token.into_iter().chain(form.iter().copied()).collect();
            shop.send("POST", path, &id, &form, &[])
        };
        let tokens = ["", "nonsense", &turned, &stolen, &cousin, &of_visitor];
        for token in [None].into_iter().chain(tokens.map(Some)) {
            let reply = send(token);
            assert_eq!((reply.status, reply.set_cookie()), (403, None), "{path} {token:?}");
        }
        let field = format!("{FIELD}={}", shop.token(&id).unwrap());
        let reply = shop.send("POST", &format!("{path}?{field}"), &id, form, &[]);
        assert_eq!(reply.status, 403, "{path}: the address is no place for a token");
    }
    assert_eq!(state(&shop, &id), before);
    assert_eq!(shop.user(&other), Some(dora));

    // A visitor without a session needs none, but for a login, which could be somebody else's.
    let reply = shop.send("POST", "/login", "", &[("user", "mallory")], &[]);
    assert_eq!((reply.status, reply.set_cookie()), (403, None));
    let reply = shop.send("POST", "/login", "", &[("user", "mallory"), (FIELD, &stolen)], &[]);
    assert_eq!((reply.status, reply.set_cookie()), (403, None));
    // And they are good, each as often as one likes.
    assert_eq!(shop.post("/visit", &id, &[]).status, 303);
    assert_eq!(shop.post("/visit", &id, &[]).status, 303);
}

#[test]
fn asvs_3_5_1_what_another_site_has_caused_is_refused_whatever_it_knows() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let dora = somebody("dora");
    let (id, other) = (shop.login("", &dora), shop.login("", &dora));
    let before = state(&shop, &id);
    let key = key(&shop, &other);
    let here = format!("http://127.0.0.1:{}", shop.port);
    let neighbour = format!("http://127.0.0.1:{}", shop.port.wrapping_add(1));
    for from in [
        &[("Sec-Fetch-Site", "cross-site")][..],
        &[("Sec-Fetch-Site", "same-site")],
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", &here)],
        &[("Origin", "https://attacker.example")],
        &[("Origin", &neighbour)],
        &[("Origin", "null")],
    ] {
        for (path, form, _) in FORMS {
            let form = if path == "/devices/end" { &[("key", &*key)] } else { form };
            // Without a cookie it may be a login of somebody else's.
            for id in [&*id, ""] {
                let token = shop.token(id).map(|token| (FIELD.to_owned(), token));
                let mut fields: Vec<(&str, &str)> =
                    token.iter().map(|(name, token)| (&**name, &**token)).collect();
                fields.extend(form);
                let reply = shop.send("POST", path, id, &fields, from);
                assert_eq!((reply.status, reply.set_cookie()), (403, None), "{path} {from:?}");
            }
        }
        // Links from elsewhere are welcome.
        assert_eq!(shop.send("GET", "/devices", &id, &[], from).status, 200);
    }
    assert_eq!(state(&shop, &id), before);
    assert_eq!(shop.user(&other), Some(dora));
    for from in [
        &[("Sec-Fetch-Site", "same-origin")][..],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", &here)],
        &[("Origin", &here)],
        &[],
    ] {
        assert_eq!(shop.post_from("/visit", &id, &[], from).status, 303, "{from:?}");
    }
}

#[test]
fn what_is_to_be_said_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let dora = somebody("dora");
    let id = shop.login("", &dora);
    let welcome = format!("Welcome, {dora}.");
    assert_eq!(messages(&shop.get("/", &id)), [welcome]);
    assert_eq!(messages(&shop.get("/", &id)), [""; 0]);

    shop.post("/basket", &id, &[("item", "a <b>bold</b> tea")]);
    shop.post("/basket", &id, &[("item", "honey")]);
    let page = shop.get("/", &id);
    let bold = "a &lt;b&gt;bold&lt;/b&gt; tea is in your basket.";
    assert_eq!(messages(&page), [bold, "honey is in your basket."]);
    assert_eq!(messages(&shop.get("/", &id)), [""; 0]);
}

#[test]
fn a_logout_leaves_no_session_for_its_message() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.login("", &somebody("dora"));
    let reply = shop.post("/logout", &id, &[]);
    assert_eq!((reply.status, reply.location()), (303, Some("/goodbye")));
    assert!(reply.removes_cookie());
    let page = shop.get("/goodbye", "");
    assert_eq!((page.status, page.set_cookie()), (200, None));
    assert!(page.body.contains("You are logged out"), "{}", page.body);
}

/// A name that nobody else has, for some databases are shared.
fn somebody(name: &str) -> String {
    format!("{name} {}", RandomState::new().hash_one(name))
}

#[track_caller]
fn login(shop: &Shop, user: &str, user_agent: &str) -> String {
    shop.post_from("/login", "", &[("user", user)], &[("User-Agent", user_agent)]).id().unwrap()
}

/// The name of the session in the store.
#[track_caller]
fn key(shop: &Shop, id: &str) -> String {
    let page = shop.get("/session", id).body;
    let (_, rest) = page.split_once("<th>Key in the store</th><td>").unwrap();
    rest.split('<').next().unwrap().to_owned()
}

/// All that a request could have changed.
#[track_caller]
fn state(shop: &Shop, id: &str) -> (Value, Vec<String>) {
    let devices = shop.get("/devices", id);
    assert_eq!(devices.status, 200);
    (shop.session(id), devices.fields("key").map(str::to_owned).collect())
}

fn messages(page: &Reply) -> Vec<&str> {
    let parts = page.body.split(r#"<p role="status">"#).skip(1);
    parts.filter_map(|part| part.split("</p>").next()).collect()
}
