use futures_util::lock::Mutex as AsyncMutex;

use super::*;

async fn steps(count: usize) {
    for _ in 1..count {
        yield_now().await;
    }
}

fn shared<T>(value: T) -> Arc<Mutex<T>> {
    Arc::new(Mutex::new(value))
}

#[test]
fn every_order_is_run_exactly_once() {
    let orders = shared(Vec::new());
    let explored = Explorer::new()
        .explore(|_| {
            let order = shared(String::new());
            let task = |name: char| {
                let order = Arc::clone(&order);
                async move {
                    for step in 0..3 {
                        if step > 0 {
                            yield_now().await;
                        }
                        order.lock().unwrap().push(name);
                    }
                }
            };
            let scenario = Scenario::new().task(task('A')).task(task('B')).task(task('C'));
            let orders = Arc::clone(&orders);
            scenario.check(move || {
                orders.lock().unwrap().push(order.lock().unwrap().clone());
                Ok(())
            })
        })
        .unwrap();
    // 9! / (3!)^3
    assert_eq!(explored, Explored { runs: 1680, complete: true });
    let mut orders = orders.lock().unwrap();
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 1680);
}

#[test]
fn too_many_orders_are_sampled_and_the_answer_says_so() {
    let last_steps = shared(std::collections::BTreeSet::new());
    let explored = Explorer::new()
        .max_runs(200)
        .explore(|choice| {
            // In order, the first decision would be 0 in all of 200 runs.
            last_steps.lock().unwrap().insert(choice.of(5));
            Scenario::new().task(steps(10)).task(steps(10))
        })
        .unwrap();
    assert_eq!(explored, Explored { runs: 200, complete: false });
    assert_eq!(last_steps.lock().unwrap().len(), 5);
}

#[test]
fn a_failing_order_is_printed_and_fails_again_when_replayed() {
    let scenario = |_: &Choice| {
        let log = shared(String::new());
        let task = |name: char| {
            let log = Arc::clone(&log);
            async move {
                log.lock().unwrap().push(name);
                yield_now().await;
                log.lock().unwrap().push(name);
            }
        };
        let scenario = Scenario::new().task(task('x')).task(task('y'));
        scenario.check(move || match log.lock().unwrap().as_str() {
            "yxxy" => Err("found".to_owned()),
            _ => Ok(()),
        })
    };
    let failure = Explorer::new().explore(scenario).unwrap_err();
    assert_eq!(failure.message(), "found");
    assert_eq!(failure.schedule().to_string(), "B A A B");
    assert!(failure.to_string().contains("B A A B"), "{failure}");
    let again = Explorer::new().replay("B A A B", scenario).unwrap_err();
    assert_eq!(again.message(), "found");
    assert_eq!(Explorer::new().replay("A A B B", scenario).unwrap().runs, 1);
}

#[test]
fn tasks_that_wait_for_each_other_are_a_failure() {
    let failure = Explorer::new()
        .explore(|_| {
            let (one, other) = (Arc::new(AsyncMutex::new(())), Arc::new(AsyncMutex::new(())));
            let both = |first: Arc<AsyncMutex<()>>, second: Arc<AsyncMutex<()>>| async move {
                let _first = first.lock().await;
                yield_now().await;
                let _second = second.lock().await;
            };
            Scenario::new().task(both(one.clone(), other.clone())).task(both(other, one))
        })
        .unwrap_err();
    assert_eq!(failure.message(), "deadlock: A and B wait for each other");
}

