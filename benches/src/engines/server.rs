//! A server of one's own.

use std::path::{Path, PathBuf};
use std::process::{self, Command};

/// Gone with its data when dropped, or when this program is killed.
pub struct Server {
    dir: PathBuf,
    pub url: String,
}

impl Server {
    pub fn start(kind: &str) -> Self {
        let dir = folder(kind);
        let owner = process::id().to_string();
        let started = servers().args(["start", "--for", &owner, kind]).arg(&dir).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        Self { dir, url: String::from_utf8(started.stdout).unwrap().trim_end().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = servers().args(["stop", "--rm"]).arg(&self.dir).output();
    }
}

/// An empty folder of this process, where temporary files are: on disk, if they are.
pub fn folder(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("typed-session-{name}-{}", process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn servers() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/servers"))
}
