use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use super::*;
use crate::Timestamp;

const SHOP: &str = "https://shop.example/";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct Hand(AtomicI64);

impl Hand {
    fn advance(&self, by: Duration) {
        self.0.store(self.now().plus(by).as_millis(), Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

fn browser_and_clock() -> (Browser, Arc<Hand>) {
    let clock = Arc::new(Hand(AtomicI64::new(1_700_000_000_000)));
    (Browser::new(Arc::clone(&clock)), clock)
}

fn browser() -> Browser {
    browser_and_clock().0
}

/// Lets `browser` take one line, which it must obey.
#[track_caller]
fn take<'a>(browser: &Browser, request: impl Into<Request<'a>>, line: &str) {
    assert_eq!(browser.receive(request, [line]), [Ok(())], "{line:?}");
}

/// Lets `browser` take one line, which it must ignore and leave all as it was.
#[track_caller]
fn ignore<'a>(browser: &Browser, request: impl Into<Request<'a>>, line: &str, why: Rejected) {
    let before = browser.cookies();
    assert_eq!(browser.receive(request, [line]), [Err(why)], "{line:?}");
    assert_eq!(browser.cookies(), before, "{line:?}");
}

#[track_caller]
fn stored(url: &str, line: &str) -> StoredCookie {
    let browser = browser();
    take(&browser, url, line);
    browser.cookies().pop().unwrap()
}

#[track_caller]
fn assert_sent<'a>(browser: &Browser, request: impl Into<Request<'a>>, header: &str) {
    let request = request.into();
    let expected = (!header.is_empty()).then_some(header);
    assert_eq!(browser.cookie_header(request).as_deref(), expected, "{request:?}");
}

#[test]
fn a_cookie_without_attributes_gets_the_defaults() {
    let cookie = stored("https://Shop.Example:8443/a/b?c/d", "name=value");
    assert_eq!((cookie.name(), cookie.value()), ("name".into(), "value".into()));
    assert_eq!((cookie.domain.as_str(), cookie.host_only), ("shop.example", true));
    assert_eq!(cookie.path(), "/a");
    assert!(!cookie.secure && !cookie.http_only && !cookie.partitioned);
    assert_eq!(cookie.same_site, SameSite::Unspecified);
    assert_eq!(cookie.expires_at, None);
    assert_eq!(cookie.created_at, Timestamp::from_millis(1_700_000_000_000));
}

#[test]
fn attributes_are_read_whatever_their_case_and_spacing() {
    let cookie = stored(
        SHOP,
        "a=b;SECURE ;\thttponly=no;; path = /x ;dOmAiN=.Shop.EXAMPLE; samesite=STRICT;Partitioned; color=red",
    );
    assert!(cookie.secure && cookie.http_only && cookie.partitioned && !cookie.host_only);
    assert_eq!((cookie.domain.as_str(), &*cookie.path()), ("shop.example", "/x"));
    assert_eq!(cookie.same_site, SameSite::Strict);
}

#[test]
fn name_and_value_are_what_stands_around_the_first_equals_sign() {
    for (line, name, value, header) in [
        ("a=b", "a", "b", "a=b"),
        (" \ta b\t = c d ; Secure", "a b", "c d", "a b=c d"),
        ("a=b=c", "a", "b=c", "a=b=c"),
        ("a=\"b;c\"", "a", "\"b", "a=\"b"),
        ("a=\"b\"", "a", "\"b\"", "a=\"b\""),
        ("a=", "a", "", "a="),
        ("a=b\tc", "a", "b\tc", "a=b\tc"),
        ("a=b,c=d", "a", "b,c=d", "a=b,c=d"),
        ("=b", "", "b", "b"),
        ("b", "", "b", "b"),
        ("b; Secure", "", "b", "b"),
        ("==b", "", "=b", "=b"),
        ("foo!bar=baz", "foo!bar", "baz", "foo!bar=baz"),
        ("a=é", "a", "é", "a=é"),
    ] {
        let browser = browser();
        take(&browser, SHOP, line);
        let cookie = browser.get(name).unwrap();
        assert_eq!((&*cookie.name(), &*cookie.value()), (name, value), "{line:?}");
        assert_sent(&browser, SHOP, header);
    }
}

