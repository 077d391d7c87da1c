//! The policy as a document.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use typed_session::cookie::{Attributes, CookiePolicy, SameSite};
use typed_session::csrf::OriginCheck;
use typed_session::policy::Level;
use typed_session::store::{self, MemoryStore};
use typed_session::testing::{SeededEntropy, assert_asvs};
use typed_session::{
    ClearSiteData, ClientPolicy, CookieLifetime, IdForm, KeyRing, Lifetime, NotBefore,
    OnClientChange, OnLimit, Reuse, Rotation, SessionLayer, Stateless, Subject, SystemEntropy,
    Timestamp, Transport, Unsealed,
};

use crate::world::{DAY, Events, HOUR, MINUTE, Shop};

type Layer = SessionLayer<Shop, MemoryStore>;

fn layer() -> Layer {
    SessionLayer::new(MemoryStore::new())
}

/// One that meets level 2, and gives a reason where it must.
fn good() -> Layer {
    layer()
        .clear_site_data(ClearSiteData::Cache)
        .observer(Events::default())
        .because("7.1.2", "as many devices as they like")
}

/// The clauses that keep a layer from level 3, which holds the others.
fn against(layer: &Layer) -> Vec<&'static str> {
    layer.audit().against(Level::L3).map(|found| found.clause()).collect()
}

#[track_caller]
fn breaks(expected: &[&str], change: impl FnOnce(Layer) -> Layer) {
    assert_eq!(against(&change(good())), expected);
}

#[test]
fn asvs_7_1_1_each_limit_is_written_down_with_its_reason() {
    let text = good().audit().to_markdown();
    assert!(
        text.contains(
            "| idle limit | 1 hour | NIST SP 800-63B-4, 2.2.3: at AAL2 at most 1 hour |\n\
             | absolute limit | 24 hours | NIST SP 800-63B-4, 2.2.3: at AAL2 at most 24 hours |\n"
        ),
        "{text}"
    );
    let long = good().lifetime(Lifetime::new(2 * HOUR, 7 * DAY));
    let text = long.clone().audit().to_markdown();
    assert!(text.contains("| idle limit | 2 hours | **no reason was given** |"), "{text}");
    assert!(text.contains("| absolute limit | 7 days | **no reason was given** |"), "{text}");
    let text = long
        .because("7.3.1", "a form takes\nlong | to fill in")
        .because("7.3.2", "a week's work")
        .audit()
        .to_markdown();
    assert!(text.contains("| idle limit | 2 hours | a form takes long \\| to fill in |"), "{text}");
    assert!(text.contains("| absolute limit | 7 days | a week's work |"), "{text}");
    assert!(!text.contains("**"), "nothing is left open: {text}");
}

#[test]
fn asvs_7_1_1_the_presets_are_the_limits_of_the_guideline() {
    let limits = [Lifetime::nist_aal1(), Lifetime::nist_aal2(), Lifetime::nist_aal3()]
        .map(|lifetime| (lifetime.idle(), lifetime.absolute(), lifetime.cookie()));
    let closed = CookieLifetime::BrowserSession;
    assert_eq!(
        limits,
        [(30 * DAY, 30 * DAY, closed), (HOUR, 24 * HOUR, closed), (15 * MINUTE, 12 * HOUR, closed)]
    );
    assert_eq!(Lifetime::default(), Lifetime::nist_aal2());
    breaks(&["7.3.1", "7.3.2"], |layer| layer.lifetime(Lifetime::nist_aal1()));
    breaks(&[], |layer| layer.lifetime(Lifetime::nist_aal2()));
    breaks(&[], |layer| layer.lifetime(Lifetime::nist_aal3()));
    let strict = good().lifetime(Lifetime::nist_aal3()).audit().to_markdown();
    assert!(strict.contains("| idle limit | 15 minutes | NIST SP 800-63B-4, 2.3.3:"), "{strict}");
    breaks(&["7.1.1"], |layer| layer.lifetime(Lifetime::default().persistent()));
}

#[test]
fn asvs_7_1_2_the_rule_for_parallel_sessions_is_written_down() {
    let silent = layer().audit();
    assert!(silent.against(Level::L2).any(|found| found.clause() == "7.1.2"));
    assert!(silent.against(Level::L1).all(|found| found.clause() != "7.1.2"));
    let set = layer().max_sessions(3, OnLimit::EndOldest).audit();
    assert!(set.against(Level::L2).all(|found| found.clause() != "7.1.2"));
    let text = set.to_markdown();
    assert!(text.contains("| at most 3; one more login ends the oldest | a forgotten"), "{text}");
    let text = good().audit().to_markdown();
    let line =
        "| sessions of one account at the same time | any number | as many devices as they like |";
    assert!(text.contains(line), "{text}");
}

