//! The clauses that the core itself answers for.
//!
//! `SECURITY.md` says which test stands for which clause, and a test compares the two.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use typed_session::cookie::{self, Attributes, CookiePolicy, PolicyError, SameSite};
use typed_session::store::{ErrorKind, MemoryStore};
use typed_session::testing::schedule::run;
use typed_session::testing::{Calls, Verb, When};
use typed_session::{
    ClearSiteData, EndReason, Entropy, EntropyError, Error, Lifetime, RequestHead, Rotation,
    SessionLayer, SystemEntropy, Verdict,
};

use crate::world::{DAY, HOUR, MINUTE, SECOND, Shop, URL, Way, World, id_of};

// ---- 7.2: tokens.

/// Another character in the place of one.
fn changed(cookie: &str, at: usize) -> String {
    let mut id: Vec<char> = id_of(cookie).chars().collect();
    id[at] = if id[at] == 'A' { 'B' } else { 'A' };
    format!("__Host-session={}", id.into_iter().collect::<String>())
}

#[test]
fn asvs_7_2_1_an_id_is_judged_by_what_the_server_has_and_by_nothing_in_it() {
    let world = World::new();
    let browser = world.browser();
    let cookie = world.log_in(&browser, "ann").cookie();
    let (user, answer) = world.ask(Some(&cookie), async |session| session.read(|s| s.user.clone()));
    assert_eq!((user.as_deref(), answer.calls.load), (Some("ann"), 1));
    // Of the right name and with another secret; and the other way round.
    for (at, verdict) in [(30, Verdict::Forged), (3, Verdict::Unknown)] {
        let (shop, answer) =
            world.ask(Some(&changed(&cookie, at)), async |session| session.read(Shop::clone));
        assert_eq!((answer.verdict, shop), (verdict, Shop::default()));
    }
    // A server that does not have the session has none, whatever the cookie says.
    let other = World::new();
    let (_, answer) = other.ask(Some(&cookie), async |_| ());
    assert_eq!(answer.verdict, Verdict::Unknown);
}

#[test]
fn asvs_7_2_2_no_id_of_the_clients_choice_becomes_a_session() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let chosen = format!("__Host-session={}", "A".repeat(43));
        let (_, first) = world.ask(Some(&chosen), async |session| {
            session.update(|shop| shop.user = Some("ann".into()));
        });
        first.is_fine();
        assert_ne!(first.cookie(), chosen);
        let (shop, answer) = world.ask(Some(&chosen), async |session| session.read(Shop::clone));
        assert_eq!((shop, answer.verdict), (Shop::default(), Verdict::Unknown));
        // Nor is one made of what is in the session.
        let (_, second) = world.ask(Some(&chosen), async |session| {
            session.update(|shop| shop.user = Some("ann".into()));
        });
        assert_ne!(first.cookie(), second.cookie());
    }
}

/// The same bytes again and again.
struct Constant;

impl Entropy for Constant {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        buffer.fill(7);
        Ok(())
    }
}

#[test]
fn asvs_7_2_3_an_id_that_is_taken_is_never_given_to_a_second_session() {
    let world = World::with(|sessions| sessions.dangerous_entropy(Constant));
    let first = world.browser();
    world.change(&first, |shop| shop.note = "the first one's".into());
    let (_, answer) = world.visit(&world.browser(), async |session| {
        session.update(|shop| shop.note = "the second one's".into());
    });
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    assert_eq!(answer.calls.insert, 1);
    assert_eq!(world.read(&first).0.note, "the first one's");
}

/// Counts what it is asked for.
struct Counting(Arc<AtomicUsize>);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fetch_add(buffer.len(), Ordering::Relaxed);
        SystemEntropy.fill(buffer)
    }
}

fn new_id(sessions: &SessionLayer<Shop, MemoryStore>) -> String {
    let exchange = sessions.open([]);
    run(exchange.session()).unwrap().update(|shop| shop.visits = 1);
    id_of(run(exchange.finish()).effects.set_cookie().unwrap()).to_owned()
}