#[test]
fn a_line_with_neither_name_nor_value_is_ignored() {
    for line in ["", "=", " = ", ";", "; Secure", " \t;a=b"] {
        ignore(&browser(), SHOP, line, Rejected::Empty);
    }
}

#[test]
fn a_line_with_a_control_character_is_ignored() {
    for octet in (0..=0x1F).chain([0x7F]).filter(|octet| *octet != b'\t') {
        for line in [
            [b"a=b", &[octet][..], b"c"].concat(),
            [&[octet][..], b"a=b"].concat(),
            [b"a=b; Path=/", &[octet][..]].concat(),
        ] {
            assert_eq!(browser().receive(SHOP, [line]), [Err(Rejected::ControlCharacter)]);
        }
    }
}

#[test]
fn name_and_value_have_4096_octets_and_an_attribute_has_1024() {
    let (value, path) = ("v".repeat(4095), format!("/{}", "p".repeat(1023)));
    let cookie = stored(SHOP, &format!("a={value}; Path={path}"));
    assert_eq!((cookie.value().len(), cookie.path().len()), (4095, 1024));

    ignore(&browser(), SHOP, &format!("ab={value}"), Rejected::TooLong);
    ignore(&browser(), SHOP, &format!("{value}aa"), Rejected::TooLong);
    // Of an attribute that is too long only the attribute is ignored.
    assert_eq!(stored(SHOP, &format!("a=b; Path=/x; Path={path}p")).path(), "/x");
    assert!(stored(SHOP, &format!("a=b; Domain={path}p.example")).host_only);
}

#[test]
fn the_last_of_several_attributes_counts() {
    let cookie = stored(
        SHOP,
        "a=b; Path=/x; Path=/y; SameSite=Strict; SameSite=Lax; Max-Age=1; Max-Age=2; \
         Domain=other.example; Domain=shop.example",
    );
    assert_eq!((&*cookie.path(), cookie.same_site), ("/y", SameSite::Lax));
    assert_eq!(cookie.expires_at, Some(cookie.created_at.plus(Duration::from_secs(2))));
    assert!(!cookie.host_only);
    assert!(stored(SHOP, "a=b; Domain=other.example; Domain=").host_only);
    assert_eq!(stored(SHOP, "a=b; SameSite=Strict; SameSite=x").same_site, SameSite::Unspecified);
}

#[test]
fn the_default_path_is_the_directory_of_the_url() {
    for (url, path) in [
        ("https://a.example", "/"),
        ("https://a.example?x=/y/z", "/"),
        ("https://a.example#/y/z", "/"),
        ("https://a.example/", "/"),
        ("https://a.example/x", "/"),
        ("https://a.example/x/", "/x"),
        ("https://a.example/x/y", "/x"),
        ("https://a.example/x/y/z?/q", "/x/y"),
        ("https://a.example//", "/"),
    ] {
        for line in ["a=b", "a=b; Path", "a=b; Path=", "a=b; Path=x/y", "a=b; Path=\"/x\""] {
            assert_eq!(stored(url, line).path(), path, "{url} {line}");
        }
    }
}

#[test]
fn a_path_matches_itself_and_what_is_below_it() {
    for (path, url, is_sent) in [
        ("/", "https://a.example", true),
        ("/", "https://a.example/x", true),
        ("/x", "https://a.example/x", true),
        ("/x", "https://a.example/x?y", true),
        ("/x", "https://a.example/x/y", true),
        ("/x/", "https://a.example/x/y", true),
        ("/x/", "https://a.example/x", false),
        ("/x", "https://a.example/xy", false),
        ("/x", "https://a.example/X", false),
        ("/x", "https://a.example/", false),
    ] {
        let browser = browser();
        take(&browser, "https://a.example/q", &format!("a=b; Path={path}"));
        assert_eq!(browser.cookie_header(url).is_some(), is_sent, "{path} {url}");
    }
}

