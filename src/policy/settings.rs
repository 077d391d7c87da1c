//! The table: each setting of a layer, and the clauses that it answers to.

use super::Level;
use super::declared::Declared;
use super::document::text_of;
use crate::client::{OnClientChange, Peer};
use crate::cookie::{CookiePolicy, SameSite};
use crate::lifecycle::{Policy, Reuse};
use crate::lifetime::{CookieLifetime, Lifetime};
use crate::sealed::accepts_unsealed;
use crate::seats::{Limit, OnLimit};

/// What there is to look at.
pub(super) struct Facts<'a> {
    pub(super) policy: &'a Policy,
    pub(super) declared: &'a Declared,
}

/// A setting, as the document shows it.
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: fn(&Facts<'_>) -> String,
    /// Why it is so, unless the application says.
    pub(super) why: fn(&Facts<'_>) -> &'static str,
    pub(super) rules: &'static [Rule],
}

/// A clause, and how to see that it is broken.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) clause: &'static str,
    pub(super) level: Level,
    pub(super) excuse: Excuse,
    /// What is so instead.
    pub(super) broken: fn(&Facts<'_>) -> Option<String>,
    /// What to do, beside giving a reason.
    pub(super) remedy: &'static str,
}

/// What makes up for a deviation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Excuse {
    AReason,
    None,
}

