//! `GET /api/v1/configuration`: every key with the value that is used.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Json;
use serde::Serialize;
use serde_json::Value;

use crate::outputs::DISCLAIMER;
use crate::outputs::web::Site;

/// The answer, version 1.
#[derive(Debug, Serialize)]
pub(super) struct Configuration {
    version: u32,
    disclaimer: &'static str,
    /// As `qsegment config show --json` has it, with what the command line said over it.
    config: Value,
}

pub(super) async fn configuration(State(site): State<Arc<Site>>) -> Json<Configuration> {
    Json(Configuration { version: 1, disclaimer: DISCLAIMER, config: (site.configuration)() })
}
