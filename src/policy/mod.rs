//! The layer's rules as a document, and how far they are from OWASP ASVS 5.0.
//!
//! [`SessionLayer::audit`] reads the settings of a layer. The [`Audit`] lists each deviation with its
//! clause, and writes the rules down ([`Audit::to_markdown`]): ASVS asks for such a document in 7.1.1
//! to 7.1.3. With `testing::assert_asvs` a test fails as soon as the settings fall below a level.
//!
//! ```
//! # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
//! # #[derive(Default, serde::Serialize, serde::Deserialize)]
//! # struct Shop { user: Option<u64> }
//! # impl SessionData for Shop {}
//! use std::time::Duration;
//! use typed_session::{Lifetime, policy::Level};
//!
//! const DAY: Duration = Duration::from_secs(24 * 60 * 60);
//! let sessions = SessionLayer::<Shop, _>::new(MemoryStore::new())
//!     .lifetime(Lifetime::new(Duration::from_secs(60 * 60), 7 * DAY))
//!     .because("7.3.2", "orders are prepared over a week; payment asks for the password again");
//!
//! let audit = sessions.audit();
//! let absolute = audit.deviations().iter().find(|found| found.clause() == "7.3.2").unwrap();
//! assert_eq!(absolute.level(), Level::L2);
//! assert!(absolute.is_excused());
//! assert!(audit.to_markdown().contains("| absolute limit | 7 days | orders are prepared"));
//! ```
//!
//! # What it cannot know
//!
//! It sees the layer and nothing else: not what handlers do, such as [`Session::set_lifetime`] or
//! the check of a token in a form, nor the server around it. No finding is no certificate.
//!
//! [`Session::set_lifetime`]: crate::Session::set_lifetime

use std::borrow::Cow;
use std::fmt;

pub(crate) use self::declared::Declared;
use self::settings::{Excuse, FEDERATION, Facts, Rule, SETTINGS};
use crate::data::SessionData;
use crate::layer::SessionLayer;
use crate::store::Backend;

mod declared;
mod document;
mod settings;

/// A level of OWASP ASVS 5.0; each holds those before it. Complete by nature.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// What everybody needs.
    L1,
    /// What most applications should aim at.
    L2,
    /// For applications of the highest value.
    L3,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "level 1",
            Self::L2 => "level 2",
            Self::L3 => "level 3",
        })
    }
}

/// A layer's rules, and where they deviate from OWASP ASVS 5.0.
///
/// [`SessionLayer::audit`] makes it; the [module](self) has an example.
#[derive(Clone, Debug)]
#[must_use = "an audit does nothing by itself"]
pub struct Audit {
    rules: Vec<Written>,
    deviations: Vec<Deviation>,
    /// What was said on lifetimes in a federation.
    federation: Option<Cow<'static, str>>,
    unknown: Vec<&'static str>,
}

/// A rule as it stands in the document.
#[derive(Clone, Debug)]
struct Written {
    name: &'static str,
    value: String,
    reason: Cow<'static, str>,
}

/// A point in which a layer does not do what a clause of OWASP ASVS 5.0 asks for.
#[derive(Clone, Debug)]
pub struct Deviation {
    rule: &'static Rule,
    setting: &'static str,
    found: String,
    reason: Option<Cow<'static, str>>,
}

