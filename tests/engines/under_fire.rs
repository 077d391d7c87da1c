//! What every engine is put through: a minute of histories, lost replies, outages, a kill.

/// Makes the tests, of the kind of server and a function from a URL to a store on it that
/// connects again by itself and gives a call up within a second.
macro_rules! under_fire {
    ($kind:expr, $store:path) => {
        mod under_fire {
            use std::time::Duration;

            use crate::server::{Kind, Server, shared};
            use crate::{faults, histories};

            /// How long a request may take that is to be answered with a 503.
            const LIMIT: Duration = Duration::from_secs(5);

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a server: ./tests/run engines"]
            async fn a_minute_of_histories_has_an_explanation() {
                histories::minute(&shared($kind), async |url| $store(url).await).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a server: ./tests/run engines"]
            async fn a_write_whose_reply_was_lost_is_recognised() {
                let connect = async |url| $store(url).await;
                faults::lost_reply_is_recognised(&shared($kind), connect).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a server: ./tests/run engines"]
            async fn an_outage_is_a_503_and_no_logout() {
                faults::outages(&shared($kind), async |url| $store(url).await, LIMIT).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a server: ./tests/run engines"]
            async fn a_killed_server_has_lost_nothing_that_was_acknowledged() {
                let server = Server::start($kind);
                let connect = async || $store(server.url().to_owned()).await;
                let losses = faults::killed(connect, || server.kill(), || server.restart()).await;
                assert_eq!((losses.writes, losses.ends), (0, 0));
            }
        }
    };
}