fn bits(id: &str) -> Vec<bool> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let six = |c: char| {
        let value = ALPHABET.find(c).unwrap();
        (0..6).rev().map(move |bit| value >> bit & 1 == 1)
    };
    id.chars().flat_map(six).take(256).collect()
}

#[test]
fn asvs_7_2_3_ids_are_of_256_bits_and_no_two_are_the_same() {
    const COUNT: usize = 2000;
    let sessions = SessionLayer::new(MemoryStore::new());
    let ids: BTreeSet<String> = (0..COUNT).map(|_| new_id(&sessions)).collect();
    assert_eq!(ids.len(), COUNT);
    let mut ones = vec![0; 256];
    for id in &ids {
        assert_eq!(id.len(), 43);
        for (count, bit) in ones.iter_mut().zip(bits(id)) {
            *count += usize::from(bit);
        }
    }
    // Each bit is one in half of them, give or take eight standard deviations.
    assert!(ones.iter().all(|count| count.abs_diff(COUNT / 2) < 180), "{ones:?}");
}

#[test]
fn asvs_11_5_1_every_octet_of_an_id_is_drawn_from_the_random_source() {
    let drawn = Arc::new(AtomicUsize::new(0));
    let sessions = SessionLayer::new(MemoryStore::new()).dangerous_entropy(Counting(drawn.clone()));
    for count in 1..=3 {
        new_id(&sessions);
        assert_eq!(drawn.load(Ordering::Relaxed), 32 * count);
    }
}

#[test]
fn asvs_7_2_4_a_login_and_to_prove_again_who_one_is_change_the_id_and_end_the_old_one() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let browser = world.browser();
        world.change(&browser, |shop| shop.visits = 1);
        let mut before = browser.cookie_header(URL).unwrap();
        for step in ["login", "again", "logout"] {
            let (_, answer) = world.visit(&browser, async |session| match step {
                "login" => session.update(|shop| shop.user = Some("ann".into())),
                "again" => session.reauthenticate(),
                _ => session.update(|shop| shop.user = None),
            });
            answer.is_fine();
            assert_ne!(answer.cookie(), before, "{step}");
            let (shop, late) = world.ask(Some(&before), async |session| {
                session.update(|shop| shop.note = "late".into());
                session.read(|shop| shop.user.clone())
            });
            assert_eq!((shop, late.verdict), (None, Verdict::Superseded), "{step}");
            assert_eq!((late.status(), late.set_cookie()), (409, None), "{step}");
            before = answer.cookie();
        }
        assert_eq!(world.read(&browser).0.note, "");
    }
}

// ---- 7.3 and 7.4: the end of a session.

#[test]
fn asvs_7_3_1_a_session_without_use_ends_at_its_idle_limit() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(HOUR - SECOND);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    // Use has moved the limit; without it there is an end.
    world.clock.advance(HOUR - SECOND);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    world.clock.advance(HOUR);
    let (shop, answer) = world.read(&browser);
    assert_eq!((answer.verdict, shop.user), (Verdict::IdleExpired, None));
}

#[test]
fn asvs_7_3_2_no_use_and_no_new_id_moves_the_absolute_limit() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    for half_hour in 1..48 {
        world.clock.advance(30 * MINUTE);
        let (_, answer) = world.visit(&browser, async |session| match half_hour % 3 {
            0 => session.update(|shop| shop.visits += 1),
            1 => session.rotate(),
            _ => {}
        });
        answer.is_fine();
        assert_eq!(answer.verdict, Verdict::Resumed, "after {half_hour} half hours");
    }
    world.clock.advance(30 * MINUTE);
    let (shop, answer) = world.read(&browser);
    assert_eq!((answer.verdict, shop.user), (Verdict::AbsoluteExpired, None));
}

