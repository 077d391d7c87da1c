//! The example shop as a process of its own, with SQLite, killed now and then.
#![allow(clippy::unwrap_used)]

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};
use std::{fs, thread};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::client::{FIELD, Reply, Shop, send};

mod account;
mod client;

#[test]
fn two_hundred_items_put_into_one_basket_at_once_are_all_kept() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.visitor();
    let mut items: Vec<String> = (0..200).map(|n| format!("item {n}")).collect();
    let replies = at_once(&items, |item| shop.post("/basket", &id, &[("item", item)]));
    for reply in replies {
        assert_eq!((reply.status, reply.set_cookie()), (303, None), "{}", reply.body);
    }
    let mut basket = shop.basket(&id);
    basket.sort();
    items.sort();
    assert_eq!(basket, items);
}

#[test]
fn a_full_basket_says_so_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.visitor();
    for _ in 0..490 {
        assert_eq!(shop.post("/basket", &id, &[("item", "tea")]).status, 303);
    }
    let replies = at_once(&[(); 20], |()| shop.post("/basket", &id, &[("item", "tea")]));
    let refused: Vec<&Reply> = replies.iter().filter(|reply| reply.status == 400).collect();
    assert_eq!(refused.len(), 10);
    assert!(refused[0].body.contains("Your basket is full"), "{}", refused[0].body);
    assert_eq!(shop.basket(&id).len(), 500);
}

/// What one of many requests with the same cookie does.
enum Act {
    Login(String),
    Logout,
    Visit,
}

#[test]
fn logins_and_logouts_at_once_leave_no_stale_cookie_logged_in() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    // Every id that was ever handed out.
    let mut seen: Vec<String> = Vec::new();
    let mut start = shop.visitor();
    for round in 0..50 {
        // Every other round has no logout: then of all the logins exactly one wins.
        let with_logout = round % 2 == 1;
        let mut acts: Vec<Act> = Vec::new();
        for n in 0..4 {
            acts.push(Act::Login(format!("user {round} {n}")));
            acts.push(if with_logout { Act::Logout } else { Act::Visit });
            acts.push(Act::Visit);
        }
        let was = shop.user(&start);
        shop.token(&start).expect("each act is a form of the same page");
        let replies = at_once(&acts, |act| match act {
            Act::Login(user) => shop.post("/login", &start, &[("user", user)]),
            Act::Logout => shop.post("/logout", &start, &[]),
            Act::Visit => shop.post("/visit", &start, &[]),
        });

        seen.push(start.clone());
        let mut logged_in = Vec::new();
        let mut ended = false;
        for (act, reply) in acts.iter().zip(&replies) {
            // A form to log in by dies with the id; what is late without one is too late.
            let is_late = match act {
                Act::Login(_) => matches!(reply.status, 403 | 409),
                Act::Logout | Act::Visit => reply.status == 409,
            };
            assert!(is_late || reply.status == 303, "{reply:?}");
            ended |= reply.removes_cookie();
            if is_late {
                assert_eq!(reply.set_cookie(), None);
            }
            let Some(id) = reply.id() else { continue };
            let user = shop.user(&id);
            match act {
                Act::Login(name) => {
                    assert_eq!(user.as_ref(), Some(name), "an acknowledged login is logged in");
                    logged_in.push(id.clone());
                }
                // A session of its own, made after the end of the one before.
                Act::Visit => assert_eq!(user, None, "a visit logs nobody in"),
                Act::Logout => panic!("a logout gives no id: {reply:?}"),
            }
            seen.push(id);
        }
        assert_eq!(shop.user(&start), None, "round {round}: the id of {was:?} is dead");
        if with_logout {
            // The session ended, or one login was quicker than each of the logouts.
            assert!(ended || logged_in.len() == 1, "{replies:?}");
        } else {
            assert!(!ended);
            assert_eq!(logged_in.len(), 1, "one login wins");
        }
        let alive: Vec<&String> = seen.iter().filter(|id| shop.user(id).is_some()).collect();
        assert_eq!(alive, logged_in.iter().collect::<Vec<_>>(), "round {round}");

        // All but one log out, so that the next round starts with a user.
        let last = logged_in.pop();
        for id in logged_in {
            assert!(shop.post("/logout", &id, &[]).removes_cookie());
            assert_eq!(shop.user(&id), None, "an acknowledged logout is a logout");
        }
        start = last.unwrap_or_else(|| shop.visitor());
        let alive = seen.iter().filter(|id| **id != start && shop.user(id).is_some()).count();
        assert_eq!(alive, 0, "round {round}: only the last id is logged in");
    }

    assert!(shop.user(&start).is_none() || shop.post("/logout", &start, &[]).removes_cookie());
    for id in &seen {
        assert_eq!(shop.user(id), None);
    }
    assert!(seen.len() >= 50, "{} ids", seen.len());
}

