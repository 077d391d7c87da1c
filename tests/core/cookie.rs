//! Cookies: RFC 6265bis, and what goes wrong in practice.

use std::time::Duration;

use typed_session::cookie::{self, Attributes, CookiePolicy, PolicyError, SameSite};

/// As long as a session id.
const VALUE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// No attribute at all.
const BARE: Attributes = Attributes {
    path: None,
    domain: None,
    secure: false,
    http_only: false,
    same_site: None,
    partitioned: false,
};

// Reading

#[test]
fn every_value_of_the_golden_headers_is_found_and_no_other() {
    let golden = include_str!("../golden/cookie_header.txt");
    let mut fields: Vec<Vec<u8>> = Vec::new();
    let mut lookups = 0;
    for (number, line) in golden.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if line.is_empty() {
            fields.clear();
        } else if line.starts_with('«') {
            fields.extend(quoted(line));
        } else if !line.starts_with('#') {
            let colon = line.find(": «").or(line.strip_suffix(':').map(str::len));
            let (name, expected) = line.split_at(colon.expect("a name and a colon"));
            let found: Vec<&[u8]> =
                fields.iter().flat_map(|field| cookie::values(field, name)).collect();
            let expected = quoted(expected);
            assert_eq!(found, expected, "line {number}, name {name:?}");
            lookups += 1;
        }
    }
    assert!(lookups >= 80, "the golden file was read as {lookups} lookups");
}

#[test]
fn of_several_cookies_of_one_name_each_is_offered() {
    let header = b"id=planted; id=real; id=planted-too";
    let found: Vec<&[u8]> = cookie::values(header, "id").collect();
    assert_eq!(found, [b"planted".as_slice(), b"real", b"planted-too"]);
}

#[test]
fn a_bad_neighbour_never_loses_the_session() {
    let neighbours: [&[u8]; 9] =
        [b"a=\"", b"\"", b"a", b"=", b"\xff\xfe=\x80", b"a=%", b"a=\\", b"\0", b"$Version=1"];
    for neighbour in neighbours {
        for header in [[neighbour, b"; id=1"].concat(), [b"id=1; ".as_slice(), neighbour].concat()]
        {
            let found: Vec<&[u8]> = cookie::values(&header, "id").collect();
            assert_eq!(found, [b"1"], "{}", header.escape_ascii());
        }
    }
}

#[test]
fn only_space_and_tab_are_trimmed() {
    for octet in 0..=u8::MAX {
        let header = [octet, b'i', b'd', b'=', b'1'];
        let found = cookie::values(&header, "id").count();
        let apart = matches!(octet, b' ' | b'\t' | b';');
        assert_eq!(found, usize::from(apart), "octet {octet:#04x} before the name");

        let header = [b'i', b'd', b'=', octet, b'1', octet];
        let found = cookie::values(&header, "id").next();
        let expected: &[u8] = match octet {
            b' ' | b'\t' => b"1",
            b';' => b"",
            _ => &header[3..],
        };
        assert_eq!(found, Some(expected), "octet {octet:#04x} around the value");
    }
}

#[test]
fn a_pair_is_found_wherever_it_stands() {
    // Also on, before and behind the borders of the blocks that are searched at once.
    for before in 0..70 {
        for after in 0..70 {
            let header = ["x".repeat(before), ";id=1;".into(), "y".repeat(after)].concat();
            let found: Vec<&[u8]> = cookie::values(header.as_bytes(), "id").collect();
            assert_eq!(found, [b"1"], "{before} octets before and {after} after");
        }
    }
}

#[test]
fn a_header_of_64_kib_is_read_to_its_end() {
    let tail = "; id=real";
    for filler in ["x", ";", "=", "\"", " ", "\t", "id", "id=", "x=y; ", "\u{3000}"] {
        let header = filler.repeat((64 * 1024 - tail.len()) / filler.len()) + tail;
        let last = cookie::values(header.as_bytes(), "id").last();
        assert_eq!(last, Some(b"real".as_slice()), "{filler:?}");
    }
    let many = "id=1;".repeat(13_107);
    assert_eq!(cookie::values(many.as_bytes(), "id").count(), 13_107);
}

