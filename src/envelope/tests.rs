use std::net::IpAddr;

use super::*;
use crate::golden;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn verifier(byte: u8) -> Verifier {
    Verifier::from_bytes([byte; Verifier::LEN])
}

/// What a session of the default layer is right after its creation.
fn minimal() -> Live {
    let created_at = at(1_800_000_000_000);
    Live {
        ids: Ids::new(verifier(0xa1), created_at),
        created_at,
        authenticated_at: None,
        absolute_deadline: created_at.plus(DAY),
        idle: Duration::from_secs(60 * 60).into(),
        absolute: (DAY).into(),
        cookie: CookieLifetime::BrowserSession,
        client: None,
        encoding: 0,
        version: 0,
        sealed: false,
        data_at: 0,
    }
}

/// Everything that can be set is.
fn full() -> Live {
    let created_at = at(1_800_000_000_000);
    let after = |millis: i64| at(1_800_000_000_000 + millis);
    Live {
        ids: Ids {
            current: verifier(0xa1),
            since: after(1_000),
            successor: Some(Box::new(Successor { nonce: [0xb2; 16], verifier: verifier(0xb3) })),
            previous: Some(Box::new((verifier(0xc4), after(31_000)))),
            dead: vec![(verifier(0xd5), after(120_000)), (verifier(0xd6), after(90_000))],
        },
        created_at,
        authenticated_at: Some(after(500)),
        absolute_deadline: after(500).plus(90 * DAY),
        idle: (14 * DAY).into(),
        absolute: (90 * DAY).into(),
        cookie: CookieLifetime::Persistent,
        client: None,
        encoding: 1,
        version: 300,
        sealed: false,
        data_at: 0,
    }
}

/// Before the epoch, and with the longest times there are.
fn extreme() -> Live {
    let created_at = at(-1);
    let forever = Duration::from_millis(i64::MAX.unsigned_abs());
    Live {
        ids: Ids::new(verifier(0), created_at),
        created_at,
        authenticated_at: Some(created_at),
        absolute_deadline: Timestamp::MAX,
        idle: forever.into(),
        absolute: (forever).into(),
        cookie: CookieLifetime::BrowserSession,
        client: None,
        encoding: 255,
        version: u32::MAX,
        sealed: false,
        data_at: 0,
    }
}

/// With a client, in the three forms that an address has.
fn with_client(live: Live, user_agent: &str, address: Option<IpAddr>) -> Live {
    let client = ClientInfo::new(user_agent);
    let client = match address {
        Some(address) => client.at(address),
        None => client,
    };
    Live { client: Some(Arc::new(client)), ..live }
}

fn clients() -> [Live; 3] {
    [
        with_client(minimal(), "curl/8.5.0", Some(IpAddr::from([192, 0, 2, 7]))),
        with_client(full(), "Büro", Some(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 9]))),
        with_client(extreme(), "", None),
    ]
}

/// The body of a live envelope with some data, and the envelope as it is read.
fn body(mut live: Live, data: &[u8]) -> (Vec<u8>, Live) {
    let body = live.encode(data.to_vec());
    (body, live)
}

#[track_caller]
fn golden_live(hex: &str, expected: Live, data: &[u8]) {
    let bytes = golden::bytes(hex);
    let (encoded, expected) = body(expected, data);
    assert_eq!(Envelope::decode(&bytes), Some(Envelope::Live(expected)));
    assert_eq!(encoded, bytes, "encodes to the same bytes");
}

#[test]
fn a_stored_session_is_read_as_it_was_written() {
    golden_live(include_str!("../golden/live_minimal.hex"), minimal(), b"{}");
    golden_live(include_str!("../golden/live_full.hex"), full(), b"\x80");
    golden_live(include_str!("../golden/live_extreme.hex"), extreme(), b"");
}

#[test]
fn a_stored_client_is_read_as_it_was_written() {
    let hex = include_str!("../golden/live_client.hex");
    let lines: Vec<_> = hex.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), clients().len());
    for (line, live) in lines.into_iter().zip(clients()) {
        golden_live(line, live, b"{}");
    }
}