#[test]
fn a_cookie_goes_to_its_host_and_with_a_domain_also_to_hosts_below_it() {
    let hosts = ["example.com", "a.example.com", "b.a.example.com", "xa.example.com", "other.com"];
    for (domain, expected) in [
        ("", [false, true, false, false, false]),
        ("; Domain=", [false, true, false, false, false]),
        ("; Domain=.", [false, true, false, false, false]),
        ("; Domain=a.example.com", [false, true, true, false, false]),
        ("; Domain=.A.Example.Com", [false, true, true, false, false]),
        ("; Domain=example.com", [true, true, true, true, false]),
    ] {
        let browser = browser();
        take(&browser, "https://A.example.com/", &format!("a=b{domain}"));
        let sent =
            hosts.map(|host| browser.cookie_header(&format!("https://{host}:81/")).is_some());
        assert_eq!(sent, expected, "{domain:?}");
    }
}

#[test]
fn a_domain_that_is_not_the_hosts_own_is_refused() {
    for (host, domain, why) in [
        ("a.example.com", "other.com", Rejected::DomainMismatch),
        ("a.example.com", "b.example.com", Rejected::DomainMismatch),
        ("a.example.com", "b.a.example.com", Rejected::DomainMismatch),
        ("ba.example.com", "a.example.com", Rejected::DomainMismatch),
        ("a.example.com", "..example.com", Rejected::DomainMismatch),
        ("a.example.com", "example.com.", Rejected::DomainMismatch),
        ("a.example.com", "com", Rejected::PublicSuffix),
        ("a.example.com", ".com", Rejected::PublicSuffix),
        ("app.localhost", "localhost", Rejected::PublicSuffix),
        ("1.2.3.4", "3.4", Rejected::DomainMismatch),
        ("a.example.com", "exämple.com", Rejected::DomainNotAscii),
    ] {
        let line = format!("a=b; Domain={domain}");
        ignore(&browser(), &format!("https://{host}/"), &line, why);
    }
}

#[test]
fn a_domain_that_is_both_host_and_public_suffix_means_this_host_only() {
    for host in ["localhost", "com", "[::1]"] {
        let cookie = stored(&format!("https://{host}/"), &format!("a=b; Domain={host}"));
        assert_eq!((cookie.domain.as_str(), cookie.host_only), (host, true));
    }
}

#[test]
fn a_secure_cookie_needs_a_secure_connection_in_both_directions() {
    let browser = browser();
    take(&browser, SHOP, "a=b; Secure");
    assert_sent(&browser, SHOP, "a=b");
    assert_sent(&browser, "WSS://shop.example/", "a=b");
    assert_sent(&browser, "http://shop.example/", "");
    assert_sent(&browser, "ws://shop.example/", "");
    let why = Rejected::SecureFromInsecure;
    ignore(&browser, "http://shop.example/", "c=d; Secure", why);
    ignore(&browser, "http://notlocalhost/", "c=d; Secure", why);
    ignore(&browser, "http://128.0.0.1/", "c=d; Secure", why);
}

#[test]
fn localhost_is_a_secure_connection_unless_the_browser_is_told_otherwise() {
    for host in
        ["localhost", "LOCALHOST:3000", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]:80"]
    {
        let url = format!("http://{host}/");
        let line = "__Host-a=b; Secure; Path=/";
        let browser = browser();
        take(&browser, &url, line);
        assert_sent(&browser, &url, "__Host-a=b");

        let strict = browser.clone().localhost(Localhost::Untrusted);
        assert_sent(&strict, &url, "");
        ignore(&strict, &url, line, Rejected::SecureFromInsecure);
    }
}