/// It has a paragraph of its own, which no setting can write.
pub(super) const FEDERATION: &str = "7.1.3";

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "idle limit",
        value: |facts| text_of(facts.lifetime().idle()),
        why: |facts| match facts.lifetime().idle() {
            idle if idle <= AAL3.idle() => "NIST SP 800-63B-4, 2.3.3: at AAL3 at most 15 minutes",
            _ => "NIST SP 800-63B-4, 2.2.3: at AAL2 at most 1 hour",
        },
        rules: &[Rule {
            clause: "7.3.1",
            level: Level::L2,
            excuse: Excuse::AReason,
            broken: |facts| {
                let (idle, absolute) = (facts.lifetime().idle(), facts.lifetime().absolute());
                let none = if idle == absolute { ", which is no limit of its own" } else { "" };
                (idle > AAL2.idle()).then(|| {
                    format!(
                        "{}{none}; NIST SP 800-63B-4, 2.2.3, recommends at most 1 hour at AAL2",
                        text_of(idle)
                    )
                })
            },
            remedy: "set a shorter `Lifetime`, such as `Lifetime::nist_aal2()`",
        }],
    },
    Setting {
        name: "absolute limit",
        value: |facts| text_of(facts.lifetime().absolute()),
        why: |facts| match facts.lifetime().absolute() {
            absolute if absolute <= AAL3.absolute() => {
                "NIST SP 800-63B-4, 2.3.3: at AAL3 at most 12 hours"
            }
            _ => "NIST SP 800-63B-4, 2.2.3: at AAL2 at most 24 hours",
        },
        rules: &[Rule {
            clause: "7.3.2",
            level: Level::L2,
            excuse: Excuse::AReason,
            broken: |facts| {
                let absolute = facts.lifetime().absolute();
                let aal1 =
                    if absolute > AAL1.absolute() { ", and 30 days at AAL1 (2.1.3)" } else { "" };
                (absolute > AAL2.absolute()).then(|| {
                    format!(
                        "{}; NIST SP 800-63B-4, 2.2.3, recommends at most 24 hours at AAL2{aal1}",
                        text_of(absolute)
                    )
                })
            },
            remedy: "set a shorter `Lifetime`, such as `Lifetime::nist_aal2()`",
        }],
    },
    Setting {
        name: "the client keeps the id",
        value: |facts| {
            match (facts.cookie(), facts.lifetime().cookie()) {
                (None, _) => "as it likes",
                (_, CookieLifetime::BrowserSession) => "until the browser is closed",
                (_, CookieLifetime::Persistent) => {
                    "for the idle limit, also when the browser is closed"
                }
            }
            .into()
        },
        why: |facts| match facts.cookie() {
            Some(_) => "NIST SP 800-63B-4, 5.1: session secrets should not be persistent",
            None => "a header has no `Max-Age`; the limits are the server's",
        },
        rules: &[Rule {
            clause: "7.1.1",
            level: Level::L2,
            excuse: Excuse::AReason,
            broken: |facts| {
                match (facts.cookie(), facts.lifetime().cookie()) {
                (Some(_), CookieLifetime::Persistent) => {
                    Some("every session's cookie outlives the browser; NIST SP 800-63B-4, 5.1, recommends that none does".into())
                }
                (Some(_), CookieLifetime::BrowserSession) | (None, _) => None,
            }
            },
            remedy: "leave out `Lifetime::persistent`, and call `Session::set_lifetime` for users who ask to stay signed in",
        }],
    },
    Setting {
        name: "the idle limit is exact to",
        value: |facts| text_of(facts.policy.touch_every.min(facts.lifetime().idle() / 4)),
        why: |_| "a session that is only read costs no more than one write in this time, and may end earlier by it",
        rules: &[],
    },
    Setting {
        name: "a session is kept",
        value: |facts| {
            match (facts.declared.is_stateless, facts.declared.asks_not_before) {
                (false, _) => "in a store",
                (true, false) => "by the client alone",
                (true, true) => {
                    "by the client alone; the logins of a user count from a time on that the application keeps"
                }
            }
            .into()
        },
        why: |facts| {
            if facts.declared.is_stateless {
                "ASVS 7.4.1: to set that time ends all sessions of a user"
            } else {
                "ASVS 7.4.1: what has ended there is over for every copy of its id"
            }
        },
        rules: &[Rule {
            clause: "7.4.1",
            level: Level::L1,
            excuse: Excuse::AReason,
            broken: |facts| {
                (facts.declared.is_stateless && !facts.declared.asks_not_before).then(|| {
                    "a copy of a session that the user has ended is good until its limits".into()
                })
            },
            remedy: "set `SessionLayer::not_before`, or use a store",
        }],
    },
    Setting {
        name: "what a session holds is",
        value: |facts| {
            let is_sealed = facts.policy.sealing.is_some();
            match (facts.declared.is_stateless, is_sealed, accepts_unsealed(facts.policy.sealing)) {
                (true, _, _) => "encrypted, by a key of the application's",
                (false, false, _) => "readable in the store",
                (false, true, false) => "encrypted in the store, by a key that only its id gives",
                (false, true, true) => {
                    "encrypted in the store, by a key that only its id gives; what is there in clear is read, too"
                }
            }
            .into()
        },
        why: |facts| {
            if facts.declared.is_stateless {
                "its holder is not to read or change it"
            } else if facts.policy.sealing.is_some() {
                "a copy of the store shows no data; times, the hash of the user and lengths it does"
            } else {
                "a copy of the store shows the data, and no id"
            }
        },
        rules: &[],
    },
    Setting {
        name: "what is known of the client",
        value: |facts| match &facts.policy.client {
            None => "nothing".into(),
            Some(client) => format!(
                "the `User-Agent` of the login{}; {}",
                match client.peer {
                    Peer::Kept => " and the address",
                    Peer::Ignored => ", and the address if a handler says it",
                },
                match client.on_change {
                    OnClientChange::Report => "another client is reported",
                    OnClientChange::DemandAuthentication => {
                        "another client is reported, and is to authenticate anew"
                    }
                }
            ),
        },
        why: |facts| match facts.policy.client {
            None => "it is personal data",
            Some(_) => "users know their sessions by it",
        },
        rules: &[],
    },
    Setting {
        name: "the id travels in",
        value: |facts| match facts.cookie() {
            Some(_) => "a cookie".into(),
            None => format!("the header `{}`", facts.policy.transport.request_header()),
        },
        why: |_| "browsers keep cookies out of reach of scripts",
        rules: &[Rule {
            clause: "3.3.4",
            level: Level::L2,
            excuse: Excuse::AReason,
            broken: |facts| match facts.cookie() {
                Some(_) => None,
                None => Some(format!(
                    "the id is in the header `{}`, which in a browser scripts can read",
                    facts.policy.transport.request_header()
                )),
            },
            remedy: "take the cookie, which is the default, for whatever runs in a browser",
        }],
    },
    Setting {
        name: "the cookie",
        value: |facts| match facts.cookie().and_then(|cookie| cookie.set_cookie("..", None).ok()) {
            Some(cookie) => format!("`{cookie}`"),
            None => "none".into(),
        },
        why: |facts| match facts.cookie() {
            Some(_) => "no script reads it, no plain HTTP carries it, no other host can set it",
            None => "cookies are not looked at",
        },
        rules: &[
            Rule {
                clause: "3.3.1",
                level: Level::L1,
                excuse: Excuse::None,
                broken: |facts| {
                    let cookie = facts.cookie()?;
                    if !cookie.attributes().secure {
                        return Some("it has no `Secure`, so anyone on the way can read it".into());
                    }
                    (!has_prefix(cookie, "__Host-") && !has_prefix(cookie, "__Secure-")).then(
                        || "its name begins neither with `__Host-` nor with `__Secure-`".into(),
                    )
                },
                remedy: "take `CookiePolicy::default()`; plain HTTP is for development alone, so test the policy of production",
            },
            Rule {
                clause: "3.3.2",
                level: Level::L2,
                excuse: Excuse::AReason,
                broken: |facts| match facts.cookie()?.attributes().same_site {
                    Some(SameSite::Strict | SameSite::Lax) => None,
                    Some(SameSite::None) => {
                        Some("`SameSite=None`: requests that other sites cause carry it".into())
                    }
                    None => {
                        Some("it has no `SameSite`, which leaves the choice to the browser".into())
                    }
                },
                remedy: "set `SameSite::Lax` or `SameSite::Strict`",
            },
            Rule {
                clause: "3.3.3",
                level: Level::L2,
                excuse: Excuse::AReason,
                broken: |facts| {
                    (!has_prefix(facts.cookie()?, "__Host-")).then(|| {
                        "its name does not begin with `__Host-`, so neighbouring hosts can plant one".into()
                    })
                },
                remedy: "take a name with `__Host-`, unless the cookie is meant to be shared with other hosts",
            },
            Rule {
                clause: "3.3.4",
                level: Level::L2,
                excuse: Excuse::None,
                broken: |facts| {
                    (!facts.cookie()?.attributes().http_only)
                        .then(|| "it has no `HttpOnly`, so scripts can read it".into())
                },
                remedy: "leave `http_only` on: no script needs the id",
            },
        ],
    },
    Setting {
        name: "an id is made of",
        value: |facts| {
            if facts.declared.own_entropy {
                "bytes of the application's own source"
            } else {
                "32 bytes of the operating system's random source"
            }
            .into()
        },
        why: |_| "ASVS 7.2.3 and 11.5.1 ask for 16 of a secure generator",
        rules: &[Rule {
            clause: "7.2.3",
            level: Level::L1,
            excuse: Excuse::None,
            broken: |facts| {
                facts.declared.own_entropy.then(|| {
                    "a random source of the application's own, whose ids may be guessed".into()
                })
            },
            remedy: "leave out `dangerous_entropy`; test the layer of production, not one with the source of the tests",
        }],
    },
    Setting {
        name: "an id is written",
        value: |facts| {
            let form = &facts.policy.id_form;
            if facts.declared.is_stateless {
                "as a part of the session, encrypted".into()
            } else if form.in_words() != "as it is" && form.reads_unsigned() {
                format!("{}; as it is, it is accepted, too", form.in_words())
            } else {
                form.in_words().into()
            }
        },
        why: |facts| {
            if facts.declared.is_stateless || !facts.policy.id_form.reads_unsigned() {
                "ASVS 9.1.1: what no key vouches for is not used"
            } else {
                "ASVS 7.2.1: it is checked by what the store has, and it cannot be guessed"
            }
        },
        rules: &[],
    },
    Setting {
        name: "the id changes",
        value: |facts| match facts.policy.rotation {
            None => "at every login and logout, and when the user proves again who they are".into(),
            Some(rotation) => format!(
                "at every login and logout, when the user proves again who they are, and every {} of use; an old id that is shown {} later {}",
                text_of(rotation.every),
                text_of(rotation.grace),
                match rotation.on_reuse {
                    Reuse::Reject => "is refused",
                    Reuse::EndSession => "ends the session",
                }
            ),
        },
        why: |_| "ASVS 7.2.4: whoever knew the id before does not know it after",
        rules: &[],
    },
    Setting {
        name: "sessions of one account at the same time",
        value: |facts| match facts.policy.limit {
            None => "any number".into(),
            Some(Limit { sessions, on_limit }) => {
                let then = match on_limit {
                    OnLimit::RejectNew => "one more login is refused",
                    OnLimit::EndOldest => "one more login ends the oldest",
                    OnLimit::EndLeastRecent => "one more login ends the one used least recently",
                };
                format!("at most {sessions}; {then}")
            }
        },
        why: |_| "a forgotten or stolen session does not stay unnoticed",
        rules: &[Rule {
            clause: "7.1.2",
            level: Level::L2,
            excuse: Excuse::AReason,
            broken: |facts| match facts.policy.limit {
                None => Some("no number is set, and no rule for when it is reached".into()),
                Some(_) => None,
            },
            remedy: "set `SessionLayer::max_sessions`",
        }],
    },
    Setting {
        name: "changes that other sites' pages ask for",
        value: |facts| match (facts.cookie(), facts.policy.origin_check.trusted()) {
            (None, _) => "carry no id".into(),
            (Some(_), None) => "are let through".into(),
            (Some(_), Some([])) => "are refused".into(),
            (Some(_), Some(trusted)) => {
                format!("are refused, unless they come from {}", trusted.join(", "))
            }
        },
        why: |facts| match facts.cookie() {
            Some(_) => "a browser adds the cookie to whatever another site has caused",
            None => "a browser adds a header to nothing by itself",
        },
        rules: &[Rule {
            clause: "3.5.1",
            level: Level::L1,
            excuse: Excuse::AReason,
            broken: |facts| match (facts.cookie(), facts.policy.origin_check.trusted()) {
                (Some(_), None) => {
                    Some("the layer does not check where a request comes from".into())
                }
                (Some(_), Some(_)) | (None, _) => None,
            },
            remedy: "leave out `OriginCheck::dangerous_off`, and trust the origins that are meant",
        }],
    },
    Setting {
        name: "consent of the visitor",
        value: |facts| {
            if facts.policy.requires_consent {
                "nothing is stored and no cookie set before it"
            } else {
                "not asked for; a session begins with the first change of its data"
            }
            .into()
        },
        why: |facts| {
            if facts.policy.requires_consent {
                "who may be remembered is the visitor's to say"
            } else {
                "a session that stores nothing does not exist (ASVS 7.6.2)"
            }
        },
        rules: &[],
    },
    Setting {
        name: "at the end of a session",
        value: |facts| match facts.policy.clear_site_data {
            None => "the cookie or header is taken back".into(),
            Some(what) => {
                format!("the cookie or header is taken back, and `Clear-Site-Data: {what}` sent")
            }
        },
        why: |_| "nothing is left for the next one at the same machine",
        rules: &[Rule {
            clause: "14.3.1",
            level: Level::L1,
            excuse: Excuse::AReason,
            broken: |facts| match facts.policy.clear_site_data {
                None => {
                    Some("the browser is not told to forget what it has cached or stored".into())
                }
                Some(_) => None,
            },
            remedy: "set `SessionLayer::clear_site_data`, or clear by other means what pages leave in the browser",
        }],
    },
    Setting {
        name: "an ended session is remembered as such for",
        value: |facts| text_of(facts.policy.remember_ended),
        why: |_| "requests under way are told why; after that the id is unknown, which ends no less",
        rules: &[],
    },
    Setting {
        name: "what happens to sessions is told to",
        value: |facts| if facts.declared.is_observed { "an observer" } else { "nobody" }.into(),
        why: |_| "guesses, forged ids and failures are seen",
        rules: &[Rule {
            clause: "16.3.3",
            level: Level::L2,
            excuse: Excuse::AReason,
            broken: |facts| {
                (!facts.declared.is_observed)
                    .then(|| "nobody is told of forged, guessed or replayed ids".into())
            },
            remedy: "set `SessionLayer::observer`, for example to `TracingObserver`",
        }],
    },
];

const AAL1: Lifetime = Lifetime::nist_aal1();
const AAL2: Lifetime = Lifetime::nist_aal2();
const AAL3: Lifetime = Lifetime::nist_aal3();

impl Facts<'_> {
    const fn lifetime(&self) -> &Lifetime {
        &self.policy.lifetime
    }

    /// The cookie's policy, if ids travel in one.
    const fn cookie(&self) -> Option<&CookiePolicy> {
        self.policy.transport.cookie_policy()
    }
}

/// Browsers go by the prefix in any case.
fn has_prefix(cookie: &CookiePolicy, prefix: &str) -> bool {
    cookie.name().get(..prefix.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}
