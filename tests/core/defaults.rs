//! The page of the defaults in the manual says what the code does.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use typed_session::cookie::{self, Attributes, CookiePolicy};
use typed_session::merge::OnConflict;
use typed_session::{CookieLifetime, Encoding, Lifetime, Rotation, SessionData, Transport};

const PAGE: &str = include_str!("../../src/manual/defaults.md");

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Default, Deserialize, Serialize)]
struct Plain;

impl SessionData for Plain {}

/// A line of a table: its first two cells.
fn lines() -> Vec<(&'static str, &'static str)> {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells
        .filter(|cells| !cells[0].starts_with("---") && cells[0] != "what")
        .map(|cells| (cells[0], cells[1]))
        .collect()
}

/// Where a line's number stands in the code, if it can be asked for by nobody.
struct Code(&'static str, &'static str);

macro_rules! code {
    ($file:literal, $text:literal) => {
        Some(Code(include_str!(concat!("../../src/", $file)), $text))
    };
}

/// What each line of the page must begin with, what its second cell must be, and the code of it.
#[rustfmt::skip]
const LINES: &[(&str, &str, Option<Code>)] = &[
    ("idle limit", "1 hour", None),
    ("absolute limit", "24 hours", None),
    ("the cookie", "gone with the browser", None),
    ("shortest limit", "1 second", None),
    ("longest `Max-Age`", "400 days", None),
    ("[`touch_every`]", "1 minute, or a quarter of the idle limit", code!("lifecycle/mod.rs", "touch_every: Duration::from_secs(60),")),
    ("[`remember_ended`]", "10 minutes", code!("lifecycle/mod.rs", "remember_ended: Duration::from_secs(10 * 60),")),
    ("[`remember_superseded`]", "2 minutes", code!("lifecycle/mod.rs", "remember_superseded: Duration::from_secs(2 * 60),")),
    ("[`transport`]", "a cookie", code!("lifecycle/mod.rs", "transport: Transport::default(),")),
    ("[`cookie`]", "`__Host-session=..; Path=/; Secure; HttpOnly; SameSite=Lax`", None),
    ("an id", "43 characters", code!("id.rs", "TEXT_LEN: usize = 43;")),
    ("[`id_form`]", "as it is", code!("lifecycle/mod.rs", "id_form: IdForm::default(),")),
    ("[`check_origin`]", "what changes something must come from the site itself", code!("lifecycle/mod.rs", "origin_check: OriginCheck::new(),")),
    ("[`dangerous_entropy`]", "the operating system's", code!("layer/mod.rs", "entropy: Arc::new(SystemEntropy),")),
    ("[`rotation`]", "off", code!("lifecycle/mod.rs", "rotation: None,")),
    (".. if switched on: [`Rotation::every`]", "15 minutes", None),
    (".. [`Rotation::grace`]", "30 seconds", None),
    (".. [`Rotation::on_reuse`]", "refused, and an event", code!("lifecycle/mod.rs", "on_reuse: Reuse::Reject,")),
    ("[`clear_site_data`]", "nothing", code!("lifecycle/mod.rs", "clear_site_data: None,")),
    ("ids tried of one request", "5", code!("candidates.rs", "AT_MOST: usize = 5;")),
    ("superseded ids remembered of one session", "8", code!("envelope.rs", "MAX_DEAD: usize = 8;")),
    ("[`require_consent`]", "not required", code!("lifecycle/mod.rs", "requires_consent: false,")),
    ("[`login_page`]", "none: 401", code!("lifecycle/mod.rs", "pages: Pages::default(),")),
    ("longest name and value of a cookie", "4096 octets", None),
    ("[`encoding`]", "JSON", None),
    ("[`SessionData::VERSION`]", "0", None),
    ("[`SessionData::ON_CONFLICT`]", "the later wins", None),
    ("[`SessionData::carry`]", "nothing", code!("data.rs", "let _ = (from, to);")),
    ("`seal_data`", "off", code!("lifecycle/mod.rs", "sealing: None,")),
    ("[`client_info`]", "off", code!("lifecycle/mod.rs", "client: None,")),
    ("[`max_sessions`]", "off", code!("lifecycle/mod.rs", "limit: None,")),
    ("[`observer`]", "nobody", code!("layer/mod.rs", "observer: Arc::new(()),")),
    ("[`clock`]", "the operating system's", code!("layer/mod.rs", "clock: Arc::new(SystemClock),")),
    ("tries of a commit or a transaction", "512", code!("lifecycle/machine.rs", "MAX_TRIES: u32 = 512;")),
    (".. of a logout", "16, then unconditionally", code!("lifecycle/machine.rs", "MAX_END_TRIES: u32 = 16;")),
    ("depth of a merge", "128", code!("merge.rs", "MAX_DEPTH: usize = 128;")),
    ("records removed at once by [`sweep`]", "1000", code!("sweep.rs", "BATCH: usize = 1000;")),
    ("pause between two batches of [`sweep_every`]", "as long as the first one took, 1 millisecond to 1 second", code!("sweep.rs", "[Duration::from_millis(1), Duration::from_secs(1)];")),
    ("keys that [`end_all`]", "100", code!("revoke.rs", "PAGE: usize = 100;")),
    ("seat of a login that died", "free after 1 minute", code!("seats.rs", "PATIENCE: Duration = Duration::from_secs(60);")),
    ("longest life of a [grant]", "15 minutes", code!("step_up.rs", "LONGEST: Duration = Duration::from_secs(15 * 60);")),
    ("grants of one session", "8; what ends first gives way", code!("step_up.rs", "MOST: usize = 8;")),
    ("messages of a [`Flash`]", "16, the newest", code!("flash.rs", "CAPACITY: usize = 16;")),
    ("longest [message]", "1024 bytes", code!("flash.rs", "MAX_LEN: usize = 1024;")),
    ("what is kept of a `User-Agent`", "256 bytes", code!("client/mod.rs", "MAX_USER_AGENT: usize = 256;")),
    ("keys of a [ring]", "16", code!("keys.rs", "MOST_KEYS: usize = 16;")),
    ("table of an SQL store, collection of MongoDB", "`typed_sessions`", code!("store/sql/mod.rs", "DEFAULT_TABLE: &str = \"typed_sessions\";")),
    ("prefix in Redis", "`typed-session:`", code!("store/redis/mod.rs", "DEFAULT_PREFIX: &str = \"typed-session:\";")),
    ("`MemoryStore::byte_limit`", "1 GiB", code!("store/memory/mod.rs", "BYTE_LIMIT: usize = 1024 * 1024 * 1024;")),
    ("`MemoryStore::with_capacity_limit`", "none", code!("store/memory/mod.rs", "Self::with_capacity_limit(usize::MAX)")),
    ("`Cached::max_age`", "1 second", code!("store/cached/mod.rs", "max_age: Duration::from_secs(1),")),
    ("`Cached::capacity`", "64 MiB", code!("store/cached/mod.rs", "Memory::new(64 * 1024 * 1024),")),
    ("what a record takes in `Cached`", "320 bytes", code!("store/cached/memory.rs", "OVERHEAD: u64 = 320;")),
    ("`MongoStore::timeout`", "10 seconds", code!("store/mongodb.rs", "\"typed_sessions\", Duration::from_secs(10),")),
    ("how long MongoDB keeps a record", "5 minutes", code!("store/mongodb.rs", "MARGIN: Duration = Duration::from_secs(300);")),
    ("how far the clocks of a Redis cluster", "10 minutes", code!("store/redis/row.rs", "MARGIN: Duration = Duration::from_secs(10 * 60);")),
    ("what `DynStore::connect` waits", "5 seconds", code!("store/connect/sql.rs", "PATIENCE: Duration = Duration::from_secs(5);")),
    ("`TimeLimit`", "none: say it", None),
];

