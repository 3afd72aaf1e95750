//! A real browser, and programs for it to look at, for tests. Without Chromium and its driver a test is skipped, and says so.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test's helpers panic as tests do, and a skipped test says so"
)]

mod tree;

use std::io::{self, BufRead as _, BufReader, PipeReader, Read as _, Write as _, pipe};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};

pub use fantoccini;
pub use tree::tree;

/// A process that ends with the test. Its output is kept open, so that it can go on writing.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: BufReader<PipeReader>,
}

impl Running {
    /// Reads on, up to and with a line in which all these words are.
    pub fn until(&mut self, words: &[&str]) {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).unwrap();
            assert!(read > 0, "it ended without {words:?}");
            if words.iter().all(|word| line.contains(word)) {
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program and reads what it prints up to the part after `before`, which tells where it listens.
#[must_use]
pub fn started(command: Command, before: &str) -> (Running, String) {
    listening(command, before).unwrap_or_else(|said| panic!("it ended without {before:?}: {said}"))
}

/// As [`started`]; what the program said where it ended instead.
fn listening(mut command: Command, before: &str) -> Result<(Running, String), String> {
    let (reader, writer) = pipe().unwrap();
    command.stderr(writer.try_clone().unwrap()).stdout(writer);
    let child = command.stdin(Stdio::null()).spawn().unwrap();
    // It holds the writing end too, and with it open a program that dies would leave the reader waiting.
    drop(command);
    let mut running = Running {
        child,
        output: BufReader::new(reader),
    };
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if running.output.read_line(&mut line).unwrap() == 0 {
            return Err(said);
        }
        if let Some((_, rest)) = line.split_once(before) {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
            let found = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
            return Ok((running, found.to_owned()));
        }
        said.push_str(&line);
    }
}

/// How a browser is to be.
#[derive(Clone, Copy, Debug)]
pub struct Looks {
    /// Whether it runs scripts.
    pub scripts: bool,
    /// Its window in pixels: width and height.
    pub window: (u32, u32),
}

/// How long a browser may take to end before its driver is ended without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser, and its driver, which ends after it.
#[derive(Debug)]
pub struct Browser {
    /// What drives it.
    pub client: Client,
    driver: String,
    session: String,
    _driver: Running,
}

impl Drop for Browser {
    /// A driver that is killed leaves its browser running, and so would a test that fails before it closes it.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl Browser {
    /// None, and a word about it, where there is no browser or no driver.
    pub async fn open(looks: Looks) -> Option<Self> {
        if Command::new("chromedriver")
            .arg("--version")
            .output()
            .is_err()
        {
            eprintln!(
                "SKIPPED: needs a browser and its driver: apt-get install chromium chromium-driver"
            );
            return None;
        }
        let (running, port) = driver();
        let driver = format!("127.0.0.1:{port}");
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(looks))
            .connect(&format!("http://{driver}"))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap();
        Some(Self {
            client,
            driver,
            session: session.expect("it is connected"),
            _driver: running,
        })
    }

    /// Has the driver end the browser, and waits until it has.
    fn end(&self) -> io::Result<()> {
        let (driver, session) = (&self.driver, &self.session);
        let mut stream = TcpStream::connect(driver)?;
        write!(
            stream,
            "DELETE /session/{session} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\r\n"
        )?;
        // It answers once the browser has ended, and keeps the connection.
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read_exact(&mut [0])
    }
}

/// A driver, and its port. It takes a free port of IPv4's and wants the same of IPv6's, which somebody else may have: then
/// it ends, and another is started.
fn driver() -> (Running, String) {
    let mut said = String::new();
    for _ in 0..10 {
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0");
        match listening(driver, "successfully on port ") {
            Ok(driver) => return driver,
            Err(why) => said.push_str(&why),
        }
    }
    panic!("chromedriver does not start: {said}")
}

fn capabilities(looks: Looks) -> Map<String, Value> {
    let (width, height) = looks.window;
    let mut options = json!({
        // Root, as CI is, may not use Chromium's own sandbox.
        "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", format!("--window-size={width},{height}")],
    });
    if !looks.scripts {
        options["prefs"] = json!({"profile.managed_default_content_settings.javascript": 2});
    }
    json!({"browserName": "chrome", "goog:chromeOptions": options})
        .as_object()
        .unwrap()
        .clone()
}
