//! Attacks from end to end.

use std::sync::{Arc, Barrier};

use typed_session::store::{MemoryStore, Scan as _};
use typed_session::testing::Calls;
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::{
    EndReason, IdForm, OnLimit, Rotation, Session, SessionLayer, Subject, Verdict, Watch,
};

use super::world::{Form, MINUTE, Rest, Shop, URL, Way, World, id_of, keys};

mod seams;

/// Each way that an id can take, each form that it can have, and data at rest in clear and sealed.
fn worlds() -> impl Iterator<Item = World> {
    Way::ALL.into_iter().flat_map(|way| {
        Form::ALL.iter().flat_map(move |form| {
            Rest::ALL.iter().map(move |rest| {
                World::by(way, |layer| rest.set_up(layer.id_form(form.with(keys(&[1])))))
            })
        })
    })
}

fn cookie_of(browser: &Browser) -> String {
    browser.cookie_header(URL).expect("a cookie")
}

/// What somebody sees who shows this cookie.
#[track_caller]
fn shown(world: &World, cookie: &str) -> (Option<String>, Verdict) {
    let (user, answer) = world.ask(Some(cookie), async |s| s.read(|shop| shop.user.clone()));
    assert_eq!(answer.set_cookie(), None, "no id is handed to who shows {:?}", answer.verdict);
    (user, answer.verdict)
}

#[track_caller]
fn plant(victim: &Browser, line: &str) {
    for taken in victim.receive(URL, [line]) {
        taken.expect("the browser takes the cookie");
    }
}

#[track_caller]
fn is_ann(world: &World, browser: &Browser) {
    let (shop, answer) = world.read(browser);
    assert_eq!((answer.verdict, shop.user.as_deref()), (Verdict::Resumed, Some("ann")));
}

// ---- Fixation.

#[test]
fn asvs_7_2_4_an_id_that_was_planted_before_the_login_is_worth_nothing_after_it() {
    for world in worlds() {
        // The attacker's own, and of a session that is there.
        let attacker = world.browser();
        let planted = world.change(&attacker, |shop| shop.note = "planted".into()).cookie();
        let victim = world.browser();
        let line = format!("{planted}; Path=/; Secure; HttpOnly");
        plant(&victim, &line);
        let new = world.log_in(&victim, "ann").cookie();
        assert_ne!(world.bare(&new), world.bare(&planted));
        is_ann(&world, &victim);
        assert_eq!(shown(&world, &planted), (None, Verdict::Superseded), "{:?}", world.way);
        // And not later either, when nobody remembers that id.
        world.clock.advance(10 * MINUTE);
        assert_eq!(shown(&world, &planted), (None, Verdict::Forged));
        // What the attacker writes is no part of the victim's session.
        world.ask(Some(&planted), async |s| s.update(|shop| shop.note = "again".into()));
        assert_eq!(world.read(&victim).0.note, "planted");
    }
}

#[test]
fn asvs_7_2_4_half_of_a_planted_id_and_half_of_another_are_no_id() {
    // The first half names the session for its whole life; the second is what counts.
    let world = World::new();
    let attacker = world.browser();
    let planted = world.change(&attacker, |shop| shop.visits = 1).cookie();
    let victim = world.browser();
    let line = format!("{planted}; Path=/; Secure");
    plant(&victim, &line);
    world.log_in(&victim, "ann");
    let own = id_of(&world.log_in(&world.browser(), "mallory").cookie()).to_owned();
    let first = id_of(&planted);
    for at in [20, 21, 22, 23] {
        let mixed = format!("__Host-session={}{}", &first[..at], &own[at..]);
        let (user, verdict) = shown(&world, &mixed);
        assert_eq!(user, None, "{verdict:?}");
    }
}

// ---- Replay.

