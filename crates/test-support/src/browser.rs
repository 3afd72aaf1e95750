//! A real browser for tests of pages.

mod accessibility;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};

pub use accessibility::tree;
pub use fantoccini;

use crate::program::Program;
use crate::{Requirement, require};

/// Settings of a browser.
#[derive(Clone, Copy, Debug)]
pub struct BrowserOptions {
    /// `true` if pages may run scripts.
    pub scripts: bool,
    /// Window size in pixels: width and height.
    pub window: (u32, u32),
}

/// Maximum time for the browser to exit before the driver is killed.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

/// A browser and its driver, which exits after it.
#[derive(Debug)]
pub struct Browser {
    /// WebDriver client.
    pub client: Client,
    driver: String,
    session: String,
    _driver: Program,
}

impl Drop for Browser {
    /// Closes the browser first: a driver that is killed leaves it running.
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Browser {
    /// Starts a browser; returns `None`, and records the test as skipped, without Chromium or its driver.
    pub async fn open(options: BrowserOptions) -> Option<Self> {
        if !require(Requirement::Browser) {
            return None;
        }
        let program = driver();
        let driver = format!("127.0.0.1:{}", program.address);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(options))
            .connect(&format!("http://{driver}"))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap();
        Some(Self {
            client,
            driver,
            session: session.expect("it is connected"),
            _driver: program,
        })
    }

    /// Closes the browser through the driver, and waits until it has exited.
    fn close(&self) -> io::Result<()> {
        let (driver, session) = (&self.driver, &self.session);
        let mut stream = TcpStream::connect(driver)?;
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\r\n"
        )?;
        // The driver responds after the browser's exit, and keeps the connection open.
        stream.set_read_timeout(Some(EXIT_TIMEOUT))?;
        stream.read_exact(&mut [0])
    }
}

/// Starts a driver. chromedriver takes a free IPv4 port and exits if the same IPv6 port is taken; then
/// another one is started.
fn driver() -> Program {
    let mut outputs = String::new();
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0");
        match Program::try_spawn_server(driver, "successfully on port ") {
            Ok(driver) => return driver,
            Err(output) => outputs.push_str(&output),
        }
    }
    panic!("chromedriver does not start: {outputs}")
}

fn capabilities(options: BrowserOptions) -> Map<String, Value> {
    let (width, height) = options.window;
    let mut chrome = json!({
        // Chromium's sandbox does not run as root, as CI does.
        "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", format!("--window-size={width},{height}")],
    });
    if !options.scripts {
        chrome["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
    }
    json!({"browserName": "chrome", "goog:chromeOptions": chrome})
        .as_object()
        .unwrap()
        .clone()
}
