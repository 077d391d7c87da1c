//! Private servers that a test may kill, and the shared one that all tests of a store use.
//!
//! `tests/servers` starts them. A call blocks its thread, up to a minute where a server does not
//! come up.

use std::env;
use std::ffi::OsStr;
use std::process::{self, Command};

use tempfile::TempDir;

/// What to start; of two engines that speak one language it is the one that the environment names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Postgres,
    /// `MYSQL_KIND`: `mariadb`, the default, or `mysql`.
    MySql,
    /// `REDIS_KIND`: `redis`, the default, or `valkey`.
    Redis,
    /// Three masters, each with one replica.
    RedisCluster,
    MongoDb,
}

impl Kind {
    fn name(self) -> String {
        let either = |variable, default: &str| env::var(variable).unwrap_or(default.into());
        match self {
            Kind::Postgres => "postgres".into(),
            Kind::MySql => either("MYSQL_KIND", "mariadb"),
            Kind::Redis => either("REDIS_KIND", "redis"),
            Kind::RedisCluster => "redis-cluster".into(),
            Kind::MongoDb => "mongodb".into(),
        }
    }

    fn variable(self) -> &'static str {
        match self {
            Kind::Postgres => "POSTGRES_URL",
            Kind::MySql => "MYSQL_URL",
            Kind::Redis => "REDIS_URL",
            Kind::RedisCluster => "REDIS_CLUSTER_URLS",
            Kind::MongoDb => "MONGODB_URL",
        }
    }
}

/// The URL of the server that all tests of a store share; of a cluster, all with commas between.
#[track_caller]
pub(crate) fn shared(kind: Kind) -> String {
    let variable = kind.variable();
    env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run ./tests/run engines"))
}

/// A server of one test's own, gone with its data when dropped, or when the tests are killed.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    url: String,
    dir: TempDir,
}

impl Server {
    /// Starts one on a free port, without any data.
    #[track_caller]
    pub(crate) fn start(kind: Kind) -> Server {
        let dir = TempDir::with_prefix("typed-session-").unwrap();
        let mut server = Server { kind, url: String::new(), dir };
        server.url = server.bring_up();
        server
    }

    /// Where it is, also after a restart; of a cluster, all nodes with commas between.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The nodes of a cluster; of others, the one.
    pub(crate) fn urls(&self) -> impl Iterator<Item = &str> {
        self.url.split(',')
    }

    /// `kill -9` of all its processes; they are gone when this returns.
    #[track_caller]
    pub(crate) fn kill(&self) {
        self.run(["kill".as_ref(), self.path()]);
    }

    /// The same for one node of a cluster, counted from 1 in the order of [`urls`](Self::urls).
    #[track_caller]
    pub(crate) fn kill_node(&self, node: usize) {
        self.run(["kill".as_ref(), self.path(), node.to_string().as_ref()]);
    }

    /// Starts it again, or what of it is down, with its data and at its port.
    #[track_caller]
    pub(crate) fn restart(&self) {
        assert_eq!(self.bring_up(), self.url);
    }

    /// Stops it in order; everything is on disk.
    #[track_caller]
    pub(crate) fn stop(&self) {
        self.run(["stop".as_ref(), self.path()]);
    }

    /// The same as [`pause`](Self::pause) for one node of a cluster.
    #[track_caller]
    pub(crate) fn pause_node(&self, node: usize) {
        self.run(["pause".as_ref(), self.path(), node.to_string().as_ref()]);
    }

    #[track_caller]
    pub(crate) fn resume_node(&self, node: usize) {
        self.run(["resume".as_ref(), self.path(), node.to_string().as_ref()]);
    }

    /// From now on it takes connections and requests and does not answer.
    #[track_caller]
    pub(crate) fn pause(&self) {
        self.run(["pause".as_ref(), self.path()]);
    }

    /// It answers again, also what came meanwhile.
    #[track_caller]
    pub(crate) fn resume(&self) {
        self.run(["resume".as_ref(), self.path()]);
    }

    #[track_caller]
    fn bring_up(&self) -> String {
        let (owner, kind) = (process::id().to_string(), self.kind.name());
        self.run(["start", "--for", &owner, &kind].map(OsStr::new).into_iter().chain([self.path()]))
    }

    fn path(&self) -> &OsStr {
        self.dir.path().as_os_str()
    }

    #[track_caller]
    fn run<'a>(&self, args: impl IntoIterator<Item = &'a OsStr>) -> String {
        let output = servers().args(args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} {:?}: {errors}", self.kind.name(), output.status);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not a panic: the test may be panicking. What is left then ends with the process.
        match servers().args(["stop", "--rm"]).arg(self.path()).output() {
            Ok(output) if output.status.success() => (),
            other => eprintln!("{} was not stopped: {other:?}", self.kind.name()),
        }
    }
}

fn servers() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../servers"))
}

mod tests {
    use std::io::{self, Read, Write};
    use std::net::TcpStream;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::path::PathBuf;
    use std::time::Duration;

    use super::{Kind, Server};

    /// One command of Redis in one connection, and the first line of the answer.
    fn ask(url: &str, command: &str) -> io::Result<String> {
        ask_within(Duration::from_secs(30), url, command)
    }

    fn ask_within(limit: Duration, url: &str, command: &str) -> io::Result<String> {
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(limit))?;
        write!(stream, "{command}\r\nQUIT\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    }

    #[test]
    #[ignore = "needs a server: ./tests/run engines"]
    fn a_killed_server_comes_back_at_its_port_with_its_data() {
        let server = Server::start(Kind::Redis);
        assert_eq!(ask(server.url(), "SET a 1").unwrap(), "+OK");
        server.kill();
        assert!(ask(server.url(), "DBSIZE").is_err());
        server.restart();
        assert_eq!(ask(server.url(), "DBSIZE").unwrap(), ":1");
        server.stop();
        assert!(ask(server.url(), "DBSIZE").is_err());
        server.restart();
        assert_eq!(ask(server.url(), "DBSIZE").unwrap(), ":1");
    }

    #[test]
    #[ignore = "needs a server: ./tests/run engines"]
    fn a_paused_server_takes_connections_and_does_not_answer() {
        let server = Server::start(Kind::Redis);
        server.pause();
        let error = ask_within(Duration::from_millis(500), server.url(), "PING").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        server.resume();
        assert_eq!(ask(server.url(), "PING").unwrap(), "+PONG");
    }

    #[test]
    #[ignore = "needs a server: ./tests/run engines"]
    fn a_dropped_server_is_gone_with_its_data_also_in_a_panic() {
        let mut there = (String::new(), PathBuf::new());
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let server = Server::start(Kind::Redis);
            there = (server.url().to_owned(), server.dir.path().to_owned());
            assert_eq!(ask(&there.0, "PING").unwrap(), "+PONG");
            panic!("as a test does");
        }));
        assert!(panicked.is_err());
        assert!(ask(&there.0, "PING").is_err());
        assert!(!there.1.exists());
    }

    #[test]
    #[ignore = "needs a server: ./tests/run engines"]
    fn one_node_of_a_cluster_dies_alone() {
        let server = Server::start(Kind::RedisCluster);
        let urls: Vec<&str> = server.urls().collect();
        assert_eq!(urls.len(), 6);
        server.kill_node(2);
        for (index, url) in urls.iter().enumerate() {
            assert_eq!(ask(url, "PING").is_ok(), index != 1, "{url}");
        }
        server.restart();
        assert_eq!(ask(urls[1], "PING").unwrap(), "+PONG");
    }
}