#[test]
fn the_cookie_of_before_a_login_is_anonymous_and_gets_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let before = shop.visitor();
    shop.post("/basket", &before, &[("item", "tea")]);
    let after = shop.login(&before, "ann");
    assert_eq!(shop.user(&after).as_deref(), Some("ann"));
    assert_eq!(shop.basket(&after), ["tea"], "a visitor's basket goes along");

    for path in ["/", "/session", "/api/session"] {
        let reply = shop.get(path, &before);
        assert_eq!((reply.status, reply.set_cookie()), (200, None));
        assert!(!reply.body.contains("ann"), "{}", reply.body);
    }
    assert_eq!(shop.session(&before)["verdict"], "superseded id");
    for (path, form, status) in [
        ("/visit", vec![], 409),
        ("/basket", vec![("item", "x")], 409),
        // Its form is one of before the login.
        ("/login", vec![("user", "bob")], 403),
    ] {
        let reply = shop.post(path, &before, &form);
        assert_eq!((reply.status, reply.set_cookie()), (status, None), "{path}");
    }
    let late = shop.post("/logout", &before, &[]);
    assert_eq!(late.set_cookie(), None, "a late logout takes nothing away");
    assert_eq!(shop.user(&after).as_deref(), Some("ann"));
}

#[test]
fn a_switch_of_user_leaves_the_basket_of_the_first_behind() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let ann = shop.login("", "ann");
    shop.post("/basket", &ann, &[("item", "a secret present")]);
    shop.post("/visit", &ann, &[]);
    let bob = shop.login(&ann, "bob");
    let seen = shop.session(&bob);
    assert_eq!((&seen["user"], &seen["visits"]), (&"bob".into(), &0.into()));
    assert_eq!(shop.basket(&bob), [""; 0]);
    assert_eq!(shop.user(&ann), None);
}

#[test]
fn a_kill_in_the_middle_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(dir.path());
    for round in 0..8 {
        let id = shop.login("", "ann");
        let token = shop.token(&id).unwrap();
        let sent = AtomicUsize::new(0);
        let (acknowledge, acknowledgements) = mpsc::channel();
        let port = shop.port;
        let acknowledged: Vec<String> = thread::scope(|scope| {
            for _ in 0..8 {
                let (sent, id, token) = (&sent, &id, &token);
                let acknowledge = acknowledge.clone();
                scope.spawn(move || {
                    loop {
                        let item = format!("item {}", sent.fetch_add(1, Ordering::Relaxed));
                        let form = [(FIELD, &**token), ("item", &item)];
                        match send(port, "POST", "/basket", id, &form, &[]) {
                            Ok(reply) if reply.status == 303 => acknowledge.send(item).unwrap(),
                            Ok(reply) => panic!("{reply:?}"),
                            // Killed.
                            Err(_) => return,
                        }
                    }
                });
            }
            drop(acknowledge);
            let before = acknowledgements.iter().take(20 + 7 * round).collect::<Vec<_>>();
            shop.kill();
            before.into_iter().chain(&acknowledgements).collect()
        });
        shop = Shop::open(dir.path());
        assert_eq!(shop.user(&id).as_deref(), Some("ann"), "the session survives");
        let basket = shop.basket(&id);
        let kept: HashSet<&String> = basket.iter().collect();
        assert_eq!(kept.len(), basket.len(), "nothing is there twice");
        for item in &acknowledged {
            assert!(kept.contains(item), "round {round}: {item:?} was acknowledged");
        }
        assert!(basket.len() <= sent.load(Ordering::Relaxed));
    }
}

