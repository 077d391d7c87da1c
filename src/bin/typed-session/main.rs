//! `typed-session`: an operator's command for the sessions in a store.
#![forbid(unsafe_code)]

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use typed_session::SessionKey;
use typed_session::store::DynStore;

mod commands;
mod output;

use self::output::Output;

/// Looks after the sessions in a store.
#[derive(Parser)]
#[command(name = "typed-session", version)]
struct Cli {
    /// The store, as in sqlite:sessions.db, postgres://user@host/db, redis://host/0.
    ///
    /// A password is safer in the environment, because everybody on the machine can read the
    /// arguments of a process.
    #[arg(long, env = "SESSIONS_URL", hide_env_values = true, global = true)]
    url: Option<String>,

    /// The table, the collection, or the prefix of the keys, if it is not the default.
    #[arg(long, global = true)]
    name: Option<String>,

    /// Prints JSON, for machines; one object, or for `list` one a line.
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a key for a `KeyRing`: 64 hexadecimal digits. Needs no store.
    Key,
    /// Makes the tables and indexes, as far as they are not there.
    Migrate,
    /// Counts what is there: live, expired and ended sessions, and whose they are.
    Stats {
        /// How many subjects to show, those with the most sessions first.
        #[arg(long, default_value_t = 10)]
        top: usize,
    },
    /// Removes what has expired, in batches, while the application goes on.
    Sweep {
        /// How many records to remove at once.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
        batch: u32,
        /// Counts first what there is to do, which takes a walk through the store.
        #[arg(long)]
        count: bool,
    },
    /// Lists the sessions of a subject.
    List(Whose),
    /// Ends sessions: whoever holds one is logged out at once.
    End {
        #[command(flatten)]
        which: Which,
        /// Does not ask, for scripts.
        #[arg(long, requires = "all")]
        yes: bool,
    },
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// What the application calls the user by, as a user id or a name.
    #[arg(long)]
    subject: Option<String>,
    /// The hash of that, as `stats` shows it.
    #[arg(long, value_parser = subject_hash)]
    subject_hash: Option<typed_session::Subject>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Which {
    /// The session with this key, 64 hexadecimal digits.
    key: Option<SessionKey>,
    /// All sessions of the user whom the application calls by this.
    #[arg(long)]
    subject: Option<String>,
    /// The same, by the hash that `stats` shows.
    #[arg(long, value_parser = subject_hash)]
    subject_hash: Option<typed_session::Subject>,
    /// All sessions of everybody. Asks first.
    #[arg(long)]
    all: bool,
}

fn subject_hash(text: &str) -> Result<typed_session::Subject, &'static str> {
    let key: SessionKey = text.parse().map_err(|_| "a hash is 64 hexadecimal digits")?;
    Ok(typed_session::Subject::from_hash(*key.as_bytes()))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    let output = Output { json: cli.json };
    if let Command::Key = cli.command {
        return commands::key(output);
    }
    let url = cli.url.ok_or("which store? Say it by --url, or in SESSIONS_URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = DynStore::connect_as(&url, cli.name.as_deref()).await?;
        match cli.command {
            Command::Key => Ok(()),
            Command::Migrate => commands::migrate(&store, output).await,
            Command::Stats { top } => commands::stats(&store, top, output).await,
            Command::Sweep { batch, count } => {
                commands::sweep(&store, batch as usize, count, output).await
            }
            Command::List(Whose { subject, subject_hash }) => {
                let subject = subject.map(Into::into).or(subject_hash).ok_or("whose?")?;
                commands::list(&store, subject, output).await
            }
            Command::End { which: Which { key, subject, subject_hash, .. }, yes } => {
                match (key, subject.map(Into::into).or(subject_hash)) {
                    (Some(key), _) => commands::end(store, key, output).await,
                    (None, Some(subject)) => commands::end_subject(store, subject, output).await,
                    (None, None) => commands::end_everyone(store, yes, output).await,
                }
            }
        }
    })
}

/// An error with its reasons, without saying the same twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(reason) = source {
        let reason_text = reason.to_string();
        if !text.contains(&reason_text) {
            text = format!("{text}: {reason_text}");
        }
        source = reason.source();
    }
    text
}
