//! Sets and clears faults over HTTP; served only with `--enable-fault-api`.
//!
//! The methods are `PUT` and `DELETE` because browsers send them to another origin only after a preflight request, which
//! is never granted.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, put},
};
use http::StatusCode;

use crate::{App, Rule, Target, fault::ParseRuleError};

type Rejection = (StatusCode, String);

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/faults", get(list))
        .route("/faults/{target}", put(set).delete(clear))
        .with_state(app)
}

async fn list(State(app): State<Arc<App>>) -> Json<Vec<String>> {
    Json(app.faults.rules().iter().map(Rule::to_string).collect())
}

/// `PUT /faults/{target}` with `TRIGGER:EFFECT` as the body.
async fn set(
    State(app): State<Arc<App>>,
    Path(target): Path<String>,
    body: String,
) -> Result<StatusCode, Rejection> {
    let rule: Rule = format!("{target}:{}", body.trim())
        .parse()
        .map_err(reject)?;
    tracing::warn!(%rule, "fault set");
    app.faults.set(rule.target, Some(rule));
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(
    State(app): State<Arc<App>>,
    Path(target): Path<String>,
) -> Result<StatusCode, Rejection> {
    let target: Target = target.parse().map_err(reject)?;
    tracing::info!(?target, "faults cleared");
    app.faults.set(target, None);
    Ok(StatusCode::NO_CONTENT)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "map_err passes the error by value"
)]
fn reject(error: ParseRuleError) -> Rejection {
    let status = match error {
        ParseRuleError::Target(_) => StatusCode::NOT_FOUND,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, format!("{error}\n"))
}