#[test]
fn asvs_7_3_2_only_who_proves_again_who_they_are_begins_the_absolute_limit_anew() {
    let world = World::with(|sessions| sessions.lifetime(Lifetime::new(24 * HOUR, 24 * HOUR)));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    world.clock.advance(23 * HOUR);
    world.visit(&browser, async |session| session.reauthenticate());
    world.clock.advance(23 * HOUR);
    assert_eq!(world.read(&browser).1.verdict, Verdict::Resumed);
    world.clock.advance(HOUR);
    assert_eq!(world.read(&browser).1.verdict, Verdict::AbsoluteExpired);
}

#[test]
fn asvs_7_4_1_after_a_logout_no_old_id_and_no_slow_request_brings_the_session_back() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let browser = world.browser();
        let cookie = world.log_in(&browser, "ann").cookie();
        let slow = world.open(&browser);
        run(slow.session()).unwrap().update(|shop| shop.note = "slow".into());
        let (_, answer) = world.visit(&browser, async |session| session.end());
        answer.is_fine();
        assert_eq!(browser.cookie_header(URL), None, "the browser forgets it");
        let late = world.close(slow);
        assert_eq!((late.status(), late.set_cookie()), (409, None));
        for pause in [SECOND, 11 * MINUTE, 2 * DAY] {
            world.clock.advance(pause);
            run(world.sessions.sweep()).unwrap();
            let (user, answer) =
                world.ask(Some(&cookie), async |session| session.read(|shop| shop.user.clone()));
            assert_eq!(user, None);
            assert!(matches!(answer.verdict, Verdict::Ended(EndReason::Logout) | Verdict::Unknown));
        }
    }
}

#[test]
fn asvs_7_4_1_an_expired_session_is_not_revived_by_a_request_that_was_under_way() {
    let world = World::new();
    let browser = world.browser();
    let cookie = world.log_in(&browser, "ann").cookie();
    let slow = world.open(&browser);
    run(slow.session()).unwrap().update(|shop| shop.note = "slow".into());
    world.clock.advance(HOUR);
    let answer = world.close(slow);
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    let (user, answer) = world.ask(Some(&cookie), async |session| session.read(|s| s.user.clone()));
    assert_eq!((user, answer.verdict), (None, Verdict::IdleExpired));
}

// ---- 7.6: where others say who the user is.

#[test]
fn asvs_7_6_1_a_session_lives_no_longer_than_the_identity_provider_says() {
    let world = World::new();
    let browser = world.browser();
    // The assertion allows eight hours since the login at the provider, two hours ago.
    let (_, answer) = world.visit(&browser, async |session| {
        session.update(|shop| shop.user = Some("ann".into()));
        session.set_lifetime(Lifetime::new(8 * HOUR, 6 * HOUR));
    });
    answer.is_fine();
    world.clock.advance(6 * HOUR - SECOND);
    let (since, answer) = world.visit(&browser, async |session| {
        session.now().since(session.times().unwrap().authenticated_at.unwrap())
    });
    assert_eq!((answer.verdict, since), (Verdict::Resumed, 6 * HOUR - SECOND));
    world.clock.advance(SECOND);
    assert_eq!(world.read(&browser).1.verdict, Verdict::AbsoluteExpired);
}

#[test]
fn asvs_7_6_2_there_is_no_session_before_a_handler_writes_one() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let browser = world.browser();
        let (_, answer) = world.visit(&browser, async |session| {
            session.read(Shop::clone);
            // A login that fails changes nothing in the end.
            session.update(|shop| shop.user = Some("ann".into()));
            session.update(|shop| shop.user = None);
            session.rotate();
            session.set_lifetime(Lifetime::new(HOUR, HOUR));
        });
        answer.is_fine();
        assert_eq!((answer.set_cookie(), answer.calls), (None, Calls::default()));
        assert!(world.rows.is_empty());
    }
}

// ---- 3.3: the cookie.

/// The attributes of the first cookie of a layer, in lower case.
fn attributes_of_the_cookie() -> (String, Vec<String>) {
    let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new());
    let exchange = sessions.open([]);
    run(exchange.session()).unwrap().update(|shop| shop.visits = 1);
    let outcome = run(exchange.finish());
    let mut parts = outcome.effects.set_cookie().unwrap().split("; ").map(str::to_lowercase);
    let name = outcome.effects.set_cookie().unwrap().split('=').next().unwrap().to_owned();
    parts.next();
    (name, parts.collect())
}

