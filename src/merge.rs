//! Three-way merge of session data, as version control does it.
//!
//! Two requests that ran at the same time both changed the session. [`three_way`] brings their changes together:
//! *base* is what was loaded, *theirs* is what somebody else has committed since, *ours* is committed now.
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! use typed_session::merge::{OnConflict, three_way};
//!
//! #[derive(Clone, Default, Serialize, Deserialize)]
//! struct Shop { language: String, cart: Vec<String> }
//!
//! let base = Shop { language: "en".into(), cart: vec!["tea".into()] };
//! let (mut ours, mut theirs) = (base.clone(), base.clone());
//! ours.cart.push("milk".into());
//! theirs.cart.push("sugar".into());
//! theirs.language = "fr".into();
//!
//! let merged = three_way(&base, &ours, &theirs, OnConflict::Fail)?;
//! assert_eq!(merged.data.language, "fr");
//! assert_eq!(merged.data.cart, ["tea", "sugar", "milk"]);
//! assert_eq!(merged.overwritten, 0);
//! # Ok::<(), typed_session::merge::MergeError>(())
//! ```
//!
//! # The rules
//!
//! 1. A value that both sides have equal is taken once: the same change made twice is one change. Lists that grew
//!    (rule 4) are the exception: two requests that each put the same thing into a basket put two into it.
//! 2. A value that one side alone changed is that side's. Being absent is a value too: a removed field stays removed.
//! 3. Structs and maps are merged key by key, to any depth that JSON can hold (128). An absent base counts as empty.
//! 4. Two lists that both only grew are joined: nothing that either side added is lost. A list grew if it still holds
//!    every element of base as often as base did, in whatever order.
//! 5. A list that one side only reordered keeps that order and takes what the other side removed and added. (The order
//!    of a `HashSet` changes by itself.) Not so if the other side's list is still as long as base, because then it
//!    may be a tuple.
//! 6. Whatever else both sides changed is a conflict, and goes by [`OnConflict`].
//!
//! # What it does not do
//!
//! It does not see inside the elements of a list: an edited element is one removed and one added. Keep what is edited
//! in a map. It does not add up counters: two increments from 1 are both 2, which is rule 1; a counter needs a
//! transaction. It does not know who a session belongs to: the caller must check that one subject is on all sides.

use std::collections::HashMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Says what happens to a value that both sides changed.
///
/// Complete by nature: of two values, one is taken or none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OnConflict {
    /// Ours, the later commit, wins, and [`Merged::overwritten`] counts it.
    LaterWins,
    /// The merge fails with [`MergeError::Conflict`].
    Fail,
}

/// What a merge has made of two sides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Merged<T> {
    /// The changes of both sides.
    pub data: T,
    /// How many values both sides had changed, so that theirs was dropped by [`OnConflict::LaterWins`].
    pub overwritten: usize,
}

