//! Who uses a session.

use std::net::IpAddr;

use typed_session::testing::browser::Browser;
use typed_session::testing::schedule::run;
use typed_session::{ClientInfo, ClientPolicy, OnClientChange, RequestHead, Subject};

use crate::world::{SECOND, Shop, URL, World};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

/// A request as an adapter shows it.
struct Request<'a> {
    cookie: Option<String>,
    user_agent: &'a str,
    peer: IpAddr,
}

impl RequestHead for Request<'_> {
    fn method(&self) -> &str {
        "GET"
    }

    fn fields<'h>(&'h self, name: &'h str) -> impl Iterator<Item = &'h [u8]> {
        let field = match name {
            "cookie" => self.cookie.as_deref(),
            "user-agent" => Some(self.user_agent),
            _ => None,
        };
        field.map(str::as_bytes).into_iter()
    }

    fn peer(&self) -> Option<IpAddr> {
        Some(self.peer)
    }
}

struct Client<'a> {
    browser: &'a Browser,
    user_agent: &'a str,
    peer: [u8; 4],
}

impl Client<'_> {
    /// What the handler saw; and how often the change was an event.
    fn visit<R>(
        &self,
        world: &World,
        handler: impl AsyncFnOnce(&typed_session::Session<Shop>) -> R,
    ) -> (R, usize) {
        world.events.take();
        let exchange = world.sessions.receive(&Request {
            cookie: self.browser.cookie_header(URL),
            user_agent: self.user_agent,
            peer: self.peer.into(),
        });
        let result = run(async {
            let session = exchange.session().await.unwrap();
            handler(&session).await
        });
        let answer = world.close(exchange);
        answer.is_fine();
        answer.reach(self.browser);
        let changed = world.events.names().iter().filter(|name| *name == "ClientChanged").count();
        (result, changed)
    }

    fn log_in(&self, world: &World) {
        self.visit(world, async |session| session.update(|shop| shop.user = Some("ann".into())));
    }

    fn demanded(&self, world: &World) -> (bool, bool, usize) {
        let ((changed, demanded), events) = self.visit(world, async |session| {
            (session.client_changed(), session.authentication_demanded())
        });
        (changed, demanded, events)
    }
}

fn kept(world: &World) -> Option<ClientInfo> {
    let page = run(world.sessions.sessions_of(Subject::from("ann"), None, 9)).unwrap();
    page.sessions.into_iter().next().unwrap().client
}

#[test]
fn nothing_of_the_client_is_kept_unless_it_is_asked_for() {
    let world = World::new();
    let browser = world.browser();
    let client = Client { browser: &browser, user_agent: FIREFOX, peer: [192, 0, 2, 1] };
    client.log_in(&world);
    client.visit(&world, async |session| {
        session.set_client(ClientInfo::new("Given"));
        session.reauthenticate();
    });
    assert_eq!(kept(&world), None);
    let other = Client { user_agent: "curl/8", ..client };
    assert_eq!(other.demanded(&world), (false, false, 0));
}

#[test]
fn the_address_is_kept_only_if_the_policy_asks_for_the_peers_or_the_application_gives_it() {
    let peer = IpAddr::from([192, 0, 2, 1]);
    for (policy, expected) in
        [(ClientPolicy::default(), None), (ClientPolicy::default().peer_address(), Some(peer))]
    {
        let world = World::with(|sessions| sessions.client_info(policy));
        let browser = world.browser();
        let client = Client { browser: &browser, user_agent: FIREFOX, peer: [192, 0, 2, 1] };
        client.log_in(&world);
        let info = kept(&world).unwrap();
        assert_eq!((info.user_agent(), info.address()), (FIREFOX, expected));
        let forwarded = IpAddr::from([203, 0, 113, 9]);
        client.visit(&world, async |session| {
            session.set_client(ClientInfo::new(FIREFOX).at(forwarded));
            session.reauthenticate();
        });
        assert_eq!(kept(&world).unwrap().address(), Some(forwarded));
    }
}

