use std::{collections::BTreeMap, error::Error};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;

#[track_caller]
fn merges(base: Value, ours: Value, theirs: Value, expected: Value) {
    let merged = three_way(&base, &ours, &theirs, OnConflict::Fail).expect("no conflict");
    assert_eq!(merged, Merged { data: expected, overwritten: 0 });
}

#[track_caller]
fn conflicts(base: Value, ours: Value, theirs: Value, later_wins: Value, overwritten: usize) {
    let merged = three_way(&base, &ours, &theirs, OnConflict::LaterWins).unwrap();
    assert_eq!(merged, Merged { data: later_wins, overwritten });
    let failed = three_way(&base, &ours, &theirs, OnConflict::Fail);
    assert!(matches!(failed, Err(MergeError::Conflict)), "{failed:?}");
}

#[track_caller]
fn keeps(base: Value, ours: Value, fallback: Value, expected: Value) {
    assert_eq!(written_over(&base, &ours, &fallback).unwrap(), expected);
}

/// One value at the end of `depth` objects.
fn nested(depth: usize, leaf: Value) -> Value {
    (0..depth).fold(leaf, |inner, _| json!({ "in": inner }))
}

// The merge of structs and maps.

#[test]
fn fields_changed_on_one_side_only_are_all_kept() {
    merges(
        json!({"a": 1, "b": 1, "c": 1, "in": {"d": 1, "e": 1}}),
        json!({"a": 2, "b": 1, "c": 1, "in": {"d": 2, "e": 1}}),
        json!({"a": 1, "b": 2, "c": 1, "in": {"d": 1, "e": 2}}),
        json!({"a": 2, "b": 2, "c": 1, "in": {"d": 2, "e": 2}}),
    );
}

#[test]
fn keys_added_on_both_sides_are_all_there() {
    merges(json!({}), json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2}));
}

#[test]
fn the_same_change_on_both_sides_is_one_change() {
    merges(
        json!({"a": 1, "gone": 1, "list": [1]}),
        json!({"a": 2, "new": 3, "list": [2], "ours": 1}),
        json!({"a": 2, "new": 3, "list": [2], "theirs": 1}),
        json!({"a": 2, "new": 3, "list": [2], "ours": 1, "theirs": 1}),
    );
}

#[test]
fn a_key_removed_on_one_side_stays_removed() {
    merges(json!({"a": 1, "b": 1}), json!({"b": 1}), json!({"a": 1, "b": 2}), json!({"b": 2}));
    merges(json!({"a": 1, "b": 1}), json!({"a": 1, "b": 2}), json!({"b": 1}), json!({"b": 2}));
    merges(json!({"a": {"x": 1}}), json!({}), json!({"a": {"x": 1}, "b": 1}), json!({"b": 1}));
}

#[test]
fn a_key_removed_on_both_sides_is_gone() {
    merges(json!({"a": 1}), json!({"b": 1}), json!({"c": 1}), json!({"b": 1, "c": 1}));
}

#[test]
fn a_key_removed_on_one_side_and_changed_on_the_other_is_a_conflict() {
    conflicts(json!({"a": 1}), json!({}), json!({"a": 2}), json!({}), 1);
    conflicts(json!({"a": 1}), json!({"a": 2}), json!({}), json!({"a": 2}), 1);
    conflicts(json!({"a": {"x": 1}}), json!({}), json!({"a": {"x": 2}}), json!({}), 1);
}

#[test]
fn maps_added_by_both_sides_are_merged_over_an_empty_one() {
    merges(
        json!({}),
        json!({"m": {"a": 1}}),
        json!({"m": {"b": 2}}),
        json!({"m": {"a": 1, "b": 2}}),
    );
    conflicts(
        json!({}),
        json!({"m": {"a": 1, "c": 3}}),
        json!({"m": {"a": 2, "b": 2}}),
        json!({"m": {"a": 1, "b": 2, "c": 3}}),
        1,
    );
}

#[test]
fn two_values_put_where_there_was_none_are_never_mixed() {
    // Two users who both logged in: fields of one must not end up in the other.
    conflicts(
        json!({"user": null}),
        json!({"user": {"id": 1}}),
        json!({"user": {"id": 2, "admin": true}}),
        json!({"user": {"id": 1}}),
        1,
    );
    conflicts(json!({"a": null}), json!({"a": [1]}), json!({"a": [2]}), json!({"a": [1]}), 1);
}