#[test]
fn asvs_3_3_1_the_cookie_is_secure_and_its_name_has_a_prefix() {
    let (name, attributes) = attributes_of_the_cookie();
    assert!(name.starts_with("__Host-") && attributes.iter().any(|a| a == "secure"));
    for name in ["__Host-session", "__Secure-session", "__hOsT-session"] {
        let insecure = Attributes { secure: false, ..Attributes::default() };
        let refused = CookiePolicy::new(name, insecure).unwrap_err();
        assert!(matches!(refused, PolicyError::PrefixWithoutSecure { .. }), "{refused:?}");
    }
    // Over plain HTTP no browser takes it.
    let world = World::new();
    let answer = world.log_in(&world.browser(), "ann");
    let browser = world.browser();
    let taken = browser.receive("http://shop.example/", answer.set_cookie());
    assert!(taken.into_iter().all(|taken| taken.is_err()));
}

#[test]
fn asvs_3_3_2_same_site_is_said_and_none_is_never_said_by_default() {
    let (_, attributes) = attributes_of_the_cookie();
    assert!(attributes.iter().any(|a| a == "samesite=lax"), "{attributes:?}");
    let strict = CookiePolicy::default().with_same_site_strict();
    assert_eq!(strict.attributes().same_site, Some(SameSite::Strict));
    let world = World::with(|sessions| sessions.cookie(strict));
    let answer = world.log_in(&world.browser(), "ann");
    assert!(answer.set_cookie().unwrap().contains("; SameSite=Strict"));
}

#[test]
fn asvs_3_3_3_no_other_host_can_share_the_cookie_or_plant_one() {
    let (name, attributes) = attributes_of_the_cookie();
    assert!(name.starts_with("__Host-") && attributes.iter().any(|a| a == "path=/"));
    assert!(!attributes.iter().any(|a| a.starts_with("domain")), "{attributes:?}");
    let shared = Attributes { domain: Some("shop.example".into()), ..Attributes::default() };
    assert!(CookiePolicy::new("__Host-session", shared).is_err());
    let deep = Attributes { path: Some("/account".into()), ..Attributes::default() };
    assert!(CookiePolicy::new("__Host-session", deep).is_err());
    // A cookie whose name only resembles ours is not read.
    let world = World::new();
    let cookie = world.log_in(&world.browser(), "ann").cookie();
    for name in ["__host-session", "%5F_Host-session", "_Host-session", "__Host-session "] {
        let planted = format!("{name}x={}", id_of(&cookie));
        let (_, answer) = world.ask(Some(&planted), async |_| ());
        assert_eq!(answer.verdict, Verdict::New, "{name}");
    }
    let (_, answer) = world.ask(Some(&format!("__host-session={}", id_of(&cookie))), async |_| ());
    assert_eq!(answer.verdict, Verdict::New);
}

#[test]
fn asvs_3_3_4_no_script_reads_the_id_and_only_set_cookie_hands_it_out() {
    let (_, attributes) = attributes_of_the_cookie();
    assert!(attributes.iter().any(|a| a == "httponly"), "{attributes:?}");
    let world = World::new();
    let browser = world.browser();
    let answer = world.log_in(&browser, "ann");
    assert_eq!(browser.document_cookie(URL), "");
    let id = id_of(&answer.cookie()).to_owned();
    let with_id: Vec<_> =
        answer.outcome.effects.headers().filter(|header| header.value.contains(&id)).collect();
    assert_eq!(with_id.len(), 1);
    assert!(with_id[0].name == "set-cookie" && with_id[0].is_secret);
}

