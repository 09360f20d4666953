//! Fetching under a signed URL, as a client does that has no credentials.

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use bytes::Bytes;
use crateport_types::StoreKey;
use url::Url;

use super::super::S3Store;
use super::super::failure::Failure;

/// Sends a request to another URL, without a header that the SDK has put in.
struct AsAClient(Url);

impl std::fmt::Debug for AsAClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AsAClient")
    }
}

impl Intercept for AsAClient {
    fn name(&self) -> &'static str {
        "AsAClient"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        request.set_uri(self.0.as_str())?;
        let names =
            request.headers().iter().map(|(name, _)| name.to_owned()).collect::<Vec<String>>();
        for name in names {
            request.headers_mut().remove(name);
        }
        Ok(())
    }
}

impl S3Store {
    pub(super) async fn fetch_as_a_client(
        &self,
        key: &StoreKey,
        url: &Url,
    ) -> Result<Bytes, String> {
        let location = self.location();
        let request = self.0.clients.once.get_object();
        let request = request.bucket(location.bucket()).key(location.key(key)).customize();
        let sent = request.interceptor(AsAClient(url.clone())).send().await;
        let fetched = sent.map_err(|error| Failure::of(&error).into_io().to_string())?;
        let body = tokio::time::timeout(self.0.config.timeouts.body_idle, fetched.body.collect());
        let collected = body.await.map_err(|_| "no more bytes came in time".to_owned())?;
        Ok(collected.map_err(|error| error.to_string())?.into_bytes())
    }
}
