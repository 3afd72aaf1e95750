//! The page in a real browser: live updates, keyboard, and accessibility tree. Needs Chromium and its driver.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests panic like tests, and one prints the path of its screenshot"
)]

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use test_support::browser::fantoccini::{Client, Locator};
use test_support::browser::{Browser, BrowserOptions, tree};
use test_support::program::Program;

/// A browser at the page of a sidecar with a healthy and an unhealthy probe.
struct Page {
    browser: Browser,
    healthy: Option<TcpListener>,
    _sidecar: Program,
    _dir: tempfile::TempDir,
}

impl Page {
    async fn open(window: (u32, u32)) -> Option<Self> {
        let scripts = true;
        let browser = Browser::open(BrowserOptions { scripts, window }).await?;
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("probes.yaml");
        let healthy = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = healthy.local_addr().unwrap().port();
        let probe = |name: &str, port| {
            format!(
                "{{name: {name}, livenessProbe: {{tcpSocket: {{port: {port}}}, failureThreshold: 1, extensions: {{periodMilliseconds: 100}}}}}}"
            )
        };
        let text = format!(
            "targets: [{}, {}]\ngroups: [{{name: traffic, members: [livez/here, livez/gone]}}]\n",
            probe("here", port),
            probe("gone", 1)
        );
        std::fs::write(&config, text).unwrap();
        let mut sidecar = Command::new(env!("CARGO_BIN_EXE_probe-sidecar"));
        sidecar
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(&config);
        let mut sidecar = Program::spawn_server(sidecar, "address=");
        // Both probes have a result, in either order.
        sidecar.wait_for_line(&["healthy", "livez/"]);
        sidecar.wait_for_line(&["healthy", "livez/"]);
        let url = format!("http://{}/", sidecar.address);
        browser.client.goto(&url).await.unwrap();
        let page = Self {
            browser,
            healthy: Some(healthy),
            _sidecar: sidecar,
            _dir: dir,
        };
        page.wait_for("//h1[contains(., '1 of 2')]").await;
        page.wait_for("//li[@data-probe='livez/gone']//span[text()='unhealthy']")
            .await;
        Some(page)
    }

    fn client(&self) -> &Client {
        &self.browser.client
    }

    async fn wait_for(&self, path: &str) {
        let found = self.client().wait().for_element(Locator::XPath(path)).await;
        if let Err(error) = found {
            panic!("{path}: {error}");
        }
    }

    async fn execute(&self, script: &str) -> Value {
        self.client().execute(script, Vec::new()).await.unwrap()
    }

    async fn screenshot(&self, name: &str) {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let screenshot = self.client().screenshot().await.unwrap();
        std::fs::write(&file, screenshot).unwrap();
        eprintln!("screenshot: {}", file.display());
    }
}

#[tokio::test]
async fn page_shows_and_announces_changes_without_a_reload() {
    let Some(mut page) = Page::open((900, 1000)).await else {
        return;
    };
    // Before this the page may reload, for changes during its loading.
    page.wait_for("//body[@data-stream='live']").await;
    page.execute("window.isTheSamePage = true").await;
    page.screenshot("sidecar.png").await;
    let address = page.healthy.take().unwrap().local_addr().unwrap();
    page.wait_for("//li[@data-probe='livez/here']//span[text()='unhealthy']")
        .await;
    page.wait_for("//h1[contains(., '0 of 2')]").await;
    page.wait_for("//ul[@class='groups']/li[contains(., '0 of 2 healthy')]")
        .await;
    page.wait_for("//*[@role='status'][.='livez/here is unhealthy (refused)']")
        .await;
    let back = TcpListener::bind(address).unwrap();
    page.wait_for("//*[@role='status'][.='livez/here is healthy']")
        .await;
    page.wait_for("//ul[@class='groups']/li[contains(., '1 of 2 healthy')]")
        .await;
    assert_eq!(page.execute("return window.isTheSamePage").await, true);
    drop(back);
}

#[tokio::test]
async fn accessibility_tree_has_landmarks_headings_and_names() {
    let Some(page) = Page::open((900, 1000)).await else {
        return;
    };
    let tree = tree(page.client()).await;
    let named = |role: &str| -> Vec<&str> {
        let found = tree.iter().filter(|(found, _)| found == role);
        found.map(|(_, name)| name.as_str()).collect()
    };
    assert_eq!(named("main").len(), 1, "{tree:?}");
    assert_eq!(named("status").len(), 1, "{tree:?}");
    let headings = named("heading");
    assert_eq!(headings[0], "1 of 2 probes are healthy");
    for heading in [
        "Groups",
        "Probes",
        "livez/here healthy",
        "livez/gone unhealthy",
    ] {
        assert!(headings.contains(&heading), "{heading}: {headings:?}");
    }
    // A strip is one image with a descriptive name.
    let images = named("image");
    assert_eq!(images.len(), 2, "{tree:?}");
    for image in images {
        assert!(image.starts_with("Latest "), "{image}");
    }
    for role in ["link", "DisclosureTriangle", "image", "heading"] {
        assert!(!named(role).is_empty(), "{role}: {tree:?}");
        assert!(named(role).iter().all(|name| !name.is_empty()), "{tree:?}");
    }
    assert_eq!(
        page.execute("return document.documentElement.lang").await,
        "en"
    );
}

#[tokio::test]
async fn keyboard_reaches_every_control_with_a_visible_focus() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    let Some(page) = Page::open((900, 1000)).await else {
        return;
    };
    let all = "return document.querySelectorAll('a[href], summary').length";
    let all = page.execute(all).await.as_u64().unwrap();
    let mut reached = Vec::new();
    for _ in 0..all {
        let focused = page.client().active_element().await.unwrap();
        focused.send_keys(TAB).await.unwrap();
        let seen = page
            .execute(
                "const at = document.activeElement; const style = getComputedStyle(at);
                 return [at.textContent, style.outlineStyle !== 'none' || style.boxShadow !== 'none']",
            )
            .await;
        assert_eq!(seen[1], true, "the focus is not visible: {seen}");
        reached.push(seen[0].as_str().unwrap().to_owned());
    }
    let changes = reached.iter().filter(|text| *text == "Latest changes");
    assert_eq!(changes.count(), 2, "{reached:?}");
    for text in ["groups/traffic", "livez/here", "livez/gone", "/metrics"] {
        assert!(reached.iter().any(|found| found == text), "{reached:?}");
    }
    // Enter opens a closed disclosure.
    page.execute("document.querySelector('[data-probe=\"livez/here\"] summary').focus()")
        .await;
    let focused = page.client().active_element().await.unwrap();
    focused.send_keys(ENTER).await.unwrap();
    page.wait_for("//li[@data-probe='livez/here']/details[@open]")
        .await;
}

#[tokio::test]
async fn narrow_page_does_not_scroll_horizontally() {
    let Some(page) = Page::open((500, 900)).await else {
        return;
    };
    // Narrower than the minimum width of a Chromium window.
    page.execute("document.body.style.width = '320px'; document.body.style.margin = '0'")
        .await;
    page.screenshot("sidecar-narrow.png").await;
    let fits =
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(page.execute(fits).await, true);
}
