//! Who may do what: those who sign everything, others what the dialect lets everybody do.

use std::sync::Arc;

use s3s::access::{S3Access, S3AccessContext};
use s3s::{S3Result, s3_error};

use super::Shared;
use super::dialect::S3Reads;

pub(super) struct Access(pub(super) Arc<Shared>);

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let reads = matches!(context.s3_op().name(), "GetObject" | "HeadObject");
        let is_public = reads && self.0.dialect().reads == S3Reads::Public;
        if context.credentials().is_some() || is_public {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Signature is required"))
    }
}
