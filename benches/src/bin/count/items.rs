//! What is counted.

use std::hint::black_box;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use typed_session::store::MemoryStore;
use typed_session::{Exchange, IdForm, KeyRing, RequestHead, SessionLayer};
use typed_session_benches::app::{self, Contestant};
use typed_session_benches::at_once::at_once;
use typed_session_benches::axum as on_axum;
use typed_session_benches::workload::{Profile, Workload};

/// Something that is counted by itself.
pub struct Item {
    pub name: String,
    /// How often it is done in one go.
    pub times: usize,
    /// Makes all ready, and returns what is counted.
    pub make: Box<dyn Fn() -> Box<dyn FnMut()>>,
}

/// In the order in which they stand in a line of the table.
pub const CONTESTANTS: [Contestant; 4] =
    [on_axum::FLOOR, on_axum::EMPTY_LAYER, on_axum::BY_HAND, on_axum::LIBRARY];

/// Sessions in the store, and requests in one go.
const SESSIONS: usize = 1000;

/// How often a part is done in one go.
const TIMES: usize = 200;

type Layer = SessionLayer<Profile, MemoryStore>;

/// Everything that is counted, as this program was built.
pub fn all() -> Vec<Item> {
    if cfg!(feature = "sealed") {
        return sealed();
    }
    let mut items: Vec<_> = Workload::ALL
        .into_iter()
        .flat_map(|workload| CONTESTANTS.map(|contestant| request(workload, contestant)))
        .collect();
    items.extend(scans());
    items.extend(cookies());
    items.extend(ids());
    items.extend(origins());
    items.extend(store());
    items
}

/// The short name of a workload: `W3`.
pub fn short(workload: Workload) -> &'static str {
    &workload.describe()[..2]
}

fn request(workload: Workload, contestant: Contestant) -> Item {
    Item {
        name: format!("{} {}", short(workload), contestant.name),
        times: SESSIONS,
        make: Box::new(move || {
            let mut app = (contestant.make)();
            app::prepare(&mut *app, SESSIONS, workload);
            Box::new(move || app.serve())
        }),
    }
}

/// Something that may be done again and again.
fn repeated(name: &str, mut once: impl FnMut() + Clone + 'static) -> Item {
    // The first time is not counted: what is set up then is set up for good.
    once();
    let make = move || {
        let mut once = once.clone();
        once();
        Box::new(move || (0..TIMES).for_each(|_| once())) as Box<dyn FnMut()>
    };
    Item { name: name.to_owned(), times: TIMES, make: Box::new(make) }
}

/// The headers that are read, with the names of what reads them.
pub fn headers() -> Vec<(&'static str, String)> {
    let id = || new_cookie(&layer());
    let others = |count| (0..count).map(|at| format!("other_cookie_{at:03}=some-value; "));
    let filled = |unit: &str| unit.repeat(SIZE / unit.len());
    vec![
        ("one id", id()),
        ("one id behind 10 cookies", others(10).collect::<String>() + &id()),
        ("one id behind 200 cookies", others(200).collect::<String>() + &id()),
        ("one id behind 64 KiB", filled("another_cookie=of-others; ") + &id()),
        ("64 KiB, one cookie", format!("a={}", filled("x"))),
        ("64 KiB of pairs", filled("another_cookie=of-others; ")),
        ("64 KiB, short and long in turn", filled(&format!("a=b; c={}; ", "x".repeat(1020)))),
        ("64 KiB of pairs of 100", filled(&format!("c={}; ", "x".repeat(96)))),
        ("64 KiB of pairs of 200", filled(&format!("c={}; ", "x".repeat(196)))),
        ("64 KiB of ;", filled(";")),
        ("64 KiB of =", filled("=")),
        ("64 KiB of spaces", filled(" ")),
        ("64 KiB of the name", filled(NAME)),
        ("64 KiB of the name in pairs", filled(&format!("{NAME};"))),
        ("64 KiB of the name, empty", filled(&format!("{NAME}=;"))),
        ("64 KiB of the name but its end", filled(&NAME[..NAME.len() - 1])),
        ("64 KiB of the name, then spaces", format!("{NAME}{}=", filled(" "))),
        ("200 of the name, all malformed", format!("{NAME}=planted; ").repeat(200)),
        ("200 of the name, all ids", (0..200).map(|_| id() + "; ").collect()),
    ]
}