#[test]
fn a_long_header_is_read_as_a_plain_reader_reads_it() {
    // Of a long header most pairs are not looked at one by one. What is in it here is near to the
    // name in all ways, and blanks and long values stand where the search goes by pieces.
    let near =
        ["id", "i", "d", "idid", "iid", "idx", "id d", "=", "==", ";", "; ", " ", "\t", "\u{a0}"];
    let names =
        ["id", "d i", "i", "idid", "", "=", "id=", "=id", ";", "i;d", " ", " id", "id ", "\t"];
    let (mut found, mut headers) = (0, 0);
    let mut random = 1_u64;
    let mut below = |bound: usize| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    for _ in 0..800 {
        let mut header = String::new();
        let (size, filling) = (below(5000), below(40) + 2);
        while header.len() < size {
            match below(filling) {
                0 => header.push_str(&["x", " ", "i", ";", "id"][below(5)].repeat(below(1500))),
                1 => header.push_str("; id=1"),
                _ => header.push_str(near[below(near.len())]),
            }
        }
        for name in names {
            let expected = plainly(header.as_bytes(), name.as_bytes());
            let values: Vec<_> = cookie::values(header.as_bytes(), name).collect();
            assert_eq!(values, expected, "{name:?} in {header:?}");
            found += values.len();
        }
        headers += 1;
    }
    assert!(found > 3 * headers, "{found} values in {headers} headers");
}

/// The rules of [`cookie::values`] in their own order: each `;` ends a pair, the first `=` a name.
fn plainly<'h>(header: &'h [u8], name: &[u8]) -> Vec<&'h [u8]> {
    let blank = |octet: &u8| matches!(octet, b' ' | b'\t');
    let trim = |text: &'h [u8]| {
        let start = text.iter().take_while(|octet| blank(octet)).count();
        let end = text[start..].iter().rev().take_while(|octet| blank(octet)).count();
        &text[start..text.len() - end]
    };
    let pairs = header.split(|octet| *octet == b';');
    let pairs =
        pairs.filter_map(|pair| Some(pair.split_at(pair.iter().position(|it| *it == b'=')?)));
    let ours = pairs.filter(|(found, _)| !name.is_empty() && trim(found) == name);
    ours.map(|(_, value)| trim(&value[1..])).collect()
}

#[test]
fn the_iterator_stays_at_its_end_and_can_be_cloned_midway() {
    let mut values = cookie::values(b"id=1; id=2", "id");
    assert_eq!(values.next(), Some(b"1".as_slice()));
    let copy = values.clone();
    assert_eq!(values.next(), Some(b"2".as_slice()));
    assert_eq!((values.next(), values.next()), (None, None));
    assert!(copy.eq([b"2"]));
}

#[test]
fn values_outlive_the_name_they_were_looked_up_by() {
    let header = b"id=1".to_vec();
    let found = {
        let name = String::from("id");
        cookie::values(&header, &name).next()
    };
    assert_eq!(found, Some(b"1".as_slice()));
}

#[test]
fn debug_of_the_iterator_shows_no_cookie() {
    let values = cookie::values(b"id=secret", "id");
    assert_eq!(format!("{values:?}"), "Values { name: \"id\", .. }");
}

// The policy

#[test]
fn the_default_is_the_strictest_that_suits_everyone() {
    // ASVS 5.0: 3.3.1 Secure and a prefix, 3.3.2 SameSite, 3.3.3 `__Host-`, 3.3.4 HttpOnly.
    let policy = CookiePolicy::default();
    assert_eq!(
        policy.set_cookie(VALUE, None).unwrap(),
        format!("__Host-session={VALUE}; Path=/; Secure; HttpOnly; SameSite=Lax"),
    );
    assert_eq!(CookiePolicy::new("__Host-session", Attributes::default()), Ok(policy));
}