#[test]
fn an_insecure_connection_leaves_secure_cookies_alone() {
    let (http, why) = ("http://a.example.com/", Rejected::SecureLeftAlone);
    let browser = browser();
    take(&browser, "https://a.example.com/", "a=b; Secure; Path=/x");

    ignore(&browser, http, "a=c; Path=/x", why);
    ignore(&browser, http, "a=c; Path=/x/y", why);
    ignore(&browser, http, "a=c; Path=/x; Domain=example.com", why);
    ignore(&browser, http, "a=; Path=/x; Max-Age=0", why);
    ignore(&browser, "http://b.a.example.com/", "a=c; Path=/x", why);
    ignore(&browser, "http://example.com/", "a=c; Path=/x; Domain=example.com", why);

    take(&browser, http, "a=c; Path=/");
    take(&browser, http, "b=c; Path=/x");
    take(&browser, "http://b.example.com/", "a=c; Path=/x");
    take(&browser, "https://a.example.com/", "a=c; Path=/x");
}

#[test]
fn a_secure_cookie_that_has_expired_is_in_nobodys_way() {
    let (browser, clock) = browser_and_clock();
    take(&browser, SHOP, "a=b; Secure; Max-Age=1");
    clock.advance(Duration::from_secs(1));
    take(&browser, "http://shop.example/", "a=c");
}

#[test]
fn a_script_neither_sees_nor_makes_nor_replaces_an_http_only_cookie() {
    let browser = browser();
    take(&browser, SHOP, "secret=1; HttpOnly; Path=/");
    take(&browser, SHOP, "open=2");
    assert_eq!(browser.document_cookie(SHOP), "open=2");
    assert_sent(&browser, SHOP, "secret=1; open=2");

    let script = |line| browser.set_document_cookie(SHOP, line);
    assert_eq!(script("x=1; HttpOnly"), Err(Rejected::HttpOnlyFromScript));
    assert_eq!(script("secret=3"), Err(Rejected::HttpOnlyLeftAlone));
    assert_eq!(script("secret=; Max-Age=0"), Err(Rejected::HttpOnlyLeftAlone));
    assert_eq!(script("open=3; SameSite=Strict"), Ok(()));
    assert_sent(&browser, SHOP, "secret=1; open=3");
    assert_eq!(browser.document_cookie("about:blank"), "");
}

#[test]
fn a_cookie_with_max_age_lives_exactly_that_long() {
    let (browser, clock) = browser_and_clock();
    take(&browser, SHOP, "a=b; Max-Age=10");
    clock.advance(Duration::from_millis(9_999));
    assert_sent(&browser, SHOP, "a=b");
    clock.advance(Duration::from_millis(1));
    assert_sent(&browser, SHOP, "");
    assert_eq!(browser.get("a"), None);
}

#[test]
fn max_age_goes_before_expires() {
    let expires = "Expires=Wed, 15 Nov 2023 00:00:00 GMT";
    for line in [format!("a=b; Max-Age=60; {expires}"), format!("a=b; {expires}; Max-Age=60")] {
        let cookie = stored(SHOP, &line);
        assert_eq!(cookie.expires_at, Some(cookie.created_at.plus(Duration::from_secs(60))));
    }
    let until = stored(SHOP, &format!("a=b; Max-Age=soon; {expires}; Expires=never")).expires_at;
    assert_eq!(until.unwrap().to_string(), "2023-11-15T00:00:00Z");
}

#[test]
fn a_max_age_that_is_no_number_is_ignored() {
    for max_age in ["", "-", "+1", "1.5", "1s", "x", "0x1", "- 1", "1 2", "--1"] {
        assert_eq!(stored(SHOP, &format!("a=b; Max-Age={max_age}")).expires_at, None, "{max_age}");
        let cookie = stored(SHOP, &format!("a=b; Max-Age=60; Max-Age={max_age}"));
        assert!(cookie.expires_at.is_some(), "{max_age}");
    }
}