#[test]
fn every_value_changed_on_both_sides_is_counted() {
    conflicts(
        json!({"a": 1, "b": "x", "c": {"d": true}, "e": 0}),
        json!({"a": 2, "b": "y", "c": {"d": null}, "e": 0}),
        json!({"a": 3, "b": "z", "c": 7, "e": 9}),
        json!({"a": 2, "b": "y", "c": {"d": null}, "e": 9}),
        3,
    );
}

#[test]
fn a_value_that_changed_its_kind_on_both_sides_is_one_conflict() {
    conflicts(
        json!({"a": [1]}),
        json!({"a": {"x": 1}}),
        json!({"a": "x"}),
        json!({"a": {"x": 1}}),
        1,
    );
}

// The merge of lists.

#[test]
fn lists_that_both_grew_are_joined_with_ours_last() {
    merges(json!([1, 2]), json!([1, 2, 3]), json!([1, 2, 4, 5]), json!([1, 2, 4, 5, 3]));
    merges(json!([1, 2]), json!([1, 2, 3]), json!([9, 1, 2]), json!([9, 1, 2, 3]));
    merges(json!({}), json!({"l": [1]}), json!({"l": [2]}), json!({"l": [2, 1]}));
}

#[test]
fn a_list_that_grew_elsewhere_than_at_its_end_keeps_our_order() {
    merges(json!([1, 2]), json!([3, 1, 2]), json!([1, 2, 4]), json!([3, 1, 2, 4]));
    merges(json!([1, 2]), json!([2, 3, 1]), json!([2, 4, 1]), json!([2, 3, 1, 4]));
}

#[test]
fn the_same_thing_put_twice_into_a_basket_is_there_twice() {
    merges(json!([]), json!(["tea"]), json!(["tea"]), json!(["tea", "tea"]));
    merges(
        json!({"cart": ["tea"]}),
        json!({"cart": ["tea", "milk"]}),
        json!({"cart": ["tea", "milk"]}),
        json!({"cart": ["tea", "milk", "milk"]}),
    );
}

#[test]
fn equal_additions_both_stay() {
    merges(
        json!(["tea"]),
        json!(["tea", "tea"]),
        json!(["tea", "tea", "milk"]),
        json!(["tea", "tea", "milk", "tea"]),
    );
    merges(
        json!(["tea"]),
        json!(["milk", "tea"]),
        json!(["tea", "milk"]),
        json!(["milk", "tea", "milk"]),
    );
}

#[test]
fn one_of_two_equal_elements_taken_away_is_no_growth() {
    conflicts(
        json!(["tea", "tea"]),
        json!(["tea", "x"]),
        json!(["tea", "tea", "y"]),
        json!(["tea", "x"]),
        1,
    );
}

#[test]
fn two_different_orders_are_a_conflict() {
    conflicts(json!([1, 2, 3]), json!([2, 1, 3]), json!([3, 2, 1]), json!([2, 1, 3]), 1);
}

#[test]
fn a_new_order_keeps_what_the_other_side_removed_and_added() {
    merges(json!([1, 2, 3]), json!([3, 2, 1]), json!([1, 3]), json!([3, 1]));
    merges(json!([1, 2, 3]), json!([1, 4]), json!([3, 2, 1]), json!([1, 4]));
    merges(json!([1, 2, 3]), json!([3, 2, 1]), json!([2, 4, 5, 6]), json!([2, 4, 5, 6]));
    merges(json!([1, 2]), json!([2, 1]), json!([1, 2, 3]), json!([2, 1, 3]));
    merges(json!([1, 2]), json!([1, 2, 3]), json!([2, 1]), json!([2, 1, 3]));
}

#[test]
fn what_may_be_a_tuple_is_never_rebuilt_from_an_order() {
    conflicts(json!([1, 2]), json!([2, 1]), json!([1, 3]), json!([2, 1]), 1);
    conflicts(json!([1, 2]), json!([1, 3]), json!([2, 1]), json!([1, 3]), 1);
}

#[test]
fn a_list_that_lost_an_element_conflicts_with_one_that_grew() {
    conflicts(json!([1, 2]), json!([1]), json!([1, 2, 3]), json!([1]), 1);
    conflicts(json!([1, 2]), json!([1, 2, 3]), json!([1]), json!([1, 2, 3]), 1);
}

