//! The shop in a real browser: what its cookies and its pages are worth is for Chromium to say.
//!
//! The shops are the programs of `examples`, which are to be built before:
//!
//!     cargo build -p typed-session-examples --example axum
//!     cargo test -p typed-session-browser -- --ignored axum
//!
//! It takes `chromedriver` and a Chromium that it finds, or that `CHROMIUM` names.
#![allow(clippy::unwrap_used, reason = "a test may fail by a panic")]

use std::time::Duration;

use tokio::time;

mod attacker;
mod chromium;
mod pictures;
mod shop;
mod stories;
mod tls;
mod visit;

/// Every story with each of the shops, over each of the ways to them.
macro_rules! shops {
    ($($framework:ident $program:literal,)*) => {$(
        mod $framework {
            use crate::shop::Via::{Http, Tls};
            use crate::stories::*;

            shops!(@ $program
                the_cookie_is_kept_as_it_was_meant_over_tls: the_cookie_of_tls, Tls;
                the_cookie_is_kept_as_it_was_meant_on_localhost: the_cookie_of_localhost, Http;
                no_script_sees_the_cookie_or_replaces_it: no_script_has_the_cookie, Tls;
                each_login_and_each_logout_changes_the_jar: a_login_changes_the_id, Tls;
                a_logout_in_one_tab_is_one_in_the_other: a_logout_in_one_of_two_tabs, Tls;
                who_stays_signed_in_is_so_after_a_restart: a_restart_of_who_stays, Tls;
                who_does_not_is_not: a_restart_of_who_does_not, Tls;
                back_after_a_logout_shows_nothing_over_tls: back_after_a_logout, Tls;
                back_after_a_logout_shows_nothing_on_localhost: back_after_a_logout, Http;
                two_users_of_one_browser_see_nothing_of_each_other: two_users, Tls;
                a_switch_of_user_leaves_nothing_behind: a_switch, Http;
                a_user_logs_devices_out: the_devices_of_a_user, Tls;
                a_user_deletes_the_account: an_account_is_deleted, Http;
                forms_of_another_site_are_refused_over_tls: forms_of_another_site, Tls;
                forms_of_another_site_are_refused_on_localhost: forms_of_another_site, Http;
                forms_of_a_sibling_are_refused_over_tls: forms_of_a_sibling, Tls;
                forms_of_another_port_are_refused_on_localhost: forms_of_a_sibling, Http;
                twenty_requests_at_once_lose_nothing: twenty_at_once, Tls;
            );
        }
    )*};
    (@ $program:literal $($name:ident: $story:ident, $via:ident;)*) => {$(
        #[test]
        #[ignore = "needs a browser: ./tests/run browser"]
        fn $name() {
            crate::limited($story($program, $via));
        }
    )*};
}

shops! {
    actix_web "actix-web",
    axum "axum",
    hyper "hyper",
    rocket "rocket",
}

/// Runs a story to its end, or to the time when something must hang.
fn limited(story: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let limit = Duration::from_secs(180);
        time::timeout(limit, story).await.expect("a story takes less than three minutes");
    });
}