fn keys() -> KeyRing {
    let text = "5c0b3a4f2c6d18e09f7a6b5c4d3e2f10f1e2d3c4b5a69788796a5b4c3d2e1f00";
    KeyRing::from_text(text).unwrap()
}

struct Never;

impl NotBefore for Never {
    async fn not_before(&self, _: &Subject) -> store::Result<Option<Timestamp>> {
        Ok(None)
    }
}

#[test]
fn asvs_7_4_1_without_a_time_for_each_user_stateless_sessions_deviate() {
    let found = |layer: &SessionLayer<Shop, Stateless>| {
        layer.audit().against(Level::L1).any(|found| found.clause() == "7.4.1")
    };
    let layer = SessionLayer::<Shop, _>::stateless(keys());
    assert!(found(&layer));
    let text = layer.audit().to_markdown();
    assert!(text.contains("| a session is kept | by the client alone | **no reason"), "{text}");
    assert!(!found(&layer.clone().because("7.4.1", "a theme is all there is")));
    let layer = layer.not_before(Never);
    assert!(!found(&layer));
    assert!(layer.audit().to_markdown().contains("the logins of a user count from a time on"));
    assert!(!against(&good()).contains(&"7.4.1"));
}

#[test]
fn the_form_of_ids_the_clients_and_the_data_at_rest_are_written_down() {
    for (layer, line) in [
        (layer(), "| what a session holds is | readable in the store |"),
        (layer(), "| what is known of the client | nothing |"),
        (layer(), "| an id is written | as it is |"),
        (layer().seal_data(Unsealed::Accept), "; what is there in clear is read, too |"),
        (
            layer().client_info(ClientPolicy::default()),
            "if a handler says it; another client is reported |",
        ),
        (layer().sign_ids(keys()), "| an id is written | signed | ASVS 9.1.1"),
        (layer().id_form(IdForm::private(keys())), "| an id is written | encrypted |"),
    ] {
        let text = layer.audit().to_markdown();
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn asvs_7_1_3_lifetimes_in_a_federation_are_written_down() {
    let silent = good().audit().to_markdown();
    assert!(silent.contains("## Federation\n\nNothing was said"), "{silent}");
    let layer = good().because("7.1.3", "Logins come from id.example, whose logout calls ours.");
    let audit = layer.audit();
    assert!(audit.unknown_clauses().is_empty());
    let text = audit.to_markdown();
    assert!(
        text.contains("## Federation\n\nLogins come from id.example, whose logout calls ours.\n")
    );
    assert!(!text.contains("Nothing was said"));
}

#[test]
fn every_deviation_is_found_under_its_clause() {
    breaks(&[], |layer| layer);
    assert_eq!(against(&layer()), ["7.1.2", "14.3.1", "16.3.3"]);
    breaks(&["7.2.3"], |layer| layer.dangerous_entropy(SeededEntropy::new(1)));
    breaks(&[], |layer| {
        layer.dangerous_entropy(SeededEntropy::new(1)).dangerous_entropy(SystemEntropy)
    });
    breaks(&["16.3.3"], |layer| layer.observer(()));
    breaks(&["3.5.1"], |layer| layer.check_origin(OriginCheck::dangerous_off()));
    breaks(&["3.3.1", "3.3.3"], |layer| {
        layer.cookie(CookiePolicy::dangerous_plain_http_on_localhost())
    });
    let cookie = |name: &'static str, change: fn(&mut Attributes)| {
        let mut attributes = Attributes::default();
        change(&mut attributes);
        let policy = CookiePolicy::new(name, attributes).unwrap();
        move |layer: Layer| layer.cookie(policy)
    };
    breaks(&["3.3.1", "3.3.3"], cookie("session", |_| ()));
    breaks(&[], cookie("__HOST-session", |_| ()));
    breaks(&["3.3.3"], cookie("__Secure-session", |a| a.domain = Some("example.com".into())));
    breaks(&["3.3.4"], cookie("__Host-session", |a| a.http_only = false));
    breaks(&["3.3.2"], cookie("__Host-session", |a| a.same_site = Some(SameSite::None)));
    breaks(&["3.3.2"], cookie("__Host-session", |a| a.same_site = None));
    breaks(&[], cookie("__Host-session", |a| a.same_site = Some(SameSite::Strict)));
    // No cookie: what is asked of cookies is not asked.
    breaks(&["3.3.4"], |layer| layer.transport(Transport::bearer()));
}

#[test]
fn a_reason_excuses_what_asks_for_one_and_nothing_else() {
    let excused = good()
        .transport(Transport::bearer())
        .because("3.3.4", "the clients are programs, and no browser");
    assert!(against(&excused).is_empty());
    let open = good()
        .cookie(CookiePolicy::dangerous_plain_http_on_localhost())
        .dangerous_entropy(SeededEntropy::new(1))
        .because("3.3.1", "it is only a test")
        .because("3.3.3", "it is only a test")
        .because("7.2.3", "it is only a test");
    assert_eq!(against(&open), ["3.3.1", "7.2.3"]);
    let text = open.audit().to_markdown();
    assert_eq!(text.matches("**not to be excused:** it is only a test").count(), 2, "{text}");
}

#[test]
fn the_document_is_the_same_for_the_same_settings() {
    let reasons = [("7.1.2", "two"), ("3.5.1", "one"), ("7.1.3", "three")];
    let forwards = reasons.into_iter().fold(layer(), |layer, (c, r)| layer.because(c, r));
    let backwards = reasons.into_iter().rev().fold(layer(), |layer, (c, r)| layer.because(c, r));
    let text = forwards.audit().to_markdown();
    assert_eq!(text, backwards.audit().to_markdown());
    assert_eq!(text, forwards.clone().audit().to_markdown());
    assert!(text.ends_with('\n') && !text.contains("  ") && !text.contains("\n\n\n"));
    assert!(text.lines().all(|line| line == line.trim_end()));
    assert_ne!(text, forwards.require_consent().audit().to_markdown());
}

#[test]
fn the_document_is_kept_as_it_was() {
    let layer = layer()
        .lifetime(Lifetime::new(30 * MINUTE, 90 * DAY).persistent())
        .rotation(Rotation::default().on_reuse(Reuse::EndSession))
        .clear_site_data(ClearSiteData::CacheAndStorage)
        .check_origin(OriginCheck::new().trust("https://www.shop.example").unwrap())
        .require_consent()
        .seal_data(Unsealed::Refuse)
        .client_info(
            ClientPolicy::default().peer_address().on_change(OnClientChange::DemandAuthentication),
        )
        .id_form(IdForm::signed(keys()).also_accept(IdForm::unsigned()))
        .because("7.1.1", "customers come back every few days and buy on account")
        .because("7.3.2", "the same; payment asks for the password again")
        .because("7.1.3", "Users log in here alone.")
        .because("7.9.9", "a slip of the pen");
    let text = layer.audit().to_markdown();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/policy.md");
    let expected = std::fs::read_to_string(golden).unwrap_or_default();
    assert!(text == expected, "tests/golden/policy.md should be:\n{text}");
}

#[test]
fn a_build_fails_when_the_policy_falls_below_a_level_and_is_told_what_to_do() {
    assert_asvs(&good(), Level::L3);
    assert_asvs(&layer().because("14.3.1", "none"), Level::L1);

    let failure = |layer: Layer, level| {
        let failed = catch_unwind(AssertUnwindSafe(|| assert_asvs(&layer, level))).unwrap_err();
        *failed.downcast::<String>().unwrap()
    };
    let text = failure(good().lifetime(Lifetime::new(HOUR, 90 * DAY)), Level::L2);
    assert_eq!(
        text,
        "these sessions fall short of OWASP ASVS 5.0, level 2, in 1 point:\n\n  \
         7.3.2 (level 2), absolute limit: 90 days; NIST SP 800-63B-4, 2.2.3, recommends at most 24 hours \
         at AAL2, and 30 days at AAL1 (2.1.3)\n    \
         to do: set a shorter `Lifetime`, such as `Lifetime::nist_aal2()`, or say why not: \
         `.because(\"7.3.2\", \"..\")`\n"
    );
    assert!(include_str!("../../src/manual/policy.md").contains(&text), "the manual shows it");
    let insecure = good().cookie(CookiePolicy::dangerous_plain_http_on_localhost());
    let text = failure(insecure.clone(), Level::L1);
    assert!(text.contains("3.3.1 (level 1)") && !text.contains("because"), "{text}");
    let text = failure(insecure.because("3.3.1", "a test"), Level::L1);
    assert!(text.contains("no reason is good enough"), "{text}");
    let text = failure(good().because("7.9.9", "a slip"), Level::L1);
    assert!(text.contains("slip of the pen"), "{text}");
}

#[test]
fn limits_are_written_in_words() {
    let written = |idle: Duration| {
        let text = layer().lifetime(Lifetime::new(idle, 400 * DAY)).audit().to_markdown();
        let line = text.lines().find(|line| line.starts_with("| idle limit")).unwrap().to_owned();
        line.split(" | ").nth(1).unwrap().to_owned()
    };
    for (idle, text) in [
        (DAY, "24 hours"),
        (2 * DAY, "2 days"),
        (36 * HOUR, "36 hours"),
        (90 * MINUTE, "90 minutes"),
        (MINUTE, "1 minute"),
        (Duration::from_millis(1500), "1500 milliseconds"),
    ] {
        assert_eq!(written(idle), text);
    }
}
