//! A queue that is fair to those who wait in it: whoever was served least comes first, and when it
//! is full, whoever has most in it makes room.
//!
//! Clients share equally, whatever each sends, and with the console; so do the networks that one
//! client's requests come from. A turn weighs as much as the work it asks for.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use crate::domain::client::ClientId;
use crate::domain::network::Network;

/// On whose account a password is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    party: Party,
    /// Where the request came from; `None` on a Unix socket.
    network: Option<Network>,
}

/// Who takes turns with the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Party {
    Client(ClientId),
    /// Whoever knocks at the console.
    Console,
    /// Whoever was let into it.
    Administrator,
}

impl Requester {
    /// A client, once it is known.
    pub fn client(client: ClientId, network: Option<Network>) -> Self {
        Self {
            party: Party::Client(client),
            network,
        }
    }

    /// Somebody who would like to be let into the console, or its API.
    pub fn console(network: Option<Network>) -> Self {
        Self {
            party: Party::Console,
            network,
        }
    }

    /// Somebody who was.
    pub fn administrator() -> Self {
        Self {
            party: Party::Administrator,
            network: None,
        }
    }
}

/// What became of a job that was to be queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pushed<T> {
    /// It waits.
    Queued,
    /// It waits, and the last one of somebody who has more in the queue does not any longer.
    Displaced(T),
    /// Nobody has more in the queue.
    Full(T),
}

/// The queue.
pub(super) struct FairQueue<T> {
    parties: Shares<Party, Networks<T>>,
    len: usize,
}

type Networks<T> = Shares<Option<Network>, VecDeque<Queued<T>>>;

struct Queued<T> {
    weight: u64,
    job: T,
}

/// Members that take turns.
struct Shares<K, V> {
    members: HashMap<K, Share<V>>,
    /// Where newcomers begin: what the member had been served whose turn was last, or that left.
    served: u64,
    /// How many came, so that equals take turns in order.
    came: u64,
}

struct Share<V> {
    served: u64,
    came: u64,
    waiting: usize,
    value: V,
}

