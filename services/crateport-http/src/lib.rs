//! Listeners, routes and the status table.