const NAME: &str = "__Host-session";
const SIZE: usize = 64 << 10;

/// What it costs to look once at the bytes of a header, by the quickest way that there is and by the plain one.
fn scans() -> Vec<Item> {
    let mut items = Vec::new();
    for (name, header) in headers() {
        if !matches!(name, "one id behind 200 cookies" | "64 KiB, one cookie" | "64 KiB of pairs") {
            continue;
        }
        let bytes = header.clone().into_bytes();
        items.push(repeated(&format!("memchr for ; in {name}"), move || {
            black_box(memchr::memchr_iter(b';', black_box(&bytes)).fold(0, |sum, at| sum ^ at));
        }));
        let bytes = header.into_bytes();
        items.push(repeated(&format!("octet by octet, {name}"), move || {
            let mut count = 0;
            for octet in black_box(&bytes) {
                count += u32::from(black_box(*octet) == b';');
            }
            black_box(count);
        }));
    }
    items
}

fn cookies() -> Vec<Item> {
    let layer = layer();
    let mut items = vec![opening("no cookie", &layer, None)];
    items.extend(headers().into_iter().map(|(name, header)| opening(name, &layer, Some(header))));
    items
}

fn ids() -> Vec<Item> {
    let signing = |text| layer().id_form(IdForm::signed(KeyRing::from_text(text).unwrap()));
    let ours = signing(KEY);
    let forged = new_cookie(&signing(OTHER_KEY));
    let wrong = forged_by_one_letter(&new_cookie(&ours));
    vec![
        opening("a signed id", &ours, Some(new_cookie(&ours))),
        opening("a forged id, of another key", &ours, Some(forged)),
        opening("a forged id, of our key", &ours, Some(wrong.clone())),
        opening("200 forged ids", &ours, Some([wrong, "; ".to_owned()].concat().repeat(200))),
    ]
}

#[cfg(not(feature = "sealed"))]
fn sealed() -> Vec<Item> {
    Vec::new()
}

/// What needs the feature of this name, which is not on by default.
#[cfg(feature = "sealed")]
fn sealed() -> Vec<Item> {
    let encrypting = |text| layer().id_form(IdForm::private(KeyRing::from_text(text).unwrap()));
    let ours = encrypting(KEY);
    let stateless = SessionLayer::<Profile, _>::stateless(KeyRing::from_text(KEY).unwrap());
    let whole = new_cookie(&stateless);
    vec![
        // For the ratios.
        request(Workload::Write, on_axum::FLOOR),
        request(Workload::Write, on_axum::BY_HAND),
        opening("with `sealed`, no cookie", &ours, None),
        opening("a private id", &ours, Some(new_cookie(&ours))),
        opening(
            "a forged private id, of another key",
            &ours,
            Some(new_cookie(&encrypting(OTHER_KEY))),
        ),
        opening(
            "a forged private id, of our key",
            &ours,
            Some(forged_by_one_letter(&new_cookie(&ours))),
        ),
        opening("a stateless session", &stateless, Some(whole.clone())),
        opening("a forged stateless session", &stateless, Some(forged_by_one_letter(&whole))),
    ]
}