#[test]
fn no_file_of_the_shop_holds_any_part_of_a_cookie() {
    let dir = tempfile::tempdir().unwrap();
    let mut shop = Shop::open(dir.path());
    let mut ids = Vec::new();
    for n in 0..10 {
        let visitor = shop.visitor();
        let user = shop.login(&visitor, &format!("user {n}"));
        let rotated = shop.post("/session", &user, &[]).id().unwrap();
        shop.post("/visit", &user, &[]);
        let staying = [("user", "somebody else"), ("remember", "on")];
        let other = shop.post("/login", &rotated, &staying).id().unwrap();
        shop.post("/basket", &other, &[("item", "tea")]);
        if n % 2 == 0 {
            shop.post("/logout", &other, &[]);
        }
        ids.extend([visitor, user, rotated, other]);
    }
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 40);

    // Every 8 characters of the text and every 8 bytes of the id; of a hexadecimal number 16 digits,
    // for 8 may well be a part of a key.
    let mut needles: HashSet<Vec<u8>> = HashSet::new();
    for id in &ids {
        let raw = URL_SAFE_NO_PAD.decode(id).unwrap();
        assert_eq!((id.len(), raw.len()), (43, 32));
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        needles.extend(id.as_bytes().windows(8).map(<[u8]>::to_vec));
        needles.extend(STANDARD.encode(&raw).as_bytes().windows(8).map(<[u8]>::to_vec));
        needles.extend(raw.windows(8).map(<[u8]>::to_vec));
        needles.extend(hex.as_bytes().windows(16).map(<[u8]>::to_vec));
        needles.extend(hex.to_uppercase().as_bytes().windows(16).map(<[u8]>::to_vec));
    }

    // While the log of SQLite is there, and once more when all of it is in the database.
    for (running, names) in [
        (true, &["shop.db", "shop.db-wal", "shop.db-shm", "log"][..]),
        (false, &["shop.db", "log"]),
    ] {
        let mut all = Vec::new();
        for name in names {
            let bytes = read(dir.path(), name);
            for size in [8, 16] {
                let found = bytes.windows(size).find(|window| needles.contains(*window));
                assert_eq!(found, None, "in {name}, running: {running}");
            }
            all.extend(bytes);
        }
        // The search would have found it: what is not secret is there.
        let known = b"somebody else";
        assert!(all.windows(known.len()).any(|window| window == known));
        if running {
            #[cfg(unix)]
            assert!(shop.interrupt().contains("closed"));
            #[cfg(not(unix))]
            drop(shop);
            shop = Shop::open(dir.path());
        }
    }
    assert_eq!(shop.user(&ids[7]).as_deref(), Some("somebody else"));
}

#[cfg(unix)]
#[test]
fn sessions_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let (visitor, gone) = (shop.visitor(), shop.login("", "ann"));
    let staying = shop.login("", "bob");
    shop.post("/basket", &staying, &[("item", "tea")]);
    assert!(shop.post("/logout", &gone, &[]).removes_cookie());
    // A browser keeps its connections open; the shop closes all the same.
    let _idle = std::net::TcpStream::connect(("127.0.0.1", shop.port)).unwrap();
    assert!(shop.interrupt().contains("closed"));

    let shop = Shop::open(dir.path());
    assert_eq!(shop.session(&visitor)["visits"], 1);
    assert_eq!((shop.user(&staying).as_deref(), shop.user(&gone)), (Some("bob"), None));
    assert_eq!(shop.basket(&staying), ["tea"]);
}

#[test]
fn only_the_cookie_of_who_stays_signed_in_has_a_max_age() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let attributes = |reply: &Reply| {
        let (_, attributes) = reply.set_cookie().unwrap().split_once("; ").unwrap();
        attributes.to_owned()
    };
    const PLAIN: &str = "Path=/; HttpOnly; SameSite=Lax";
    assert_eq!(attributes(&shop.post("/visit", "", &[])), PLAIN);
    assert_eq!(attributes(&shop.post("/login", "", &[("user", "ann")])), PLAIN);

    let stay = shop.post("/login", "", &[("user", "ann"), ("remember", "on")]);
    assert_eq!(attributes(&stay), format!("{PLAIN}; Max-Age=1209600"));
    let id = stay.id().unwrap();
    // The choice is the user's, of each anew.
    let other = shop.post("/login", &id, &[("user", "bob")]);
    assert_eq!(attributes(&other), PLAIN);

    let removal = shop.post("/logout", &other.id().unwrap(), &[]);
    assert!(removal.removes_cookie());
    let gone = format!("{PLAIN}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    assert_eq!(attributes(&removal), gone);
}

#[test]
fn the_session_page_shows_the_very_cookie_that_it_sends() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.login("", "ann");
    let plain = shop.get("/session", &id);
    assert_eq!(plain.set_cookie(), None);
    assert!(plain.body.contains("None. Your browser keeps what it has."), "{}", plain.body);
    assert!(!plain.body.contains(&id));

    let rotated = shop.post("/session", &id, &[]);
    let line = format!("<pre>Set-Cookie: {}</pre>", rotated.set_cookie().unwrap());
    assert!(rotated.body.contains(&line), "{}", rotated.body);
    assert_eq!(rotated.headers("cache-control").collect::<Vec<_>>(), ["no-store"]);
    assert_eq!(shop.user(&rotated.id().unwrap()).as_deref(), Some("ann"));
}

