//! The pictures of the README.

use std::fs;
use std::path::Path;

use crate::shop::Via;
use crate::stories::OTHER_DEVICE;
use crate::visit::Visit;

#[test]
#[ignore = "it writes into the repository: -- --ignored pictures"]
fn pictures_of_the_shop() {
    crate::limited(async {
        let to = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures");
        fs::create_dir_all(&to).unwrap();
        let visit = Visit::start("axum", Via::Tls).await;
        visit.put_into_basket("Earl Grey").await;
        visit.put_into_basket("Teapot").await;
        visit.log_in("Ann").await;
        visit.put_into_basket("Earl Grey").await;
        visit.count_a_visit().await;
        visit.browser.picture(1000, &to.join("shop.png")).await;
        for _ in 0..2 {
            visit.elsewhere().await.log_in("Ann").await;
        }
        visit.goto("/devices").await;
        visit.browser.follow(OTHER_DEVICE).await;
        visit.browser.picture(1000, &to.join("devices.png")).await;
        visit.goto("/session").await;
        visit.browser.follow(".wide button").await;
        visit.browser.picture(1000, &to.join("session.png")).await;
    });
}
