//! Settings that are right alone and wrong together: one sentence each.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crateport_cache::DeliveryMode;

use super::{Coordination, Settings, SettingsError, StoreLocation};

/// For clocks that differ and times that are kept in whole minutes.
const GRACE_MARGIN: Duration = Duration::from_secs(60);
/// rustup waits three minutes for an answer, and proxies between often less.
const GRACE_MAX: Duration = Duration::from_secs(30);

/// The first thing that cannot work, if any.
pub(super) fn run(settings: &Settings) -> Result<(), SettingsError> {
    let checks = [
        listeners,
        ops_listener,
        advertised,
        delivery,
        login,
        patience,
        connecting,
        registries,
        ids,
        grace,
        sweep_grace,
        sweeps,
    ];
    match checks.into_iter().find_map(|check| check(settings)) {
        Some(sentence) => Err(SettingsError::Conflict(sentence)),
        None => Ok(()),
    }
}

fn listeners(settings: &Settings) -> Option<String> {
    let addresses: Vec<SocketAddr> = settings.listen.iter().map(|it| it.address).collect();
    if addresses.is_empty() {
        return Some("listen names no address, so that no client could connect".to_owned());
    }
    let (first, second) = addresses.iter().enumerate().find_map(|(index, first)| {
        let second = addresses.iter().skip(index + 1).find(|second| collide(*first, **second))?;
        Some((first, second))
    })?;
    Some(format!("listen names {first} and {second}, which cannot both be had"))
}

fn ops_listener(settings: &Settings) -> Option<String> {
    let ops = settings.ops_listen;
    let listen = settings.listen.iter().find(|listen| collide(listen.address, ops))?;
    Some(format!("listen {listen} and ops-listen {ops} cannot both be had: use another port"))
}

fn advertised(settings: &Settings) -> Option<String> {
    let (ops, address) = (settings.ops_listen, settings.advertise_address.as_ref()?);
    (ops.ip().is_loopback() && !address.is_loopback()).then(|| {
        format!("advertise-address cannot be reached with ops-listen {ops}, which is for this machine alone")
    })
}

fn delivery(settings: &Settings) -> Option<String> {
    match (settings.delivery, &settings.store) {
        (DeliveryMode::Redirect, StoreLocation::Fs(_)) => Some(format!(
            "delivery=redirect cannot be with store={}, which no client can reach: \
             use delivery=auto or delivery=stream",
            settings.store
        )),
        _ => None,
    }
}

fn login(settings: &Settings) -> Option<String> {
    let named = [
        ("advertise-address", settings.advertise_address.is_some()),
        ("redis-username", settings.redis_username.is_some()),
        ("redis-password", settings.redis_password.is_some()),
        ("redis-password-file", settings.redis_password_file.is_some()),
        ("redis-ca-file", settings.redis_ca_file.is_some()),
    ];
    match &settings.coord {
        Coordination::Local => {
            let (name, _) = named.into_iter().find(|(_, is_set)| *is_set)?;
            Some(format!("{name} is of no use with coord=local: name the Redis in coord"))
        }
        Coordination::Redis(address) if settings.redis_ca_file.is_some() => {
            let sentence =
                || format!("redis-ca-file is of no use with coord={address}: use rediss://");
            (!address.is_encrypted()).then(sentence)
        }
        Coordination::Redis(_) => {
            let is_twice =
                settings.redis_password.is_some() && settings.redis_password_file.is_some();
            is_twice
                .then(|| "redis-password and redis-password-file are both set: keep one".to_owned())
        }
    }
}

fn patience(settings: &Settings) -> Option<String> {
    let (patience, deadline) = (settings.refresh_patience, settings.upstream_deadline);
    (patience > deadline).then(|| {
        format!(
            "refresh-patience ({patience:?}) cannot be longer than upstream-deadline ({deadline:?})"
        )
    })
}

fn connecting(settings: &Settings) -> Option<String> {
    let (connect, deadline) = (settings.upstream_connect_timeout, settings.upstream_deadline);
    (connect > deadline).then(|| {
        format!(
            "upstream-connect-timeout ({connect:?}) cannot be longer than \
             upstream-deadline ({deadline:?})"
        )
    })
}

/// An object that was used half the grace ago must outlive an address that is given out now.
fn sweep_grace(settings: &Settings) -> Option<String> {
    let (grace, url, presence) =
        (settings.sweep_grace, settings.url_lifetime, settings.presence_ttl);
    (grace < 2 * (url.max(presence) + GRACE_MARGIN)).then(|| {
        format!(
            "sweep-grace ({grace:?}) must be two minutes more than twice as long as url-lifetime \
             ({url:?}) and presence-ttl ({presence:?})"
        )
    })
}

fn sweeps(settings: &Settings) -> Option<String> {
    let says_what = settings.sweep_unused_for.is_some() || settings.sweep_max_size.is_some();
    (settings.sweep_every.is_some() && !says_what).then(|| {
        "sweep-every needs sweep-unused-for or sweep-max-size to know what to remove".to_owned()
    })
}

fn registries(settings: &Settings) -> Option<String> {
    let is_any = settings.registries.iter().any(|registry| registry.is_enabled)
        || settings.dists.iter().any(|dist| dist.is_enabled);
    (!is_any).then(|| "no registry is enabled, so that there is nothing to serve".to_owned())
}

/// Registries and dist origins share the first segment of paths and of keys.
fn ids(settings: &Settings) -> Option<String> {
    let is_taken = |id: &str| settings.registries.iter().any(|it| it.id.as_str() == id);
    let dist = settings.dists.iter().find(|dist| is_taken(dist.id.as_str()))?;
    let id = &dist.id;
    Some(format!("registries.{id} and dist.{id} cannot both be: give one of them another id"))
}

/// Clients wait for the change of a manifest, and rustup not for ever.
fn grace(settings: &Settings) -> Option<String> {
    let grace = settings.dist_grace;
    (grace > GRACE_MAX).then(|| {
        format!("dist-grace ({grace:?}) cannot be longer than {GRACE_MAX:?}: clients wait for it")
    })
}

/// Whether binding one leaves no room for the other.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let is_same_host = match (a.ip(), b.ip()) {
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        (a, b) => a == b || a.is_unspecified() || b.is_unspecified(),
    };
    a.port() != 0 && a.port() == b.port() && is_same_host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_host_collides_with_each_of_them() {
        for (a, b, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:8080", "127.0.0.1:8080", true),
            ("127.0.0.1:8080", "127.0.0.2:8080", false),
            ("127.0.0.1:8080", "127.0.0.1:8081", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
            ("[::]:8080", "0.0.0.0:8080", false),
        ] {
            assert_eq!(collide(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
        }
    }
}
