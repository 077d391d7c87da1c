//! What a handler may say of the client, and ask.

use super::ClientInfo;
use crate::data::SessionData;
use crate::session::{Session, World};

impl<T: SessionData> Session<T> {
    /// Says who makes this request, as the application knows it better than the layer: with an
    /// address that its proxy has written, say.
    ///
    /// Nothing of it is kept, or compared, unless the layer's
    /// [`client_info`](crate::SessionLayer::client_info) is set. It is recorded when the session
    /// is created, at a login and at [`reauthenticate`](Self::reauthenticate).
    ///
    /// ```
    /// # use std::net::IpAddr;
    /// # use typed_session::{ClientInfo, Session, SessionData};
    /// # fn at<T: SessionData>(session: &Session<T>, user_agent: &str, trusted: IpAddr) {
    /// session.set_client(ClientInfo::new(user_agent).at(trusted));
    /// # }
    /// ```
    ///
    /// # Security
    ///
    /// Call it in a middleware inside of the layer. A [guard](crate::Guard) among a handler's
    /// arguments looks before the handler runs, and knows no address by then.
    pub fn set_client(&self, client: ClientInfo) {
        let World { policy, observer, .. } = self.0.driver().world();
        self.0.machine().set_client(client, policy, observer);
    }

    /// Returns who logged in or, before that, created the session; as far as it is kept.
    #[must_use]
    pub fn client(&self) -> Option<ClientInfo> {
        self.0.machine().client().cloned()
    }

    /// Tells whether this request comes from another client than the one that
    /// [logged in](Self::client). Numbers in a `User-Agent` make no difference.
    ///
    /// "No" where one of the two is not known, and after the commit of a new login.
    ///
    /// # Security
    ///
    /// A hint, and never the only defence: see [`OnClientChange`](crate::OnClientChange).
    #[must_use]
    pub fn client_changed(&self) -> bool {
        self.0.machine().client_changed(self.0.driver().world().policy)
    }

    /// Tells whether the user must log in or [reauthenticate](Self::reauthenticate) before what
    /// asks for fresh authentication, whenever they did so last.
    ///
    /// That is so with
    /// [`OnClientChange::DemandAuthentication`](crate::OnClientChange::DemandAuthentication),
    /// while the [client is another one](Self::client_changed).
    #[must_use]
    pub fn authentication_demanded(&self) -> bool {
        self.0.machine().authentication_demanded(self.0.driver().world().policy)
    }
}
