//! A page's stylesheet, script and icon, from the program itself.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

/// A program that is replaced brings new ones; until then they need not be asked for again and again.
const CACHE: &str = "public, max-age=300";

/// Serves them below `/assets`, as `style.css`, `app.js` and `icon.svg`.
pub fn router<S>(style: &'static str, script: &'static str, icon: &'static str) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let style = move || file("text/css; charset=utf-8", style);
    let script = move || file("text/javascript; charset=utf-8", script);
    let icon = move || file("image/svg+xml", icon);
    Router::new()
        .route("/assets/style.css", get(style))
        .route("/assets/app.js", get(script))
        .route("/assets/icon.svg", get(icon))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHE)];
    (headers, text)
}
