//! Room for requests that need no management key: little in all, and less for one address, so that no stranger takes all.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use super::ClientAddress;

/// Requests to routes that need no management key; whoever has none cannot use up the places of whoever has it.
const OPEN_REQUESTS_MAX: usize = 64;
/// Of them, from one address.
const OPEN_REQUESTS_PER_ADDRESS_MAX: usize = 8;

/// Who has how many places at present.
#[derive(Default)]
pub(super) struct OpenPlaces(Mutex<HashMap<IpAddr, usize>>);

/// Given back when it is dropped.
pub(super) struct Place<'a> {
    places: &'a OpenPlaces,
    address: IpAddr,
}

impl OpenPlaces {
    /// `None`: too many are taken, in all or from there.
    pub(super) fn take(&self, client: ClientAddress) -> Option<Place<'_>> {
        let address = client.network();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = taken.get(&address).copied().unwrap_or_default();
        if from_there >= OPEN_REQUESTS_PER_ADDRESS_MAX || taken.values().sum::<usize>() >= OPEN_REQUESTS_MAX {
            return None;
        }
        taken.insert(address, from_there + 1);
        Some(Place { places: self, address })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(from_there) = taken.get_mut(&self.address) {
            *from_there -= 1;
            if *from_there == 0 {
                taken.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddress {
        ClientAddress(text.parse().unwrap())
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_each_back() {
        let places = OpenPlaces::default();
        let mut held: Vec<_> =
            (0..8).map(|number| places.take(client(&format!("2001:db8::{number}"))).unwrap()).collect();
        assert!(places.take(client("2001:db8::9")).is_none());
        assert!(places.take(client("2001:db8:0:1::9")).is_some());
        held.pop();
        assert!(places.take(client("2001:db8::9")).is_some());
        held.clear();
        assert!(places.0.lock().unwrap().is_empty());
    }

    #[test]
    fn all_addresses_together_have_so_many_places_and_no_more() {
        let places = OpenPlaces::default();
        let held: Vec<_> =
            (0..64).map(|number| places.take(client(&format!("192.0.2.{}", number / 8))).unwrap()).collect();
        assert!(places.take(client("192.0.2.99")).is_none());
        drop(held);
        assert!(places.take(client("192.0.2.99")).is_some());
    }
}
