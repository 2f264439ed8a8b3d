//! Measures the memory of an exchange in flight.

use dropbox_sign_oauth_benches::{
    BoxError,
    table::{self, number},
};
use tokio::task::JoinSet;

use crate::{
    Extent,
    clients::{self, Exchange, NAMES},
    load,
    server::Server,
};

/// Prints the memory of each client. The server delays its responses meanwhile.
pub(crate) fn compare(server: &Server, extent: &Extent) -> Result<(), BoxError> {
    let mut rows = Vec::new();
    let mut ours = None;
    for (client, exchange) in NAMES.into_iter().zip(clients::all(&server.slow())?) {
        let bytes = measure(&exchange, extent.in_memory)?;
        let ratio = *ours.get_or_insert(bytes) / bytes;
        rows.push([client.into(), number(bytes, 0), number(ratio, 2)]);
    }
    let title = format!("Heap of one of {} exchanges in flight", extent.in_memory);
    table::print(&title, "client | bytes | ours / it", rows);
    Ok(())
}

/// Returns the peak of allocated bytes, divided by the number of exchanges.
fn measure(exchange: &Exchange, in_flight: u32) -> Result<f64, BoxError> {
    let runtime = load::runtime()?;
    // Excludes what all exchanges share.
    runtime.block_on(exchange())?;
    let mut result = Ok(());
    // The whole client runs in this thread.
    let info = allocation_counter::measure(|| {
        result = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..in_flight {
                tasks.spawn(exchange());
            }
            while let Some(task) = tasks.join_next().await {
                task??;
            }
            Ok::<_, BoxError>(())
        });
    });
    result?;
    let bytes = u32::try_from(info.bytes_max)?;
    Ok(f64::from(bytes) / f64::from(in_flight))
}