#[test]
fn plain_http_drops_secure_and_the_prefix_and_nothing_else() {
    let policy = CookiePolicy::dangerous_plain_http_on_localhost();
    assert_eq!(
        policy.set_cookie(VALUE, None).unwrap(),
        format!("session={VALUE}; Path=/; HttpOnly; SameSite=Lax"),
    );
    let attributes = policy.attributes().clone();
    assert_eq!(CookiePolicy::new("session", attributes), Ok(policy));
}

#[test]
fn a_policy_made_strict_is_one_that_new_accepts() {
    let policies =
        [CookiePolicy::default(), CookiePolicy::dangerous_plain_http_on_localhost(), widest()];
    for policy in policies {
        let strict = policy.clone().with_same_site_strict();
        let attributes =
            Attributes { same_site: Some(SameSite::Strict), ..policy.attributes().clone() };
        assert_eq!(CookiePolicy::new(policy.name().to_owned(), attributes), Ok(strict));
    }
}

#[test]
fn a_cookie_is_found_under_the_name_it_was_written_with() {
    for policy in [CookiePolicy::default(), widest()] {
        let header = policy.set_cookie(VALUE, None).unwrap();
        let (pair, _) = header.split_once(';').unwrap();
        let sent_back = format!("theme=dark; {pair}");
        let found: Vec<&[u8]> = cookie::values(sent_back.as_bytes(), policy.name()).collect();
        assert_eq!(found, [VALUE.as_bytes()]);
    }
}

#[test]
fn a_removal_repeats_every_attribute_of_the_original() {
    let others = [
        CookiePolicy::default(),
        CookiePolicy::dangerous_plain_http_on_localhost(),
        CookiePolicy::default().with_same_site_strict(),
        CookiePolicy::new("bare", BARE).unwrap(),
    ];
    for policy in others {
        assert_eq!(policy.removal(), expected_removal(&policy));
    }
    let policy = widest();
    assert_eq!(policy.removal(), expected_removal(&policy));
    assert_eq!(
        policy.removal(),
        "__Secure-app.id=; Path=/app; Domain=example.com; Secure; HttpOnly; SameSite=None; \
         Partitioned; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    );
}

#[test]
fn a_name_that_leaves_no_room_for_a_session_id_is_refused_at_construction() {
    // Of the longest form, which is a private one.
    let value = "A".repeat(104);
    let longest = "n".repeat(4096 - value.len());
    let policy = CookiePolicy::new(longest.clone(), Attributes::default()).unwrap();
    policy.set_cookie(&value, None).unwrap();
    assert_eq!(
        policy.set_cookie(&format!("{value}A"), None),
        Err(PolicyError::TooLong { octets: 4097 }),
    );
    assert_eq!(
        CookiePolicy::new(longest + "n", Attributes::default()),
        Err(PolicyError::TooLong { octets: 4097 }),
    );
}

#[test]
fn a_policy_checks_each_value() {
    let policy = CookiePolicy::default();
    assert_eq!(policy.set_cookie("a; Domain=evil.example", None), Err(PolicyError::Value));
    assert_eq!(
        policy.set_cookie(&"a".repeat(4096), None),
        Err(PolicyError::TooLong { octets: 4096 + "__Host-session".len() }),
    );
}

#[test]
fn a_policy_writes_what_the_free_function_writes_and_refuses_what_it_refuses() {
    let long_and_invalid = ";".repeat(5000);
    for policy in [CookiePolicy::default(), widest()] {
        for value in [VALUE, "", "a;b", &long_and_invalid] {
            for max_age in [None, Some(Duration::ZERO), Some(Duration::from_secs(900))] {
                assert_eq!(
                    policy.set_cookie(value, max_age),
                    cookie::set_cookie(policy.name(), value, policy.attributes(), max_age),
                );
            }
        }
    }
}

#[test]
fn a_header_is_written_in_one_allocation_of_its_exact_size() {
    let secs = Duration::from_secs;
    for policy in [CookiePolicy::default(), widest(), CookiePolicy::new("bare", BARE).unwrap()] {
        let ages = [None, Some(secs(0)), Some(secs(9)), Some(secs(10)), Some(Duration::MAX)];
        for max_age in ages {
            let header = policy.set_cookie(VALUE, max_age).unwrap();
            assert_eq!(header.capacity(), header.len(), "{header}");
        }
    }
}

// The rules

#[test]
fn flags_stand_only_where_they_were_asked_for() {
    assert_header("id=1", BARE);
    assert_header("id=1; Secure", Attributes { secure: true, ..BARE });
    assert_header("id=1; HttpOnly", Attributes { http_only: true, ..BARE });
    assert_header(
        "id=1; SameSite=Strict",
        Attributes { same_site: Some(SameSite::Strict), ..BARE },
    );
    assert_header("id=1; SameSite=Lax", Attributes { same_site: Some(SameSite::Lax), ..BARE });
    assert_header(
        "id=1; Secure; SameSite=None",
        Attributes { secure: true, same_site: Some(SameSite::None), ..BARE },
    );
    assert_header(
        "id=1; Secure; Partitioned",
        Attributes { secure: true, partitioned: true, ..BARE },
    );
    assert_header("id=1; Path=/a b=c", Attributes { path: Some("/a b=c".into()), ..BARE });
    assert_header("id=1; Domain=a.b-c.D", Attributes { domain: Some("a.b-c.D".into()), ..BARE });
}

#[test]
fn same_site_none_without_secure_is_refused() {
    assert_refused(
        PolicyError::SameSiteNoneWithoutSecure,
        Attributes { same_site: Some(SameSite::None), ..BARE },
    );
}

#[test]
fn partitioned_without_secure_is_refused() {
    assert_refused(PolicyError::PartitionedWithoutSecure, Attributes { partitioned: true, ..BARE });
}

#[test]
fn a_name_is_a_token() {
    for character in (0..=0xFF).map(char::from).chain(['\u{3000}', '名', '\u{1F36A}']) {
        let token = character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character);
        for name in [format!("{character}"), format!("a{character}"), format!("{character}a")] {
            let expected = if token { Ok(format!("{name}=1")) } else { Err(PolicyError::Name) };
            assert_eq!(cookie::set_cookie(&name, "1", &BARE, None), expected);
        }
    }
    assert_eq!(cookie::set_cookie("", "1", &BARE, None), Err(PolicyError::Name));
}

