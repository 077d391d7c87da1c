//! Processes that do the same thing at the same moment.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use typed_session::store::Result;

const ROUNDS: usize = 20;
const CHILD: &str = "TYPED_SESSION_MIGRATES";

/// Has eight processes migrate a fresh table at once, in many rounds.
///
/// They are this very test again, `test` being its whole name.
pub(crate) async fn migrate_at_once(
    test: &str,
    migrate: impl AsyncFn(&str) -> Result<()>,
    drop_table: impl AsyncFn(&str),
) {
    if is_child() {
        return child(migrate).await;
    }
    let mut children: Vec<_> = (0..8).map(|_| start(test)).collect();
    for round in 0..ROUNDS {
        let table = format!("migrated_{round}");
        drop_table(&table).await;
        for (_, stdin, _) in &mut children {
            writeln!(stdin, "{table}").unwrap();
        }
        for (_, _, stdout) in &mut children {
            assert_eq!(answer(stdout), "Ok(())", "round {round}");
        }
        drop_table(&table).await;
    }
    for (mut child, stdin, _) in children {
        drop(stdin);
        assert!(child.wait().unwrap().success());
    }
}

/// Whether this process is one of the eight.
pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

fn start(test: &str) -> (Child, ChildStdin, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(answer(&mut stdout), "ready");
    (child, stdin, stdout)
}

/// The next line that is for us; the others are the test harness's.
fn answer(stdout: &mut impl BufRead) -> String {
    let mut line = String::new();
    while stdout.read_line(&mut line).unwrap() > 0 {
        if let Some((_, answer)) = line.split_once(MARK) {
            return answer.trim_end().to_owned();
        }
        line.clear();
    }
    panic!("a process is gone");
}

const MARK: &str = "migration: ";

async fn child(migrate: impl AsyncFn(&str) -> Result<()>) {
    say("ready");
    for table in std::io::stdin().lines() {
        say(&format!("{:?}", migrate(&table.unwrap()).await));
    }
}

/// Past the harness, which keeps what is printed by `println`.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{MARK}{text}").unwrap();
    stdout.flush().unwrap();
}
