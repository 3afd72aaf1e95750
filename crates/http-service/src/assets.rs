//! A page's stylesheet, script and icon, from the program's binary.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

/// Files change with the program only; five minutes limit how long a browser shows old ones after an update.
const CACHE_CONTROL: &str = "public, max-age=300";

/// Serves the files at `/assets/style.css`, `/assets/app.js` and `/assets/icon.svg`.
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

async fn file(media_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, CACHE_CONTROL),
    ];
    (headers, text)
}