#[test]
fn the_client_of_a_login_is_kept_and_not_that_of_a_later_request() {
    let world = World::with(|sessions| sessions.client_info(ClientPolicy::default()));
    let browser = world.browser();
    let visitor = Client { browser: &browser, user_agent: "Visitor", peer: [192, 0, 2, 1] };
    visitor.visit(&world, async |session| session.update(|shop| shop.visits = 1));
    let (first, _) = visitor.visit(&world, async |session| session.client().unwrap());
    assert_eq!(first.user_agent(), "Visitor");
    let login = Client { user_agent: "Login", ..visitor };
    login.log_in(&world);
    let later = Client { user_agent: "Later", ..visitor };
    later.visit(&world, async |session| session.update(|shop| shop.visits += 1));
    assert_eq!(kept(&world).unwrap().user_agent(), "Login");
    later.visit(&world, async |session| session.rotate());
    assert_eq!(kept(&world).unwrap().user_agent(), "Login");
    later.visit(&world, async |session| session.reauthenticate());
    assert_eq!(kept(&world).unwrap().user_agent(), "Later");
}

#[test]
fn another_client_is_reported_once_a_request_and_an_update_is_none() {
    let world = World::with(|sessions| sessions.client_info(ClientPolicy::default()));
    let browser = world.browser();
    let client = Client { browser: &browser, user_agent: FIREFOX, peer: [192, 0, 2, 1] };
    client.log_in(&world);
    assert_eq!(client.demanded(&world), (false, false, 0));
    let updated = FIREFOX.replace("130.0", "131.0.2");
    let updated = Client { user_agent: &updated, ..client };
    assert_eq!(updated.demanded(&world), (false, false, 0));
    let moved = Client { peer: [203, 0, 113, 1], ..client };
    assert_eq!(moved.demanded(&world), (false, false, 0), "no network is compared");
    let thief = Client { user_agent: "curl/8.5.0", ..client };
    assert_eq!(thief.demanded(&world), (true, false, 1), "and nothing is demanded");
    let (_, events) = thief.visit(&world, async |session| {
        session.set_client(ClientInfo::new("wget"));
        session.set_client(ClientInfo::new("lynx"));
    });
    assert_eq!(events, 1);
    // Nobody has asked for the session.
    world.events.take();
    let exchange = world.sessions.receive(&Request {
        cookie: browser.cookie_header(URL),
        user_agent: "wget",
        peer: [192, 0, 2, 1].into(),
    });
    world.close(exchange).is_fine();
    assert_eq!(world.events.take(), [""; 0]);
}

#[test]
fn another_client_must_authenticate_again_if_the_policy_demands_it() {
    let policy = ClientPolicy::default()
        .peer_address()
        .compare_networks()
        .on_change(OnClientChange::DemandAuthentication);
    let world = World::with(|sessions| sessions.client_info(policy));
    let browser = world.browser();
    let client = Client { browser: &browser, user_agent: FIREFOX, peer: [192, 0, 2, 1] };
    client.visit(&world, async |session| session.update(|shop| shop.visits = 1));
    let thief = Client { user_agent: "curl/8", ..client };
    assert_eq!(thief.demanded(&world), (true, false, 1), "nobody is logged in");
    client.log_in(&world);
    world.clock.advance(SECOND);
    assert_eq!(client.demanded(&world), (false, false, 0));
    assert_eq!(thief.demanded(&world), (true, true, 1));
    assert_eq!(thief.demanded(&world), (true, true, 1), "until they have");
    let moved = Client { peer: [203, 0, 113, 1], ..client };
    assert_eq!(moved.demanded(&world), (true, true, 1));
    assert_eq!(client.demanded(&world), (false, false, 0), "and not of who logged in");
    let (after, _) = moved.visit(&world, async |session| {
        session.reauthenticate();
        session.commit().await.unwrap();
        session.authentication_demanded()
    });
    assert!(!after);
    assert_eq!(moved.demanded(&world), (false, false, 0));
    assert_eq!(client.demanded(&world), (true, true, 1), "now it is that one's turn");
}

#[test]
fn what_was_kept_is_gone_with_the_next_write_once_it_is_not_asked_for_any_more() {
    let world = World::with(|sessions| sessions.client_info(ClientPolicy::default()));
    let browser = world.browser();
    Client { browser: &browser, user_agent: FIREFOX, peer: [192, 0, 2, 1] }.log_in(&world);
    // The same store, by a layer that keeps nothing.
    let plain = World::new();
    let layer = typed_session::SessionLayer::<Shop, _>::new(std::sync::Arc::clone(&world.rows))
        .clock(world.clock.clone());
    drop(plain);
    let cookie = browser.cookie_header(URL).unwrap();
    let exchange = layer.open([cookie.as_bytes()]);
    run(async {
        let session = exchange.session().await.unwrap();
        assert!(session.client().is_some());
        session.update(|shop| shop.visits += 1);
        assert!(exchange.finish().await.error.is_none());
    });
    assert_eq!(kept(&world), None);
}