#[test]
fn asvs_7_4_1_no_id_of_before_is_good_after_a_login_a_rotation_or_a_logout() {
    for world in worlds() {
        let browser = world.browser();
        let mut old = vec![world.change(&browser, |shop| shop.visits = 1).cookie()];
        old.push(world.log_in(&browser, "ann").cookie());
        for step in [Session::rotate, Session::reauthenticate] {
            let (_, answer) = world.visit(&browser, async |session| step(session));
            old.push(answer.cookie());
        }
        let other = world.browser();
        world.log_in(&other, "ann");
        let (_, answer) = world.visit(&browser, async |session| {
            world.sessions.end_others(session, EndReason::Revoked).await.unwrap();
        });
        assert_eq!(
            shown(&world, &cookie_of(&other)),
            (None, Verdict::Ended(EndReason::Revoked)),
            "stolen or not, it is one of the others"
        );
        old.push(answer.cookie());
        let last = old.pop().unwrap();
        for cookie in &old {
            assert_eq!(shown(&world, cookie), (None, Verdict::Superseded));
        }
        assert_eq!(shown(&world, &last).0.as_deref(), Some("ann"));
        world.visit(&browser, async |session| session.end());
        for cookie in old.iter().chain([&last]) {
            assert_eq!(shown(&world, cookie), (None, Verdict::Ended(EndReason::Logout)));
        }
    }
}

#[test]
fn asvs_7_4_1_an_old_id_neither_ends_nor_writes_nor_ends_others() {
    let world = World::new();
    let browser = world.browser();
    let other = world.browser();
    world.log_in(&other, "ann");
    let old = world.log_in(&browser, "ann").cookie();
    world.visit(&browser, async |session| session.reauthenticate());
    let (result, _) = world.ask(Some(&old), async |session| {
        world.sessions.end_others(session, EndReason::Revoked).await
    });
    assert!(result.is_err());
    for deed in [
        Session::end as fn(&Session<Shop>),
        |session| session.update(|shop| shop.user = Some("mallory".into())),
        |session| session.update(|shop| shop.note = "mallory was here".into()),
    ] {
        let (_, answer) = world.ask(Some(&old), async |session| deed(session));
        assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    }
    let (result, _) = world.ask(Some(&old), async |s| s.transact(|shop| shop.visits += 1).await);
    assert!(result.is_err());
    is_ann(&world, &browser);
    is_ann(&world, &other);
    assert_eq!(world.read(&browser).0.note, "");
}

// ---- Cookie tossing.

#[test]
fn cookies_that_are_planted_beside_the_good_one_neither_replace_nor_hide_it() {
    for form in Form::ALL {
        let world = World::with(|layer| layer.id_form(form.with(keys(&[1]))));
        let victim = world.browser();
        world.log_in(&victim, "ann");
        let good = cookie_of(&victim);
        let other = World::with(|layer| layer.id_form(form.with(keys(&[9]))));
        let strange = other.log_in(&other.browser(), "mallory").cookie();
        let unsigned = format!("__Host-session={}", "B".repeat(42) + "A");
        for planted in [&strange, &unsigned, &"__Host-session=".to_owned()] {
            for header in [format!("{planted}; {good}"), format!("{good}; {planted}")] {
                assert_eq!(shown(&world, &header).0.as_deref(), Some("ann"), "{form:?} {header}");
            }
        }
        // Ids that are none, four of them, before it.
        let made_up = |n: usize| format!("__Host-session={n:042}A");
        let four = (0..4).map(made_up).collect::<Vec<_>>().join("; ");
        assert_eq!(shown(&world, &format!("{four}; {good}")).0.as_deref(), Some("ann"));
        // With more of them, whoever can plant cookies logs the victim out, and no more than that;
        // unless ids are signed.
        let many = (0..40).map(made_up).collect::<Vec<_>>().join("; ");
        let (user, answer) = world.ask(Some(&format!("{many}; {good}")), async |session| {
            session.read(|shop| shop.user.clone())
        });
        match form {
            Form::Unsigned => assert_eq!((user, answer.calls.load), (None, 5)),
            _ => assert_eq!((user.as_deref(), answer.calls.load), (Some("ann"), 1)),
        }
        is_ann(&world, &victim);
    }
}