#[test]
fn long_lists_are_joined_without_comparing_each_with_each() {
    // 100 000 by 100 000 comparisons would run for minutes.
    let base: Vec<u32> = (0..100_000).collect();
    let mut ours: Vec<u32> = base.iter().rev().copied().collect();
    let mut theirs = base.clone();
    ours.push(200_000);
    theirs.rotate_left(7);
    theirs.push(300_000);
    let merged = three_way(&base, &ours, &theirs, OnConflict::Fail).unwrap();
    ours.push(300_000);
    assert_eq!(merged.data, ours);
}

// Types and depth.

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Shop {
    user: Option<(u64, String)>,
    cart: Vec<String>,
    notes: BTreeMap<String, String>,
    place: (i32, i32),
    wishes: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
enum Step {
    A(u8),
    B(u8),
    C(u8),
}

#[test]
fn a_merge_that_does_not_decode_is_an_error() {
    let failed = three_way(&Step::A(1), &Step::B(1), &Step::C(1), OnConflict::LaterWins);
    assert!(matches!(failed, Err(MergeError::Decode(_))), "{failed:?}");
}

#[test]
fn data_without_a_json_form_is_an_error() {
    let data = BTreeMap::from([((1, 2), 3)]);
    // Only to be `DeserializeOwned` as well: such a map is never read.
    let failed = three_way(&data, &data, &data, OnConflict::LaterWins);
    assert!(matches!(failed, Err(MergeError::Encode(_))), "{failed:?}");
    assert!(matches!(written_over(&data, &data, &data), Err(MergeError::Encode(_))));
}

#[test]
fn an_error_names_no_value_and_keeps_its_source() {
    let side = |user: &str| json!({ user: user });
    let conflict =
        three_way(&json!({"ann": 1}), &side("ann"), &json!({"ann": 2}), OnConflict::Fail)
            .unwrap_err();
    assert_eq!(conflict.to_string(), "both sides changed the same value of the session data");
    let decode = three_way(&Step::A(1), &Step::B(1), &Step::C(1), OnConflict::Fail).unwrap_err();
    assert_eq!(decode.to_string(), "merged session data does not decode");
    assert!(decode.source().is_some());
}

#[test]
fn below_the_depth_bound_a_value_is_one_piece() {
    let tree = |a: u8, b: u8, depth| nested(depth, json!({"a": a, "b": b}));
    let at = |depth| {
        three_way(&tree(0, 0, depth), &tree(1, 0, depth), &tree(0, 1, depth), OnConflict::LaterWins)
    };
    assert_eq!(
        at(MAX_DEPTH - 1).unwrap(),
        Merged { data: tree(1, 1, MAX_DEPTH - 1), overwritten: 0 }
    );
    assert_eq!(at(MAX_DEPTH).unwrap(), Merged { data: tree(1, 0, MAX_DEPTH), overwritten: 1 });
}

#[test]
fn below_the_depth_bound_nothing_written_is_kept() {
    let at = |depth| {
        let tree = |leaf: &str| nested(depth, json!(leaf));
        written_over(&tree("ann"), &tree("bob"), &tree("nobody")).unwrap()
    };
    assert_eq!(at(MAX_DEPTH - 1), nested(MAX_DEPTH - 1, json!("bob")));
    assert_eq!(at(MAX_DEPTH), nested(MAX_DEPTH, json!("nobody")));
    let lists = |leaf: &str| (0..MAX_DEPTH).fold(json!(leaf), |inner, _| json!([inner]));
    let kept = written_over(&lists("ann"), &lists("bob"), &lists("nobody")).unwrap();
    assert_eq!(kept, lists("nobody"));
}

// A switch of subject.

#[test]
fn what_was_written_is_kept_and_the_rest_falls_back() {
    keeps(
        json!({"user": "ann", "theme": "dark", "in": {"a": 1, "b": 1}}),
        json!({"user": "bob", "theme": "dark", "in": {"a": 2, "b": 1}}),
        json!({"user": null, "theme": "light", "in": {"a": 0, "b": 0}}),
        json!({"user": "bob", "theme": "light", "in": {"a": 2, "b": 0}}),
    );
}

#[test]
fn of_a_list_only_what_was_added_reaches_the_next_subject() {
    keeps(
        json!({"l": [1, 2]}),
        json!({"l": [1, 3, 2, 1]}),
        json!({"l": [0]}),
        json!({"l": [0, 3, 1]}),
    );
    keeps(json!({"l": [1, 2]}), json!({"l": [2, 1]}), json!({"l": []}), json!({"l": []}));
    keeps(json!({"l": [1, 2]}), json!({"l": [1]}), json!({"l": []}), json!({"l": []}));
    keeps(json!({"l": [1, 2]}), json!({"l": [1, 3]}), json!({"l": []}), json!({"l": [3]}));
    keeps(json!({"l": [1, 2]}), json!({"l": [1, 3]}), json!({"l": null}), json!({"l": [3]}));
    keeps(json!({"l": [1, 2]}), json!({"l": [1, 2, 3]}), json!({}), json!({"l": [3]}));
    keeps(json!({"l": [1, 2]}), json!({"l": [2, 1]}), json!({}), json!({}));
}

#[test]
fn an_element_written_once_more_is_added_wherever_it_stands() {
    keeps(json!({"l": [1, 2]}), json!({"l": [2, 1, 1]}), json!({"l": []}), json!({"l": [1]}));
    merges(json!([1, 2]), json!([2, 1, 1]), json!([1, 2, 3]), json!([2, 1, 1, 3]));
    merges(json!([1, 2]), json!([3, 1, 2]), json!([2, 1, 1]), json!([3, 1, 2, 1]));
}

#[test]
fn of_a_map_only_written_entries_reach_the_next_subject() {
    keeps(
        json!({"m": {"same": 1, "changed": 1, "removed": 1, "all": 5}}),
        json!({"m": {"same": 1, "changed": 2, "added": 3, "all": 5}}),
        json!({"m": {"removed": 0, "all": 9, "default": 4}}),
        json!({"m": {"changed": 2, "added": 3, "all": 9, "default": 4}}),
    );
}

#[test]
fn a_written_value_that_has_no_fields_to_fall_back_to_is_kept_whole() {
    keeps(
        json!({"user": {"id": 1, "role": "customer"}}),
        json!({"user": {"id": 2, "role": "customer"}}),
        json!({"user": null}),
        json!({"user": {"id": 2, "role": "customer"}}),
    );
    keeps(
        json!({"a": null}),
        json!({"a": {"x": 1}}),
        json!({"a": {"x": 0, "y": 0}}),
        json!({"a": {"x": 1}}),
    );
}

#[test]
fn data_that_is_no_struct_is_ours_if_written_and_else_the_fallback() {
    keeps(json!("ann"), json!("bob"), json!(null), json!("bob"));
    keeps(json!("ann"), json!("ann"), json!(null), json!(null));
}

#[test]
fn a_list_as_long_as_its_fallback_falls_back_place_by_place() {
    keeps(
        json!([1, {"a": 1, "b": 2}]),
        json!([1, {"a": 1, "b": 3}]),
        json!([0, {"a": 0, "b": 0}]),
        json!([0, {"a": 0, "b": 3}]),
    );
    // A ring of recent items that was turned by one.
    keeps(
        json!(["a", "b", "c"]),
        json!(["z", "a", "b"]),
        json!([null, null, null]),
        json!(["z", null, null]),
    );
    // An element that stayed does not count as the one that moved.
    keeps(json!([1, 1, 2]), json!([1, 2, 1]), json!([0, 0, 0]), json!([0, 0, 0]));
    // An element that stood there twice and still does is not an element that moved.
    keeps(
        json!([true, true, false]),
        json!([true, true, true]),
        json!([0, 0, 0]),
        json!([0, 0, true]),
    );
}

#[test]
fn a_tuple_is_kept_whole_where_half_of_it_does_not_decode() {
    let base = Shop {
        user: Some((1, "customer".into())),
        cart: vec!["tea".into(), "milk".into()],
        notes: BTreeMap::from([("tea".into(), "green".into())]),
        place: (3, 4),
        wishes: Some(vec!["rice".into()]),
    };
    let mut ours = base.clone();
    ours.user = Some((2, "customer".into()));
    ours.cart[1] = "sugar".into();
    ours.place.1 = 5;
    ours.wishes = Some(vec!["rice".into(), "salt".into()]);
    let expected = Shop {
        user: ours.user.clone(),
        cart: vec!["sugar".into()],
        place: (0, 5),
        wishes: Some(vec!["salt".into()]),
        ..Shop::default()
    };
    assert_eq!(written_over(&base, &ours, &Shop::default()).unwrap(), expected);
}

#[test]
fn what_is_kept_and_does_not_decode_is_an_error() {
    let failed = written_over(&Step::A(1), &Step::A(2), &Step::B(0));
    assert!(matches!(failed, Err(MergeError::Decode(_))), "{failed:?}");
}

// Laws, over random trees.

/// Xorshift: the same trees in every run.
struct Random {
    state: u64,
    /// The last leaf given out: no two leaves are equal.
    leaf: u64,
}

const ROUNDS: u64 = 3_000;

impl Random {
    fn new(round: u64) -> Self {
        Self { state: (round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, leaf: 0 }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) % limit
    }

    fn leaf(&mut self) -> Value {
        self.leaf += 1;
        match self.below(2) {
            0 => json!(self.leaf),
            _ => json!(format!("leaf {}", self.leaf)),
        }
    }

    fn tree(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 2 } else { 6 }) {
            0 => self.leaf(),
            1 => Value::Null,
            2 => (0..self.below(4)).map(|_| self.tree(depth - 1)).collect(),
            _ => self.object(depth),
        }
    }

    fn object(&mut self, depth: u64) -> Value {
        let keys = 1 + self.below(5);
        let entries = (0..keys).map(|_| (format!("k{}", self.below(6)), self.tree(depth - 1)));
        Value::Object(entries.collect())
    }

    /// Changes, adds, removes and moves a few things.
    fn edit(&mut self, tree: &Value) -> Value {
        match tree {
            Value::Object(map) if self.below(8) > 0 => {
                let mut edited = Map::new();
                for (key, value) in map {
                    match self.below(6) {
                        0 => {}
                        1 | 2 => drop(edited.insert(key.clone(), self.edit(value))),
                        _ => drop(edited.insert(key.clone(), value.clone())),
                    }
                }
                if self.below(2) == 0 {
                    edited.insert(format!("k{}", self.below(6)), self.tree(2));
                }
                Value::Object(edited)
            }
            Value::Array(list) if self.below(8) > 0 => {
                let mut edited = list.clone();
                if !edited.is_empty() && self.below(3) == 0 {
                    let at = self.below(edited.len() as u64) as usize;
                    edited.rotate_left(at);
                }
                if !edited.is_empty() && self.below(3) == 0 {
                    edited.pop();
                }
                for _ in 0..self.below(3) {
                    edited.push(self.tree(1));
                }
                Value::Array(edited)
            }
            _ => self.tree(2),
        }
    }
}

