//! A browser with a profile of its own, in the hands of a test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs};

use fantoccini::error::CmdError;
use fantoccini::wd::{TimeoutConfiguration, WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time;
use url::{ParseError, Url};

/// Longer than anything takes that works, on a machine that has other things to do.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser that runs; dropped, it is gone, with its profile.
pub(crate) struct Browser {
    client: Client,
    driver: Driver,
    // How often a page was left.
    left: AtomicU64,
}

impl Browser {
    /// Starts a browser that was never anywhere.
    pub(crate) async fn start() -> Self {
        let driver = Driver::start().await;
        let client = driver.browser().await;
        Self { client, driver, left: AtomicU64::new(0) }
    }

    /// Closes it, and starts it again with the same profile.
    pub(crate) async fn restart(&mut self) {
        self.client.clone().close().await.unwrap();
        // The lock goes last, once all is written.
        let lock = self.driver.profile().join("SingletonLock");
        let closed = async {
            while fs::symlink_metadata(&lock).is_ok() {
                time::sleep(Duration::from_millis(20)).await;
            }
        };
        time::timeout(LIMIT, closed).await.expect("a browser that is closed ends");
        self.client = self.driver.browser().await;
    }

    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Goes to a page that leads on by itself, and waits until the browser is where it leads.
    pub(crate) async fn goto_and_on(&self, url: &str, origin: &str) {
        self.client.goto(url).await.unwrap();
        let arrived =
            format!("return location.origin === '{origin}' && document.readyState === 'complete'");
        self.wait_for(&arrived).await;
    }

    /// Goes back to the page before this one.
    pub(crate) async fn back(&self) {
        self.leave(self.client.back()).await;
    }

    /// Clicks what leads to no other page.
    pub(crate) async fn click(&self, css: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    /// Clicks what leads to another page, which is there when this returns.
    pub(crate) async fn follow(&self, css: &str) {
        let button = self.client.find(Locator::Css(css)).await.unwrap();
        self.leave(button.click()).await;
    }

    /// Does what leads to another page, and waits for that: a form that was sent shows its own page
    /// until there is an answer.
    async fn leave(&self, by: impl Future<Output = Result<(), CmdError>>) {
        // A number of its own each time, for a page to which one goes back may keep what it had.
        let left = self.left.fetch_add(1, Ordering::Relaxed);
        self.run(&format!("window.left = {left}")).await;
        by.await.unwrap();
        let arrived =
            format!("return window.left !== {left} && document.readyState === 'complete'");
        self.wait_for(&arrived).await;
    }

    /// Waits until a script says that the next page is there.
    async fn wait_for(&self, arrived: &str) {
        let arrive = async {
            // Between two pages there is none to be asked, which is an error.
            while !matches!(self.client.execute(arrived, vec![]).await, Ok(Value::Bool(true))) {
                time::sleep(Duration::from_millis(10)).await;
            }
        };
        time::timeout(LIMIT, arrive).await.expect("a click leads to a page");
    }

    pub(crate) async fn type_into(&self, css: &str, text: &str) {
        self.client.find(Locator::Css(css)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// The texts of all elements that a selector finds.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    /// The page as it is now.
    pub(crate) async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// Opens another tab and looks at it.
    pub(crate) async fn open_tab(&self) -> WindowHandle {
        let tab = self.client.new_window(true).await.unwrap().handle;
        self.look_at(&tab).await;
        tab
    }

    pub(crate) async fn tab(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    pub(crate) async fn look_at(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    /// All cookies that the browser has, with all that it knows of them.
    pub(crate) async fn cookies(&self) -> Vec<Value> {
        let mut answer = self.client.issue_cmd(DevTools("Storage.getCookies")).await.unwrap();
        serde_json::from_value(answer["cookies"].take()).unwrap()
    }

    /// Runs a script in the page, and returns what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Runs a script in the page that calls `done` with what is to be returned.
    pub(crate) async fn run_until_done(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1];\n{script}");
        self.client.execute_async(&script, Vec::new()).await.unwrap()
    }

    /// Takes a picture of the page, so wide, and as high as it is.
    pub(crate) async fn picture(&self, width: u32, to: &Path) {
        self.client.set_window_size(width, 300).await.unwrap();
        // With what the window has around the page.
        let height = "return document.documentElement.scrollHeight + outerHeight - innerHeight";
        let height = u32::try_from(self.run(height).await.as_u64().unwrap()).unwrap();
        self.client.set_window_size(width, height).await.unwrap();
        fs::write(to, self.client.screenshot().await.unwrap()).unwrap();
    }
}

/// A command of Chromium's own protocol, without parameters. WebDriver's tell less.
#[derive(Debug)]
struct DevTools(&'static str);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.0, "params": {} }).to_string()))
    }
}

/// chromedriver; dropped, it is gone, and every browser that it has started.
struct Driver {
    process: Child,
    _output: BufReader<ChildStdout>,
    port: u16,
    dir: TempDir,
}

impl Driver {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            // Chromium leaves things behind.
            .env("TMPDIR", dir.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is installed: apt-get install chromium chromium-driver");
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let said = async {
            let mut lines = (&mut output).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                if let Some((_, port)) = line.split_once("successfully on port ") {
                    return port.trim_end_matches('.').parse().unwrap();
                }
            }
            panic!("chromedriver has ended, see above");
        };
        let port = time::timeout(LIMIT, said).await.expect("chromedriver starts");
        Self { process, _output: output, port, dir }
    }

    fn profile(&self) -> PathBuf {
        self.dir.path().join("profile")
    }

    async fn browser(&self) -> Client {
        let mut options = json!({ "args": [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--window-size=1000,800",
            // Hosts of one site, and one of another.
            "--host-resolver-rules=MAP *.test 127.0.0.1",
            format!("--user-data-dir={}", self.profile().display()),
        ] });
        if let Some(browser) = env::var_os("CHROMIUM").map(PathBuf::from) {
            options["binary"] = json!(browser);
        }
        let capabilities = json!({
            "browserName": "chrome",
            // The proxy's certificate is its own.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": options,
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is an object") };
        let url = format!("http://127.0.0.1:{}", self.port);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        let connecting = builder.capabilities(capabilities).connect(&url);
        let client = time::timeout(LIMIT, connecting).await.expect("a browser starts").unwrap();
        // A minute, for pages and for scripts.
        client.update_timeouts(TimeoutConfiguration::default()).await.unwrap();
        client
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It takes its browsers along, which a kill would not. Whatever goes wrong here, there is
        // nobody left to be told.
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            let _ = stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let _ = self.process.start_kill();
    }
}
