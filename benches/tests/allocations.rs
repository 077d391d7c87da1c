//! What a request may allocate, exactly: who takes one more fails here, and who takes one less
//! writes it down.

use std::hint::black_box;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use typed_session::store::{Backend, MemoryStore};
use typed_session::{IdForm, KeyRing, RequestHead, SessionLayer};
use typed_session_benches::app::{self, Contestant};
use typed_session_benches::at_once::at_once;
use typed_session_benches::workload::{Profile, Workload};
use typed_session_benches::{alloc, axum as on_axum};

/// Allocations of a request above those of the same application without sessions: by hand, and the
/// library's. Not whole numbers where a map grows now and then.
const BUDGETS: [(Workload, f64, f64); 6] = [
    (Workload::Bare, 6.0, 5.0),
    (Workload::Untouched, 6.0, 5.0),
    (Workload::Read, 11.0, 12.0),
    (Workload::Write, 13.0, 14.0),
    (Workload::Create, 11.0, 9.6),
    (Workload::Login, 12.0, 13.8),
];

#[test]
fn a_request_allocates_what_the_table_says_and_no_more() {
    let mut wrong = Vec::new();
    for (workload, by_hand, library) in BUDGETS {
        let floor = allocations(on_axum::FLOOR, workload);
        let [hand, here] = [on_axum::BY_HAND, on_axum::LIBRARY]
            .map(|contestant| allocations(contestant, workload) - floor);
        // Tables grow at other moments, as ids are random.
        if (hand - by_hand).abs() > 0.15 || (here - library).abs() > 0.15 {
            wrong.push(format!("(Workload::{workload:?}, {hand:.1}, {here:.1}),"));
        }
    }
    assert!(wrong.is_empty(), "the table says something else:\n    {}", wrong.join("\n    "));
    let dear = BUDGETS.into_iter().find(|(_, by_hand, library)| *library > by_hand + 2.0);
    assert_eq!(dear, None, "more than two above what it takes by hand");
}

/// Allocations of one request.
fn allocations(contestant: Contestant, workload: Workload) -> f64 {
    const SESSIONS: usize = 1000;
    let mut app = (contestant.make)();
    app::prepare(&mut *app, SESSIONS, workload);
    let before = alloc::calls();
    app.serve();
    (alloc::calls() - before) as f64 / SESSIONS as f64
}

#[test]
fn no_cookie_header_costs_an_allocation_however_long_it_is() {
    let layer = SessionLayer::<Profile, _>::new(MemoryStore::new());
    let id = new_cookie(&layer);
    let none = opening(&layer, None);
    let long = |unit: &str| unit.repeat((64 << 10) / unit.len());
    for header in [
        id.clone(),
        format!("{}{id}", "another_cookie=of-others; ".repeat(200)),
        format!("{}{id}", long("another_cookie=of-others; ")),
        format!("a={}; {id}", long("x")),
        long(";"),
        long("="),
        long("__Host-session"),
        long("__Host-session=;"),
        long("__Host-session=planted; "),
        // One session, as if a browser had kept it for several paths.
        format!("{id}; ").repeat(200),
    ] {
        assert_eq!(opening(&layer, Some(&header)), none, "{} octets", header.len());
    }
    // Of several ids the handful that is tried is kept, in one allocation.
    let many: String = (0..200).map(|_| new_cookie(&layer) + "; ").collect();
    assert_eq!(opening(&layer, Some(&many)), none + 1);
}

#[test]
fn a_forged_id_costs_no_allocation_where_ids_are_signed() {
    let signing = |text| {
        let layer = SessionLayer::<Profile, _>::new(MemoryStore::new());
        layer.id_form(IdForm::signed(KeyRing::from_text(text).unwrap()))
    };
    forged_ids_are_free(&signing(KEY), &signing(OTHER_KEY));
}