#[test]
fn a_value_is_cookie_octets_without_quotes() {
    for character in (0..=0xFF).map(char::from).chain(['\u{3000}', '名', '\u{1F36A}']) {
        let fits = character.is_ascii_graphic() && !"\",;\\".contains(character);
        for value in [format!("{character}"), format!("a{character}"), format!("{character}a")] {
            let expected = if fits { Ok(format!("id={value}")) } else { Err(PolicyError::Value) };
            assert_eq!(cookie::set_cookie("id", &value, &BARE, None), expected);
        }
    }
    assert_eq!(cookie::set_cookie("id", "", &BARE, None).unwrap(), "id=");
}

#[test]
fn a_path_cannot_carry_a_second_attribute_or_a_control_character() {
    for character in (0..=0xFF).map(char::from).chain(['\u{3000}', '名', '\u{1F36A}']) {
        let path = format!("/{character}a");
        let fits = matches!(character, ' '..='~') && character != ';';
        let expected = if fits { Ok(format!("id=1; Path={path}")) } else { Err(PolicyError::Path) };
        let attributes = Attributes { path: Some(path.into()), ..BARE };
        assert_eq!(cookie::set_cookie("id", "1", &attributes, None), expected);
    }
}

#[test]
fn a_path_that_a_browser_would_replace_or_trim_is_refused() {
    for path in ["", "app", "./", "../", "*", " /", "/app "] {
        assert_refused(PolicyError::Path, Attributes { path: Some(path.into()), ..BARE });
    }
    for path in ["/", "//", "/a/../b", "/a b", "/\"<>"] {
        assert_header(
            &format!("id=1; Path={path}"),
            Attributes { path: Some(path.into()), ..BARE },
        );
    }
}