#[test]
fn asvs_3_3_5_name_and_value_are_at_most_4096_octets_or_the_layer_cannot_be_made() {
    // Room for the longest form of an id, which is a private one.
    let longest = "n".repeat(4096 - 104);
    let policy = CookiePolicy::new(longest.clone(), Attributes::default()).unwrap();
    let too_long = CookiePolicy::new(format!("{longest}n"), Attributes::default());
    assert!(matches!(too_long, Err(PolicyError::TooLong { octets: 4097 })));
    let world = World::with(|sessions| sessions.cookie(policy));
    let (_, answer) = world.ask(None, async |session| session.update(|shop| shop.visits = 1));
    assert_eq!(answer.cookie().len() - "=".len(), 4096 - 104 + 43);
}

// ---- 14 to 16: what leaks, and what happens at the same time.

/// A request with ids everywhere, that notes what is looked at.
struct Everywhere {
    id: String,
    looked_at: RefCell<Vec<String>>,
}

impl RequestHead for Everywhere {
    fn method(&self) -> &str {
        "GET"
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.looked_at.borrow_mut().push(name.to_owned());
        // What every field but `Cookie` carries, also a reference with the URL of the page before.
        (name != "cookie").then_some(self.id.as_bytes()).into_iter()
    }
}

#[test]
fn asvs_14_2_1_no_id_is_read_from_a_url_or_written_to_one() {
    let world = World::new();
    let answer = world.log_in(&world.browser(), "ann");
    let request =
        Everywhere { id: id_of(&answer.cookie()).to_owned(), looked_at: RefCell::default() };
    let exchange = world.sessions.receive(&request);
    assert_eq!(run(exchange.session()).unwrap().verdict(), Verdict::New);
    // Nor does a layer see the URL, or ask for a field that repeats one.
    let looked_at = request.looked_at.take();
    assert!(looked_at.iter().any(|name| name == "cookie"), "{looked_at:?}");
    assert!(
        !looked_at.iter().any(|name| name == "referer" || name.contains("uri")),
        "{looked_at:?}"
    );
    for header in answer.outcome.effects.headers() {
        assert!(!["location", "refresh", "link", "content-location"].contains(&header.name));
    }
}

#[test]
fn asvs_14_3_1_the_browser_is_told_to_forget_at_the_end_if_asked_for() {
    for (what, value) in [
        (None, None),
        (Some(ClearSiteData::Cache), Some("\"cache\"")),
        (Some(ClearSiteData::CacheAndStorage), Some("\"cache\", \"storage\"")),
    ] {
        let world = World::with(|sessions| match what {
            Some(what) => sessions.clear_site_data(what),
            None => sessions,
        });
        let browser = world.browser();
        let header = |answer: &crate::world::Answer| {
            let mut headers = answer.outcome.effects.headers();
            headers.find(|header| header.name == "clear-site-data").map(|h| h.value.to_owned())
        };
        assert_eq!(header(&world.log_in(&browser, "ann")), None);
        let (_, answer) = world.visit(&browser, async |session| session.end());
        assert_eq!(header(&answer).as_deref(), value);
    }
}

#[test]
fn asvs_14_3_2_no_response_with_an_id_or_a_failure_is_kept_by_a_cache() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let browser = world.browser();
        let values = |answer: &crate::world::Answer| {
            let headers = answer.outcome.effects.headers();
            let of = headers.filter(|h| ["cache-control", "vary"].contains(&h.name));
            of.map(|header| format!("{}: {}", header.name, header.value)).collect::<Vec<_>>()
        };
        let vary = format!("vary: {}", way.names().1);
        let both = ["cache-control: no-store".to_owned(), vary.clone()];
        assert_eq!(values(&world.log_in(&browser, "ann")), both);
        assert_eq!(values(&world.read(&browser).1), [vary]);
        world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::Before);
        let (_, failed) = world.visit(&browser, async |session| session.update(|s| s.visits = 1));
        assert_eq!((failed.status(), values(&failed)), (503, both.to_vec()));
        let (_, ended) = world.visit(&browser, async |session| session.end());
        assert_eq!(values(&ended), both);
    }
}

