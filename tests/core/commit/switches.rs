//! A switch of subject beside other changes.

use super::*;

#[test]
fn a_switch_keeps_what_it_wrote_and_carries_what_the_type_says() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| {
        shop.user = Some("ann".into());
        shop.note = "of ann".into();
        shop.language = "de".into();
        shop.basket.push("of ann".into());
        shop.preferences.insert("of".into(), "ann".into());
    });
    let of_ann = browser.clone();
    let answer = world.change(&browser, |shop| {
        shop.user = Some("bob".into());
        shop.basket.push("of bob".into());
    });
    assert_ne!(Some(answer.cookie()), of_ann.cookie_header(URL));
    let (shop, _) = world.read(&browser);
    let expected = Shop {
        user: Some("bob".into()),
        basket: vec!["of bob".into()],
        language: "de".into(),
        ..Shop::default()
    };
    assert_eq!(shop, expected);
    assert_eq!(world.read(&of_ann).1.verdict, Verdict::Superseded);
}

/// Ann writes while another request switches to Bob: nothing of hers is his.
fn switch_beside_a_write(ann: impl FnOnce(&mut Shop), bob: impl FnOnce(&mut Shop)) -> Shop {
    let two = Two::after(|shop| {
        shop.user = Some("ann".into());
        shop.note = "of ann".into();
        shop.basket.push("of ann".into());
        shop.language = "de".into();
    });
    two.b.1.update(|shop| {
        shop.user = Some("bob".into());
        bob(shop);
    });
    two.a.1.update(ann);
    let Two { world, a, b, .. } = two;
    world.close(a.0).is_fine();
    let answer = world.close(b.0);
    answer.is_fine();
    stored(&world, &answer.cookie())
}

#[test]
fn a_switch_beside_a_write_leaks_nothing_of_the_last_subject() {
    let shop = switch_beside_a_write(
        |shop| {
            shop.note = "of ann, later".into();
            shop.basket.push("of ann, later".into());
        },
        |_| {},
    );
    assert_eq!((shop.note.as_str(), shop.basket.len()), ("", 0));
    assert_eq!(shop.language, "de", "carried");
}

#[test]
fn a_switch_that_meets_a_newer_record_after_its_deadline_leaks_nothing_either() {
    let two = Two::after(|shop| {
        shop.user = Some("ann".into());
        shop.note = "of ann".into();
        shop.basket.push("of ann".into());
    });
    two.b.1.update(|shop| shop.user = Some("bob".into()));
    two.world.clock.advance(HOUR / 2);
    two.a.1.update(|shop| {
        shop.note = "of ann, later".into();
        shop.basket.clear();
    });
    let Two { world, a, b, .. } = two;
    world.close(a.0).is_fine();
    // Past the deadline that the switching request knows.
    world.clock.advance(HOUR / 2);
    let answer = world.close(b.0);
    answer.is_fine();
    let shop = stored(&world, &answer.cookie());
    assert_eq!((shop.note.as_str(), shop.basket.len()), ("", 0));
}

#[test]
fn a_switch_keeps_its_own_write_although_the_last_subject_wrote_the_same() {
    let same = |shop: &mut Shop| {
        shop.note = "hello".into();
        shop.basket.push("milk".into());
    };
    let shop = switch_beside_a_write(same, same);
    assert_eq!((shop.note.as_str(), shop.basket.as_slice()), ("hello", &["milk".to_owned()][..]));
}

#[test]
fn several_switches_in_one_request_each_leave_the_last_subject_behind() {
    let world = World::new();
    let browser = world.browser();
    world.change(&browser, |shop| shop.user = Some("ann".into()));
    let (_, answer) = world.visit(&browser, async |session| {
        for (user, note) in
            [(Some("bob"), ""), (None, ""), (Some("ann"), "of ann"), (Some("bob"), "")]
        {
            session.update(|shop| {
                shop.user = user.map(str::to_owned);
                if !note.is_empty() {
                    shop.note = note.to_owned();
                }
            });
            session.commit().await.unwrap();
        }
    });
    answer.is_fine();
    let (shop, _) = world.read(&browser);
    assert_eq!((shop.user.as_deref(), shop.note.as_str()), (Some("bob"), ""));
}

// Transactions.