#[test]
fn a_path_that_browsers_ignore_for_its_length_is_refused() {
    let path = |octets: usize| Some(format!("/{}", "p".repeat(octets - 1)).into());
    assert!(cookie::set_cookie("id", "1", &Attributes { path: path(1024), ..BARE }, None).is_ok());
    assert_refused(
        PolicyError::PathTooLong { octets: 1025 },
        Attributes { path: path(1025), ..BARE },
    );
}

#[test]
fn a_domain_is_a_host_name() {
    let label = "l".repeat(63);
    let longest = format!("{label}.{label}.{label}.{}", "l".repeat(61));
    for domain in
        ["example.com", "EXAMPLE.com", "localhost", "127.0.0.1", "x--n.3", &label, &longest]
    {
        assert_header(
            &format!("id=1; Domain={domain}"),
            Attributes { domain: Some(domain.to_owned().into()), ..BARE },
        );
    }

    let long_label = "l".repeat(64);
    let too_long = format!("{longest}l");
    #[rustfmt::skip]
    let refused = [
        "", ".", "..", "example.com.", "..example.com", ". example.com", "a..b", "-a.b", "a-.b",
        "a.-b", "a.b-", "a_b.c", "[::1]", "::1", "example.com:443", "example.com/", "*.example.com",
        " example.com", "example.com ", "exa mple.com", "example.com; Path=/", "a,b", "a\n", "a\0b",
        "\"a.b\"", "bücher.example", "a\u{3002}b", &long_label, &too_long,
    ];
    for domain in refused {
        assert_refused(
            PolicyError::Domain,
            Attributes { domain: Some(domain.to_owned().into()), ..BARE },
        );
    }
}

#[test]
fn the_leading_dot_of_a_domain_is_left_out() {
    assert_header(
        "id=1; Domain=example.com",
        Attributes { domain: Some(".example.com".into()), ..BARE },
    );
}

#[test]
fn a_prefix_in_any_case_holds_the_cookie_to_its_rules() {
    let host = Attributes { path: Some("/".into()), secure: true, ..BARE };
    let http = Attributes { secure: true, http_only: true, ..BARE };
    let host_http = Attributes { http_only: true, ..host.clone() };
    let rows = [
        ("__Secure-", Attributes { secure: true, ..BARE }),
        ("__Http-", http),
        ("__Host-", host),
        ("__Host-Http-", host_http),
    ];
    for (prefix, least) in rows {
        let spellings = [
            prefix.to_owned(),
            prefix.to_lowercase(),
            prefix.to_uppercase(),
            prefix.replace('o', "O").replace('t', "T"),
        ];
        for name in spellings.iter().flat_map(|text| [format!("{text}id"), text.clone()]) {
            let result = |attributes: &Attributes| cookie::set_cookie(&name, "1", attributes, None);
            assert!(result(&least).is_ok(), "{name}");

            assert_eq!(
                result(&Attributes { secure: false, ..least.clone() }),
                Err(PolicyError::PrefixWithoutSecure { prefix }),
            );
            let readable = result(&Attributes { http_only: false, ..least.clone() });
            if least.http_only {
                assert_eq!(readable, Err(PolicyError::PrefixWithoutHttpOnly { prefix }));
            } else {
                assert!(readable.is_ok(), "{name}");
            }

            let shared = result(&Attributes { domain: Some("a.b".into()), ..least.clone() });
            let narrow = ["/app", "//"].map(|path| Some(path.into())).into_iter().chain([None]);
            let narrow = narrow.map(|path| result(&Attributes { path, ..least.clone() }));
            if prefix.starts_with("__Host-") {
                assert_eq!(shared, Err(PolicyError::PrefixWithDomain { prefix }));
                for result in narrow {
                    assert_eq!(result, Err(PolicyError::PrefixWithoutRootPath { prefix }));
                }
            } else {
                assert!(shared.is_ok(), "{name}");
                assert!(narrow.into_iter().all(|result| result.is_ok()), "{name}");
            }
        }
    }
}

