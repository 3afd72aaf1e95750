//! The stylesheet and the script, from the program itself.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use super::App;

/// A program that is replaced brings new ones; until then they need not be asked for again and again.
const CACHE: &str = "public, max-age=300";

pub(super) fn router() -> Router<App> {
    Router::new()
        .route(
            "/assets/style.css",
            get(|| {
                file(
                    "text/css; charset=utf-8",
                    include_str!("../../assets/style.css"),
                )
            }),
        )
        .route(
            "/assets/app.js",
            get(|| {
                file(
                    "text/javascript; charset=utf-8",
                    include_str!("../../assets/app.js"),
                )
            }),
        )
        .route(
            "/assets/icon.svg",
            get(|| file("image/svg+xml", include_str!("../../assets/icon.svg"))),
        )
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, CACHE)],
        text,
    )
}
