//! Finds domains above and below the domain of an `explain`: the operator may mean one of them.

use std::collections::BTreeMap;

use xmpp::Domain;

use super::{commands::Sources, round::Round};
use status::{
    amount::Amount,
    answer::{Related, Sessions},
    finding::MOST_RELATED,
    report::LinkState,
};

impl Sources {
    /// Domains above and below `remote` that have links or queues.
    pub(super) async fn related(&self, remote: &Domain, round: &mut Round) -> Vec<Related> {
        let shown = self.shown(None, MOST_SEARCHED);
        let Sessions { links, .. } = self.links(None, MOST_SEARCHED, round).await;
        let queues = round.wait("promise", shown).await.map_or_else(Vec::new, |shown| shown.queues);
        let mut found = BTreeMap::<String, Related>::new();
        for pair in
            links.iter().filter(|link| link.state == LinkState::Authenticated).flat_map(|link| &link.pairs)
        {
            if let Some(related) = pair.remote.as_deref().and_then(|name| relative(&mut found, remote, name))
            {
                related.links += 1;
            }
        }
        for queue in &queues {
            if let Some(related) = relative(&mut found, remote, &queue.remote) {
                related.waiting = related.waiting.plus(queue.waiting);
            }
        }
        found.into_values().take(MOST_RELATED).collect()
    }
}

/// The entry of `name` if it is another domain above or below `remote`.
fn relative<'a>(
    found: &'a mut BTreeMap<String, Related>,
    remote: &Domain,
    name: &str,
) -> Option<&'a mut Related> {
    let other = Domain::new(name).ok().filter(|other| other.is_below(remote) || remote.is_below(other))?;
    let new = || Related { domain: name.to_owned(), links: 0, waiting: Amount::default() };
    Some(found.entry(other.to_string()).or_insert_with(new))
}

/// Links and queues that are searched.
const MOST_SEARCHED: usize = 2_000;
