//! The page in a real browser: live, with a keyboard alone, and as a screen reader is told of it. Needs Chromium and its driver.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers panic as tests do, and one tells where its picture is"
)]

use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;
use test_support::browser::fantoccini::{Client, Locator};
use test_support::browser::{Browser, BrowserOptions, tree};
use test_support::program::Program;

/// A browser at the page of a sidecar whose one probe finds somebody and whose other probe finds nobody.
struct Page {
    browser: Browser,
    healthy: Option<TcpListener>,
    _sidecar: Program,
    _folder: tempfile::TempDir,
}

impl Page {
    async fn open(window: (u32, u32)) -> Option<Self> {
        let scripts = true;
        let browser = Browser::open(BrowserOptions { scripts, window }).await?;
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("probes.yaml");
        let healthy = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = healthy.local_addr().unwrap().port();
        let probe = |name: &str, port| {
            format!(
                "{{name: {name}, livenessProbe: {{tcpSocket: {{port: {port}}}, failureThreshold: 1, beyond: {{periodMilliseconds: 100}}}}}}"
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
        // Each has been found well or not, in whichever order.
        sidecar.wait_for_line(&["healthy", "livez/"]);
        sidecar.wait_for_line(&["healthy", "livez/"]);
        let url = format!("http://{}/", sidecar.address);
        browser.client.goto(&url).await.unwrap();
        let page = Self {
            browser,
            healthy: Some(healthy),
            _sidecar: sidecar,
            _folder: folder,
        };
        page.waits_for("//h1[contains(., '1 of 2')]").await;
        page.waits_for("//li[@data-probe='livez/gone']//span[text()='unhealthy']")
            .await;
        Some(page)
    }

    fn client(&self) -> &Client {
        &self.browser.client
    }

    async fn waits_for(&self, path: &str) {
        let found = self.client().wait().for_element(Locator::XPath(path)).await;
        if let Err(error) = found {
            panic!("{path}: {error}");
        }
    }

    async fn asks(&self, script: &str) -> Value {
        self.client().execute(script, Vec::new()).await.unwrap()
    }

    async fn picture(&self, name: &str) {
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let picture = self.client().screenshot().await.unwrap();
        std::fs::write(&file, picture).unwrap();
        eprintln!("a picture of the page: {}", file.display());
    }
}

#[tokio::test]
async fn what_happens_is_on_the_page_without_loading_it_again_and_is_said() {
    let Some(mut page) = Page::open((900, 1000)).await else {
        return;
    };
    // Until then the page may load itself again, for what happened while it was loaded.
    page.waits_for("//body[@data-stream='live']").await;
    page.asks("window.isTheSamePage = true").await;
    page.picture("sidecar.png").await;
    let address = page.healthy.take().unwrap().local_addr().unwrap();
    page.waits_for("//li[@data-probe='livez/here']//span[text()='unhealthy']")
        .await;
    page.waits_for("//h1[contains(., '0 of 2')]").await;
    page.waits_for("//ul[@class='groups']/li[contains(., '0 of 2 healthy')]")
        .await;
    page.waits_for("//*[@role='status'][.='livez/here is unhealthy (refused)']")
        .await;
    let back = TcpListener::bind(address).unwrap();
    page.waits_for("//*[@role='status'][.='livez/here is healthy']")
        .await;
    page.waits_for("//ul[@class='groups']/li[contains(., '1 of 2 healthy')]")
        .await;
    assert_eq!(page.asks("return window.isTheSamePage").await, true);
    drop(back);
}

#[tokio::test]
async fn a_screen_reader_finds_landmarks_headings_and_a_name_for_everything() {
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
    // A strip of marks is one picture, and its name says what it shows.
    let pictures = named("image");
    assert_eq!(pictures.len(), 2, "{tree:?}");
    for picture in pictures {
        assert!(picture.starts_with("Latest "), "{picture}");
    }
    for role in ["link", "DisclosureTriangle", "image", "heading"] {
        assert!(!named(role).is_empty(), "{role}: {tree:?}");
        assert!(named(role).iter().all(|name| !name.is_empty()), "{tree:?}");
    }
    assert_eq!(
        page.asks("return document.documentElement.lang").await,
        "en"
    );
}

#[tokio::test]
async fn a_keyboard_reaches_and_works_everything_and_shows_where_it_is() {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    let Some(page) = Page::open((900, 1000)).await else {
        return;
    };
    let all = "return document.querySelectorAll('a[href], summary').length";
    let all = page.asks(all).await.as_u64().unwrap();
    let mut reached = Vec::new();
    for _ in 0..all {
        let focused = page.client().active_element().await.unwrap();
        focused.send_keys(TAB).await.unwrap();
        let seen = page
            .asks(
                "const at = document.activeElement; const style = getComputedStyle(at);
                 return [at.textContent, style.outlineStyle !== 'none' || style.boxShadow !== 'none']",
            )
            .await;
        assert_eq!(seen[1], true, "no sign of the focus: {seen}");
        reached.push(seen[0].as_str().unwrap().to_owned());
    }
    let changes = reached.iter().filter(|text| *text == "Latest changes");
    assert_eq!(changes.count(), 2, "{reached:?}");
    for text in ["groups/traffic", "livez/here", "livez/gone", "/metrics"] {
        assert!(reached.iter().any(|found| found == text), "{reached:?}");
    }
    // What is closed opens.
    page.asks("document.querySelector('[data-probe=\"livez/here\"] summary').focus()")
        .await;
    let focused = page.client().active_element().await.unwrap();
    focused.send_keys(ENTER).await.unwrap();
    page.waits_for("//li[@data-probe='livez/here']/details[@open]")
        .await;
}

#[tokio::test]
async fn a_narrow_page_does_not_scroll_sideways() {
    let Some(page) = Page::open((500, 900)).await else {
        return;
    };
    // Narrower than a window of Chromium's can be.
    page.asks("document.body.style.width = '320px'; document.body.style.margin = '0'")
        .await;
    page.picture("sidecar-narrow.png").await;
    let fits =
        "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(page.asks(fits).await, true);
}