#[test]
fn every_line_of_the_page_is_checked_and_says_what_the_code_says() {
    let lines = lines();
    assert_eq!(lines.len(), LINES.len(), "a line of the page is not checked here, or is gone");
    for ((name, default), (begins, expected, code)) in lines.into_iter().zip(LINES) {
        assert!(name.starts_with(begins), "{name:?} is not {begins:?}");
        assert_eq!(default, *expected, "{name}");
        if let Some(Code(code, text)) = code {
            assert!(code.contains(text), "{name}: the code does not say {text:?} any more");
        }
    }
}

#[test]
fn a_quarter_of_the_idle_limit_bounds_the_touches() {
    let plan = include_str!("../../src/lifecycle/plan.rs");
    assert!(plan.contains("let quarter = live.idle.as_u64() / 4;"));
}

#[test]
fn the_other_waits_of_connect_are_the_same() {
    for code in [
        include_str!("../../src/store/connect/redis.rs"),
        include_str!("../../src/store/connect/mongodb.rs"),
    ] {
        assert!(code.contains("PATIENCE: Duration = Duration::from_secs(5);"));
    }
}

#[test]
fn what_can_be_asked_for_is_as_the_page_says() {
    let lifetime = Lifetime::default();
    assert_eq!((lifetime.idle(), lifetime.absolute()), (HOUR, 24 * HOUR));
    assert_eq!(lifetime.cookie(), CookieLifetime::BrowserSession);
    assert_eq!(Lifetime::new(Duration::ZERO, Duration::ZERO).absolute(), SECOND);

    let policy = CookiePolicy::default();
    assert_eq!(
        policy.set_cookie("..", None).unwrap(),
        "__Host-session=..; Path=/; Secure; HttpOnly; SameSite=Lax"
    );
    assert_eq!(Transport::default(), Transport::cookie(policy.clone()));
    let for_ever = policy.set_cookie("id", Some(Duration::MAX)).unwrap();
    assert!(for_ever.ends_with(&format!("Max-Age={}", 400 * DAY.as_secs())), "{for_ever}");
    let of = |octets: usize| {
        cookie::set_cookie("name", &"x".repeat(octets - 4), &Attributes::default(), None)
    };
    assert!(of(4096).is_ok() && of(4097).is_err());

    let rotation = Rotation::default();
    assert_eq!(rotation, rotation.every(15 * 60 * SECOND).grace(30 * SECOND));
    assert_eq!(Encoding::default(), Encoding::Json);
    assert_eq!((Plain::VERSION, Plain::ON_CONFLICT), (0, OnConflict::LaterWins));
}