#[test]
fn while_unsigned_ids_are_still_accepted_planted_ones_hide_no_signed_one_as_long_as_they_are_few() {
    let form = IdForm::signed(keys(&[1])).also_accept(IdForm::unsigned());
    let world = World::with(|layer| layer.id_form(form));
    let victim = world.browser();
    world.log_in(&victim, "ann");
    let good = cookie_of(&victim);
    let made_up = |n: usize| format!("__Host-session={n:042}A");
    let few = (0..4).map(made_up).collect::<Vec<_>>().join("; ");
    assert_eq!(shown(&world, &format!("{few}; {good}")).0.as_deref(), Some("ann"));
    // The same id without its signature, planted or kept from before, makes no new cookie.
    let bare = world.bare(&good);
    for header in [format!("{bare}; {good}"), format!("{good}; {bare}")] {
        assert_eq!(shown(&world, &header).0.as_deref(), Some("ann"));
    }
}

#[test]
fn what_a_neighbour_plants_is_taken_by_no_browser() {
    let world = World::new();
    let victim = world.browser();
    world.log_in(&victim, "ann");
    let good = cookie_of(&victim);
    let planted = world.log_in(&world.browser(), "mallory").cookie();
    let neighbour = "https://blog.shop.example/";
    for attributes in [
        "; Domain=shop.example; Path=/; Secure",
        "; Domain=shop.example; Path=/",
        "; Domain=.shop.example; Path=/; Secure",
        "; Path=/account; Secure; Domain=shop.example",
    ] {
        for taken in victim.receive(neighbour, [format!("{planted}{attributes}")]) {
            assert!(taken.is_err(), "{attributes}");
        }
        let taken = victim.set_document_cookie(neighbour, &format!("{planted}{attributes}"));
        assert!(taken.is_err(), "{attributes}");
        // In plain text on the way, as a network attacker would.
        for taken in victim.receive("http://shop.example/", [format!("{planted}{attributes}")]) {
            assert!(taken.is_err(), "{attributes}");
        }
        assert_eq!(cookie_of(&victim), good);
    }
    is_ann(&world, &victim);
}

#[test]
fn a_name_that_only_looks_like_ours_is_not_ours() {
    let world = World::new();
    let id = id_of(&world.log_in(&world.browser(), "ann").cookie()).to_owned();
    for name in [
        "__host-session",
        "__HOST-session",
        "__Host-Session",
        "__Host-session%20",
        "%5F_Host-session",
        "__Host%2Dsession",
        "\u{a0}__Host-session",
        "__Host-session\u{a0}",
        "$Version=1,__Host-session",
        "\u{b}__Host-session",
        "__Host-session\0",
        "\"__Host-session\"",
        "__Host_session",
        "session",
        "__Secure-session",
        "__Host-session[]",
        "__Host-session.x",
        "a=__Host-session",
        "=__Host-session",
        "a,__Host-session",
    ] {
        let (_, answer) = world.ask(Some(&format!("{name}={id}")), async |_| ());
        assert_eq!((answer.verdict, answer.calls), (Verdict::New, Calls::default()), "{name:?}");
    }
    // The white space around it that RFC 6265bis takes away is no part of a name.
    assert_eq!(shown(&world, &format!(" \t__Host-session={id}")).0.as_deref(), Some("ann"));
    // Neither is there more than one way to write the id.
    for value in [
        format!("\"{id}\""),
        format!("{id}="),
        format!("%{:02x}{}", id.as_bytes()[0], &id[1..]),
        format!("{id}\u{a0}"),
        format!("{id},{id}"),
        id.to_lowercase(),
        format!("+{}", &id[1..]),
    ] {
        let (_, answer) = world.ask(Some(&format!("__Host-session={value}")), async |_| ());
        assert_ne!(answer.verdict, Verdict::Resumed, "{value:?}");
    }
}