fn origins() -> Vec<Item> {
    let layer = layer();
    let signed = layer.clone().id_form(IdForm::signed(KeyRing::from_text(KEY).unwrap()));
    let site = |says| ("sec-fetch-site", says);
    vec![
        receiving("GET", &layer, Method::GET, &[site("cross-site")]),
        receiving("POST of this site", &layer, Method::POST, &[site("same-origin")]),
        receiving(
            "POST without Sec-Fetch-Site",
            &layer,
            Method::POST,
            &[("origin", "https://shop.example")],
        ),
        receiving("POST of a program", &layer, Method::POST, &[]),
        receiving("POST of another site", &layer, Method::POST, &[site("cross-site")]),
        receiving("POST of another site, signed id", &signed, Method::POST, &[site("cross-site")]),
    ]
}

fn store() -> Vec<Item> {
    let load = || {
        let (layer, mut ready) = opened();
        Box::new(move || {
            let _alive = &layer;
            for exchange in &mut ready {
                drop(black_box(at_once(exchange.session())));
            }
        }) as Box<dyn FnMut()>
    };
    let commit = || {
        let (layer, mut ready) = opened();
        for exchange in &ready {
            at_once(exchange.session()).unwrap().update(|profile| profile.counter += 1);
        }
        Box::new(move || {
            let _alive = &layer;
            for exchange in ready.drain(..) {
                drop(black_box(at_once(exchange.finish())));
            }
        }) as Box<dyn FnMut()>
    };
    vec![
        Item { name: "load".to_owned(), times: SESSIONS, make: Box::new(load) },
        Item { name: "commit of a change".to_owned(), times: SESSIONS, make: Box::new(commit) },
    ]
}

/// Sessions, each of a request that has come in.
fn opened() -> (Layer, Vec<Exchange<Profile, MemoryStore>>) {
    let layer = layer();
    let cookies: Vec<_> = (0..SESSIONS).map(|_| new_cookie(&layer)).collect();
    let exchanges = cookies.iter().map(|cookie| layer.open([cookie.as_bytes()])).collect();
    (layer, exchanges)
}

fn opening<S: typed_session::store::Backend>(
    name: &str,
    layer: &SessionLayer<Profile, S>,
    header: Option<String>,
) -> Item {
    let layer = layer.clone();
    repeated(&format!("open, {name}"), move || {
        let fields = black_box(header.as_ref().map(String::as_bytes));
        drop(black_box(layer.open(fields)));
    })
}

fn receiving(name: &str, layer: &Layer, method: Method, fields: &[(&'static str, &str)]) -> Item {
    let layer = layer.clone();
    let mut head = Head { method, fields: HeaderMap::new() };
    let cookie = new_cookie(&layer);
    let usual = [("host", "shop.example"), ("cookie", &cookie)];
    for (name, value) in usual.iter().chain(fields) {
        head.fields.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    repeated(&format!("receive, {name}"), move || drop(black_box(layer.receive(black_box(&head)))))
}

/// As an adapter shows it.
#[derive(Clone)]
struct Head {
    method: Method,
    fields: HeaderMap,
}

impl RequestHead for Head {
    fn method(&self) -> &str {
        self.method.as_str()
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.fields.get_all(name).into_iter().map(HeaderValue::as_bytes)
    }
}

fn layer() -> Layer {
    SessionLayer::new(MemoryStore::new())
}

/// The `name=value` of a new session.
fn new_cookie<S: typed_session::store::Backend>(layer: &SessionLayer<Profile, S>) -> String {
    let exchange = layer.open([]);
    drop(at_once(exchange.session()).unwrap().replace(Profile::user()));
    let effects = at_once(exchange.finish()).effects;
    effects.set_cookie().unwrap().split(';').next().unwrap().to_owned()
}

/// The same but for a letter in the middle of the signature or tag.
fn forged_by_one_letter(cookie: &str) -> String {
    let mut cookie = cookie.to_owned();
    let at = cookie.len() - 5;
    let other = if &cookie[at..=at] == "A" { "B" } else { "A" };
    cookie.replace_range(at..=at, other);
    cookie
}

const KEY: &str = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
const OTHER_KEY: &str = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210";