#[test]
fn no_cookie_lives_longer_than_400_days() {
    for lifetime in [
        "Max-Age=34560001",
        "Max-Age=99999999999999999999999999999999",
        "Expires=Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let cookie = stored(SHOP, &format!("a=b; {lifetime}"));
        assert_eq!(cookie.expires_at, Some(cookie.created_at.plus(400 * DAY)), "{lifetime}");
    }
    let cookie = stored(SHOP, "a=b; Max-Age=34559999");
    assert_eq!(cookie.expires_at.unwrap().since(cookie.created_at).as_secs(), 34_559_999);
}

#[test]
fn a_cookie_that_arrives_expired_removes_the_one_it_replaces() {
    for line in [
        "a=; Max-Age=0",
        "a=; Max-Age=-1",
        "a=; Max-Age=-99999999999999999999999",
        "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "a=b; Expires=Tue, 14 Nov 2023 22:13:20 GMT",
        "a=b; Max-Age=0; Expires=Fri, 31 Dec 9999 23:59:59 GMT",
    ] {
        let browser = browser();
        take(&browser, SHOP, "a=b");
        take(&browser, SHOP, line);
        assert_eq!(browser.cookies(), [], "{line}");
    }
}

#[test]
fn a_removal_with_another_domain_or_path_removes_nothing() {
    let browser = browser();
    take(&browser, SHOP, "a=b; Path=/");
    for line in [
        "a=; Max-Age=0; Path=/x",
        "a=; Max-Age=0; Path=/; Domain=shop.example",
        "A=; Max-Age=0; Path=/",
    ] {
        take(&browser, SHOP, line);
        assert_sent(&browser, SHOP, "a=b");
    }
}

#[test]
fn a_restart_drops_the_cookies_without_a_lifetime() {
    let browser = browser();
    browser.receive(SHOP, ["a=1", "b=2; Max-Age=60", "c=3; Max-Age=x"]);
    assert_sent(&browser, SHOP, "a=1; b=2; c=3");
    browser.restart();
    assert_sent(&browser, SHOP, "b=2");
}

#[test]
fn longer_paths_are_sent_first_and_then_older_cookies() {
    let (browser, clock) = browser_and_clock();
    let url = "https://shop.example/x/y/z";
    for line in ["a=1; Path=/", "b=2; Path=/x/y", "c=3; Path=/", "d=4; Path=/x"] {
        take(&browser, url, line);
        clock.advance(Duration::from_secs(1));
    }
    assert_sent(&browser, url, "b=2; d=4; a=1; c=3");
}

#[test]
fn a_replaced_cookie_keeps_its_age() {
    let (browser, clock) = browser_and_clock();
    browser.receive(SHOP, ["a=1; HttpOnly", "b=2"]);
    let created_at = clock.now();
    clock.advance(DAY);
    take(&browser, SHOP, "a=3; Secure");
    assert_sent(&browser, SHOP, "a=3; b=2");
    let cookie = browser.get("a").unwrap();
    assert_eq!(cookie.created_at, created_at);
    assert!(cookie.secure && !cookie.http_only);

    // A removed cookie has no age to keep.
    browser.receive(SHOP, ["a=; Max-Age=0", "a=4"]);
    assert_sent(&browser, SHOP, "b=2; a=4");
}

#[test]
fn a_cookie_of_the_host_and_one_of_the_domain_are_two() {
    let browser = browser();
    browser.receive(SHOP, ["a=host", "a=domain; Domain=shop.example"]);
    assert_sent(&browser, SHOP, "a=host; a=domain");
    assert_eq!(browser.get("a").unwrap().value(), "host");
}