/// Says why there is no merge; nothing has been changed then.
///
/// # Security
///
/// The messages name no key and no value, for both may be a user's. A source, being serde's own error, may quote
/// a value: keep it out of what a client sees.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Both sides changed the same value: load the session again and repeat the change, or tell the user.
    #[error("both sides changed the same value of the session data")]
    Conflict,
    /// The data has no JSON form, such as a map whose keys are not strings: change the type.
    #[error("session data cannot be encoded for a merge")]
    Encode(#[source] serde_json::Error),
    /// Each side is sound and both together are not, as with two variants of one enum: treat it as a conflict.
    #[error("merged session data does not decode")]
    Decode(#[source] serde_json::Error),
}

/// Brings the changes of two sides together.
///
/// The [module](self) has the rules.
///
/// # Errors
///
/// [`MergeError::Conflict`] if both sides changed one value under [`OnConflict::Fail`]; [`MergeError::Encode`] and
/// [`MergeError::Decode`] if `T` has no JSON form, or the merged one is no `T`.
///
/// # Example
///
/// ```
/// use serde_json::json;
/// use typed_session::merge::{OnConflict, three_way};
///
/// let (base, ours, theirs) = (json!({"step": 1}), json!({"step": 2}), json!({"step": 3}));
/// let merged = three_way(&base, &ours, &theirs, OnConflict::LaterWins)?;
/// assert_eq!((merged.data, merged.overwritten), (json!({"step": 2}), 1));
/// assert!(three_way(&base, &ours, &theirs, OnConflict::Fail).is_err());
/// # Ok::<(), typed_session::merge::MergeError>(())
/// ```
pub fn three_way<T: Serialize + DeserializeOwned>(
    base: &T,
    ours: &T,
    theirs: &T,
    on_conflict: OnConflict,
) -> Result<Merged<T>, MergeError> {
    let (tree, overwritten) =
        merge_values(encode(base)?, encode(ours)?, encode(theirs)?, on_conflict)?;
    Ok(Merged { data: decode(tree)?, overwritten })
}

/// Merges trees; the number is that of [`Merged::overwritten`].
pub(crate) fn merge_values(
    base: Value,
    ours: Value,
    theirs: Value,
    on_conflict: OnConflict,
) -> Result<(Value, usize), MergeError> {
    let mut merge = Merge { on_conflict, overwritten: 0 };
    let tree = merge.value(Some(base), Some(ours), Some(theirs), 0)?;
    Ok((tree.expect("two sides that are present merge into one that is"), merge.overwritten))
}

/// Keeps what was written since `base` and lets every other field be that of `fallback`.
///
/// This is for a switch of subject, where what the last subject left must not reach the next one: `base` is what was
/// loaded, `ours` is committed now, `fallback` is `T::default()`.
///
/// - A field or map key is written if `ours` differs from `base`; structs and maps that are there in all three are
///   looked into, to any depth that JSON can hold (128). Deeper, nothing is kept.
/// - An unwritten one is as in `fallback`, and absent if absent there. A removed one is absent.
/// - Of a list only what was added is kept, after the fallback's list. A new order adds nothing.
/// - A list as long in all three, such as a tuple, is looked into place by place. An element that only changed
///   places is not written.
/// - Any other written value is kept whole.
///
/// # Errors
///
/// [`MergeError::Encode`] and [`MergeError::Decode`] if `T` has no JSON form, or what is kept is no `T`.
///
/// # Security
///
/// *Whole* includes what stood in it before. An `Option<Cart>` that is `None` by default has no fields to fall back to: to
/// push one item into it is to keep the cart. So is a map's entry. Give such a field a default of its own kind, or assign
/// it anew. A tuple that `fallback` has not, as in `Option<(Id, Role)>`, is kept whole too, but only if `T` does not
/// decode otherwise.
///
/// A field that was assigned the value it had is not seen as written, so the caller must check that the subject of the
/// result is the subject of `ours`.
///
/// # Example
///
/// ```
/// use serde_json::json;
/// use typed_session::merge::written_over;
///
/// let base = json!({"user": "ann", "cart": ["tea"], "orders": {"1": "sent"}});
/// let ours = json!({"user": "bob", "cart": ["tea", "milk"], "orders": {"1": "sent"}});
/// let fallback = json!({"user": null, "cart": [], "orders": {}});
/// assert_eq!(
///     written_over(&base, &ours, &fallback)?,
///     json!({"user": "bob", "cart": ["milk"], "orders": {}}),
/// );
/// # Ok::<(), typed_session::merge::MergeError>(())
/// ```
pub fn written_over<T: Serialize + DeserializeOwned>(
    base: &T,
    ours: &T,
    fallback: &T,
) -> Result<T, MergeError> {
    let (base, ours, fallback) = (encode(base)?, encode(ours)?, encode(fallback)?);
    // Not whole at once, because JSON shows a tuple and a list alike, and half a list is all of it that may be kept.
    decode(written_values(&base, &ours, &fallback, AsLong::List))
        .or_else(|_| decode(written_values(&base, &ours, &fallback, AsLong::Tuple)))
}

/// The tree of [`written_over`].
fn written_values(base: &Value, ours: &Value, fallback: &Value, as_long: AsLong) -> Value {
    written(Some(base), Some(ours), Some(fallback), as_long, 0)
        .expect("a value that is present in ours and in the fallback stays present")
}

/// What a list without a counterpart in the fallback is, if it is as long as it was.
#[derive(Clone, Copy)]
enum AsLong {
    /// Of any length: what was added is enough.
    List,
    /// Of this length: all or nothing.
    Tuple,
}

/// How deep structs and maps are looked into; below, a value is one piece. serde_json reads no deeper either.
///
/// Invariant: bounds our own recursion. To compare, hash and drop a `Value` recurses as well, and no deeper than the
/// user's own type did when it was encoded.
const MAX_DEPTH: usize = 128;

struct Merge {
    on_conflict: OnConflict,
    overwritten: usize,
}

impl Merge {
    /// Merges what stands under one key; `None` is an absent value.
    fn value(
        &mut self,
        base: Option<Value>,
        ours: Option<Value>,
        theirs: Option<Value>,
        depth: usize,
    ) -> Result<Option<Value>, MergeError> {
        match (base, ours, theirs) {
            // Before anything is compared, so that a tree is walked once and not once a level.
            (
                base @ (None | Some(Value::Object(_))),
                Some(Value::Object(ours)),
                Some(Value::Object(theirs)),
            ) if depth < MAX_DEPTH => {
                let base = match base {
                    Some(Value::Object(base)) => base,
                    _ => Map::new(),
                };
                Ok(Some(Value::Object(self.object(base, ours, theirs, depth + 1)?)))
            }
            // Before the sides are compared: equal additions are two additions.
            (Some(Value::Array(base)), Some(Value::Array(ours)), Some(Value::Array(theirs)))
                if ours == theirs && grew(&base, &ours) =>
            {
                Ok(Some(Value::Array(Change::of(&base, &ours).onto(&theirs))))
            }
            (base, ours, theirs) if ours == theirs || base == theirs => Ok(ours),
            (base, ours, theirs) if base == ours => Ok(theirs),
            (
                base @ (None | Some(Value::Array(_))),
                Some(Value::Array(ours)),
                Some(Value::Array(theirs)),
            ) => {
                let base = match base {
                    Some(Value::Array(base)) => base,
                    _ => Vec::new(),
                };
                match lists(&base, ours, theirs) {
                    Ok(joined) => Ok(Some(Value::Array(joined))),
                    Err(ours) => self.conflict(Some(Value::Array(ours))),
                }
            }
            (_, ours, _) => self.conflict(ours),
        }
    }

    fn object(
        &mut self,
        mut base: Map<String, Value>,
        ours: Map<String, Value>,
        mut theirs: Map<String, Value>,
        depth: usize,
    ) -> Result<Map<String, Value>, MergeError> {
        let mut merged = Map::new();
        for (key, our) in ours {
            let (base, their) = (base.remove(&key), theirs.remove(&key));
            if let Some(value) = self.value(base, Some(our), their, depth)? {
                merged.insert(key, value);
            }
        }
        for (key, their) in theirs {
            if let Some(value) = self.value(base.remove(&key), None, Some(their), depth)? {
                merged.insert(key, value);
            }
        }
        // What is left in base, both sides have removed.
        Ok(merged)
    }

    fn conflict(&mut self, ours: Option<Value>) -> Result<Option<Value>, MergeError> {
        match self.on_conflict {
            OnConflict::LaterWins => {
                self.overwritten += 1;
                Ok(ours)
            }
            OnConflict::Fail => Err(MergeError::Conflict),
        }
    }
}

/// Joins two lists that both differ from base and from each other, or gives ours back: a conflict.
fn lists(base: &[Value], ours: Vec<Value>, theirs: Vec<Value>) -> Result<Vec<Value>, Vec<Value>> {
    let (our, their) = (Change::of(base, &ours), Change::of(base, &theirs));
    if our.is_order() && their.is_order() {
        Err(ours)
    } else if our.removed.is_empty() && their.removed.is_empty() {
        // Ours come last where they were pushed to the end, for they are the later ones.
        if ours.starts_with(base) { Ok(our.onto(&theirs)) } else { Ok(their.onto(&ours)) }
    } else if our.is_order() && theirs.len() != base.len() {
        Ok(their.onto(&ours))
    } else if their.is_order() && ours.len() != base.len() {
        Ok(our.onto(&theirs))
    } else {
        Err(ours)
    }
}

/// The side holds all of base, and more.
fn grew(base: &[Value], side: &[Value]) -> bool {
    side.len() > base.len() && Change::of(base, side).removed.is_empty()
}

/// What became of a list, whatever its order.
struct Change {
    removed: Vec<Value>,
    added: Vec<Value>,
}

impl Change {
    fn of(base: &[Value], side: &[Value]) -> Self {
        Self { removed: without(base, side), added: without(side, base) }
    }

    /// Nothing but the order has changed, if anything has.
    fn is_order(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    fn onto(self, list: &[Value]) -> Vec<Value> {
        let mut joined = without(list, &self.removed);
        joined.extend(self.added);
        joined
    }
}

/// The elements of `list`, in order, but for those of `other`, each taken away as often as it stands there.
fn without(list: &[Value], other: &[Value]) -> Vec<Value> {
    // A list that was pushed to is the usual one, and needs no hashing.
    let same = list.iter().zip(other).take_while(|(a, b)| a == b).count();
    let (list, other) = (&list[same..], &other[same..]);
    let mut taken = count(other);
    list.iter().filter(|element| !take(&mut taken, element)).cloned().collect()
}

fn count<'a>(elements: impl IntoIterator<Item = &'a Value>) -> HashMap<&'a Value, usize> {
    let mut counts = HashMap::new();
    for element in elements {
        *counts.entry(element).or_insert(0) += 1;
    }
    counts
}

