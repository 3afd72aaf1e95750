//! Sets and clears faults over HTTP; mounted only with `--enable-fault-api`.
//!
//! `PUT` and `DELETE` because a web page elsewhere cannot send them without asking first, and it is never allowed.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, put},
};
use http::StatusCode;

use crate::{App, Rule, Target, fault::ParseRuleError};

type Refused = (StatusCode, String);

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/faults", get(list))
        .route("/faults/{target}", put(set).delete(clear))
        .with_state(app)
}

async fn list(State(app): State<Arc<App>>) -> Json<Vec<String>> {
    Json(app.faults.rules().iter().map(Rule::to_string).collect())
}

/// The body is `TRIGGER:EFFECT`.
async fn set(
    State(app): State<Arc<App>>,
    Path(target): Path<String>,
    body: String,
) -> Result<StatusCode, Refused> {
    let rule: Rule = format!("{target}:{}", body.trim())
        .parse()
        .map_err(refuse)?;
    tracing::warn!(%rule, "fault set");
    app.faults.set(rule.target, Some(rule));
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(
    State(app): State<Arc<App>>,
    Path(target): Path<String>,
) -> Result<StatusCode, Refused> {
    let target: Target = target.parse().map_err(refuse)?;
    tracing::info!(?target, "faults cleared");
    app.faults.set(target, None);
    Ok(StatusCode::NO_CONTENT)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err hands the error over"
)]
fn refuse(error: ParseRuleError) -> Refused {
    let status = match error {
        ParseRuleError::Target(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, format!("{error}\n"))
}