#[test]
fn same_site_says_which_requests_carry_the_cookie() {
    use Initiator::{CrossSiteEmbed, CrossSiteLink, CrossSitePost, SameSite};
    for (attribute, expected) in [
        ("SameSite=Strict", [true, false, false, false]),
        ("SameSite=Lax", [true, true, false, false]),
        ("SameSite=None", [true, true, true, true]),
        ("SameSite=", [true, true, false, false]),
        ("SameSite=Extreme", [true, true, false, false]),
        ("", [true, true, false, false]),
    ] {
        let browser = browser();
        take(&browser, SHOP, &format!("a=b; Secure; {attribute}"));
        let sent = [SameSite, CrossSiteLink, CrossSitePost, CrossSiteEmbed]
            .map(|initiator| browser.cookie_header(Request::new(SHOP, initiator)).is_some());
        assert_eq!(sent, expected, "{attribute:?}");
    }
}

#[test]
fn an_embedded_cross_site_request_sets_only_same_site_none() {
    let embed = Request::new(SHOP, Initiator::CrossSiteEmbed);
    for line in ["a=b", "a=b; SameSite=Lax", "a=b; SameSite=Strict", "a=; Max-Age=0"] {
        ignore(&browser(), embed, line, Rejected::CrossSite);
        // A whole tab that goes to the site may be answered with any cookie.
        take(&browser(), Request::new(SHOP, Initiator::CrossSiteLink), line);
        take(&browser(), Request::new(SHOP, Initiator::CrossSitePost), line);
    }
    take(&browser(), embed, "a=b; SameSite=None; Secure");
}

#[test]
fn same_site_none_and_partitioned_need_secure() {
    for url in [SHOP, "http://shop.example/"] {
        let why = Rejected::SameSiteNoneWithoutSecure;
        ignore(&browser(), url, "a=b; SameSite=None", why);
        ignore(&browser(), url, "a=b; Partitioned", Rejected::PartitionedWithoutSecure);
    }
    assert!(stored(SHOP, "a=b; Partitioned; Secure").partitioned);
}

#[test]
fn a_name_with_a_prefix_keeps_its_promise_or_is_ignored() {
    use Rejected::{HostPrefix, HttpPrefix, SecurePrefix};
    for (line, refused) in [
        ("__Secure-a=b; Secure", None),
        ("__Secure-a=b; Secure; Domain=shop.example; Path=/x", None),
        ("__Secure-a=b", Some(SecurePrefix)),
        ("__SECURE-a=b", Some(SecurePrefix)),
        ("__Secure-=b", Some(SecurePrefix)),
        ("__Host-a=b; Secure; Path=/", None),
        ("__Host-a=b; Secure; Path=/; Domain=", None),
        ("__Host-a=b; Secure", Some(HostPrefix)),
        ("__Host-a=b; Path=/", Some(HostPrefix)),
        ("__Host-a=b; Secure; Path=/x", Some(HostPrefix)),
        ("__Host-a=b; Secure; Path=/; Domain=shop.example", Some(HostPrefix)),
        ("__hOST-a=b; Path=/", Some(HostPrefix)),
        ("__Http-a=b; Secure; HttpOnly; Path=/x", None),
        ("__Http-a=b; Secure", Some(HttpPrefix)),
        ("__http-a=b; HttpOnly", Some(HttpPrefix)),
        ("__Host-Http-a=b; Secure; HttpOnly; Path=/", None),
        ("__Host-Http-a=b; Secure; Path=/", Some(HttpPrefix)),
        ("__host-http-a=b; Secure; HttpOnly; Path=/x", Some(HostPrefix)),
        ("__Hosta=b", None),
        ("_Host-a=b", None),
        ("x__Host-a=b", None),
    ] {
        match refused {
            None => take(&browser(), SHOP, line),
            Some(why) => ignore(&browser(), SHOP, line, why),
        }
    }
}

#[test]
fn a_cookie_without_a_name_cannot_pose_as_one_with_a_prefix() {
    for value in ["__Host-a=b", "__host-a", "__Secure-a=b", "__HTTP-a=b", "__Host-Http-a=b"] {
        let line = format!("={value}; Secure; HttpOnly; Path=/");
        ignore(&browser(), SHOP, &line, Rejected::PrefixInValue);
    }
    ignore(&browser(), SHOP, "__Host-a; Secure; Path=/", Rejected::PrefixInValue);
    take(&browser(), SHOP, "=x__Host-a=b");
}

