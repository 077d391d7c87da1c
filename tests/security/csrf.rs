//! Requests that another site has caused.

use std::net::IpAddr;

use typed_session::csrf::{self, CrossOrigin, OriginCheck};
use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::testing::{Calls, SeededEntropy};
use typed_session::{
    Error, Exchange, Rejection, RequestHead, Rotation, SessionLayer, Transport, Verdict,
};

use crate::world::{MINUTE, Shop, Store, URL, World};

/// The head of a request; a field of the name `:authority` is the target's.
struct Head<'a>(&'a str, &'a [(&'a str, &'a str)]);

impl RequestHead for Head<'_> {
    fn method(&self) -> &str {
        self.0
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        self.1.iter().filter(move |field| field.0 == name).map(|field| field.1.as_bytes())
    }

    fn authority(&self) -> Option<&str> {
        self.1.iter().find(|field| field.0 == ":authority").map(|field| field.1)
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

const SITE: &str = "sec-fetch-site";
const HERE: (&str, &str) = ("host", "shop.example");
const OK: Result<(), CrossOrigin> = Ok(());
const BY_SITE: Result<(), CrossOrigin> = Err(CrossOrigin::CrossSite);
const BY_ORIGIN: Result<(), CrossOrigin> = Err(CrossOrigin::ForeignOrigin);
const TWICE: Result<(), CrossOrigin> = Err(CrossOrigin::Ambiguous);

/// A method, header fields, and what is to come of them.
type Case = (&'static str, &'static [(&'static str, &'static str)], Result<(), CrossOrigin>);

/// Written from the texts and not from the code: W3C Fetch Metadata (sections 2.3 and 2.4), Fetch and RFC 6454
/// (`Origin`), RFC 9110 (sections 7.2 and 9.2.1) and RFC 9113 (section 8.3.1) on methods and hosts,
/// RFC 6455 (section 4.1, WebSockets), the OWASP cheat sheet, and the rules of Go 1.25's
/// `CrossOriginProtection`.
#[rustfmt::skip]
const TABLE: &[Case] = &[
    // Methods that are safe, whoever asks.
    ("GET", &[HERE, (SITE, "cross-site"), ("origin", "https://evil.example")], OK),
    ("HEAD", &[HERE, (SITE, "cross-site")], OK),
    ("OPTIONS", &[HERE, (SITE, "cross-site"), ("origin", "https://evil.example")], OK),
    ("GET", &[HERE, (SITE, "same-site")], OK),
    ("GET", &[HERE, ("origin", "null")], OK),
    ("GET", &[HERE, (SITE, "cross-site"), (SITE, "cross-site")], OK),
    ("GET", &[], OK),
    // All others are not; methods are told by their letters' case (RFC 9110, 9.1).
    ("POST", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("PUT", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("PATCH", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("DELETE", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("CONNECT", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("TRACE", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("PROPFIND", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("get", &[HERE, (SITE, "cross-site")], BY_SITE),
    ("", &[HERE, (SITE, "cross-site")], BY_SITE),
    // Sec-Fetch-Site decides, where it is.
    ("POST", &[HERE, (SITE, "same-origin"), ("origin", "https://shop.example")], OK),
    ("POST", &[HERE, (SITE, "none")], OK),
    ("POST", &[HERE, (SITE, "same-site"), ("origin", "https://www.shop.example")], BY_SITE),
    ("POST", &[HERE, (SITE, "cross-site"), ("origin", "https://shop.example")], BY_SITE),
    ("POST", &[HERE, (SITE, "cross-site"), ("origin", "null")], BY_SITE),
    // .. also where a proxy has changed the host, or a page hides where it is.
    ("POST", &[("host", "127.0.0.1:3000"), (SITE, "same-origin"), ("origin", "https://shop.example")], OK),
    ("POST", &[HERE, (SITE, "same-origin"), ("origin", "null")], OK),
    ("POST", &[(SITE, "same-origin")], OK),
    ("POST", &[HERE, (SITE, " same-origin\t")], OK),
    // It is a token of four; whatever else it says is no leave (Structured Fields: case counts).
    ("POST", &[HERE, (SITE, "Same-Origin")], BY_SITE),
    ("POST", &[HERE, (SITE, "same-origin;x")], BY_SITE),
    ("POST", &[HERE, (SITE, "\"same-origin\"")], BY_SITE),
    ("POST", &[HERE, (SITE, "same-origin, cross-site")], BY_SITE),
    ("POST", &[HERE, (SITE, "cross-origin")], BY_SITE),
    ("POST", &[HERE, (SITE, "")], BY_SITE),
    ("POST", &[HERE, (SITE, "same-origin"), (SITE, "cross-site")], TWICE),
    ("POST", &[HERE, (SITE, "same-origin"), (SITE, "same-origin")], TWICE),
    // Without it, Origin against the host.
    ("POST", &[HERE, ("origin", "https://shop.example")], OK),
    ("POST", &[HERE, ("origin", "http://shop.example")], OK),
    ("POST", &[("host", "Shop.Example"), ("origin", "https://shop.example")], OK),
    ("POST", &[("host", "shop.example:443"), ("origin", "https://shop.example")], OK),
    ("POST", &[("host", "shop.example:80"), ("origin", "http://shop.example")], OK),
    ("POST", &[("host", "shop.example:8443"), ("origin", "https://shop.example:8443")], OK),
    ("POST", &[("host", "[::1]:3000"), ("origin", "http://[::1]:3000")], OK),
    ("POST", &[("host", "127.0.0.1:3000"), ("origin", "http://127.0.0.1:3000")], OK),
    ("POST", &[HERE, ("origin", "https://evil.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://www.shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example.evil.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://evilshop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example:8443")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "http://shop.example:443")], BY_ORIGIN),
    ("POST", &[("host", "shop.example:443"), ("origin", "http://shop.example")], BY_ORIGIN),
    ("POST", &[("host", "shop.example:8443"), ("origin", "https://shop.example")], BY_ORIGIN),
    ("POST", &[("host", "[::1]"), ("origin", "http://[::2]")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "null")], BY_ORIGIN),
    // What is no serialised origin is nobody's.
    ("POST", &[HERE, ("origin", "")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "//shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example/")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example/path")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example?x")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example#x")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://user@shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example:")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example:99999")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example:+443")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example:0443")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example https://evil.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example, https://shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example\0")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example%00")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https:// shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://[shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://[::1")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "://shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "file://")], BY_ORIGIN),
    // An app's or an extension's page is another origin, whatever it calls its host.
    ("POST", &[HERE, ("origin", "chrome-extension://shop.example")], BY_ORIGIN),
    ("POST", &[("host", "localhost"), ("origin", "capacitor://localhost")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://shop.example"), ("origin", "https://shop.example")], TWICE),
    ("POST", &[HERE, ("origin", "https://shop.example"), ("origin", "https://evil.example")], TWICE),
    // The host is the target's, or else the one field Host; nothing that a proxy may say.
    ("POST", &[(":authority", "shop.example"), ("origin", "https://shop.example")], OK),
    ("POST", &[(":authority", "shop.example:443"), ("origin", "https://shop.example")], OK),
    ("POST", &[(":authority", "shop.example"), ("host", "evil.example"), ("origin", "https://evil.example")], BY_ORIGIN),
    ("POST", &[HERE, HERE, ("origin", "https://shop.example")], TWICE),
    ("POST", &[("origin", "https://shop.example")], BY_ORIGIN),
    ("POST", &[("host", ""), ("origin", "https://")], BY_ORIGIN),
    ("POST", &[("host", "user@shop.example"), ("origin", "https://shop.example")], BY_ORIGIN),
    ("POST", &[HERE, ("x-forwarded-host", "evil.example"), ("origin", "https://evil.example")], BY_ORIGIN),
    ("POST", &[HERE, ("forwarded", "host=evil.example"), ("origin", "https://evil.example")], BY_ORIGIN),
    // Neither: a program, or a server that calls a webhook.
    ("POST", &[HERE], OK),
    ("DELETE", &[HERE, ("referer", "https://evil.example/")], OK),
    ("POST", &[], OK),
    // Other headers of Fetch Metadata are no leave, and no reason.
    ("POST", &[HERE, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], OK),
    ("POST", &[HERE, (SITE, "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-user", "?1")], BY_SITE),
    // A WebSocket begins as a GET, and is no reading.
    ("GET", &[HERE, ("upgrade", "websocket"), ("origin", "https://evil.example")], BY_ORIGIN),
    ("GET", &[HERE, ("upgrade", "WebSocket"), ("origin", "null")], BY_ORIGIN),
    ("GET", &[HERE, ("upgrade", "h2c, websocket"), (SITE, "cross-site")], BY_SITE),
    ("GET", &[HERE, ("upgrade", "h2c"), ("upgrade", "websocket"), (SITE, "same-site")], BY_SITE),
    ("GET", &[HERE, ("upgrade", "websocket"), ("origin", "https://shop.example")], OK),
    ("GET", &[HERE, ("upgrade", "websocket")], OK),
    ("GET", &[HERE, ("upgrade", "h2c"), ("origin", "https://evil.example")], OK),
    ("GET", &[HERE, ("upgrade-insecure-requests", "1"), (SITE, "cross-site")], OK),
    // One origin is trusted: this one, and nothing that looks like it.
    ("POST", &[HERE, (SITE, "cross-site"), ("origin", "https://pay.example")], OK),
    ("POST", &[HERE, (SITE, "same-site"), ("origin", "https://pay.example")], OK),
    ("POST", &[HERE, ("origin", "https://pay.example")], OK),
    ("GET", &[HERE, ("upgrade", "websocket"), ("origin", "https://pay.example")], OK),
    ("POST", &[("origin", "https://pay.example")], OK),
    ("POST", &[HERE, (SITE, "cross-site"), ("origin", "http://pay.example")], BY_SITE),
    ("POST", &[HERE, ("origin", "http://pay.example")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://pay.example:8443")], BY_ORIGIN),
    ("POST", &[HERE, ("origin", "https://x.pay.example")], BY_ORIGIN),
    ("POST", &[HERE, (SITE, "cross-site"), ("origin", "https://pay.example"), ("origin", "https://pay.example")], BY_SITE),
    ("POST", &[HERE, (SITE, "cross-site"), (SITE, "cross-site"), ("origin", "https://pay.example")], TWICE),
    ("POST", &[HERE, (SITE, "cross-site"), ("referer", "https://pay.example/")], BY_SITE),
];

#[test]
fn asvs_3_5_1_requests_are_told_apart_by_where_they_come_from() {
    assert!(TABLE.len() >= 40);
    let check = OriginCheck::new().trust("https://pay.example").unwrap();
    for (method, fields, expected) in TABLE {
        assert_eq!(check.judge(&Head(method, fields)), *expected, "{method} {fields:?}");
        assert_eq!(OriginCheck::dangerous_off().judge(&Head(method, fields)), OK);
    }
}

#[test]
fn no_bytes_of_a_header_make_the_check_panic() {
    use typed_session::Entropy as _;
    struct Bytes(Vec<u8>, Vec<u8>);
    impl RequestHead for Bytes {
        fn method(&self) -> &str {
            "POST"
        }

        fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
            let of = |wanted, value| (name == wanted).then_some(value);
            of("origin", &*self.0).or(of("host", &*self.1)).into_iter()
        }
    }
    let entropy = SeededEntropy::new(7);
    let alphabet = b"https://[]:0123.shop-example_@,; \t\xff\xc3\xa4%";
    for _ in 0..20_000 {
        let mut bytes = [0; 48];
        entropy.fill(&mut bytes).unwrap();
        let letters: Vec<u8> =
            bytes.iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect();
        let (origin, host) = letters.split_at(usize::from(bytes[0]) % 48);
        let with_scheme = [b"https://", origin].concat();
        for origin in [origin.to_vec(), with_scheme] {
            let judged = OriginCheck::new().judge(&Bytes(origin.clone(), host.to_vec()));
            if judged.is_ok() {
                let [origin, host] = [&*origin, host].map(|text| text.trim_ascii().to_vec());
                assert!(origin.windows(host.len()).any(|part| part == host), "{origin:?} {host:?}");
            }
        }
    }
}

#[test]
fn an_origin_to_trust_is_written_as_browsers_write_it() {
    for good in [
        "https://www.shop.example",
        "http://localhost:5173",
        "https://shop.example:8443",
        "http://[::1]:3000",
        "https://xn--bcher-kva.example",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnop",
    ] {
        let check = OriginCheck::new().trust(good).unwrap();
        let fields = [HERE, (SITE, "cross-site"), ("origin", good)];
        assert_eq!(check.judge(&Head("POST", &fields)), OK, "{good}");
        assert_eq!(OriginCheck::new().judge(&Head("POST", &fields)), BY_SITE, "{good}");
    }
    for bad in [
        "",
        "null",
        "*",
        "shop.example",
        "https://",
        "https://*.shop.example",
        "https://shop.example/",
        "https://Shop.example",
        "HTTPS://shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://user@shop.example",
        "https://shop.example?",
        " https://shop.example",
        "https://b\u{fc}cher.example",
        "https://a.example,https://b.example",
    ] {
        let error = OriginCheck::new().trust(bad).unwrap_err();
        assert!(error.to_string().contains("is no origin"), "{bad}: {error}");
    }
}

/// A request of this browser's, caused by a page of `site`.
fn receive(
    world: &World,
    cookie: Option<&str>,
    method: &str,
    fields: &[(&str, &str)],
) -> Exchange<Shop, Store> {
    let mut all = vec![HERE];
    all.extend(cookie.map(|cookie| ("cookie", cookie)));
    all.extend(fields);
    world.sessions.receive(&Head(method, &all))
}

#[test]
fn asvs_3_5_1_a_post_of_another_site_is_refused_and_costs_nothing() {
    let world = World::new();
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let cookie = browser.cookie_header(URL);
    world.spied.take();
    world.events.take();
    let says = [(SITE, "cross-site"), ("origin", "https://evil.example")];
    // With the cookie, as from a page of another subdomain; and without, as of a forged login.
    for cookie in [cookie.as_deref(), None] {
        let exchange = receive(&world, cookie, "POST", &says);
        let rejection = exchange.rejection().expect("it is refused");
        assert!(matches!(rejection, Rejection::CrossOrigin(CrossOrigin::CrossSite)));
        assert_eq!(rejection.status(), 403);
        assert!(rejection.public_message().contains("another site"));
        assert_eq!(world.events.names(), ["CrossOrigin"]);
        let answer = world.close(exchange);
        assert!(answer.outcome.effects.is_empty());
        assert_eq!(world.spied.calls(), Calls::default());
        // Nor does an adapter that calls a handler by mistake hand it the user's session.
        let exchange = receive(&world, cookie, "POST", &says);
        let session = run(exchange.session()).unwrap();
        assert_eq!(
            (session.verdict(), session.read(|shop| shop.user.clone())),
            (Verdict::New, None)
        );
        assert_eq!(world.spied.calls(), Calls::default());
        drop((session, exchange));
        world.events.take();
    }
    for (method, says) in [("GET", &says[..]), ("POST", &[(SITE, "same-origin")]), ("POST", &[])] {
        let exchange = receive(&world, cookie.as_deref(), method, says);
        assert!(exchange.rejection().is_none(), "{method} {says:?}");
        let session = run(exchange.session()).unwrap();
        assert_eq!(session.verdict(), Verdict::Resumed);
        drop(world.close(exchange));
    }
    assert!(!world.events.names().contains(&"CrossOrigin".to_owned()));
}

#[test]
fn asvs_3_5_1_only_ids_that_a_browser_adds_by_itself_are_checked() {
    let says = [HERE, (SITE, "cross-site"), ("origin", "https://evil.example")];
    let refuses = |sessions: &SessionLayer<Shop, Store>| {
        sessions.receive(&Head("POST", &says)).rejection().is_some()
    };
    let world = World::new();
    let layer = || world.sessions.clone();
    assert!(refuses(&layer()));
    assert!(!refuses(&layer().transport(Transport::bearer())));
    assert!(!refuses(&layer().transport(Transport::header("x-session").unwrap())));
    assert!(!refuses(&layer().check_origin(OriginCheck::dangerous_off())));
    let trusting = OriginCheck::new().trust("https://evil.example").unwrap();
    assert!(!refuses(&layer().check_origin(trusting)));
}

/// A token of this browser's, and whether it is good for the same browser now.
#[track_caller]
fn token(world: &World, browser: &Browser) -> String {
    let (token, answer) = world.visit(browser, async |session| {
        let token = session.csrf_token().await.unwrap();
        token.as_str().to_owned()
    });
    answer.is_fine();
    token
}

#[track_caller]
fn is_good(world: &World, browser: &Browser, token: &str) -> bool {
    let (result, answer) = world.visit(browser, async |session| session.verify_csrf(token));
    answer.is_fine();
    match result {
        Ok(()) => true,
        Err(rejection) => {
            assert!(matches!(rejection, Rejection::CsrfToken));
            assert_eq!(rejection.status(), 403);
            false
        }
    }
}

#[test]
fn asvs_3_5_1_a_token_is_good_for_its_session_alone() {
    let world = World::new();
    let [ann, bob, nobody] = [world.browser(), world.browser(), world.browser()];
    let (anns, bobs) = (token(&world, &ann), token(&world, &bob));
    assert_eq!(anns.len(), 86);
    assert!(is_good(&world, &ann, &anns));
    assert!(is_good(&world, &ann, &anns), "as often as one likes");
    assert!(is_good(&world, &bob, &bobs));
    assert!(!is_good(&world, &ann, &bobs));
    assert!(!is_good(&world, &bob, &anns));
    assert!(!is_good(&world, &nobody, &anns));
    for wrong in ["", "A", &anns[1..], &format!("{anns}A"), &"A".repeat(86), "\u{e4}"] {
        assert!(!is_good(&world, &ann, wrong), "{wrong}");
    }
    world.events.take();
    assert!(!is_good(&world, &ann, "x"));
    assert_eq!(world.events.names(), ["Resumed", "ForgedToken"]);
}

#[test]
fn asvs_3_5_1_a_token_shows_nothing_of_another_one_or_of_the_id() {
    let world = World::new();
    let browser = world.browser();
    let tokens: Vec<_> = (0..100).map(|_| token(&world, &browser)).collect();
    for place in 0..86 {
        let letters: std::collections::HashSet<_> =
            tokens.iter().map(|token| token.as_bytes()[place]).collect();
        // The last letter holds two bits of meaning.
        assert!(letters.len() >= if place == 85 { 2 } else { 20 }, "place {place}");
    }
    assert!(tokens.iter().all(|token| is_good(&world, &browser, token)));
    let (shown, _) =
        world.visit(&browser, async |session| format!("{:?}", session.csrf_token().await.unwrap()));
    assert_eq!(shown, "Token(..)");
}

#[test]
fn asvs_3_5_1_a_token_dies_at_login_logout_and_with_each_new_id() {
    let world = World::new();
    let browser = world.browser();
    let visitors = token(&world, &browser);
    world.log_in(&browser, "ann");
    assert!(!is_good(&world, &browser, &visitors), "after the login");
    let anns = token(&world, &browser);
    world.visit(&browser, async |session| session.rotate()).1.is_fine();
    assert!(!is_good(&world, &browser, &anns), "after a rotation");
    let anns = token(&world, &browser);
    world.visit(&browser, async |session| session.reauthenticate()).1.is_fine();
    assert!(!is_good(&world, &browser, &anns), "after a new proof");
    let anns = token(&world, &browser);
    world.change(&browser, |shop| shop.user = None);
    assert!(!is_good(&world, &browser, &anns), "after the logout to a visitor");
    assert!(!is_good(&world, &browser, &visitors), "and the first one does not come back");
    world.log_in(&browser, "ann");
    assert!(!is_good(&world, &browser, &anns), "nor the second one with its user");
    let anns = token(&world, &browser);
    world.log_in(&browser, "eve");
    assert!(!is_good(&world, &browser, &anns), "after a switch");
    let eves = token(&world, &browser);
    world.visit(&browser, async |session| session.end()).1.is_fine();
    assert!(!is_good(&world, &browser, &eves), "after the end");
}

#[test]
fn asvs_3_5_1_an_id_of_before_the_login_makes_no_token_of_after_it() {
    // Somebody who has planted a session knows its id, and so its locator.
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    let old = browser.cookie_header(URL).unwrap();
    world.log_in(&browser, "ann");
    let (attackers, _) = world.ask(Some(&old), async |session| {
        assert_eq!(session.verdict(), Verdict::Superseded);
        session.csrf_token().await.unwrap().as_str().to_owned()
    });
    assert!(!is_good(&world, &browser, &attackers));
}

#[test]
fn a_token_made_with_a_login_is_good_after_it() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.visits = 1);
    for user in ["ann", "eve"] {
        let (made, answer) = world.visit(&browser, async |session| {
            session.update(|shop| shop.user = Some(user.to_owned()));
            session.csrf_token().await.unwrap().as_str().to_owned()
        });
        answer.is_fine();
        assert!(is_good(&world, &browser, &made), "{user}");
    }
    let (made, answer) = world.visit(&browser, async |session| {
        session.rotate();
        session.csrf_token().await.unwrap().as_str().to_owned()
    });
    answer.is_fine();
    assert!(is_good(&world, &browser, &made));
    // A visitor's first request, that is a login at once.
    let newcomer = world.browser();
    let (made, answer) = world.visit(&newcomer, async |session| {
        let token = session.csrf_token().await.unwrap();
        session.update(|shop| shop.user = Some("bob".to_owned()));
        token.as_str().to_owned()
    });
    answer.is_fine();
    assert_eq!(answer.calls, Calls { insert: 1, ..Calls::default() });
    assert!(is_good(&world, &newcomer, &made));
}

#[test]
fn a_token_costs_a_stranger_one_insert_and_a_visitor_nothing() {
    let world = World::new();
    let browser = world.browser();
    let (_, first) = world.visit(&browser, async |session| session.csrf_token().await.unwrap());
    assert_eq!(first.calls, Calls { insert: 1, ..Calls::default() });
    assert!(first.set_cookie().is_some());
    let (_, next) = world.visit(&browser, async |session| session.csrf_token().await.unwrap());
    assert_eq!(next.calls, Calls { load: 1, ..Calls::default() });
    assert!(next.set_cookie().is_none());
    // Whose login came between is shown the page, and refused with its form.
    let old = browser.cookie_header(URL);
    world.log_in(&browser, "ann");
    let (_, late) = world.ask(old.as_deref(), async |session| session.csrf_token().await.unwrap());
    late.is_fine();
    assert!(late.set_cookie().is_none());
    // Nothing is committed for nothing.
    world.faults.outage();
    let nobody = world.browser();
    let (token, answer) = world.visit(&nobody, async |session| session.csrf_token().await);
    assert!(token.is_ok() && matches!(answer.outcome.error, Some(Error::Store(_))));
}

#[test]
fn a_token_outlives_a_timed_rotation_and_not_the_next_one() {
    let world = World::with(|sessions| sessions.rotation(Rotation::default()));
    let browser = world.browser();
    world.log_in(&browser, "ann");
    let first = token(&world, &browser);
    // While the browser asks for nothing, it stays good.
    world.clock.advance(MINUTE * 50);
    let (under_way, lost) = {
        let exchange = world.open(&browser);
        let session = run(exchange.session()).unwrap();
        assert!(session.verify_csrf(&first).is_ok());
        (run(session.csrf_token()).unwrap().as_str().to_owned(), world.close(exchange))
    };
    assert!(lost.set_cookie().is_some(), "a new id was offered, and the response got lost");
    assert!(is_good(&world, &browser, &first));
    // That response offered it again, and this request shows it.
    let second = token(&world, &browser);
    world.clock.advance(MINUTE);
    for good in [&first, &under_way, &second] {
        assert!(is_good(&world, &browser, good), "after one rotation, and the grace of its id");
    }
    world.clock.advance(MINUTE * 16);
    world.read(&browser);
    let offered = token(&world, &browser);
    for good in [&second, &offered] {
        assert!(is_good(&world, &browser, good), "after the second one");
    }
    assert!(!is_good(&world, &browser, &first));
    assert!(!is_good(&world, &browser, &under_way));
}

#[test]
fn the_names_of_field_and_header_are_those_of_the_documentation() {
    assert_eq!((csrf::FIELD, csrf::HEADER), ("csrf_token", "x-csrf-token"));
    assert_eq!(csrf::find(b"csrf_token=abc"), Some("abc"));
}

#[test]
fn asvs_3_5_2_a_preflight_is_no_leave_for_what_follows() {
    // Clause 3.5.2: who relies on CORS preflights must see to it that what follows cannot go
    // without one. A form of another site sends `text/plain` without any preflight.
    let world = World::new();
    let site = (SITE, "cross-site");
    let origin = ("origin", "https://evil.example");
    let preflight = [site, origin, ("access-control-request-method", "POST")];
    assert!(receive(&world, None, "OPTIONS", &preflight).rejection().is_none());
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json"] {
        let fields = [site, origin, ("content-type", kind)];
        assert!(receive(&world, None, "POST", &fields).rejection().is_some(), "{kind}");
    }
}

#[test]
fn asvs_3_5_3_what_changes_something_is_judged_by_its_method_and_not_by_a_field() {
    // Clause 3.5.3: sensitive functions use methods such as POST, or their `Sec-Fetch-*` headers are
    // checked. A method in another header is no method.
    let world = World::new();
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let fields = [(SITE, "cross-site"), (name, "GET")];
        assert!(receive(&world, None, "POST", &fields).rejection().is_some(), "{name}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let exchange = receive(&world, None, method, &[(SITE, "cross-site")]);
        assert!(exchange.rejection().is_some(), "{method}");
    }
}