/// Takes one `element` away, if one is left.
fn take(counts: &mut HashMap<&Value, usize>, element: &Value) -> bool {
    match counts.get_mut(element) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}

/// What [`written_over`] makes of the value under one key; `None` is an absent value.
fn written(
    base: Option<&Value>,
    ours: Option<&Value>,
    fallback: Option<&Value>,
    as_long: AsLong,
    depth: usize,
) -> Option<Value> {
    // Nothing is kept below the bound: a lost write costs less than a leak.
    if depth == MAX_DEPTH {
        return fallback.cloned();
    }
    match (base, ours, fallback) {
        (Some(Value::Object(base)), Some(Value::Object(ours)), Some(Value::Object(fallback))) => {
            let only_fallback = fallback.keys().filter(|key| !ours.contains_key(*key));
            let kept = ours.keys().chain(only_fallback).filter_map(|key| {
                let value =
                    written(base.get(key), ours.get(key), fallback.get(key), as_long, depth + 1)?;
                Some((key.clone(), value))
            });
            Some(Value::Object(kept.collect()))
        }
        (base, ours, fallback) if base == ours => fallback.cloned(),
        (Some(Value::Array(base)), Some(Value::Array(ours)), Some(Value::Array(fallback)))
            if base.len() == ours.len() && base.len() == fallback.len() =>
        {
            Some(Value::Array(written_places(base, ours, fallback, as_long, depth + 1)))
        }
        (Some(Value::Array(base)), Some(Value::Array(ours)), fallback) => {
            let added = without(ours, base);
            match (fallback, as_long) {
                _ if added.is_empty() => fallback.cloned(),
                (Some(Value::Array(fallback)), _) => {
                    Some(Value::Array([fallback.as_slice(), &added].concat()))
                }
                (_, AsLong::Tuple) if base.len() == ours.len() => Some(Value::Array(ours.clone())),
                (_, AsLong::Tuple | AsLong::List) => Some(Value::Array(added)),
            }
        }
        (_, ours, _) => ours.cloned(),
    }
}

/// [`written`] for lists that are equally long: each place is a field.
fn written_places(
    base: &[Value],
    ours: &[Value],
    fallback: &[Value],
    as_long: AsLong,
    depth: usize,
) -> Vec<Value> {
    let changed = base.iter().zip(ours).filter(|(base, ours)| base != ours);
    let mut moved = count(changed.map(|(base, _)| base));
    let places = base.iter().zip(ours).zip(fallback);
    places
        .map(|((base, ours), fallback)| {
            if base == ours || take(&mut moved, ours) {
                fallback.clone()
            } else {
                written(Some(base), Some(ours), Some(fallback), as_long, depth)
                    .expect("a value that is present in ours and in the fallback stays present")
            }
        })
        .collect()
}

fn encode<T: Serialize>(data: &T) -> Result<Value, MergeError> {
    serde_json::to_value(data).map_err(MergeError::Encode)
}

fn decode<T: DeserializeOwned>(tree: Value) -> Result<T, MergeError> {
    serde_json::from_value(tree).map_err(MergeError::Decode)
}

#[cfg(test)]
mod tests;
