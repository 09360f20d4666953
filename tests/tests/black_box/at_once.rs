//! Many rows of a table at once, a few at a time; every row that failed is named.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Each row runs processes of its own, and the machine may be small.
const ROWS_AT_ONCE_MAX: usize = 4;

/// Runs every row to its end, then fails if any row failed. A row has a thread and a runtime of its own.
pub(crate) async fn all<R, F>(rows: impl IntoIterator<Item = (String, R)>)
where
    R: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    let permits = Arc::new(Semaphore::new(ROWS_AT_ONCE_MAX));
    let (mut running, mut count) = (JoinSet::new(), 0);
    for (name, row) in rows {
        let permits = Arc::clone(&permits);
        count += 1;
        running.spawn(async move {
            let _permit = permits.acquire_owned().await.unwrap();
            let row = tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.unwrap().block_on(row());
            });
            (name, row.await.err().map(|error| said(error.into_panic())))
        });
    }
    let mut failed = Vec::new();
    while let Some(row) = running.join_next().await {
        match row.unwrap() {
            (_, None) => {}
            (name, Some(said)) => failed.push(format!("{name}: {said}")),
        }
    }
    failed.sort();
    assert!(failed.is_empty(), "{} of {count} rows failed:\n{}", failed.len(), failed.join("\n"));
}

fn said(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic.downcast_ref::<&str>().copied().unwrap_or("a panic").to_owned(),
    }
}
