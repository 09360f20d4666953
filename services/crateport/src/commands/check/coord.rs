//! Whether the Redis answers, if there is one.

use crateport_coord::Health;

use super::Finding;
use crate::compose;
use crate::settings::Settings;

pub(super) async fn check(settings: &Settings) -> Vec<Finding> {
    let redis = match compose::redis(settings, None) {
        Ok(Some(redis)) => redis,
        Ok(None) => {
            return vec![Finding::Ok("this process alone: right for one replica".to_owned())];
        }
        Err(error) => return vec![Finding::Failed(format!("{error:#}"))],
    };
    let address = &settings.coord;
    vec![match redis.settled().await {
        Health::Up => Finding::Ok(format!("{address} answers")),
        // It saves work, and nothing else depends on it.
        Health::Down { reason } => Finding::Warning(format!(
            "{address} does not answer: {reason}; replicas will serve all the same, and each \
             ask upstream for itself"
        )),
    }]
}
