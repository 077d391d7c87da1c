//! A test that fails when the rules of an application's sessions fall below a level.

use crate::data::SessionData;
use crate::layer::SessionLayer;
use crate::policy::Level;
use crate::store::Backend;

/// Fails unless the settings of the layer meet OWASP ASVS 5.0 up to a level, or give their reasons.
///
/// Give it the layer of production, made by the function that production calls. What it looks at,
/// and what it cannot see, is told at [`policy`](crate::policy).
///
/// ```
/// # use typed_session::{SessionData, SessionLayer, store::MemoryStore};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Shop { user: Option<u64> }
/// # impl SessionData for Shop {}
/// use typed_session::{Lifetime, policy::Level, testing};
///
/// fn sessions() -> SessionLayer<Shop, MemoryStore> {
///     SessionLayer::new(MemoryStore::new())
///         .lifetime(Lifetime::nist_aal2())
///         .because("14.3.1", "our pages keep nothing in the browser")
/// }
///
/// // #[test]
/// fn our_sessions_meet_level_1() {
///     testing::assert_asvs(&sessions(), Level::L1);
/// }
/// # our_sessions_meet_level_1();
/// ```
///
/// # Panics
///
/// With what is wrong and what to do about it, one by one; also if a reason was given for a clause
/// that no setting has to do with.
#[track_caller]
pub fn assert_asvs<T: SessionData, S: Backend>(layer: &SessionLayer<T, S>, level: Level) {
    let audit = layer.audit();
    let mut wrong = String::new();
    let mut count = 0;
    for found in audit.against(level) {
        count += 1;
        let (clause, remedy) = (found.clause(), found.remedy());
        let reason = match found.reason() {
            None if found.takes_a_reason() => {
                format!(", or say why not: `.because(\"{clause}\", \"..\")`")
            }
            None => String::new(),
            Some(_) => " (no reason is good enough for this clause)".to_owned(),
        };
        wrong += &format!("\n  {found}\n    to do: {remedy}{reason}\n");
    }
    for clause in audit.unknown_clauses() {
        count += 1;
        wrong += &format!(
            "\n  {clause}: a reason was given for it, and no setting has to do with it\n    \
             to do: look for a slip of the pen in `.because(\"{clause}\", ..)`\n"
        );
    }
    let points = if count == 1 { "point" } else { "points" };
    assert!(
        count == 0,
        "these sessions fall short of OWASP ASVS 5.0, {level}, in {count} {points}:\n{wrong}"
    );
}