#[test]
fn a_name_that_only_resembles_a_prefix_has_no_rules() {
    for name in ["__Host", "__Secure", "_Host-id", "Host-id", "x__Host-id", "__Host_id", "__Hos"] {
        assert_eq!(cookie::set_cookie(name, "1", &BARE, None), Ok(format!("{name}=1")));
    }
}

#[test]
fn a_cookie_that_browsers_drop_for_its_size_is_never_written() {
    // ASVS 5.0, 3.3.5. Attributes do not count.
    for name in [1, 43, 2048, 4095, 4096] {
        let (name, value) = ("n".repeat(name), "v".repeat(4096 - name));
        assert!(cookie::set_cookie(&name, &value, &Attributes::default(), None).is_ok());
        assert_eq!(
            cookie::set_cookie(&name, &format!("{value}v"), &Attributes::default(), None),
            Err(PolicyError::TooLong { octets: 4097 }),
        );
    }
}

#[test]
fn max_age_is_whole_seconds_rounded_up_and_at_most_400_days() {
    let day = Duration::from_secs(24 * 60 * 60);
    let nanosecond = Duration::from_nanos(1);
    let rows = [
        (nanosecond, 1),
        (Duration::from_secs(1), 1),
        (Duration::from_millis(1500), 2),
        (Duration::from_secs(9), 9),
        (Duration::from_secs(10), 10),
        (day * 400 - nanosecond, 34_560_000),
        (day * 400, 34_560_000),
        (day * 400 + nanosecond, 34_560_000),
        (Duration::from_secs(u64::MAX), 34_560_000),
        (Duration::MAX, 34_560_000),
    ];
    for (max_age, seconds) in rows {
        assert_eq!(
            cookie::set_cookie("id", "1", &BARE, Some(max_age)),
            Ok(format!("id=1; Max-Age={seconds}")),
        );
    }
}

#[test]
fn a_max_age_of_zero_is_written_and_says_so_to_old_clients_too() {
    assert_eq!(
        cookie::set_cookie("id", "1", &BARE, Some(Duration::ZERO)).unwrap(),
        "id=1; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
    );
}

#[test]
fn an_error_does_not_repeat_the_value() {
    let secret = "s3cr3t;";
    let error = CookiePolicy::default().set_cookie(secret, None).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"));
}

/// Every attribute, and a name with a prefix.
fn widest() -> CookiePolicy {
    let attributes = Attributes {
        path: Some("/app".into()),
        domain: Some(".example.com".into()),
        secure: true,
        http_only: true,
        same_site: Some(SameSite::None),
        partitioned: true,
    };
    CookiePolicy::new("__Secure-app.id", attributes).expect("browsers take all of them together")
}

/// The cookie without its value, then the end of its life.
fn expected_removal(policy: &CookiePolicy) -> String {
    let original = policy.set_cookie(VALUE, None).expect("an id is a valid value");
    original.replacen(VALUE, "", 1) + "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
}

#[track_caller]
fn assert_header(expected: &str, attributes: Attributes) {
    assert_eq!(cookie::set_cookie("id", "1", &attributes, None).as_deref(), Ok(expected));
}

#[track_caller]
fn assert_refused(expected: PolicyError, attributes: Attributes) {
    let written = cookie::set_cookie("id", "1", &attributes, None);
    assert_eq!(written, Err(expected.clone()), "{attributes:?}");
    assert_eq!(CookiePolicy::new("id", attributes), Err(expected));
}

/// What stands in «..», with the golden file's escapes undone.
fn quoted(line: &str) -> Vec<Vec<u8>> {
    let texts = line.split('«').skip(1).map(|text| text.split_once('»').expect("a closing »").0);
    texts.map(unescaped).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        octets.extend(plain.bytes());
        let (octet, length) = match escape.as_bytes() {
            [b't', ..] => (b'\t', 1),
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b'\\', ..] => (b'\\', 1),
            [b'x', _, _, ..] => (u8::from_str_radix(&escape[1..3], 16).expect("two digits"), 3),
            _ => panic!("unknown escape in {text}"),
        };
        octets.push(octet);
        rest = &escape[length..];
    }
    octets.extend(rest.bytes());
    octets
}
