//! A form on a page, filled in and sent as a browser does: hidden fields and cookies go back as they came.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use http::{Request, Response, header};
use regex_lite::Regex;

use super::http::Caller;

/// Loads the page, fills the form in, sends it to where the page is.
pub(crate) async fn submit(
    caller: &dyn Caller,
    url: &str,
    fields: &BTreeMap<String, String>,
) -> anyhow::Result<Response<String>> {
    let page = caller.get(url).await?;
    ensure!(
        page.status().is_success(),
        "{url} answered {}",
        page.status()
    );
    let mut all = hidden(page.body())?;
    all.extend(fields.clone());
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(&all);
    let request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookies(&page));
    caller.send(request.body(body.finish())?).await
}

/// The names and values of a page's hidden fields. Of several forms the first counts.
fn hidden(page: &str) -> anyhow::Result<BTreeMap<String, String>> {
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

    /// A page with a form, and what is sent to it.
    #[derive(Default)]
    struct Page(Mutex<Vec<Request<String>>>);

    #[async_trait]
    impl Caller for Page {
        async fn send(&self, request: Request<String>) -> anyhow::Result<Response<String>> {
            let is_page = request.method() == http::Method::GET;
            self.0.lock().unwrap().push(request);
            let form = r#"<form><input type="hidden" name="csrf" value="t0k"><input name="text"></form>
                <form><input type="hidden" name="csrf" value="other"></form>"#;
            let answer = Response::builder()
                .status(if is_page { 200 } else { 303 })
                .header("set-cookie", "csrf=t0k; Path=/; HttpOnly")
                .header("set-cookie", "theme=dark");
            Ok(answer.body(form.to_owned())?)
        }
    }

    #[tokio::test]
    async fn hidden_fields_and_cookies_go_back_with_what_is_filled_in() {
        let page = Page::default();
        let fields = BTreeMap::from([("text".to_owned(), "milk & bread".to_owned())]);
        let answer = submit(&page, "http://127.0.0.1/new", &fields)
            .await
            .unwrap();
        assert_eq!(answer.status(), 303);
        let sent = page.0.into_inner().unwrap();
        assert_eq!(sent[1].body(), "csrf=t0k&text=milk+%26+bread");
        assert_eq!(sent[1].headers()["cookie"], "csrf=t0k; theme=dark");
    }
}