// ---- Stolen databases.

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn asvs_7_2_1_nothing_in_a_stolen_database_file_logs_in() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
    use typed_session::store::{SqliteStore, Store as _};

    for rest in Rest::ALL {
        let dir = tempfile::TempDir::new().unwrap();
        let file = dir.path().join("sessions.db");
        let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let store = SqliteStore::new(pool.clone());
        store.migrate().await.unwrap();
        let plain = SessionLayer::<Shop, _>::new(store).rotation(Rotation::default());
        let layer = match rest {
            Rest::Clear => plain,
            #[cfg(feature = "sealed")]
            Rest::Sealed => plain.seal_data(typed_session::Unsealed::Refuse),
        };
        let mut ids = Vec::new();
        let mut keys = Vec::new();
        for user in ["ann.with.a.long.name", "bob.with.a.long.name"] {
            let exchange = layer.open([]);
            let session = exchange.session().await.unwrap();
            session.update(|shop| {
                shop.user = Some(user.to_owned());
                shop.note = "a diagnosis".into();
            });
            session.commit().await.unwrap();
            keys.push(session.key().unwrap());
            let outcome = exchange.finish().await;
            ids.push(id_of(outcome.effects.set_cookie().unwrap()).to_owned());
        }
        let mut bodies = Vec::new();
        for key in &keys {
            bodies.push(layer.store().load(key).await.unwrap().unwrap().body);
        }
        pool.close().await;

        // Every file that is there, the log of what was written too.
        let mut stolen = Vec::new();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            stolen.extend(std::fs::read(file.unwrap().path()).unwrap());
        }
        let contains = |what: &[u8]| stolen.windows(what.len()).any(|part| part == what);
        for id in &ids {
            assert!(!contains(id.as_bytes()), "an id as text");
            let raw = decoded(id);
            assert!(!contains(&raw[..16]) && !contains(&raw[16..]), "a half of an id");
        }
        for word in ["ann.with", "bob.with", "a diagnosis", "note"] {
            assert_eq!(contains(word.as_bytes()), *rest == Rest::Clear, "{word}");
        }

        // All that is of the length of an id, wherever it begins in a row or is the key of one.
        let pool = SqlitePool::connect_with(SqliteConnectOptions::new().filename(&file)).await;
        let store = SqliteStore::new(pool.unwrap());
        let layer = SessionLayer::<Shop, _>::new(store).rotation(Rotation::default());
        let mut loads = 0;
        for (key, body) in keys.iter().zip(&bodies) {
            let parts = body.windows(32).map(<[u8]>::to_vec);
            let mixed = body.windows(16).map(|part| [&key.as_bytes()[..16], part].concat());
            for candidate in parts.chain(mixed).chain([key.as_bytes().to_vec()]) {
                let cookie = format!("__Host-session={}", encoded(&candidate));
                let exchange = layer.open([cookie.as_bytes()]);
                let session = exchange.session().await.unwrap();
                assert!(session.read(|shop| shop.user.is_none()));
                assert_eq!(session.verdict(), Verdict::Unknown);
                loads += 1;
            }
            let cookie = format!("__Host-session={key}");
            let session = layer.open([cookie.as_bytes()]).session().await.unwrap();
            assert_eq!(session.verdict(), Verdict::Malformed, "as it stands in logs");
        }
        assert!(loads > 100);
        // The true id does, so the file is whole.
        if *rest == Rest::Clear {
            let cookie = format!("__Host-session={}", ids[0]);
            let session = layer.open([cookie.as_bytes()]).session().await.unwrap();
            assert_eq!(session.verdict(), Verdict::Resumed);
        }
    }
}

#[cfg(feature = "sqlite")]
fn decoded(id: &str) -> Vec<u8> {
    let bits = id.bytes().map(|letter| ALPHABET.iter().position(|l| *l == letter).unwrap());
    let bits = bits.flat_map(|value| (0..6).rev().map(move |bit| value >> bit & 1 == 1));
    let bits: Vec<bool> = bits.collect();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |n, bit| n << 1 | u8::from(*bit))).collect()
}

#[cfg(feature = "sqlite")]
fn encoded(bytes: &[u8]) -> String {
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    let bits: Vec<bool> = bits.chain([false; 2]).collect();
    bits.chunks_exact(6)
        .map(|six| char::from(ALPHABET[six.iter().fold(0, |n, bit| n << 1 | usize::from(*bit))]))
        .collect()
}

#[cfg(feature = "sqlite")]
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// ---- Stolen cookies.