#[test]
fn asvs_15_4_2_of_twenty_requests_at_once_one_uses_the_coupon() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    // All have loaded the session before the first one writes.
    let requests: Vec<_> = (0..20).map(|_| world.open(&browser)).collect();
    let sessions: Vec<_> = requests.iter().map(|r| run(r.session()).unwrap()).collect();
    let used = sessions.iter().filter(|session| {
        run(session.transact(|shop| match shop.visits.checked_sub(1) {
            Some(left) => {
                shop.visits = left;
                true
            }
            None => false,
        }))
        .unwrap()
    });
    assert_eq!(used.count(), 1);
}

#[test]
fn asvs_15_4_2_a_change_is_made_to_what_was_loaded_or_merged_never_to_what_came_between() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let first = world.open(&browser);
    let second = world.open(&browser);
    run(first.session()).unwrap().update(|shop| shop.basket.push("tea".into()));
    run(second.session()).unwrap().update(|shop| shop.basket.push("milk".into()));
    world.close(first).is_fine();
    world.close(second).is_fine();
    let mut basket = world.read(&browser).0.basket;
    basket.sort();
    assert_eq!(basket, ["milk", "tea"]);
}

#[test]
fn asvs_16_2_5_no_event_and_no_error_shows_an_id() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    let mut ids = BTreeSet::new();
    let mut shown = String::new();
    let note = |answer: crate::world::Answer| {
        let id = answer.set_cookie().map(|line| id_of(line).to_owned());
        let error = answer.outcome.error.as_ref().map(|e| format!("{e} {e:?}")).unwrap_or_default();
        (id, format!("{error} {:?}", answer.outcome))
    };
    let mut visits = vec![world.log_in(&browser, "ann")];
    world.clock.advance(16 * MINUTE);
    visits.push(world.read(&browser).1);
    let old = browser.cookie_header(URL).unwrap();
    visits.push(world.visit(&browser, async |session| session.reauthenticate()).1);
    visits.push(world.ask(Some(&old), async |session| session.update(|s| s.visits = 1)).1);
    visits.push(world.ask(Some(&changed(&old, 30)), async |_| ()).1);
    ids.insert(id_of(&changed(&old, 30)).to_owned());
    world.faults.nth(1, Verb::Replace, ErrorKind::Unavailable, When::Before);
    visits.push(world.visit(&browser, async |session| session.update(|s| s.visits = 1)).1);
    visits.push(world.visit(&browser, async |session| session.end()).1);
    for (id, text) in visits.into_iter().map(note) {
        ids.extend(id.filter(|id| !id.is_empty()));
        shown += &text;
    }
    let events = world.events.take();
    assert!(events.len() >= 8, "{events:?}");
    shown += &events.join("\n");
    assert!(ids.len() >= 4);
    for id in &ids {
        // Neither half, nor a good part of one.
        for part in [&id[..11], &id[11..22], &id[22..33], &id[33..]] {
            assert!(!shown.contains(part), "{part} of {id}");
        }
    }
}

// ---- The OWASP Session Management Cheat Sheet, beyond ASVS.

#[test]
fn cheat_sheet_the_name_of_the_cookie_says_nothing_of_the_technology() {
    let names = [
        CookiePolicy::default().name().to_owned(),
        CookiePolicy::dangerous_plain_http_on_localhost().name().to_owned(),
    ];
    assert_eq!(names, ["__Host-session", "session"]);
}

#[test]
fn cheat_sheet_what_has_not_the_form_of_an_id_costs_no_store_call() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        for bad in ["", "x", &"A".repeat(42), &"A".repeat(44), "'; DROP TABLE typed_sessions; --"] {
            let bad = format!("__Host-session={bad}");
            let (_, answer) = world.ask(Some(&bad), async |session| session.read(Shop::clone));
            assert_eq!(answer.calls, Calls::default(), "{bad}");
            assert!(matches!(answer.verdict, Verdict::Malformed | Verdict::New), "{bad}");
        }
        let right = format!("__Host-session={}", "A".repeat(43));
        assert_eq!(world.ask(Some(&right), async |_| ()).1.calls.load, 1);
    }
}

