//! Ids as `Bearer` tokens and in headers of their own. That they live the same lives as in cookies
//! is in the lifecycle table and in the histories.

use typed_session::cookie::{Attributes, CookiePolicy};
use typed_session::testing::schedule::run;
use typed_session::{ClearSiteData, Lifetime, Mode, Rotation, Session, Transport, Verdict};

use super::world::{DAY, HOUR, MINUTE, Shop, Way, World, id_of};

const HEADERS: [Way; 2] = [Way::Bearer, Way::Header];

fn world(way: Way) -> World {
    World::by(way, |sessions| sessions)
}

/// A session, and the header that a client was given with it.
fn visited(world: &World) -> String {
    let (header, error) = request(world, &[], async |session| session.update(count));
    assert_eq!(error, None);
    header.expect("an id")
}

fn count(shop: &mut Shop) {
    shop.visits += 1;
}

/// A request with fields as they are: what the response says of the id, and the status of an error.
fn request(
    world: &World,
    fields: &[&str],
    handler: impl AsyncFnOnce(&Session<Shop>),
) -> (Option<String>, Option<u16>) {
    let exchange = world.sessions.open(fields.iter().map(|field| field.as_bytes()));
    run(async {
        handler(&exchange.session().await.unwrap()).await;
        let outcome = exchange.finish().await;
        let id = outcome.effects.headers().find(|header| header.is_secret);
        (id.map(|id| id.value.to_owned()), outcome.error.map(|error| error.status()))
    })
}

/// What becomes of these fields, and how many ids are tried.
#[track_caller]
fn verdict(world: &World, fields: &[&[u8]]) -> (Verdict, usize) {
    world.spied.take();
    let exchange = world.sessions.open(fields.iter().copied());
    let verdict = run(exchange.session()).unwrap().verdict();
    (verdict, world.spied.calls().load)
}

/// What is in the header beside the id, and the id.
fn parts(way: Way, header: &str) -> (&str, &str) {
    match way {
        Way::Cookie => ("__Host-session=", id_of(header)),
        Way::Bearer => header.split_at("Bearer ".len()),
        Way::Header => ("", header),
    }
}

// ---- Requests.

#[test]
fn the_layer_says_which_header_it_is_to_be_given() {
    for (way, name) in Way::ALL.into_iter().zip(["cookie", "authorization", "x-session"]) {
        assert_eq!(world(way).sessions.request_header(), name);
    }
    // The last word counts.
    let sessions = world(Way::Bearer).sessions.cookie(CookiePolicy::default());
    assert_eq!(sessions.request_header(), "cookie");
}

#[test]
fn an_id_is_accepted_by_the_transport_that_is_set_and_by_no_other() {
    for way in Way::ALL {
        let world = world(way);
        let header = visited(&world);
        let (_, id) = parts(way, &header);
        for (other, text) in [
            (Way::Cookie, format!("__Host-session={id}")),
            (Way::Bearer, format!("Bearer {id}")),
            (Way::Header, id.to_owned()),
        ] {
            let (verdict, loads) = verdict(&world, &[text.as_bytes()]);
            assert_eq!(verdict == Verdict::Resumed, way == other, "{other:?} sent to {way:?}");
            assert_eq!(loads, usize::from(way == other), "{other:?} sent to {way:?}");
        }
    }
}

#[test]
fn the_scheme_is_read_without_regard_to_case_and_with_any_number_of_spaces() {
    let world = world(Way::Bearer);
    let header = visited(&world);
    let (_, id) = parts(Way::Bearer, &header);
    for field in ["bearer ", "BEARER ", "bEaReR    ", " \tBearer "] {
        let field = format!("{field}{id} \t");
        assert_eq!(verdict(&world, &[field.as_bytes()]), (Verdict::Resumed, 1), "{field:?}");
    }
}

#[test]
fn another_scheme_is_none_of_a_sessions_business() {
    let world = world(Way::Bearer);
    let header = visited(&world);
    for other in ["Basic YW5uOnRlYQ==", "Digest username=\"ann\", realm=\"shop\"", "Negotiate", ""]
    {
        assert_eq!(verdict(&world, &[other.as_bytes()]), (Verdict::New, 0), "{other}");
        let both = [other.as_bytes(), header.as_bytes()];
        assert_eq!(verdict(&world, &both), (Verdict::Resumed, 1), "{other}");
    }
}