impl<T> FairQueue<T> {
    pub(super) fn new() -> Self {
        Self {
            parties: Shares::default(),
            len: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many are served before one more of this requester, if nobody else comes and all ask for
    /// the same work.
    pub(super) fn ahead_of(&self, requester: &Requester) -> usize {
        let own = self.parties.members.get(&requester.party);
        let of_party = own.map_or(0, |share| {
            let own = share.value.waiting_of(&requester.network);
            share.value.ahead_of(own, &requester.network)
        });
        self.parties.ahead_of(of_party, &requester.party)
    }

    /// Queues a job of this weight, where no more than `bound` may wait.
    pub(super) fn push(
        &mut self,
        requester: Requester,
        weight: u64,
        job: T,
        bound: usize,
    ) -> Pushed<T> {
        let mut pushed = Pushed::Queued;
        if self.len >= bound {
            match self.displace(&requester) {
                Some(displaced) => pushed = Pushed::Displaced(displaced),
                None => return Pushed::Full(job),
            }
        }
        let party = self.parties.enter(requester.party);
        party.waiting += 1;
        let network = party.value.enter(requester.network);
        network.waiting += 1;
        network.value.push_back(Queued { weight, job });
        self.len += 1;
        pushed
    }

    /// Takes out the job whose turn it is. What is to be dropped is, and is no turn.
    pub(super) fn pop(&mut self, mut is_dropped: impl FnMut(&T) -> bool) -> Option<T> {
        loop {
            let party = self.parties.next()?;
            let share = self.parties.members.get_mut(&party)?;
            let network = share.value.next()?;
            let queued = share.value.members.get_mut(&network)?.value.pop_front()?;
            let is_dropped = is_dropped(&queued.job);
            let weight = if is_dropped { 0 } else { queued.weight };
            self.leave((&party, &network), weight);
            if !is_dropped {
                return Some(queued.job);
            }
        }
    }

    /// Takes out what is to be dropped.
    pub(super) fn drop_if(&mut self, mut is_dropped: impl FnMut(&T) -> bool) {
        for party in self.parties.members.values_mut() {
            for network in party.value.members.values_mut() {
                network.value.retain(|queued| !is_dropped(&queued.job));
                network.waiting = network.value.len();
            }
            party.value.part_with_the_served();
            party.waiting = party.value.waiting();
        }
        self.parties.part_with_the_served();
        self.len = self.parties.waiting();
    }

    /// Whether one more job of this requester would be queued.
    pub(super) fn has_room(&self, requester: &Requester, bound: usize) -> bool {
        self.len < bound || self.who_makes_room(requester).is_some()
    }

    fn displace(&mut self, requester: &Requester) -> Option<T> {
        let (party, network) = self.who_makes_room(requester)?;
        let networks = &mut self.parties.members.get_mut(&party)?.value;
        let queued = networks.members.get_mut(&network)?.value.pop_back()?;
        self.leave((&party, &network), 0);
        Some(queued.job)
    }

    // The party that has most; where that would be unfair to it, the network that has most of the
    // requester's own party.
    fn who_makes_room(&self, requester: &Requester) -> Option<(Party, Option<Network>)> {
        let own = self.parties.waiting_of(&requester.party);
        let longest = self.parties.longest()?;
        let party = if self.parties.waiting_of(&longest) > own + 1 {
            longest
        } else {
            requester.party.clone()
        };
        let networks = &self.parties.members.get(&party)?.value;
        let network = networks.longest()?;
        let is_own = party == requester.party;
        let own = networks.waiting_of(&requester.network);
        let is_fair = !is_own || networks.waiting_of(&network) > own + 1;
        is_fair.then_some((party, network))
    }

    // Notes that one of these is out, and what it is charged.
    fn leave(&mut self, (party, network): (&Party, &Option<Network>), weight: u64) {
        if let Some(share) = self.parties.members.get_mut(party) {
            share.value.leave(network, weight);
        }
        self.parties.leave(party, weight);
        self.len -= 1;
    }
}

impl<K, V> Default for Shares<K, V> {
    fn default() -> Self {
        Self {
            members: HashMap::new(),
            served: 0,
            came: 0,
        }
    }
}

impl<K: Eq + Hash + Clone, V> Shares<K, V> {
    // Who comes back begins where the others are: what it was served before is forgotten, and so
    // is what it was not.
    fn enter(&mut self, key: K) -> &mut Share<V>
    where
        V: Default,
    {
        self.came += 1;
        let (served, came) = (self.served, self.came);
        self.members.entry(key).or_insert_with(|| Share {
            served,
            came,
            waiting: 0,
            value: V::default(),
        })
    }

    fn next(&mut self) -> Option<K> {
        let first = |(_, share): &(&K, &Share<V>)| (share.served, share.came);
        let (key, share) = self.members.iter().min_by_key(first)?;
        self.served = self.served.max(share.served);
        Some(key.clone())
    }

    fn leave(&mut self, key: &K, weight: u64) {
        if let Some(share) = self.members.get_mut(key) {
            share.waiting -= 1;
            share.served += weight;
            if share.waiting == 0 {
                self.served = self.served.max(share.served);
                self.members.remove(key);
            }
        }
    }

    // Who has nothing left parts: else who comes back each time would overtake those who stay.
    fn part_with_the_served(&mut self) {
        let served = &mut self.served;
        self.members.retain(|_, share| {
            if share.waiting == 0 {
                *served = share.served.max(*served);
            }
            share.waiting > 0
        });
    }

    // Who are served before one that has `own` before it: these, and of each other member as many
    // as take turns with them.
    fn ahead_of(&self, own: usize, key: &K) -> usize {
        let others = self.members.iter().filter(|(other, _)| *other != key);
        own + others
            .map(|(_, share)| share.waiting.min(own + 1))
            .sum::<usize>()
    }

    // The first of those who have equally many, so that nobody is picked on.
    fn longest(&self) -> Option<K> {
        let rank = |(_, share): &(&K, &Share<V>)| (share.waiting, Reverse(share.came));
        let longest = self.members.iter().max_by_key(rank);
        longest.map(|(key, _)| key.clone())
    }

    fn waiting_of(&self, key: &K) -> usize {
        self.members.get(key).map_or(0, |share| share.waiting)
    }

    fn waiting(&self) -> usize {
        self.members.values().map(|share| share.waiting).sum()
    }
}
