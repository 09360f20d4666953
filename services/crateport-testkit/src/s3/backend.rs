//! The operations by their names. Each counts itself, meets its fault, and is done elsewhere.

use std::sync::Arc;

use http::StatusCode;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::fault::{S3Operation, Visit};
use super::{Shared, body, multipart, objects};

pub(super) struct Backend(pub(super) Arc<Shared>);

impl Backend {
    fn enter(&self, operation: S3Operation) -> Visit<'_> {
        self.0.script.enter(operation)
    }
}

#[async_trait::async_trait]
impl S3 for Backend {
    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        objects::known(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let (visit, mut input) = (self.enter(S3Operation::PutObject), request.input);
        let bytes = body::collect(input.body.take()).await?;
        visit.before().await?;
        visit.after(S3Response::new(objects::put(&self.0, input, bytes).await?))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let visit = self.enter(S3Operation::GetObject);
        visit.before().await?;
        visit.after(S3Response::new(objects::get(&self.0, &request.input, visit.fault())?))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let visit = self.enter(S3Operation::HeadObject);
        visit.before().await?;
        visit.after(S3Response::new(objects::head(&self.0, &request.input)?))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let (visit, input) = (self.enter(S3Operation::DeleteObject), request.input);
        visit.before().await?;
        objects::known(&input.bucket)?;
        self.0.state().bucket.delete(&input.key);
        let output = DeleteObjectOutput::default();
        visit.after(S3Response::with_status(output, StatusCode::NO_CONTENT))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let visit = self.enter(S3Operation::ListObjects);
        visit.before().await?;
        visit.after(S3Response::new(objects::list(&self.0, request.input)?))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let visit = self.enter(S3Operation::CreateMultipartUpload);
        visit.before().await?;
        visit.after(S3Response::new(multipart::create(&self.0, request.input)?))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let (visit, mut input) = (self.enter(S3Operation::UploadPart), request.input);
        let bytes = body::collect(input.body.take()).await?;
        visit.before().await?;
        visit.after(S3Response::new(multipart::upload_part(&self.0, &input, bytes)?))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let visit = self.enter(S3Operation::CompleteMultipartUpload);
        visit.before().await?;
        visit.after(S3Response::new(multipart::complete(&self.0, request.input).await?))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let visit = self.enter(S3Operation::AbortMultipartUpload);
        visit.before().await?;
        self.0.state().bucket.end_upload(&request.input.upload_id)?;
        let output = AbortMultipartUploadOutput::default();
        visit.after(S3Response::with_status(output, StatusCode::NO_CONTENT))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let visit = self.enter(S3Operation::ListMultipartUploads);
        visit.before().await?;
        visit.after(S3Response::new(multipart::list(&self.0, request.input)))
    }
}