#[test]
fn what_stands_in_the_place_of_an_id_and_is_none_is_malformed() {
    for way in HEADERS {
        let world = world(way);
        let header = visited(&world);
        let (before, id) = parts(way, &header);
        let mut weird: Vec<Vec<u8>> = ["short", "a b", "\t", "\u{a0}", "%41", "\"", "="]
            .iter()
            .map(|text| [before.as_bytes(), b"x", text.as_bytes(), b"x"].concat())
            .collect();
        weird.push([before.as_bytes(), b"\xff\xfe\0\x7f"].concat());
        weird.push([before.as_bytes(), &vec![b'A'; 64 * 1024]].concat());
        weird.push(format!("{before}\"{id}\"").into());
        weird.push(format!("{before}{id}=").into());
        weird.push(format!("{before}{id};").into());
        weird.push(format!("{before}{id} {id}").into());
        for field in weird {
            let text = field.escape_ascii();
            assert_eq!(verdict(&world, &[&field]), (Verdict::Malformed, 0), "{way:?}: {text}");
            // It hides no good one beside it.
            let both = [field.as_slice(), header.as_bytes()];
            assert_eq!(verdict(&world, &both), (Verdict::Resumed, 1), "{way:?}: {text}");
        }
    }
}

#[test]
fn a_list_as_a_proxy_may_make_of_several_fields_is_malformed() {
    for way in HEADERS {
        let world = world(way);
        let header = visited(&world);
        for joined in [format!("{header}, {header}"), format!("{header},"), format!("{header}, x")]
        {
            assert_eq!(verdict(&world, &[joined.as_bytes()]), (Verdict::Malformed, 0), "{joined}");
        }
    }
    let world = world(Way::Bearer);
    let joined = format!("Basic YW5uOnRlYQ==, {}", visited(&world));
    assert_eq!(verdict(&world, &[joined.as_bytes()]), (Verdict::New, 0), "of the scheme Basic");
}

#[test]
fn of_several_fields_each_is_tried_five_at_most() {
    for way in HEADERS {
        let world = world(way);
        let header = visited(&world);
        let (before, _) = parts(way, &header);
        let strangers: Vec<String> =
            ('a'..='f').map(|first| format!("{before}{first}{}", "A".repeat(42))).collect();
        let mut fields: Vec<&[u8]> = strangers.iter().map(String::as_bytes).collect();
        assert_eq!(verdict(&world, &fields), (Verdict::Unknown, 5));
        fields[4] = header.as_bytes();
        assert_eq!(verdict(&world, &fields), (Verdict::Resumed, 5));
        // One that is sent twice counts once.
        assert_eq!(verdict(&world, &[fields[0], fields[0]]), (Verdict::Unknown, 1));
    }
}

#[test]
fn an_empty_header_is_no_id_so_a_client_may_send_what_it_was_given_last() {
    for way in HEADERS {
        let world = world(way);
        let header = visited(&world);
        let (forget, error) = request(&world, &[&header], async |session| session.end());
        assert_eq!((forget.as_deref(), error), (Some(""), None));
        assert_eq!(verdict(&world, &[forget.unwrap().as_bytes()]), (Verdict::New, 0));
        assert_eq!(verdict(&world, &[b" \t "]), (Verdict::New, 0));
        assert!(matches!(verdict(&world, &[header.as_bytes()]).0, Verdict::Ended(_)));
    }
}

// ---- Responses.

#[test]
fn a_response_hands_the_id_out_in_the_header_that_requests_carry() {
    for (way, name) in HEADERS.into_iter().zip(["authorization", "x-session"]) {
        let world = world(way);
        let exchange = world.sessions.open([]);
        let effects = run(async {
            exchange.session().await.unwrap().update(count);
            exchange.finish().await.effects
        });
        assert_eq!(effects.set_cookie(), None);
        let headers: Vec<_> = effects.headers().map(|header| (header.name, header.mode)).collect();
        assert_eq!(
            headers,
            [(name, Mode::Replace), ("cache-control", Mode::Replace), ("vary", Mode::Append),]
        );
        let mut headers = effects.headers();
        let id = headers.next().unwrap();
        assert!(id.is_secret && headers.all(|header| !header.is_secret));
        assert_eq!(parts(way, id.value).1.len(), 43);
        assert_eq!(parts(way, id.value).0, if way == Way::Bearer { "Bearer " } else { "" });
        let text = format!("{effects:?} {:?}", effects.headers().collect::<Vec<_>>());
        assert!(text.contains(name) && !text.contains(parts(way, id.value).1), "{text}");
    }
}

#[test]
fn vary_names_the_header_as_soon_as_the_session_was_asked_for() {
    for (way, name) in Way::ALL.into_iter().zip(["Cookie", "Authorization", "x-session"]) {
        let world = world(way);
        let exchange = world.sessions.open([]);
        drop(run(exchange.session()).unwrap());
        let outcome = run(exchange.finish());
        let headers: Vec<_> = outcome.effects.headers().map(|h| (h.name, h.value)).collect();
        assert_eq!(headers, [("vary", name)]);
        assert!(run(world.sessions.open([]).finish()).effects.is_empty(), "nobody asked");
    }
}