#[test]
fn a_clone_is_a_copy_and_a_reference_is_the_same_jar() {
    let (browser, clock) = browser_and_clock();
    take(&browser, SHOP, "a=b; Max-Age=60");
    let (thief, tab) = (browser.clone(), &browser);
    take(tab, SHOP, "a=c; Max-Age=60");
    assert_sent(&browser, SHOP, "a=c");
    assert_sent(&thief, SHOP, "a=b");
    clock.advance(DAY);
    assert_sent(&thief, SHOP, "");
}

#[test]
fn a_url_that_is_not_fetched_by_http_has_no_cookies() {
    for url in [
        "",
        "/",
        "shop.example",
        "https:/shop.example",
        "https://",
        "https:///x",
        "https://:80/",
        "https://user@/",
        "ftp://shop.example/",
        "https://shop.example:x/",
        "https://shop example/",
        "https://exämple.com/",
        "https://[::1/",
        "https://[x]/",
        "https://[::1]x/",
    ] {
        let browser = browser();
        ignore(&browser, url, "a=b", Rejected::Url);
        assert_sent(&browser, url, "");
    }
}

#[test]
fn a_url_may_carry_a_user_and_a_port() {
    let browser = browser();
    take(&browser, "https://me:pass@w@shop.example:8443/", "a=b");
    assert_sent(&browser, "https://shop.example:/", "a=b");
    assert_sent(&browser, "https://shop.example@other.example/", "");
    take(&browser, "https://[0:0::1]:1/", "c=d");
    assert_sent(&browser, "https://[::1]/", "c=d");
}

#[test]
fn octets_that_are_not_utf_8_come_back_as_they_were() {
    let browser = browser();
    assert_eq!(browser.receive(SHOP, [b"a=\xFF\xFE; Path=/\xFF"]), [Ok(())]);
    assert_eq!(browser.cookies()[0].path(), "/\u{FFFD}");
    assert_eq!(browser.receive(SHOP, [b"a=\xFF\xFE"]), [Ok(())]);
    assert_eq!(browser.cookie_header_bytes(SHOP).unwrap(), b"a=\xFF\xFE");
    assert_sent(&browser, SHOP, "a=\u{FFFD}\u{FFFD}");
}

#[test]
fn no_octets_make_the_browser_panic() {
    // A small generator of lines from the words that the parser knows.
    let words: [&[u8]; 24] = [
        b"a",
        b"=",
        b"=",
        b";",
        b";",
        b" ",
        b"\t",
        b"\xFF",
        b"\0",
        b"__Host-",
        b"Domain",
        b"Path",
        b"Expires",
        b"Max-Age",
        b"SameSite",
        b"Secure",
        b".",
        b"/",
        b"-",
        b"9",
        b"99",
        b":",
        b"Feb",
        b"[::]",
    ];
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let (browser, clock) = browser_and_clock();
    for _ in 0..20_000 {
        let line: Vec<u8> =
            (0..next() % 16).flat_map(|_| words[next() % words.len()].iter().copied()).collect();
        let url = format!("https://{}", String::from_utf8_lossy(&line));
        let answers = browser.receive(SHOP, [&line]);
        assert_eq!(answers.len(), 1);
        let _ = (browser.receive(&url, [&line]), browser.cookie_header_bytes(&url));
        if next() % 64 == 0 {
            browser.restart();
            clock.advance(DAY);
        }
    }
    clock.0.store(i64::MAX, Ordering::Relaxed);
    take(&browser, SHOP, "last=b; Max-Age=1");
    assert_eq!(browser.get("last"), None);
}

#[test]
fn a_refusal_says_which_rule_it_was_without_a_full_stop() {
    let refusal = browser().receive(SHOP, ["__Host-a=b"])[0].unwrap_err();
    assert_eq!(refusal.to_string(), "the prefix __Host- needs Secure, Path=/ and no Domain");
}
