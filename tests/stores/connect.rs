//! What a URL that opens no store tells, and what it does not.

use std::error::Error;
use std::fmt::Write as _;

use futures_util::future::join_all;
use typed_session::store::{ConnectError, DynStore};

/// All that a program's log may show of an error.
fn all_of(error: &ConnectError) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        write!(text, " {error} {error:?}").unwrap();
        source = error.source();
    }
    text
}

#[tokio::test]
async fn no_error_shows_a_piece_of_the_password() {
    let schemes = [
        "memory",
        "sqlite",
        "postgres",
        "postgresql",
        "mysql",
        "mariadb",
        "redis",
        "rediss",
        "valkey",
        "valkeys",
        "mongodb",
        "mongodb+srv",
        "ftp",
    ];
    // Nobody listens on port 1.
    let rests = [
        ":hunter2",
        "://hunter2:",
        "://shop:hunter2",
        "://shop:hunter2@",
        "://shop:hunter2@/",
        "://shop:hunter2@127.0.0.1:1",
        "://shop:hunter2@127.0.0.1:1/shop?serverSelectionTimeoutMS=50",
        "://shop:hunter2@127.0.0.1:port/shop",
        "://shop:hun?ter2@db/shop",
        "://shop:hun/ter2@db/shop",
        "://shop:hun#ter2@db/shop",
        "://shop:hun:ter2@db:x/shop",
        "://shop:hun@ter2@db:x/shop",
        "://shop:hun%ter2@db:x/shop",
        "://shop:hun%ffter2@127.0.0.1:1/shop",
        "://shop:hun ter2@[::1/shop",
        "://127.0.0.1:1/?hunter2=hunter2",
        "://127.0.0.1:1/?mode=hunter2&sslmode=hunter2&protocol=hunter2&tls=hunter2",
        "://127.0.0.1:1/0?protocol=hunter2",
        "://127.0.0.1:1/shop?password=hunter2&port=hunter2",
    ];
    let urls = schemes.iter().flat_map(|scheme| rests.map(|rest| format!("{scheme}{rest}")));
    join_all(urls.map(async |url| {
        let Err(error) = DynStore::connect(&url).await else { panic!("{url}") };
        let text = all_of(&error);
        assert!(!text.contains("hun") && !text.contains("ter2"), "{url}: {text}");
    }))
    .await;
}

#[tokio::test]
async fn every_scheme_that_is_known_is_named_where_one_is_not() {
    let Err(unknown) = DynStore::connect("ftp://127.0.0.1/").await else { panic!() };
    assert!(matches!(unknown, ConnectError::UnknownScheme));
    for scheme in [
        "memory:",
        "sqlite:",
        "postgres:",
        "postgresql:",
        "mysql:",
        "mariadb:",
        "redis:",
        "rediss:",
        "valkey:",
        "valkeys:",
        "mongodb:",
        "mongodb+srv:",
    ] {
        assert!(unknown.to_string().contains(&format!(" {scheme}")), "{scheme}");
        // No URL of any store, and not because of its scheme.
        let Err(error) = DynStore::connect(&format!("{scheme}//[")).await else { panic!() };
        assert!(!matches!(error, ConnectError::UnknownScheme), "{scheme}");
    }
}