#[test]
fn the_end_is_an_empty_header_and_what_else_was_asked_for() {
    for way in HEADERS {
        let world = World::by(way, |sessions| sessions.clear_site_data(ClearSiteData::Cache));
        let header = visited(&world);
        let exchange = world.sessions.open([header.as_bytes()]);
        let effects = run(async {
            exchange.session().await.unwrap().end();
            exchange.finish().await.effects
        });
        let (name, vary) = way.names();
        let headers: Vec<_> = effects.headers().map(|h| (h.name, h.value)).collect();
        assert_eq!(
            headers,
            [
                (name, ""),
                ("cache-control", "no-store"),
                ("vary", vary),
                ("clear-site-data", "\"cache\""),
            ]
        );
    }
}

#[test]
fn a_login_changes_the_id_and_the_old_one_is_good_for_nothing() {
    for way in HEADERS {
        let world = world(way);
        let before = visited(&world);
        let log_in = async |session: &Session<Shop>| {
            session.update(|shop| shop.user = Some("ann".to_owned()));
        };
        let (after, _) = request(&world, &[&before], log_in);
        let after = after.expect("a new id");
        assert_ne!(before, after);
        assert_eq!(verdict(&world, &[before.as_bytes()]), (Verdict::Superseded, 1));
        assert_eq!(verdict(&world, &[after.as_bytes()]), (Verdict::Resumed, 1));
        // A late request under the old one can write nothing, and hands nothing out.
        let late = request(&world, &[&before], async |session| session.update(count));
        assert_eq!(late, (None, Some(409)));
        // Nor does the old one hide the new.
        let both = [before.as_bytes(), after.as_bytes()];
        assert_eq!(verdict(&world, &both), (Verdict::Resumed, 2));
    }
}

#[test]
fn timed_rotation_offers_the_same_successor_until_it_is_shown() {
    for way in HEADERS {
        let rotation = Rotation::default().every(15 * MINUTE);
        let world = World::by(way, |sessions| sessions.rotation(rotation));
        let log_in = async |session: &Session<Shop>| {
            session.update(|shop| shop.user = Some("ann".to_owned()));
        };
        let first = request(&world, &[], log_in).0.unwrap();
        world.clock.advance(15 * MINUTE);
        let offered = request(&world, &[&first], async |_| ()).0.unwrap();
        assert_ne!(first, offered);
        assert_eq!(request(&world, &[&first], async |_| ()).0.as_ref(), Some(&offered));
        assert_eq!(request(&world, &[&offered], async |_| ()), (None, None));
        world.clock.advance(MINUTE);
        assert_eq!(verdict(&world, &[first.as_bytes()]).0, Verdict::Superseded);
    }
}

#[test]
fn without_a_max_age_nothing_is_renewed_and_the_limits_are_the_servers() {
    let stay = Lifetime::new(14 * DAY, 90 * DAY).persistent();
    for way in HEADERS {
        let world = World::by(way, |sessions| sessions.lifetime(stay));
        let header = visited(&world);
        for _ in 0..11 {
            world.clock.advance(7 * DAY);
            world.spied.take();
            assert_eq!(request(&world, &[&header], async |_| ()), (None, None));
            let calls = world.spied.calls();
            assert_eq!((calls.load, calls.touch, calls.total()), (1, 1, 2), "no replacement");
        }
        // Neither does another lifetime: the client knows the id.
        let again = async |session: &Session<Shop>| session.set_lifetime(stay);
        assert_eq!(request(&world, &[&header], again), (None, None));
        world.clock.advance(13 * DAY - HOUR);
        assert_eq!(verdict(&world, &[header.as_bytes()]).0, Verdict::Resumed);
        world.clock.advance(HOUR);
        assert_eq!(verdict(&world, &[header.as_bytes()]).0, Verdict::AbsoluteExpired);
    }
}

#[test]
fn a_cookie_of_another_policy_is_a_transport_too() {
    let policy = CookiePolicy::new("sid", Attributes::default()).unwrap();
    let by_hand = Transport::cookie(policy.clone());
    let world = World::with(|sessions| sessions.transport(by_hand));
    assert!(visited(&world).starts_with("sid="));
    let world = World::with(|sessions| sessions.transport(Transport::bearer()).cookie(policy));
    assert!(visited(&world).starts_with("sid="));
}

#[test]
fn ten_thousand_fields_cost_five_loads_at_most() {
    for way in Way::ALL {
        let world = world(way);
        let field = |id: String| match way {
            Way::Cookie => format!("__Host-session={id}").into_bytes(),
            Way::Bearer => format!("Bearer {id}").into_bytes(),
            Way::Header => id.into_bytes(),
        };
        let id = |number: usize| format!("{number:A>42}A");
        for (ids, loads) in [
            ((0..10_000).map(id).collect::<Vec<_>>(), 5),
            (vec![id(7); 10_000], 1),
            (vec!["x".repeat(43); 10_000], 0),
        ] {
            let fields: Vec<Vec<u8>> = ids.into_iter().map(field).collect();
            let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
            assert_eq!(verdict(&world, &fields).1, loads, "{way:?}");
        }
    }
}
