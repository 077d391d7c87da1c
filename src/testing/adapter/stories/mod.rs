//! The stories.

use super::client::Check;
use super::scene::Scene;
use super::story::Story;

mod failures;
mod fields;
mod guards;
mod layers;
mod life;
mod origins;
mod parallel;
mod responses;
mod sockets;
mod table;

/// Which code tells which story.
pub(super) async fn tell(scene: &Scene, story: Story) -> Check {
    match story {
        Story::Journey => life::journey(scene).await,
        Story::Lazy => life::lazy(scene).await,
        Story::Lifecycle => table::lifecycle(scene).await,
        Story::LoadedOnce => life::loaded_once(scene).await,
        Story::Tossing => fields::tossing(scene).await,
        Story::Fields => fields::several(scene).await,
        Story::Bytes => fields::bytes(scene).await,
        Story::LongFields => fields::long(scene).await,
        Story::OtherTransports => fields::other_transports(scene).await,
        Story::OwnHeaders => responses::own_headers(scene).await,
        Story::NoStore => life::no_store(scene).await,
        Story::Vary => life::vary(scene).await,
        Story::Removal => life::removal(scene).await,
        Story::StaySignedIn => life::stay_signed_in(scene).await,
        Story::OldCookie => life::old_cookie(scene).await,
        Story::ErrorResponse => responses::error_response(scene).await,
        Story::NotFound => responses::not_found(scene).await,
        Story::Redirect => responses::redirect(scene).await,
        Story::HangUp => responses::hang_up(scene).await,
        Story::Panic => responses::panic(scene).await,
        Story::Stream => responses::stream(scene).await,
        Story::CommittedStream => responses::committed_stream(scene).await,
        Story::TwoLayers => layers::two(scene).await,
        Story::OtherSites => origins::others(scene).await,
        Story::OwnSite => origins::own(scene).await,
        Story::Nested => layers::nested(scene).await,
        Story::MissingLayer => layers::missing(scene).await,
        Story::OutageOfLoad => failures::outage_of_load(scene).await,
        Story::OutageOfCommit => failures::outage_of_commit(scene).await,
        Story::LostChange => failures::lost_change(scene).await,
        Story::ErrorsOfHandlers => failures::errors_of_handlers(scene).await,
        Story::Guarded => guards::guarded(scene).await,
        Story::LoginPage => guards::login_page(scene).await,
        Story::Fresh => guards::fresh(scene).await,
        Story::GuardedOutage => guards::outage(scene).await,
        Story::ParallelLogins => parallel::logins(scene).await,
        Story::ParallelLogouts => parallel::logouts(scene).await,
        Story::OneConnection => parallel::one_connection(scene).await,
        Story::Socket => sockets::socket(scene).await,
        Story::SocketLogin => sockets::login(scene).await,
    }
}