#[test]
fn asvs_7_4_1_a_stolen_cookie_is_worth_nothing_after_the_logout() {
    for world in worlds() {
        let victim = world.browser();
        let stolen = world.log_in(&victim, "ann").cookie();
        assert_eq!(shown(&world, &stolen).0.as_deref(), Some("ann"), "until then it is");
        world.visit(&victim, async |session| session.end()).1.is_fine();
        assert_eq!(shown(&world, &stolen), (None, Verdict::Ended(EndReason::Logout)));
        world.log_in(&victim, "ann");
        assert_eq!(shown(&world, &stolen).0, None, "nor by the next login");
    }
}

#[test]
fn asvs_7_4_3_a_stolen_cookie_is_out_whichever_of_the_users_sessions_it_is_of() {
    for world in worlds() {
        let (here, there) = (world.browser(), world.browser());
        let of_here = world.log_in(&here, "ann").cookie();
        let of_there = world.log_in(&there, "ann").cookie();
        let (ended, answer) = world.visit(&here, async |session| {
            world.sessions.end_others(session, EndReason::Revoked).await.unwrap()
        });
        answer.is_fine();
        assert_eq!(ended, 1);
        assert_eq!(shown(&world, &of_here), (None, Verdict::Superseded));
        assert_eq!(shown(&world, &of_there), (None, Verdict::Ended(EndReason::Revoked)));
        is_ann(&world, &here);
    }
}

#[test]
fn asvs_7_1_2_a_stolen_cookie_is_out_once_its_session_is_displaced() {
    for on_limit in [OnLimit::EndOldest, OnLimit::EndLeastRecent] {
        let world = World::with(|layer| layer.max_sessions(1, on_limit));
        let stolen = world.log_in(&world.browser(), "ann").cookie();
        let thief = world.open_with(Some(&stolen));
        let in_flight = run(thief.session()).unwrap();
        let victim = world.browser();
        world.log_in(&victim, "ann");
        assert_eq!(shown(&world, &stolen), (None, Verdict::Ended(EndReason::Displaced)));
        // What was under way does not bring it back.
        in_flight.update(|shop| shop.note = "thief".into());
        in_flight.reauthenticate();
        let answer = world.close(thief);
        assert_eq!((answer.status(), answer.set_cookie()), (409, None));
        is_ann(&world, &victim);
    }
}

#[test]
fn asvs_4_4_4_a_socket_that_a_thief_opened_learns_of_the_logout_and_writes_nothing_more() {
    let watch = Watch::new();
    let world = World::with(|layer| layer.observer(watch.clone()));
    let victim = world.browser();
    let stolen = world.log_in(&victim, "ann").cookie();
    let (socket, _) = world.ask(Some(&stolen), async |session| session.clone());
    let mut watcher = watch.watch(&socket);
    world.visit(&victim, async |session| session.end()).1.is_fine();
    assert_eq!(run(watcher.ended()), Verdict::Ended(EndReason::Logout));
    assert_eq!(run(socket.check()).unwrap(), Verdict::Ended(EndReason::Logout));
    socket.update(|shop| shop.note = "still here".into());
    assert!(run(socket.commit()).is_err());
    assert!(run(socket.transact(|shop| shop.visits += 1)).is_err());
    assert_eq!(shown(&world, &stolen), (None, Verdict::Ended(EndReason::Logout)));
    drop(watcher);
    assert!(watch.is_empty(), "nothing of it is kept");
}

// ---- Storms.

