//! Runs the contract suite against any S3 server, and tells what that server can do.
//!
//! The argument says where to write, `s3://BUCKET/PREFIX`, which must be empty; the server and the credentials are
//! those of the AWS environment (`AWS_ENDPOINT_URL_S3`, `AWS_ACCESS_KEY_ID`, …). `tests/s3_servers/run` uses it.

use std::error::Error;
use std::sync::Arc;

use crateport_store::{S3Config, S3Store, contract};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let location = std::env::args().nth(1).ok_or("say where to write: s3://BUCKET/PREFIX")?;
    let store = S3Store::open(S3Config::new(location.parse()?)).await?;
    println!("{}", store.probe().await?);
    contract::run(Arc::new(store)).await;
    println!("the contract suite: passed");
    Ok(())
}
