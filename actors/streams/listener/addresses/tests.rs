//! Tests of the bounds of addresses and networks.

use super::{bounds::QUEUE, *};

const BOUNDS: Bounds = Bounds { per_address: 2, growth: 1, unauthenticated: 1000, attempts: 10, share: 100 };

fn addresses() -> (Addresses, Instant) {
    let now = clock::now();
    (Addresses::new(BOUNDS, now), now)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Accepts a connection if the bounds permit it, and counts it.
fn arrive(addresses: &mut Addresses, ip: IpAddr, now: Instant) -> Result<Standing, Excess> {
    let standing = addresses.standing_of(ip, now)?;
    addresses.change(ip, None, Some(standing));
    Ok(standing)
}

#[test]
fn connections_above_the_limit_of_an_address_wait_and_are_refused_above_a_second_one() {
    let (mut addresses, now) = addresses();
    let standings: Vec<_> = (0..40).map(|_| arrive(&mut addresses, ip("192.0.2.7"), now)).collect();
    assert_eq!(standings[..2], [Ok(Standing::Served); 2]);
    assert_eq!(standings[2..34], [Ok(Standing::Waiting); 32]);
    assert_eq!(standings[34..], [Err(Excess::Address); 6]);
    assert_eq!(arrive(&mut addresses, ip("192.0.2.8"), now), Ok(Standing::Served), "another address");
}

#[test]
fn an_authenticated_connection_no_longer_counts_as_unauthenticated_nor_as_an_attempt() {
    let (mut addresses, now) = addresses();
    let address = ip("192.0.2.7");
    for _ in 0..99 {
        assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
        addresses.change(address, Some(Standing::Served), Some(Standing::Proved));
    }
    // The authenticated connections of an address are bounded by its share of all connections.
    assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
    assert_eq!(arrive(&mut addresses, address, now), Err(Excess::All));
}

#[test]
fn an_address_with_authenticated_connections_is_served_more_of_the_others_up_to_a_bound() {
    let (mut addresses, now) = addresses();
    addresses.adopt(Bounds { growth: 4, attempts: 100, ..BOUNDS });
    for text in ["192.0.2.7", "2001:db8::1"] {
        let address = ip(text);
        for proved in 0..20 {
            let waits =
                |addresses: &mut Addresses| addresses.standing_of(address, now) == Ok(Standing::Waiting);
            let mut served = 0;
            while !waits(&mut addresses) {
                assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
                served += 1;
            }
            assert_eq!(served, (2 + proved).min(4 * 2));
            assert!(!addresses.has_room(address));
            (0..served).for_each(|_| addresses.change(address, Some(Standing::Served), None));
            assert!(addresses.has_room(address));
            addresses.change(address, None, Some(Standing::Proved));
        }
        (0..20).for_each(|_| addresses.change(address, Some(Standing::Proved), None));
        assert_eq!(
            addresses.bounds.served(&addresses.host(address.into()), 1),
            2,
            "no authenticated connection is left"
        );
    }
}

#[test]
fn an_address_that_fails_too_often_is_refused_until_the_minute_is_over() {
    let (mut addresses, now) = addresses();
    let address = ip("192.0.2.7");
    for _ in 0..10 {
        assert_eq!(arrive(&mut addresses, address, now), Ok(Standing::Served));
        addresses.change(address, Some(Standing::Served), None);
        addresses.fail(address);
    }
    assert_eq!(arrive(&mut addresses, address, now), Err(Excess::Attempts));
    assert!(addresses.has_failed_too_often(address));
    assert_eq!(arrive(&mut addresses, ip("192.0.2.8"), now), Ok(Standing::Served), "another address");
    assert_eq!(arrive(&mut addresses, address, now + MINUTE), Ok(Standing::Served));
    assert!(!addresses.has_failed_too_often(address));
}

#[test]
fn the_addresses_of_an_ipv6_network_are_bounded_together() {
    let (mut addresses, now) = addresses();
    addresses.adopt(Bounds { share: 1000, ..BOUNDS });
    let address = |number: u32| ip(&format!("2001:db8:7:{number:x}::1"));
    let served =
        (0..1000).filter(|number| arrive(&mut addresses, address(*number), now) == Ok(Standing::Served));
    assert_eq!(served.count(), NETWORK * BOUNDS.per_address);
    assert_eq!(addresses.all.waiting, NETWORK * BOUNDS.per_address * QUEUE);
    assert_eq!(arrive(&mut addresses, ip("2001:db8:8::1"), now), Ok(Standing::Served), "another network");
    let (mut addresses, now) = self::addresses();
    (0..40).for_each(|number| addresses.fail(address(number)));
    assert_eq!(arrive(&mut addresses, address(41), now), Err(Excess::Attempts));
}

#[test]
fn unauthenticated_connections_of_all_addresses_are_bounded() {
    let (mut addresses, now) = addresses();
    let address = |number: u32| IpAddr::from((0x0a00_0000 | number).to_be_bytes());
    let taken = (0..2000).filter(|number| arrive(&mut addresses, address(*number), now).is_ok()).count();
    assert_eq!(taken, BOUNDS.unauthenticated);
    assert_eq!(arrive(&mut addresses, address(5000), now), Err(Excess::All));
}

#[test]
fn the_tables_do_not_grow_with_the_number_of_addresses_that_fail() {
    let (mut addresses, now) = addresses();
    let address = |number: u128| IpAddr::from((0x2001_0db8 << 96 | number << 64).to_be_bytes());
    for number in 0..10 * REMEMBERED as u128 {
        let address = address(number << 16 | number & 0xffff);
        if arrive(&mut addresses, address, now).is_ok() {
            addresses.change(address, Some(Standing::Served), None);
            addresses.fail(address);
        }
        assert!(addresses.hosts.len() <= REMEMBERED + 1 && addresses.networks.len() <= REMEMBERED + 1);
    }
    assert_eq!(addresses.all, Count::default());
}

#[test]
fn ended_connections_leave_nothing_in_the_tables() {
    let (mut addresses, now) = addresses();
    for text in ["192.0.2.7", "2001:db8::1"] {
        for _ in 0..20 {
            assert!(arrive(&mut addresses, ip(text), now).is_ok());
        }
        for _ in 0..2 {
            addresses.change(ip(text), Some(Standing::Served), None);
        }
        assert!(addresses.has_room(ip(text)));
        for _ in 0..18 {
            addresses.change(ip(text), Some(Standing::Waiting), None);
        }
    }
    assert!(addresses.hosts.is_empty() && addresses.networks.is_empty());
}

#[test]
fn the_connections_to_a_unix_socket_are_bounded_together() {
    let (mut addresses, now) = addresses();
    let mut arrive = |socket| {
        let standing = addresses.standing_of(Site::Unix(socket), now)?;
        addresses.change(Site::Unix(socket), None, Some(standing));
        Ok(standing)
    };
    let standings: Vec<_> = (0..40).map(|_| arrive(0)).collect();
    assert_eq!(standings[..2], [Ok(Standing::Served); 2]);
    assert_eq!(standings[2..34], [Ok(Standing::Waiting); 32]);
    assert_eq!(standings[34..], [Err(Excess::Address); 6]);
    assert_eq!(arrive(1), Ok(Standing::Served), "another socket");
    for _ in 0..2 {
        addresses.change(Site::Unix(0), Some(Standing::Served), None);
    }
    assert!(addresses.has_room(Site::Unix(0)) && !addresses.has_failed_too_often(Site::Unix(0)));
}