fn merge(base: &Value, ours: &Value, theirs: &Value) -> Merged<Value> {
    three_way(base, ours, theirs, OnConflict::LaterWins).unwrap()
}

/// The same tree with every list in one order.
fn sorted(tree: Value) -> Value {
    match tree {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.into_iter().map(sorted).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(map) => map.into_iter().map(|(key, value)| (key, sorted(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => tree,
    }
}

fn leaves(tree: &Value, found: &mut Vec<Value>) {
    match tree {
        Value::Array(list) => list.iter().for_each(|value| leaves(value, found)),
        Value::Object(map) => map.values().for_each(|value| leaves(value, found)),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(tree.clone()),
    }
}

#[test]
fn an_unchanged_side_yields_to_the_other() {
    for round in 0..ROUNDS {
        let mut random = Random::new(round);
        let base = random.tree(4);
        let side = random.edit(&base);
        let expected = Merged { data: side.clone(), overwritten: 0 };
        assert_eq!(merge(&base, &base, &side), expected, "theirs, round {round}");
        assert_eq!(merge(&base, &side, &base), expected, "ours, round {round}");
        // Lists that grew are joined, so only the number of conflicts is certain.
        assert_eq!(merge(&base, &side, &side).overwritten, 0, "both, round {round}");
    }
}

#[test]
fn without_a_conflict_it_does_not_matter_who_was_first() {
    let mut merged = 0;
    for round in 0..ROUNDS {
        let mut random = Random::new(round);
        let base = random.object(4);
        let (ours, theirs) = (random.edit(&base), random.edit(&base));
        let (one, other) = (merge(&base, &ours, &theirs), merge(&base, &theirs, &ours));
        assert_eq!(one.overwritten, other.overwritten, "round {round}");
        if one.overwritten == 0 {
            merged += 1;
            assert_eq!(sorted(one.data), sorted(other.data), "round {round}");
        }
    }
    assert!(merged > ROUNDS / 4, "only {merged} rounds had no conflict");
}

#[test]
fn without_a_conflict_nothing_added_is_lost_and_nothing_is_made_up() {
    for round in 0..ROUNDS {
        let mut random = Random::new(round);
        let base = random.object(4);
        let (ours, theirs) = (random.edit(&base), random.edit(&base));
        let merged = merge(&base, &ours, &theirs);
        if merged.overwritten > 0 {
            continue;
        }
        let [mut in_base, mut in_ours, mut in_theirs, mut in_merged] = [const { Vec::new() }; 4];
        leaves(&base, &mut in_base);
        leaves(&ours, &mut in_ours);
        leaves(&theirs, &mut in_theirs);
        leaves(&merged.data, &mut in_merged);
        for leaf in in_ours.iter().chain(&in_theirs).filter(|leaf| !in_base.contains(leaf)) {
            assert!(in_merged.contains(leaf), "round {round}: {leaf} is lost");
        }
        for leaf in &in_base {
            let stays = in_ours.contains(leaf) && in_theirs.contains(leaf);
            assert_eq!(in_merged.contains(leaf), stays, "round {round}: {leaf}");
        }
        for (at, leaf) in in_merged.iter().enumerate() {
            assert!(!in_merged[..at].contains(leaf), "round {round}: {leaf} is there twice");
        }
    }
}

#[test]
fn changes_of_different_keys_never_conflict() {
    for round in 0..ROUNDS {
        let mut random = Random::new(round);
        let base = random.object(4);
        let (mut ours, mut theirs, mut both) = (base.clone(), base.clone(), base.clone());
        for key in 0..6 {
            let key = format!("k{key}");
            let side = if random.below(2) == 0 { &mut ours } else { &mut theirs };
            match random.below(3) {
                0 => {
                    side.as_object_mut().unwrap().remove(&key);
                    both.as_object_mut().unwrap().remove(&key);
                }
                1 => {
                    let value = random.tree(2);
                    side[&key] = value.clone();
                    both[&key] = value;
                }
                _ => {}
            }
        }
        let expected = Merged { data: both, overwritten: 0 };
        assert_eq!(merge(&base, &ours, &theirs), expected, "round {round}");
        assert_eq!(merge(&base, &theirs, &ours), expected, "round {round}");
    }
}

/// Like `tree`, with all leaves replaced and some lists emptied: a default that has every field.
fn default_of(tree: &Value, random: &mut Random) -> Value {
    match tree {
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), default_of(value, random))).collect()
        }
        Value::Array(_) if random.below(2) == 0 => json!([]),
        Value::Array(list) => list.iter().map(|value| default_of(value, random)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => random.leaf(),
    }
}

