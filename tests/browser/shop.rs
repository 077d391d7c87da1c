//! The shop as a process, as it was built for one of the frameworks.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time;

use crate::tls;

/// How a browser gets to the shop.
#[derive(Clone, Copy)]
pub(crate) enum Via {
    /// Plain HTTP, on localhost.
    Http,
    /// A proxy that does TLS.
    Tls,
}

/// A shop that is open; dropped, it is killed.
pub(crate) struct Shop {
    /// What a browser is to be given.
    pub(crate) url: String,
    // Held: the process is killed, and the database removed, when these are dropped.
    _process: Child,
    _output: BufReader<ChildStdout>,
    _dir: TempDir,
}

impl Shop {
    /// Opens the shop on a framework.
    ///
    /// # Panics
    ///
    /// If it has not been built.
    pub(crate) async fn open(framework: &str, via: Via) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}?mode=rwc", dir.path().join("shop.db").display());
        let mut command = Command::new(program(framework));
        command
            .env("PORT", "0")
            .env("DATABASE_URL", database)
            .env_remove("PUBLIC_URL")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let (url, proxy) = match via {
            Via::Http => (None, None),
            Via::Tls => {
                let proxy = tls::bind().await;
                let url = format!("https://localhost:{}", proxy.local_addr().unwrap().port());
                command.env("PUBLIC_URL", &url);
                (Some(url), Some(proxy))
            }
        };
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let port = port(&mut output).await;
        if let Some(proxy) = proxy {
            tls::serve(proxy, port);
        }
        let url = url.unwrap_or_else(|| format!("http://localhost:{port}"));
        Self { url, _process: process, _output: output, _dir: dir }
    }
}

/// The port that the shop says it is at. A framework may have more to say than that.
async fn port(output: &mut BufReader<ChildStdout>) -> u16 {
    let said = async {
        let mut lines = output.lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.trim().rsplit_once("http://127.0.0.1:") {
                return port.parse().unwrap();
            }
        }
        panic!("the shop has ended, see above");
    };
    time::timeout(Duration::from_secs(60), said).await.expect("the shop opens within a minute")
}

fn program(framework: &str) -> PathBuf {
    // This is target/debug/deps/browser-..
    let here = env::current_exe().unwrap();
    let profile = here.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(format!("{framework}{}", env::consts::EXE_SUFFIX));
    assert!(
        program.is_file(),
        "{} is not there; build it first: \
         cargo build -p typed-session-examples --example {framework} [--features {framework}]",
        program.display()
    );
    program
}