#[test]
fn cheat_sheet_an_id_by_another_transport_than_the_configured_one_is_not_accepted() {
    for way in Way::ALL {
        let world = World::by(way, |sessions| sessions);
        let id = id_of(&world.log_in(&world.browser(), "ann").cookie()).to_owned();
        struct Others(String, &'static str);
        impl RequestHead for Others {
            fn method(&self) -> &str {
                "GET"
            }

            fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
                let value = match name {
                    "cookie" => format!("__Host-session={}", self.0),
                    "authorization" => format!("Bearer {}", self.0),
                    _ => self.0.clone(),
                };
                let is_other = name != self.1;
                let leaked: &'static [u8] = Box::leak(value.into_bytes().into_boxed_slice());
                is_other.then_some(leaked).into_iter()
            }
        }
        let own = world.sessions.request_header().to_owned();
        let own: &'static str = Box::leak(own.into_boxed_str());
        let exchange = world.sessions.receive(&Others(id.clone(), own));
        assert_eq!(run(exchange.session()).unwrap().verdict(), Verdict::New, "{way:?}");
        let exchange = world.sessions.receive(&Others(id, "none"));
        assert_eq!(run(exchange.session()).unwrap().verdict(), Verdict::Resumed, "{way:?}");
    }
}

#[test]
fn cheat_sheet_each_step_of_a_sessions_life_and_each_bad_id_is_an_event() {
    let world = World::new();
    let browser = world.browser();
    let told = |expected: &[&str]| {
        let events = world.events.take();
        assert_eq!(events.len(), expected.len(), "{events:?}");
        for (event, expected) in events.iter().zip(expected) {
            let words: Vec<_> = expected.split(' ').collect();
            assert!(words.iter().all(|word| event.contains(word)), "{event}: {expected}");
        }
    };
    world.change(&browser, |shop| shop.visits = 1);
    told(&["Created"]);
    let old = browser.cookie_header(URL);
    world.log_in(&browser, "ann");
    told(&["Resumed", "Rotated Subject"]);
    world.ask(old.as_deref(), async |_| ());
    told(&["Rejected Superseded"]);
    let forged = changed(&browser.cookie_header(URL).unwrap(), 30);
    world.ask(Some(&forged), async |_| ());
    told(&["Rejected Forged"]);
    world.ask(Some("__Host-session=guess"), async |_| ());
    told(&["Rejected Malformed"]);
    world.ask(Some(&format!("__Host-session={}", "A".repeat(43))), async |_| ());
    told(&["Rejected Unknown"]);
    let cookie = browser.cookie_header(URL);
    world.visit(&browser, async |session| session.end());
    told(&["Resumed", "Ended Logout"]);
    world.ask(cookie.as_deref(), async |_| ());
    told(&["Rejected Ended"]);
    world.log_in(&browser, "ann");
    world.clock.advance(HOUR);
    world.events.take();
    world.read(&browser);
    told(&["Rejected IdleExpired"]);
}

#[test]
fn cheat_sheet_no_store_is_said_and_not_the_weaker_no_cache() {
    let world = World::new();
    let browser = world.browser();
    for answer in [
        world.log_in(&browser, "ann"),
        world.visit(&browser, async |session| session.rotate()).1,
        world.visit(&browser, async |session| session.end()).1,
    ] {
        let headers: Vec<_> = answer.outcome.effects.headers().collect();
        assert!(headers.iter().all(|header| !header.value.contains("no-cache")));
        assert!(headers.iter().any(|header| header.value == "no-store"));
    }
}

// ---- RFC 6265bis.

