//! Changes of two requests that meet: merged, or refused aloud.

use super::*;

#[test]
fn parallel_changes_of_different_fields_are_both_kept() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.note = "from a".into());
    two.b.1.update(|shop| {
        shop.basket.push("tea".into());
        shop.preferences.insert("b".into(), "1".into());
    });
    let (world, cookie, a, b) = two.close();
    a.is_fine();
    b.is_fine();
    let shop = stored(&world, &cookie);
    assert_eq!((shop.note.as_str(), shop.visits), ("from a", 1));
    assert_eq!((shop.basket.as_slice(), shop.preferences.len()), (&["tea".to_owned()][..], 1));
    assert_eq!(world.events.names().iter().filter(|name| *name == "Conflict").count(), 1);
}

#[test]
fn what_was_merged_is_what_the_later_request_sees() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.note = "from a".into());
    two.b.1.update(|shop| shop.basket.push("tea".into()));
    run(two.a.1.commit()).unwrap();
    run(two.b.1.commit()).unwrap();
    assert_eq!(two.b.1.read(|shop| shop.note.clone()), "from a");
}

#[test]
fn a_value_that_both_changed_is_the_later_ones_and_an_event() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.note = "a".into());
    two.b.1.update(|shop| shop.note = "b".into());
    let (world, cookie, _, b) = two.close();
    b.is_fine();
    assert_eq!(stored(&world, &cookie).note, "b");
    assert!(world.events.take().iter().any(|e| e.contains("overwritten: 1")));
}

#[test]
fn a_request_that_only_read_takes_nothing_back() {
    let two = Two::after(|shop| shop.visits = 1);
    assert_eq!(two.b.1.read(|shop| shop.visits), 1);
    two.a.1.update(|shop| shop.visits = 2);
    let Two { world, cookie, a, b } = two;
    world.close(a.0).is_fine();
    // Even if its upkeep is due.
    world.clock.advance(HOUR / 2);
    world.close(b.0).is_fine();
    assert_eq!(stored(&world, &cookie).visits, 2);
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Strict {
    note: String,
    other: String,
}

impl SessionData for Strict {
    const ON_CONFLICT: OnConflict = OnConflict::Fail;
}

#[test]
fn a_type_whose_conflicts_fail_gets_409_and_no_cookie() {
    let world = World::<Strict>::of();
    let browser = world.browser();
    world.change(&browser, |data| data.note = "first".into());
    let late = world.open(&browser);
    run(late.session()).unwrap().update(|data| data.note = "late".into());
    world.change(&browser, |data| data.note = "quick".into());
    let answer = world.close(late);
    assert!(matches!(answer.outcome.error, Some(Error::Conflict)));
    assert_eq!((answer.status(), answer.set_cookie()), (409, None));
    let (data, _) = world.read(&browser);
    assert_eq!((data.note.as_str(), data.other.as_str()), ("quick", ""));
}

#[test]
fn a_login_beside_a_change_keeps_the_change() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.basket.push("tea".into()));
    two.b.1.update(|shop| shop.user = Some("ann".into()));
    let (world, _, a, b) = two.close();
    a.is_fine();
    b.is_fine();
    let shop = stored(&world, &b.cookie());
    assert_eq!((shop.user.as_deref(), shop.basket.len()), (Some("ann"), 1));
}

#[test]
fn a_change_that_comes_after_a_login_is_refused_aloud() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.user = Some("ann".into()));
    two.b.1.update(|shop| shop.basket.push("tea".into()));
    let (world, _, a, b) = two.close();
    assert!(matches!(b.outcome.error, Some(Error::Lost(Verdict::Superseded))));
    assert_eq!((b.status(), b.set_cookie()), (409, None));
    assert!(stored(&world, &a.cookie()).basket.is_empty());
}

#[test]
fn of_two_logins_at_once_one_is_refused() {
    let two = Two::after(|shop| shop.visits = 1);
    two.a.1.update(|shop| shop.user = Some("ann".into()));
    two.b.1.update(|shop| shop.user = Some("bob".into()));
    let (world, _, a, b) = two.close();
    assert_eq!((a.status(), b.status(), b.set_cookie()), (200, 409, None));
    assert_eq!(stored(&world, &a.cookie()).user.as_deref(), Some("ann"));
}

#[test]
fn an_update_that_changes_nothing_writes_nothing() {
    let two = Two::after(|shop| {
        shop.preferences = (0..50).map(|n| (n.to_string(), n.to_string())).collect();
    });
    // A new map, in an order of its own.
    two.a.1.update(|shop| shop.preferences = shop.preferences.clone().into_iter().collect());
    two.b.1.update(|shop| {
        shop.visits += 1;
        shop.visits -= 1;
        let rebuilt: HashMap<_, _> = shop.preferences.drain().collect();
        shop.preferences = rebuilt;
    });
    two.world.spied.take();
    let (world, _, a, b) = two.close();
    a.is_fine();
    b.is_fine();
    assert_eq!(world.spied.calls().total(), 0);
}

#[test]
fn a_session_is_not_created_by_its_default() {
    let world = World::new();
    let browser = world.browser();
    let answer = world.change(&browser, |shop| {
        shop.visits += 1;
        shop.visits -= 1;
    });
    assert_eq!((answer.calls.total(), answer.set_cookie()), (0, None));
}

#[test]
fn any_way_to_change_the_data_is_seen() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| {
        shop.preferences.insert("a".into(), "1".into());
        shop.basket.push("tea".into());
        shop.note = "note".into();
    });
    let helper = |shop: &mut Shop| shop.basket[0].make_ascii_uppercase();
    world.change(&browser, helper);
    world.change(&browser, |shop| drop(shop.preferences.remove("a")));
    world.change(&browser, |shop| shop.note.clear());
    let (shop, _) = world.read(&browser);
    assert_eq!(shop.basket, ["TEA"]);
    assert!(shop.preferences.is_empty() && shop.note.is_empty());
}

// Switching from one subject to another.
