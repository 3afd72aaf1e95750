//! Submits a form of a page as a browser does: with its hidden fields and the page's cookies.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use http::{Request, Response, header};
use regex_lite::Regex;

use super::http::HttpClient;

/// Requests the page and posts its form with `fields` to the same URL.
pub(crate) async fn submit(
    http: &dyn HttpClient,
    url: &str,
    fields: &BTreeMap<String, String>,
) -> anyhow::Result<Response<String>> {
    let page = http.get(url).await?;
    ensure!(
        page.status().is_success(),
        "{url} returned {}",
        page.status()
    );
    let mut all = hidden_fields(page.body())?;
    all.extend(fields.clone());
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(&all);
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookies(&page));
    http.send(request.body(body.finish())?).await
}

/// Returns the names and values of the hidden fields of the page's first form.
fn hidden_fields(page: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let form = page.split("</form>").next().unwrap_or_default();
    let field = Regex::new(r#"<input type="hidden" name="([^"]*)" value="([^"]*)">"#);
    let field = field.context("the pattern of a hidden field")?;
    let pairs = field.captures_iter(form);
    Ok(pairs
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect())
}

fn cookies(page: &Response<String>) -> String {
    let set = page.headers().get_all(header::SET_COOKIE);
    let pairs = set.iter().filter_map(|cookie| {
        let pair = cookie.to_str().ok()?.split(';').next()?;
        Some(pair.trim().to_owned())
    });
    pairs.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;

    /// A page with a form, and the requests that it has received.
    #[derive(Default)]
    struct FormPage(Mutex<Vec<Request<String>>>);

    #[async_trait]
    impl HttpClient for FormPage {
        async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
            let is_page = request.method() == http::Method::GET;
            self.0.lock().unwrap().push(request);
            let form = r#"<form><input type="hidden" name="csrf" value="t0k"><input name="text"></form>
                <form><input type="hidden" name="csrf" value="other"></form>"#;
            let response = Response::builder()
                .status(if is_page { 200 } else { 303 })
                .header("set-cookie", "csrf=t0k; Path=/; HttpOnly")
                .header("set-cookie", "theme=dark");
            Ok(response.body(form.to_owned())?)
        }
    }

    #[tokio::test]
    async fn submitted_form_has_hidden_fields_and_cookies_of_the_page() {
        let page = FormPage::default();
        let fields = BTreeMap::from([("text".to_owned(), "milk & bread".to_owned())]);
        let response = submit(&page, "http://127.0.0.1/new", &fields)
            .await
            .unwrap();
        assert_eq!(response.status(), 303);
        let sent = page.0.into_inner().unwrap();
        assert_eq!(sent[1].body(), "csrf=t0k&text=milk+%26+bread");
        assert_eq!(sent[1].headers()["cookie"], "csrf=t0k; theme=dark");
    }
}
