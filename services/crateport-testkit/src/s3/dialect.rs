//! Servers that speak S3 differ: what each can do, and what it ignores without a word.

/// What a server of this sort can do. The default is everything that AWS S3 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct S3Dialect {
    /// What becomes of `x-amz-checksum-sha256`.
    pub checksums: S3Checksums,
    /// What becomes of `If-Match` and `If-None-Match` on writes.
    pub conditional_puts: S3Conditions,
    /// Whether user metadata is kept.
    pub metadata: S3Metadata,
    /// What becomes of the bytes of parts.
    pub parts: S3Parts,
    /// Who may read.
    pub reads: S3Reads,
    /// The most keys in one page of a list, whatever the client asks for.
    pub list_page_keys_max: usize,
}

/// How a dialect treats checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Checksums {
    /// Compared, kept, and given back to those who ask.
    Checked,
    /// Not looked at.
    Ignored,
}

/// How a dialect treats the conditions of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Conditions {
    /// Looked at in the same moment as the write is done.
    Atomic,
    /// Looked at first, the write is done a little later: several racers win.
    Racy,
    /// Not looked at.
    Ignored,
}

/// How a dialect treats user metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Metadata {
    /// Kept.
    Kept,
    /// Lost.
    Lost,
}

/// What a dialect does with the bytes of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Parts {
    /// They are kept.
    Kept,
    /// They are checked and forgotten, so that the memory a client needs can be measured beside the server.
    Forgotten,
}

/// Who may read objects from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Reads {
    /// Those who sign their requests.
    Signed,
    /// Everybody, as a bucket's policy may say; what is signed must still be signed right.
    Public,
}

impl Default for S3Dialect {
    fn default() -> Self {
        Self {
            checksums: S3Checksums::Checked,
            conditional_puts: S3Conditions::Atomic,
            metadata: S3Metadata::Kept,
            parts: S3Parts::Kept,
            reads: S3Reads::Signed,
            list_page_keys_max: 1000,
        }
    }
}