/// A hundred requests at once with one cookie; returns all ids that were handed out.
fn storm(
    layer: &SessionLayer<Shop, Arc<MemoryStore>>,
    cookie: &str,
    deed: impl Fn(usize, &Session<Shop>) + Sync,
) -> Vec<String> {
    let start = Barrier::new(100);
    let (start, deed) = (&start, &deed);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|number| {
                scope.spawn(move || {
                    start.wait();
                    let exchange = layer.open([cookie.as_bytes()]);
                    run(async {
                        deed(number, &exchange.session().await.unwrap());
                        let outcome = exchange.finish().await;
                        let line = outcome.effects.set_cookie();
                        line.map(|line| line.split(';').next().unwrap().to_owned())
                    })
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}

fn works(layer: &SessionLayer<Shop, Arc<MemoryStore>>, cookie: &str) -> Option<String> {
    let session = run(layer.open([cookie.as_bytes()]).session()).unwrap();
    session.read(|shop| shop.user.clone())
}

fn first(layer: &SessionLayer<Shop, Arc<MemoryStore>>, user: Option<&str>) -> String {
    let exchange = layer.open([]);
    run(exchange.session()).unwrap().update(|shop| {
        shop.visits = 1;
        shop.user = user.map(str::to_owned);
    });
    let outcome = run(exchange.finish());
    outcome.effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn asvs_7_2_4_of_a_hundred_logins_and_rotations_with_one_id_at_once_one_new_id_works() {
    for _ in 0..5 {
        let layer = SessionLayer::<Shop, _>::new(Arc::new(MemoryStore::new()));
        let planted = first(&layer, None);
        let handed = storm(&layer, &planted, |number, session| match number % 3 {
            0 => session.update(|shop| shop.user = Some("ann".into())),
            1 => session.update(|shop| shop.user = Some("bob".into())),
            _ => session.rotate(),
        });
        // Each in turn is superseded by the next; those that came late got none.
        let rows = run(layer.store().scan(None, 1000)).unwrap().rows;
        assert_eq!(rows.len(), 1, "one session all the time");
        let good = |cookie: &&String| {
            let session = run(layer.open([cookie.as_bytes()]).session()).unwrap();
            session.verdict() == Verdict::Resumed
        };
        assert_eq!(handed.iter().filter(good).count(), 1, "{} were handed out", handed.len());
        assert_eq!(works(&layer, &planted), None);
    }
}

#[test]
fn asvs_7_4_1_after_a_hundred_logouts_logins_and_writes_at_once_the_old_id_is_dead() {
    for _ in 0..5 {
        let layer = SessionLayer::<Shop, _>::new(Arc::new(MemoryStore::new()));
        let old = first(&layer, Some("ann"));
        let handed = storm(&layer, &old, |number, session| match number % 4 {
            0 => session.end(),
            1 => session.update(|shop| shop.visits += 1),
            2 => session.reauthenticate(),
            _ => session.update(|shop| shop.user = Some("bob".into())),
        });
        assert_eq!(works(&layer, &old), None);
        // Who came after the logout and logged in has a session of their own.
        let mut live = Vec::new();
        for cookie in &handed {
            let session = run(layer.open([cookie.as_bytes()]).session()).unwrap();
            live.extend(session.key());
        }
        let ids = live.len();
        live.sort();
        live.dedup();
        assert_eq!(ids, live.len(), "two ids of one session");
        let anns = run(layer.sessions_of(Subject::from("ann"), None, 1000)).unwrap();
        assert!(anns.sessions.len() <= 1);
    }
}

#[test]
fn asvs_7_1_2_never_more_sessions_than_allowed_in_a_storm_of_logins_rotations_and_logouts() {
    for on_limit in [OnLimit::RejectNew, OnLimit::EndOldest, OnLimit::EndLeastRecent] {
        let layer =
            SessionLayer::<Shop, _>::new(Arc::new(MemoryStore::new())).max_sessions(2, on_limit);
        let ann = first(&layer, Some("ann"));
        let mut all = vec![ann.clone()];
        for cookie in [String::new(), ann, String::new()] {
            all.extend(storm(&layer, &cookie, |number, session| match number % 5 {
                0 => session.end(),
                1 => session.reauthenticate(),
                2 => {
                    session.end();
                    session.update(|shop| shop.user = Some("ann".into()));
                }
                _ => session.update(|shop| shop.user = Some("ann".into())),
            }));
        }
        let live = all.iter().filter(|cookie| works(&layer, cookie).is_some()).count();
        let page = run(layer.sessions_of(Subject::from("ann"), None, 1000)).unwrap();
        assert!(page.sessions.len() <= 2, "{on_limit:?}");
        assert!(live <= 2, "{on_limit:?}: {live} ids work");
    }
}