#[cfg(feature = "sealed")]
#[test]
fn a_forged_id_costs_no_allocation_where_ids_are_encrypted() {
    let encrypting = |text| {
        let layer = SessionLayer::<Profile, _>::new(MemoryStore::new());
        layer.id_form(IdForm::private(KeyRing::from_text(text).unwrap()))
    };
    forged_ids_are_free(&encrypting(KEY), &encrypting(OTHER_KEY));
}

fn forged_ids_are_free(
    layer: &SessionLayer<Profile, MemoryStore>,
    other: &SessionLayer<Profile, MemoryStore>,
) {
    let none = opening(layer, None);
    let good = new_cookie(layer);
    let wrong = forged(&good);
    for header in [good, wrong.clone(), new_cookie(other), format!("{wrong}; ").repeat(200)] {
        assert_eq!(opening(layer, Some(&header)), none, "{} octets", header.len());
    }
}

#[test]
fn a_request_of_another_site_costs_its_rejection_and_nothing_for_its_cookies() {
    let layer = SessionLayer::<Profile, _>::new(MemoryStore::new());
    let signed = layer.clone().id_form(IdForm::signed(KeyRing::from_text(KEY).unwrap()));
    let refused = |layer: &SessionLayer<_, _>, cookie: &str| {
        let head = Head::new("POST", &[("sec-fetch-site", "cross-site"), ("cookie", cookie)]);
        let before = alloc::calls();
        let exchange = black_box(layer.receive(&head));
        let calls = alloc::calls() - before;
        assert!(exchange.rejection().is_some());
        calls
    };
    let bare = opening(&layer, None);
    let many: String = (0..200).map(|_| new_cookie(&layer) + "; ").collect();
    for layer in [&layer, &signed] {
        for cookie in ["", &new_cookie(layer), &many] {
            // The sentence that is answered.
            assert_eq!(refused(layer, cookie), bare + 1, "{} octets", cookie.len());
        }
    }
}

#[test]
fn the_check_of_the_origin_allocates_nothing() {
    let layer = SessionLayer::<Profile, _>::new(MemoryStore::new());
    let cookie = new_cookie(&layer);
    let bare = opening(&layer, Some(&cookie));
    for (method, says) in [
        ("GET", ("sec-fetch-site", "cross-site")),
        ("POST", ("sec-fetch-site", "same-origin")),
        ("POST", ("origin", "https://shop.example")),
    ] {
        let head = Head::new(method, &[("host", "shop.example"), says, ("cookie", &cookie)]);
        let before = alloc::calls();
        let exchange = black_box(layer.receive(&head));
        assert_eq!(alloc::calls() - before, bare, "{method} {says:?}");
        assert!(exchange.rejection().is_none());
    }
}

/// Allocations of a request whose handler leaves the session alone.
fn opening<S: Backend>(layer: &SessionLayer<Profile, S>, header: Option<&str>) -> u64 {
    let before = alloc::calls();
    drop(black_box(layer.open(header.map(str::as_bytes))));
    alloc::calls() - before
}

/// The `name=value` of a new session.
fn new_cookie<S: Backend>(layer: &SessionLayer<Profile, S>) -> String {
    let exchange = layer.open([]);
    drop(at_once(exchange.session()).unwrap().replace(Profile::user()));
    let effects = at_once(exchange.finish()).effects;
    effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
}

/// The same but for a letter of the signature or tag.
fn forged(cookie: &str) -> String {
    let at = cookie.len() - 5;
    let other = if &cookie[at..=at] == "A" { "B" } else { "A" };
    [&cookie[..at], other, &cookie[at + 1..]].concat()
}

struct Head(&'static str, HeaderMap);

impl Head {
    fn new(method: &'static str, fields: &[(&'static str, &str)]) -> Self {
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        Self(method, fields.iter().map(field).collect())
    }
}

impl RequestHead for Head {
    fn method(&self) -> &str {
        self.0
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.1.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }
}

const KEY: &str = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
const OTHER_KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";