#[test]
fn nothing_of_the_last_subject_that_was_not_written_reaches_the_next() {
    let mut kept_some = 0;
    for round in 0..ROUNDS {
        let mut random = Random::new(round);
        let base = random.object(4);
        let ours = random.edit(&base);
        let fallback = default_of(&base, &mut random);
        let result = written_over(&base, &ours, &fallback).unwrap();
        let [mut in_base, mut in_ours, mut in_result] = [const { Vec::new() }; 3];
        leaves(&base, &mut in_base);
        leaves(&ours, &mut in_ours);
        leaves(&result, &mut in_result);
        for leaf in &in_result {
            assert!(
                !in_base.contains(leaf),
                "round {round}: {leaf} has leaked from {base} by {ours}"
            );
        }
        for leaf in in_ours.iter().filter(|leaf| !in_base.contains(leaf)) {
            assert!(in_result.contains(leaf), "round {round}: {leaf} was written and is lost");
            kept_some += 1;
        }
    }
    assert!(kept_some > ROUNDS, "only {kept_some} leaves were written");
}

#[test]
fn a_request_that_wrote_nothing_leaves_the_fallback() {
    for round in 0..ROUNDS {
        let mut random = Random::new(round);
        let (base, fallback) = (random.tree(4), random.tree(4));
        assert_eq!(written_over(&base, &base, &fallback).unwrap(), fallback, "round {round}");
    }
}