#[test]
fn a_client_that_this_program_would_not_have_written_is_none_and_no_guess() {
    let [live, ..] = clients();
    let (body, live) = body(live, b"{}");
    let agent = body.windows(6).position(|bytes| bytes == b"curl/8").unwrap();
    let address = agent + "curl/8.5.0".len();
    assert_eq!((body[agent - 1], body[address]), (10, 4));
    for (at, byte) in [(agent, b'\n'), (agent, 0xff), (address, 5), (address, 7)] {
        let mut wrong = body.clone();
        wrong[at] = byte;
        assert_eq!(Envelope::decode(&wrong), None, "byte {at} is {byte}");
    }
    let mut long = body[..agent - 1].to_vec();
    long.extend([0x81, 0x02]);
    long.extend([b'a'; 257]);
    long.extend(&body[address..]);
    assert_eq!(Envelope::decode(&long), None, "257 bytes");
    let mut endless = body[..agent - 1].to_vec();
    endless.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    endless.extend(&body[agent..]);
    assert_eq!(Envelope::decode(&endless), None, "as long as a number can say");
    assert_eq!(Envelope::decode(&body), Some(Envelope::Live(live)));
}

#[test]
fn a_stored_tombstone_is_read_as_it_was_written() {
    let hex = include_str!("../golden/tombstones.hex");
    let reasons = [EndReason::Logout, EndReason::Revoked, EndReason::IdReused];
    let lines: Vec<_> = hex.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), reasons.len());
    for (line, reason) in lines.into_iter().zip(reasons) {
        let bytes = golden::bytes(line);
        let tombstone = Tombstone { reason, ended_at: at(1_800_000_000_000) };
        assert_eq!(Envelope::decode(&bytes), Some(Envelope::Tombstone(tombstone)));
        assert_eq!(tombstone.encode(), bytes);
    }
}

#[test]
fn a_stored_tombstone_of_a_displaced_session_is_read_as_it_was_written() {
    let bytes = golden::bytes(include_str!("../golden/tombstone_displaced.hex"));
    let tombstone = Tombstone { reason: EndReason::Displaced, ended_at: at(1_800_000_000_000) };
    assert_eq!(Envelope::decode(&bytes), Some(Envelope::Tombstone(tombstone)));
    assert_eq!(tombstone.encode(), bytes);
}

#[test]
fn an_envelope_that_is_cut_short_is_none() {
    for live in [minimal(), full(), extreme()].into_iter().chain(clients()) {
        let (body, live) = body(live, b"");
        for len in 0..body.len() {
            assert_eq!(Envelope::decode(&body[..len]), None, "{len} bytes");
        }
        assert_eq!(Envelope::decode(&body), Some(Envelope::Live(live)));
    }
    let tombstone = Tombstone { reason: EndReason::Logout, ended_at: at(7) }.encode();
    for len in 0..tombstone.len() {
        assert_eq!(Envelope::decode(&tombstone[..len]), None);
    }
    assert_eq!(Envelope::decode(&[&tombstone[..], &[0]].concat()), None, "too long");
}

#[test]
fn what_a_later_format_may_hold_is_none_and_no_guess() {
    let (body, _) = body(minimal(), b"{}");
    for (at, byte) in [(0, 2), (1, 2), (2, 128)] {
        let mut later = body.clone();
        later[at] = byte;
        assert_eq!(Envelope::decode(&later), None, "byte {at} is {byte}");
    }
    assert_eq!(Envelope::decode(&[1, 0, 9, 0]), None, "an unknown reason");
}

#[test]
fn a_number_has_one_spelling() {
    let read = |bytes: &[u8]| Reader { bytes, at: 0 }.varint();
    for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        let mut writer = Writer(Vec::new());
        writer.varint(number);
        assert_eq!(read(&writer.0), Some(number));
    }
    assert_eq!(read(&[0x80, 0x00]), None, "a zero at the end");
    assert_eq!(read(&[0xff; 9]), None, "no end");
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Some(u64::MAX));
    assert_eq!(read(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]), None);
    for number in [0, -1, 1, i64::MIN, i64::MAX] {
        assert_eq!(unzigzag(zigzag(number)), number);
    }
    assert_eq!((zigzag(0), zigzag(-1), zigzag(1)), (0, 1, 2));
}

#[test]
fn a_time_that_does_not_fit_is_none_and_does_not_wrap() {
    let mut live = extreme();
    live.created_at = Timestamp::MAX;
    live.ids.since = Timestamp::MAX;
    live.authenticated_at = None;
    let (mut body, _) = body(live, b"");
    assert!(Envelope::decode(&body).is_some());
    // The id's `since`, a millisecond later than there is.
    let at = 3 + Verifier::LEN + 10;
    assert_eq!(body[at], 0);
    body[at] = 1;
    assert_eq!(Envelope::decode(&body), None);
}