#[test]
fn an_outage_is_a_503_and_not_a_logout() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.login("", "ann");
    sql(dir.path(), "ALTER TABLE typed_sessions RENAME TO away");
    for path in ["/", "/session", "/api/session"] {
        let reply = shop.get(path, &id);
        assert_eq!((reply.status, reply.set_cookie()), (503, None), "{path}");
    }
    for id in [id.as_str(), ""] {
        for (path, form) in [
            ("/visit", vec![]),
            ("/basket", vec![("item", "tea")]),
            ("/login", vec![("user", "bob")]),
            ("/logout", vec![]),
        ] {
            let reply = shop.post(path, id, &form);
            // Who has no session has none to end.
            let status = if (path, id) == ("/logout", "") { 303 } else { 503 };
            assert_eq!((reply.status, reply.set_cookie()), (status, None), "{path} {id:?}");
        }
    }
    assert_eq!(shop.get("/", "").status, 200, "who brings no cookie needs no store");
    sql(dir.path(), "ALTER TABLE away RENAME TO typed_sessions");
    assert_eq!(shop.session(&id)["verdict"], "resumed");
    assert_eq!(shop.user(&id).as_deref(), Some("ann"));
}

#[test]
fn what_cannot_be_taken_is_a_400_with_a_sentence_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.login("", "ann");
    shop.post("/basket", &id, &[("item", "tea")]);
    let before = shop.session(&id);
    let (long, longer) = ("n".repeat(41), "i".repeat(81));
    for (path, form, sentence) in [
        ("/login", vec![], "A name must not be empty."),
        ("/login", vec![("user", " \t ")], "A name must not be empty."),
        ("/login", vec![("user", &*long)], "A name is at most 40 characters long."),
        ("/basket", vec![], "An item must not be empty."),
        ("/basket", vec![("item", &*longer)], "An item is at most 80 characters long."),
        ("/basket", vec![("item", "a\nb")], "An item is one line of plain text."),
    ] {
        for id in [id.as_str(), ""] {
            let reply = shop.post(path, id, &form);
            assert_eq!((reply.status, reply.set_cookie()), (400, None), "{path} {form:?}");
            assert!(reply.body.contains(sentence), "{}", reply.body);
        }
    }
    assert_eq!(shop.session(&id), before);
    assert_eq!(shop.post("/login", "", &[("user", &"é".repeat(40))]).status, 303);
}

#[test]
fn what_visitors_type_is_text_and_not_html() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let nasty = r#""><script>alert('1')</script>&amp;"#;
    let id = shop.login("", nasty);
    shop.post("/basket", &id, &[("item", nasty)]);
    assert_eq!(shop.user(&id).as_deref(), Some(nasty));
    for path in ["/", "/session"] {
        let page = shop.get(path, &id).body;
        assert!(!page.contains("<script"), "{page}");
        let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;";
        assert!(page.contains(escaped), "{page}");
    }
}

#[test]
fn the_first_page_gives_no_cookie_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shop = Shop::open(dir.path());
    let id = shop.visitor();
    let state = || (read(dir.path(), "shop.db"), read(dir.path(), "shop.db-wal"));
    let before = state();
    for id in ["", &id, "nonsense"] {
        let reply = shop.get("/", id);
        assert_eq!((reply.status, reply.set_cookie()), (200, None));
    }
    assert!(state() == before, "a page that is read writes nothing");
    shop.post("/visit", &id, &[]);
    assert!(state() != before, "and this would have shown it");
}

/// Runs one call for each input, all at once, and returns what they return in order.
fn at_once<I: Sync, R: Send>(inputs: &[I], call: impl Fn(&I) -> R + Sync) -> Vec<R> {
    let start = Barrier::new(inputs.len());
    thread::scope(|scope| {
        let (start, call) = (&start, &call);
        let run = |input| {
            scope.spawn(move || {
                start.wait();
                call(input)
            })
        };
        let threads: Vec<_> = inputs.iter().map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).unwrap()
}

/// Does something to the database behind the shop's back.
fn sql(dir: &Path, statement: &'static str) {
    let url = format!("sqlite://{}", dir.join("shop.db").display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::raw_sql(statement).execute(&pool).await.unwrap();
        pool.close().await;
    });
}
