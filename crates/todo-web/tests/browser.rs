//! The list in a browser, with and without scripts. Needs Chromium and its driver.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failed helper is a failed test, and the path of a screenshot is printed"
)]

use std::process::Command;

use test_support::browser::fantoccini::Locator;
use test_support::browser::fantoccini::elements::Element;
use test_support::browser::{Browser, BrowserOptions};
use test_support::program::Program;

/// Browser on a list of its own.
struct Page {
    browser: Browser,
    url: String,
    _dir: tempfile::TempDir,
    _service: Program,
}

impl Page {
    async fn open(scripts: bool) -> Option<Self> {
        let window = (500, 900);
        let browser = Browser::open(BrowserOptions { scripts, window }).await?;
        let dir = tempfile::tempdir().unwrap();
        let mut service = Command::new(env!("CARGO_BIN_EXE_todo-web"));
        service
            .args(["--listen", "127.0.0.1:0", "--sqlite"])
            .arg(dir.path().join("list.db"))
            .env_remove("DATABASE_URL");
        let service = Program::spawn_server(service, "address=");
        Some(Self {
            browser,
            url: format!("http://{}", service.address),
            _dir: dir,
            _service: service,
        })
    }

    async fn go(&self, path: &str) {
        self.browser
            .client
            .goto(&format!("{}{path}", self.url))
            .await
            .unwrap();
    }

    async fn find(&self, css: &str) -> Element {
        let found = self
            .browser
            .client
            .wait()
            .for_element(Locator::Css(css))
            .await;
        found.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Fills in the form of a page and submits it.
    async fn write(&self, text: &str) {
        let field = self.find("#text").await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
        self.find("main form button").await.click().await.unwrap();
    }

    /// Clicks the button or link of an item with this label.
    async fn press(&self, item: &str, label: &str) {
        let path = format!(
            "//li[.//span[text()='{item}']]//*[self::button or self::a][normalize-space()='{label}']"
        );
        let element = self
            .browser
            .client
            .wait()
            .for_element(Locator::XPath(&path))
            .await
            .unwrap();
        element.click().await.unwrap();
    }

    /// Waits until the list has the wanted number of items, and compares their texts.
    async fn items(&self, wanted: &[&str]) {
        let path = match wanted.last() {
            Some(last) => format!(
                "//ul[@class='items'][count(li)={}]//span[text()='{last}']",
                wanted.len()
            ),
            None => "//p[text()='There is nothing here yet.']".to_owned(),
        };
        let found = self
            .browser
            .client
            .wait()
            .for_element(Locator::XPath(&path))
            .await;
        found.unwrap_or_else(|error| panic!("{wanted:?}: {error}"));
        let mut shown = Vec::new();
        for item in self
            .browser
            .client
            .find_all(Locator::Css(".items span[id]"))
            .await
            .unwrap()
        {
            shown.push(item.text().await.unwrap());
        }
        assert_eq!(shown, wanted);
    }
}

/// Adds, edits, completes and deletes items with mouse and keyboard.
async fn use_the_list(scripts: bool) {
    let Some(page) = Page::open(scripts).await else {
        return;
    };
    page.go("/list").await;
    page.items(&[]).await;
    for text in ["Buy milk", "Sell <b>bread</b>"] {
        page.go("/new").await;
        page.write(text).await;
    }
    // Tags in texts are escaped.
    page.items(&["Sell <b>bread</b>", "Buy milk"]).await;

    page.press("Buy milk", "Edit").await;
    page.write("Buy oat milk").await;
    page.items(&["Sell <b>bread</b>", "Buy oat milk"]).await;

    page.press("Buy oat milk", "Done").await;
    page.find("li.done .tag").await;
    let screenshot = page.browser.client.screenshot().await.unwrap();
    let name = if scripts {
        "list.png"
    } else {
        "list-without-scripts.png"
    };
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, screenshot).unwrap();
    eprintln!("screenshot of the list: {}", file.display());
    page.press("Buy oat milk", "Not done").await;
    page.find("li:not(.done) #i1").await;

    page.press("Sell <b>bread</b>", "Delete").await;
    page.items(&["Buy oat milk"]).await;
    page.press("Buy oat milk", "Delete").await;
    page.items(&[]).await;
}

#[tokio::test]
async fn items_are_added_edited_completed_and_deleted_in_a_browser() {
    use_the_list(true).await;
}

#[tokio::test]
async fn items_are_added_edited_completed_and_deleted_without_scripts() {
    use_the_list(false).await;
}