#[test]
fn dead_ids_are_few_the_newest_first_and_forgotten_in_time() {
    let mut ids = Ids::new(verifier(0), at(0));
    for n in 1..=20 {
        ids.supersede(verifier(n), at(i64::from(n)), at(i64::from(n) + 100));
        assert_eq!(ids.dead[0], (verifier(n - 1), at(i64::from(n) + 100)));
        assert_eq!(ids.dead.len(), usize::from(n).min(MAX_DEAD));
        assert!(ids.successor.is_none() && ids.previous.is_none());
    }
    ids.supersede(verifier(99), at(1000), at(1100));
    assert_eq!(ids.dead, [(verifier(20), at(1100))], "the others are out of time");
}

#[test]
fn a_login_kills_the_current_id_its_successor_and_the_one_before() {
    let mut ids = full().ids;
    let now = ids.since.plus(Duration::from_secs(100));
    ids.supersede(verifier(1), now, now.plus(DAY));
    let dead: Vec<_> = ids.dead.iter().map(|(verifier, _)| verifier.as_bytes()[0]).collect();
    assert_eq!(dead, [0xb3, 0xa1, 0xc4, 0xd5], "and one of the dead was out of time");
    assert_eq!(ids.since, now);
}

#[test]
fn a_successor_that_is_shown_becomes_current_and_the_id_before_gets_its_grace() {
    let mut ids = full().ids;
    let now = at(1_800_000_100_000);
    ids.promote(now, now.plus(Duration::from_secs(30)), now.plus(DAY));
    assert_eq!((ids.current, ids.since, ids.successor.clone()), (verifier(0xb3), now, None));
    assert_eq!(ids.previous, Some(Box::new((verifier(0xa1), now.plus(Duration::from_secs(30))))));
    let dead: Vec<_> = ids.dead.iter().map(|(verifier, _)| verifier.as_bytes()[0]).collect();
    assert_eq!(dead, [0xc4, 0xd5]);
    // Without a successor there is nothing to do.
    let before = ids.clone();
    ids.promote(now.plus(DAY), now, now);
    assert_eq!(ids, before);
}

#[test]
fn dead_ids_are_remembered_until_their_time_and_the_newest_first() {
    let mut ids = Ids::new(verifier(1), at(0));
    ids.supersede(verifier(2), at(10), at(110));
    ids.supersede(verifier(3), at(20), at(120));
    assert_eq!(ids.dead, [(verifier(2), at(120)), (verifier(1), at(110))]);
    assert_eq!((ids.current, ids.since), (verifier(3), at(20)));
    ids.supersede(verifier(4), at(109), at(209));
    assert_eq!(ids.dead.len(), 3);
    ids.supersede(verifier(5), at(110), at(210));
    assert_eq!(
        ids.dead,
        [(verifier(4), at(210)), (verifier(3), at(209)), (verifier(2), at(120))],
        "the first one's time is over at that very millisecond"
    );
}

#[test]
fn all_ids_of_a_rotation_die_at_a_login() {
    let successor = Successor { nonce: [0; 16], verifier: verifier(3) };
    let mut ids = Ids::new(verifier(2), at(0));
    ids.previous = Some(Box::new((verifier(1), at(50))));
    ids.successor = Some(Box::new(successor));
    ids.supersede(verifier(4), at(10), at(110));
    assert_eq!(
        ids.dead.iter().map(|(dead, _)| *dead).collect::<Vec<_>>(),
        [verifier(3), verifier(2), verifier(1)]
    );
    assert_eq!((ids.successor, ids.previous), (None, None));
}

#[test]
fn of_many_dead_ids_the_newest_are_remembered() {
    let mut ids = Ids::new(verifier(0), at(0));
    for number in 1..=20 {
        ids.supersede(verifier(number), at(1), at(100));
    }
    let dead = ids.dead.iter().map(|(dead, _)| *dead).collect::<Vec<_>>();
    assert_eq!(dead, (12..20).rev().map(verifier).collect::<Vec<_>>());
}

#[test]
fn the_id_before_last_is_dead_once_the_successor_is_shown() {
    let mut ids = Ids::new(verifier(2), at(0));
    ids.previous = Some(Box::new((verifier(1), at(50))));
    ids.dead = vec![(verifier(8), at(60)), (verifier(9), at(61))];
    ids.successor = Some(Box::new(Successor { nonce: [0; 16], verifier: verifier(3) }));
    ids.promote(at(60), at(90), at(160));
    assert_eq!((ids.current, ids.since), (verifier(3), at(60)));
    assert_eq!(ids.previous, Some(Box::new((verifier(2), at(90)))));
    assert_eq!(ids.dead, [(verifier(1), at(160)), (verifier(9), at(61))]);
    let settled = ids.clone();
    ids.promote(at(70), at(95), at(170));
    assert_eq!(ids, settled, "without a successor there is nothing to promote");
}
