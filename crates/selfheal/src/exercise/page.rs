//! Text of a web page, for the transcript.

use std::sync::LazyLock;

use http::{Response, header};
use regex_lite::Regex;

/// Maximum number of lines that are printed of a page.
const MAX_LINES: usize = 20;

static INVISIBLE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?is)<(script|style|head|svg)\b.*?</(script|style|head|svg)>|<!--.*?-->";
    Regex::new(pattern).expect("the pattern is constant")
});
static BLOCK: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)</?(p|div|li|ul|ol|h[1-6]|tr|table|form|section|main|header|footer|nav|br|dt|dd|article)\b[^>]*>";
    Regex::new(pattern).expect("the pattern is constant")
});
static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"<[^>]*>").expect("the pattern is constant"));

/// Returns the lines to print for a response: the text of an HTML page, the body of any other response.
pub(crate) fn lines(response: &Response<String>) -> Vec<String> {
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_html = content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let body = response.body();
    let mut lines = if is_html {
        html_text(body)
    } else {
        body.lines().map(str::to_owned).collect()
    };
    if lines.len() > MAX_LINES {
        let omitted = lines.len() - MAX_LINES;
        lines.truncate(MAX_LINES);
        lines.push(format!("({omitted} more lines)"));
    }
    lines
}

fn html_text(html: &str) -> Vec<String> {
    let visible = INVISIBLE.replace_all(html, "");
    // A source line break is a space; only block elements start a line.
    let joined = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let blocks = BLOCK.replace_all(&joined, "\n");
    let plain = TAG.replace_all(&blocks, " ");
    let lines = plain.lines().map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        unescape(&words.join(" "))
    });
    lines.filter(|line| !line.is_empty()).collect()
}

fn unescape(text: &str) -> String {
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&nbsp;", " "),
        // The last one, so that text that was escaped twice is unescaped once.
        ("&amp;", "&"),
    ];
    let replace = |text: String, (entity, plain): (&str, &str)| text.replace(entity, plain);
    entities.into_iter().fold(text.to_owned(), replace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(content_type: &str, body: &str) -> Response<String> {
        let response = Response::builder().header("content-type", content_type);
        response.body(body.to_owned()).unwrap()
    }

    #[test]
    fn html_page_is_printed_as_text_without_scripts_and_tags() {
        let html = "<html><head><title>List</title><style>p {}</style></head><body><h1>To\n do</h1>\
                    <script>if (1 < 2) {}</script><ul><li><b>milk</b> &amp; bread<li>2 &lt; 3</ul></body></html>";
        let expected = ["To do", "milk & bread", "2 < 3"];
        assert_eq!(lines(&response("text/html; charset=utf-8", html)), expected);
    }

    #[test]
    fn body_without_html_is_printed_unchanged() {
        let json = "{\n  \"status\": \"<b>\"\n}\n";
        let expected = ["{", "  \"status\": \"<b>\"", "}"];
        assert_eq!(lines(&response("application/json", json)), expected);
    }

    #[test]
    fn long_page_is_truncated_with_the_number_of_omitted_lines() {
        let body = "line\n".repeat(MAX_LINES + 5);
        let lines = lines(&response("text/plain", &body));
        assert_eq!(lines.len(), MAX_LINES + 1);
        assert_eq!(lines.last().map(String::as_str), Some("(5 more lines)"));
    }
}
