//! The suite that every backend of [`ObjectStore`] must pass.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test support: a panic is a failed test")]

use std::sync::Arc;

use bytes::Bytes;
use crateport_types::{Area, RegistryId, Sha256, StoreKey};
use futures_util::future::join_all;

use crate::{Attributes, ObjectStore, Payload, PutOptions, Read};

/// Runs the whole suite on an empty store.
///
/// # Panics
///
/// When the store breaks the contract.
pub async fn run(store: Arc<dyn ObjectStore>) {
    absence_is_none(&*store).await;
    what_was_put_is_read_back(&*store).await;
    any_part_can_be_read(&*store).await;
    a_put_replaces_and_changes_the_version(&*store).await;
    a_reader_goes_on_with_the_bytes_it_began_with(&*store).await;
    racing_puts_leave_one_whole_object(&store).await;
    keys_are_listed_in_order_and_in_pages(&*store).await;
    a_deleted_object_is_gone(&*store).await;
}

fn key(name: &str) -> StoreKey {
    let registry: RegistryId = "contract".parse().unwrap();
    StoreKey::krate(&registry, &name.parse().unwrap(), &"1.0.0+b".parse().unwrap())
}

async fn put(store: &dyn ObjectStore, key: &StoreKey, bytes: Bytes) {
    let options = PutOptions { checksum: Some(Sha256::of(&bytes)), ..PutOptions::default() };
    store.put(key, Payload::Bytes(bytes), options).await.unwrap();
}

async fn read(store: &dyn ObjectStore, key: &StoreKey, read: Read) -> Bytes {
    store.get(key, read).await.unwrap().unwrap().collect(usize::MAX).await.unwrap()
}

/// Bytes of which no two parts are equal.
fn filler(size_bytes: u32) -> Bytes {
    (0..size_bytes / 4).flat_map(u32::to_le_bytes).collect()
}

async fn absence_is_none(store: &dyn ObjectStore) {
    let key = key("absent");
    assert!(store.head(&key).await.unwrap().is_none());
    assert!(store.get(&key, Read::whole()).await.unwrap().is_none());
    assert!(!store.delete(&key).await.unwrap());
}

async fn what_was_put_is_read_back(store: &dyn ObjectStore) {
    for (name, bytes) in [("empty", filler(0)), ("small", filler(64)), ("large", filler(3 << 20))] {
        let key = key(name);
        let attributes = Attributes::from([("upstream-etag".to_owned(), "W/\"ä\"".to_owned())]);
        let options =
            PutOptions { checksum: Some(Sha256::of(&bytes)), attributes: attributes.clone() };
        store.put(&key, Payload::Bytes(bytes.clone()), options).await.unwrap();
        assert_eq!(read(store, &key, Read::whole()).await, bytes);
        let head = store.head(&key).await.unwrap().unwrap();
        let open = store.get(&key, Read::whole().with_attributes()).await.unwrap().unwrap();
        for meta in [head, open.meta] {
            assert_eq!(meta.size_bytes, bytes.len() as u64);
            assert_eq!(meta.attributes, attributes);
        }
    }
}

async fn any_part_can_be_read(store: &dyn ObjectStore) {
    let (key, bytes) = (key("part"), filler(1 << 20));
    put(store, &key, bytes.clone()).await;
    for (range, expected) in [
        (0..1, 0..1),
        (5..300_000, 5..300_000),
        (1_048_570..1 << 30, 1_048_570..1 << 20),
        (7..7, 7..7),
    ] {
        assert_eq!(read(store, &key, Read::part(range)).await, bytes.slice(expected));
    }
}

async fn a_put_replaces_and_changes_the_version(store: &dyn ObjectStore) {
    let key = key("replaced");
    put(store, &key, filler(64)).await;
    let first = store.head(&key).await.unwrap().unwrap();
    let again = store.head(&key).await.unwrap().unwrap();
    assert_eq!(first.version, again.version);
    put(store, &key, filler(128)).await;
    let second = store.head(&key).await.unwrap().unwrap();
    assert_ne!(first.version, second.version);
    assert!(second.attributes.is_empty());
    assert_eq!(read(store, &key, Read::whole()).await, filler(128));
}

async fn a_reader_goes_on_with_the_bytes_it_began_with(store: &dyn ObjectStore) {
    let (key, old) = (key("held"), filler(2 << 20));
    put(store, &key, old.clone()).await;
    let open = store.get(&key, Read::whole()).await.unwrap().unwrap();
    put(store, &key, filler(16)).await;
    assert_eq!(open.collect(usize::MAX).await.unwrap(), old);
    let open = store.get(&key, Read::whole()).await.unwrap().unwrap();
    store.delete(&key).await.unwrap();
    assert_eq!(open.collect(usize::MAX).await.unwrap(), filler(16));
}

async fn racing_puts_leave_one_whole_object(store: &Arc<dyn ObjectStore>) {
    let key = key("raced");
    let candidates = (1..=8).map(|n| filler(n << 14)).collect::<Vec<_>>();
    join_all(candidates.iter().map(|bytes| put(&**store, &key, bytes.clone()))).await;
    let left = read(&**store, &key, Read::whole()).await;
    assert!(candidates.contains(&left), "a mixture was left");
}

async fn keys_are_listed_in_order_and_in_pages(store: &dyn ObjectStore) {
    let area = Area::Crates("listing".parse().unwrap());
    let registry: RegistryId = "listing".parse().unwrap();
    let mut keys = Vec::new();
    for name in ["b", "a", "a-b", "ab", "c_d", "B"] {
        for version in ["1.0.0", "0.9.0+x"] {
            keys.push(StoreKey::krate(
                &registry,
                &name.parse().unwrap(),
                &version.parse().unwrap(),
            ));
        }
    }
    for key in &keys {
        put(store, key, filler(8)).await;
    }
    keys.sort();
    for count_max in [1, 5, 100] {
        let mut listed: Vec<StoreKey> = Vec::new();
        loop {
            let page = store.list(&area, listed.last(), count_max).await.unwrap();
            assert!(page.len() <= count_max);
            if page.is_empty() {
                break;
            }
            listed.extend(page.into_iter().map(|(key, _)| key));
        }
        assert_eq!(listed, keys);
    }
    let nowhere = Area::Crates("nowhere".parse().unwrap());
    assert!(store.list(&nowhere, None, 9).await.unwrap().is_empty());
}

async fn a_deleted_object_is_gone(store: &dyn ObjectStore) {
    let key = key("deleted");
    put(store, &key, filler(8)).await;
    assert!(store.delete(&key).await.unwrap());
    assert!(store.get(&key, Read::whole()).await.unwrap().is_none());
    if let Some((key, _)) =
        store.list(&Area::All, None, 1000).await.unwrap().iter().find(|(listed, _)| *listed == key)
    {
        panic!("{key} is still listed");
    }
}
