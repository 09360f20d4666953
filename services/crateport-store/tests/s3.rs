//! The S3 store in front of a server that checks what S3 checks.

#![expect(clippy::unwrap_used, reason = "a panic is a failed test")]

mod s3 {
    pub(crate) mod faults;
    pub(crate) mod harness;
    pub(crate) mod multipart;
    pub(crate) mod objects;
    pub(crate) mod presigned;
    pub(crate) mod probe;
    pub(crate) mod reading;
}
