//! A page's accessibility tree, which screen readers use.

use fantoccini::Client;
use fantoccini::wd::WebDriverCompatibleCommand;
use http::Method;
use serde_json::{Value, json};
use url::{ParseError, Url};

/// Command of the Chrome DevTools Protocol: WebDriver has none for the whole tree.
#[derive(Debug)]
struct FullTree;

impl WebDriverCompatibleCommand for FullTree {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/goog/cdp/execute"))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let body = json!({"cmd": "Accessibility.getFullAXTree", "params": {}});
        (Method::POST, Some(body.to_string()))
    }
}

/// Role and name of each node of the page's accessibility tree that is not ignored, in its order.
pub async fn tree(client: &Client) -> Vec<(String, String)> {
    let tree = client.issue_cmd(FullTree).await.unwrap();
    let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
    let nodes = tree["nodes"].as_array().unwrap().iter();
    nodes
        .filter(|node| node["ignored"] != true)
        .map(|node| (text(&node["role"]), text(&node["name"])))
        .collect()
}