#[test]
fn a_task_that_waits_for_a_lock_goes_on_once_it_is_free() {
    let explored = Explorer::new()
        .explore(|_| {
            let lock = Arc::new(AsyncMutex::new(0));
            let task = |lock: Arc<AsyncMutex<u32>>| async move {
                let mut guard = lock.lock().await;
                let read = *guard;
                yield_now().await;
                *guard = read + 1;
            };
            let check = Arc::clone(&lock);
            Scenario::new().task(task(lock.clone())).task(task(lock)).check(move || {
                match check.try_lock().map(|guard| *guard) {
                    Some(2) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
        })
        .unwrap();
    assert!(explored.complete && explored.runs > 2, "{explored:?}");
}

#[test]
fn a_panic_in_a_task_or_a_check_is_a_failure_with_its_order() {
    let in_task = |_: &Choice| Scenario::new().task(steps(2)).task(async { panic!("boom") });
    let failure = Explorer::new().explore(in_task).unwrap_err();
    assert_eq!(failure.message(), "panicked: boom");
    assert_eq!(failure.schedule().to_string(), "A A B");
    let in_check = |_: &Choice| Scenario::new().task(steps(1)).check(|| panic!("{}", "bang"));
    assert_eq!(Explorer::new().explore(in_check).unwrap_err().message(), "panicked: bang");
}

#[test]
fn a_task_is_dropped_at_each_of_its_await_points_once() {
    let ends = shared(Vec::new());
    let explored = Explorer::new()
        .drops(1)
        .explore(|_| {
            let reached = shared(0);
            let (inner, ends) = (Arc::clone(&reached), Arc::clone(&ends));
            let task = async move {
                for step in 1..=3 {
                    *inner.lock().unwrap() = step;
                    yield_now().await;
                }
                *inner.lock().unwrap() = 4;
            };
            Scenario::new().task(task).check(move || {
                ends.lock().unwrap().push(*reached.lock().unwrap());
                Ok(())
            })
        })
        .unwrap();
    assert_eq!(explored, Explored { runs: 4, complete: true });
    ends.lock().unwrap().sort_unstable();
    assert_eq!(*ends.lock().unwrap(), [1, 2, 3, 4]);
}

#[test]
fn a_dropped_task_is_a_small_letter() {
    let scenario = |_: &Choice| {
        let done = shared(false);
        let inner = Arc::clone(&done);
        let task = async move {
            yield_now().await;
            *inner.lock().unwrap() = true;
        };
        let check = move || if *done.lock().unwrap() { Ok(()) } else { Err("dropped".to_owned()) };
        Scenario::new().task(task).check(check)
    };
    let failure = Explorer::new().drops(1).explore(scenario).unwrap_err();
    assert_eq!(failure.schedule().to_string(), "A a");
    assert_eq!(Explorer::new().replay("A a", scenario).unwrap_err().message(), "dropped");
}

#[test]
fn choices_are_part_of_the_order() {
    let scenario = |choice: &Choice| {
        let first = choice.of(3);
        let choice = choice.clone();
        let task = async move {
            yield_now().await;
            assert!(first + choice.of(4) < 5, "too much");
        };
        Scenario::new().task(task)
    };
    let failure = Explorer::new().explore(scenario).unwrap_err();
    assert_eq!(failure.schedule().to_string(), "2 A A 3");
    assert_eq!(failure.message(), "panicked: too much");
    assert!(Explorer::new().replay("2 A A 2", scenario).is_ok());
}

#[test]
fn a_task_that_never_ends_is_a_failure() {
    let endless = |_: &Choice| {
        Scenario::new().task(async {
            loop {
                yield_now().await;
            }
        })
    };
    let failure = Explorer::new().max_steps(50).explore(endless).unwrap_err();
    assert_eq!(failure.message(), "no end after 50 steps");
}

#[test]
fn a_scenario_that_differs_from_run_to_run_is_a_failure() {
    let mut runs = 0;
    let failure = Explorer::new()
        .explore(|choice| {
            runs += 1;
            let _ = choice.of(2 + runs);
            Scenario::new().task(steps(2)).task(steps(2))
        })
        .unwrap_err();
    assert!(failure.message().contains("does not do the same"), "{failure}");
}

#[test]
fn a_schedule_of_another_scenario_is_a_failure() {
    let scenario = |_: &Choice| Scenario::new().task(steps(2));
    for wrong in ["B", "A 1", "A,B"] {
        assert!(Explorer::new().replay(wrong, scenario).is_err(), "{wrong}");
    }
}

#[test]
fn a_search_on_the_callers_runtime_sees_every_order_too() {
    let orders = shared(std::collections::BTreeSet::new());
    let runs = run(explore_here(
        100,
        0,
        1,
        async || {
            let order = shared(String::new());
            let task = |name: char| {
                let order = Arc::clone(&order);
                Box::pin(async move {
                    order.lock().unwrap().push(name);
                    yield_now().await;
                    order.lock().unwrap().push(name);
                }) as Task
            };
            Ok((vec![task('A'), task('B')], order))
        },
        async |order| {
            orders.lock().unwrap().insert(order.lock().unwrap().clone());
            Ok(())
        },
    ));
    assert_eq!(runs, Ok(6));
    assert_eq!(orders.lock().unwrap().len(), 6);
}