#[test]
fn rfc_6265bis_no_cookie_is_written_that_browsers_drop_or_change() {
    let value = "v".repeat(4096 - 2);
    let bare = Attributes::default();
    assert!(cookie::set_cookie("id", &value, &bare, None).is_ok());
    assert!(cookie::set_cookie("id", &format!("{value}v"), &bare, None).is_err());
    let path = |octets: usize| Attributes {
        path: Some(format!("/{}", "p".repeat(octets - 1)).into()),
        ..Attributes::default()
    };
    assert!(cookie::set_cookie("id", "v", &path(1024), None).is_ok());
    assert!(cookie::set_cookie("id", "v", &path(1025), None).is_err());
    let line = cookie::set_cookie("id", "v", &bare, Some(401 * DAY)).unwrap();
    assert!(line.ends_with("Max-Age=34560000"), "{line}");
    // A layer of two years, too.
    let years = Lifetime::new(730 * DAY, 730 * DAY).persistent();
    let world = World::with(|sessions| sessions.lifetime(years));
    let answer = world.log_in(&world.browser(), "ann");
    assert!(answer.set_cookie().unwrap().ends_with("Max-Age=34560000"));
}

#[test]
fn rfc_6265bis_one_response_has_one_set_cookie_of_a_name() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let exchange = world.open(&browser);
    run(async {
        let session = exchange.session().await.unwrap();
        session.update(|shop| shop.user = Some("ann".into()));
        session.commit().await.unwrap();
        session.reauthenticate();
        session.commit().await.unwrap();
        session.end();
        session.commit().await.unwrap();
        session.update(|shop| shop.visits = 7);
    });
    let outcome = run(exchange.finish());
    let cookies: Vec<_> =
        outcome.effects.headers().filter(|header| header.name == "set-cookie").collect();
    assert_eq!(cookies.len(), 1);
    let line = cookies[0].value.to_owned();
    let cookie = line.split(';').next().unwrap();
    let (visits, _) = world.ask(Some(cookie), async |session| session.read(|shop| shop.visits));
    assert_eq!(visits, 7, "it is the one of the session that there is");
}

#[test]
fn rfc_6265bis_several_fields_are_one_list_and_only_space_and_tab_are_trimmed() {
    let world = World::new();
    let cookie = world.log_in(&world.browser(), "ann").cookie();
    let verdict = |fields: &[&str]| {
        let exchange = world.sessions.open(fields.iter().map(|field| field.as_bytes()));
        run(exchange.session()).unwrap().verdict()
    };
    assert_eq!(verdict(&["theme=dark", &cookie, "x=1"]), Verdict::Resumed);
    assert_eq!(verdict(&[&format!("a=b;\t {cookie} \t; c=d")]), Verdict::Resumed);
    for space in ["\u{b}", "\u{c}", "\u{a0}", "\r"] {
        let padded = format!("{cookie}{space}");
        assert_eq!(verdict(&[&padded]), Verdict::Malformed, "{space:?}");
        let padded = format!("{space}{cookie}");
        assert_eq!(verdict(&[&padded]), Verdict::New, "{space:?}");
    }
}

#[test]
fn rfc_6265bis_values_are_raw_octets_that_nobody_decodes() {
    let world = World::new();
    let cookie = world.log_in(&world.browser(), "ann").cookie();
    let id = id_of(&cookie);
    let first = id.as_bytes()[0];
    for other in [format!("%{first:02X}{}", &id[1..]), format!("\"{id}\""), format!("{id}%20")] {
        let (_, answer) = world.ask(Some(&format!("__Host-session={other}")), async |_| ());
        assert_eq!(
            (answer.verdict, answer.calls),
            (Verdict::Malformed, Calls::default()),
            "{other}"
        );
    }
    let exchange = world.sessions.open([&b"__Host-session=\xff\xfe\x00"[..], &[0xff; 5000]]);
    assert_eq!(run(exchange.session()).unwrap().verdict(), Verdict::Malformed);
}

// ---- Where there is no randomness.

/// Gives nothing.
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError::new("dry"))
    }
}

#[test]
fn asvs_11_5_1_without_randomness_there_is_no_id_and_no_weaker_one() {
    let world = World::with(|sessions| sessions.dangerous_entropy(Dry));
    let (_, answer) = world.ask(None, async |session| session.update(|shop| shop.visits = 1));
    assert!(matches!(answer.outcome.error, Some(Error::Entropy(_))), "{answer:?}");
    assert_eq!((answer.status(), answer.set_cookie(), answer.calls.insert), (503, None, 0));
}