impl Audit {
    fn of(facts: &Facts<'_>) -> Self {
        let reasons = &facts.declared.reasons;
        let (mut rules, mut deviations) = (Vec::new(), Vec::new());
        for setting in SETTINGS {
            let mut is_excused = true;
            for rule in setting.rules {
                if let Some(found) = (rule.broken)(facts) {
                    let reason = reasons.get(rule.clause).cloned();
                    is_excused &= reason.is_some();
                    let setting = setting.name;
                    deviations.push(Deviation { rule, setting, found, reason });
                }
            }
            let said = setting.rules.iter().find_map(|rule| reasons.get(rule.clause));
            // What was said of one clause is no reason for another one that is not kept.
            let reason = match (said, is_excused) {
                (_, false) => Cow::Borrowed("**no reason was given**"),
                (Some(said), true) => said.clone(),
                (None, true) => Cow::Borrowed((setting.why)(facts)),
            };
            rules.push(Written { name: setting.name, value: (setting.value)(facts), reason });
        }
        let clauses = || SETTINGS.iter().flat_map(|setting| setting.rules).map(|rule| rule.clause);
        let is_known = |clause: &&str| *clause == FEDERATION || clauses().any(|c| c == *clause);
        Self {
            rules,
            deviations,
            federation: reasons.get(FEDERATION).cloned(),
            unknown: reasons.keys().copied().filter(|clause| !is_known(clause)).collect(),
        }
    }

    /// Returns every deviation, also those with a reason, in the order of the settings.
    #[must_use]
    pub fn deviations(&self) -> &[Deviation] {
        &self.deviations
    }

    /// Returns what keeps the layer from a level: the deviations from the clauses of that level and
    /// of those below that are not [excused](Deviation::is_excused).
    pub fn against(&self, level: Level) -> impl Iterator<Item = &Deviation> {
        self.deviations.iter().filter(move |found| found.level() <= level && !found.is_excused())
    }

    /// Returns the clauses that a [reason](SessionLayer::because) was given for and that no setting
    /// of a layer has to do with: most likely misspelt.
    #[must_use]
    pub fn unknown_clauses(&self) -> &[&'static str] {
        &self.unknown
    }

    /// Writes the rules down, as Markdown: what OWASP ASVS 5.0 asks for in 7.1.1 (the limits and
    /// their reasons), 7.1.2 (parallel sessions) and 7.1.3 (lifetimes in a federation).
    ///
    /// The same settings give the same text, with any version of what is around them, so that it can
    /// be kept beside the code, compared by a test and reviewed as code is:
    /// `manual::policy` shows how.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        document::write(self)
    }
}

impl Deviation {
    /// Returns the number of the clause, such as `7.3.2`.
    #[must_use]
    pub const fn clause(&self) -> &'static str {
        self.rule.clause
    }

    /// Returns the level from which the clause holds.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.rule.level
    }

    /// Returns what to do about it.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        self.rule.remedy
    }

    /// Returns the reason that was given by [`SessionLayer::because`].
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// Tells whether a reason is enough for the clause.
    ///
    /// It is for those that ask for a decision and its reason. It is not for a cookie without
    /// `Secure`, `HttpOnly` or a prefix, and for ids that may be guessed: no reason makes these safe.
    #[must_use]
    pub const fn takes_a_reason(&self) -> bool {
        match self.rule.excuse {
            Excuse::AReason => true,
            Excuse::None => false,
        }
    }

    /// Tells whether a reason was given, and is enough for the clause.
    #[must_use]
    pub const fn is_excused(&self) -> bool {
        self.takes_a_reason() && self.reason.is_some()
    }
}

/// The clause, its level and what is so, in a line.
impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, setting, found, .. } = self;
        write!(f, "{} ({}), {setting}: {found}", rule.clause, rule.level)
    }
}

impl<T: SessionData, S: Backend> SessionLayer<T, S> {
    /// Compares the settings with OWASP ASVS 5.0: see [`policy`](self).
    pub fn audit(&self) -> Audit {
        let (policy, declared) = (&self.shared.policy, &self.shared.declared);
        Audit::of(&Facts { policy, declared })
    }

    /// Gives the reason why the settings deviate from a clause of OWASP ASVS 5.0, or what else the
    /// [document](Audit::to_markdown) is to say on it.
    ///
    /// It changes nothing but the [audit](Self::audit). A reason that is given twice is the later
    /// one. For `7.1.3` it is the paragraph on lifetimes in a federation.
    #[must_use]
    pub fn because(mut self, clause: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        self.settings().declared.reasons.insert(clause, reason.into());
        self
    }
}
