//! The client of a request beside the one in the record.

use std::sync::Arc;

use super::{Loaded, Machine, Stage};
use crate::client::{ClientInfo, OnClientChange};
use crate::data::SessionData;
use crate::event::{Event, Observer};
use crate::lifecycle::Policy;

/// Who makes the request, as far as that is to be known.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) shown: Option<Arc<ClientInfo>>,
    /// That it is another one was said.
    reported: bool,
}

impl Client {
    pub(super) fn of(client: Option<ClientInfo>) -> Self {
        Self { shown: client.map(Arc::new), reported: false }
    }
}

impl<T: SessionData> Machine<T> {
    /// Takes the application's word for who makes the request.
    pub(crate) fn set_client(
        &mut self,
        client: ClientInfo,
        policy: &Policy,
        observer: &dyn Observer,
    ) {
        if policy.client.is_some() {
            self.client.shown = Some(Arc::new(client));
            self.report_client(policy, observer);
        }
    }

    /// The client in the record.
    pub(crate) fn client(&self) -> Option<&ClientInfo> {
        self.loaded()?.held.as_ref()?.live.client.as_deref()
    }

    /// Tells whether the request comes from another client than the one in the record.
    pub(crate) fn client_changed(&self, policy: &Policy) -> bool {
        match (policy.client, self.client(), &self.client.shown) {
            (Some(policy), Some(recorded), Some(shown)) => policy.differ(recorded, shown),
            _ => false,
        }
    }

    /// Tells whether somebody is logged in, and has to prove again who they are.
    pub(crate) fn authentication_demanded(&self, policy: &Policy) -> bool {
        let demands = policy.client.is_some_and(|client| match client.on_change {
            OnClientChange::Report => false,
            OnClientChange::DemandAuthentication => true,
        });
        let held = self.loaded().and_then(|loaded| loaded.held.as_ref());
        demands
            && held.is_some_and(|held| held.record.subject.is_some())
            && self.client_changed(policy)
    }

    /// Says, once, that the session is used by another client.
    pub(super) fn report_client(&mut self, policy: &Policy, observer: &dyn Observer) {
        let key = match &self.stage {
            Stage::Loaded(Loaded { held: Some(held), .. }) => held.key,
            Stage::Untouched | Stage::Loaded(_) => return,
        };
        if !self.client.reported && self.client_changed(policy) {
            self.client.reported = true;
            observer.event(&Event::ClientChanged { key });
        }
    }
}
