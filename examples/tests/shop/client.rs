//! The shop as a process, and the few lines of HTTP that it takes to visit it.

use std::collections::HashMap;
use std::env;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

/// A shop that is open; dropped, it is killed as by `kill -9`.
pub(crate) struct Shop {
    process: Child,
    // Held, lest the shop's last words have nowhere to go.
    output: BufReader<ChildStdout>,
    pub(crate) port: u16,
    // Of each id, for its forms.
    tokens: Mutex<HashMap<String, String>>,
}

impl Shop {
    /// Opens a shop that keeps its log in `dir`, and its sessions where `SHOP_DATABASE_URL` says,
    /// or else in `dir` as well. It is the one on axum, or the program that `SHOP_PROGRAM` names.
    pub(crate) fn open(dir: &Path) -> Self {
        Self::open_later(dir, Duration::ZERO)
    }

    /// The same, with a clock that is ahead.
    pub(crate) fn open_later(dir: &Path, ahead: Duration) -> Self {
        let file = || format!("sqlite://{}?mode=rwc", dir.join("shop.db").display());
        let url = env::var("SHOP_DATABASE_URL").unwrap_or_else(|_| file());
        let log = OpenOptions::new().create(true).append(true).open(dir.join("log")).unwrap();
        let program = env::var_os("SHOP_PROGRAM");
        let program = program.unwrap_or_else(|| env!("CARGO_BIN_EXE_shop-under-test").into());
        let mut process = Command::new(program)
            .env("PORT", "0")
            .env("DATABASE_URL", url)
            .env("SECONDS_AHEAD", ahead.as_secs().to_string())
            .env_remove("PUBLIC_URL")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once("http://127.0.0.1:").map(|(_, port)| port.parse());
        let Some(Ok(port)) = port else {
            panic!("{line:?}: {}", fs::read_to_string(dir.join("log")).unwrap())
        };
        Self { process, output, port, tokens: Mutex::default() }
    }

    /// Kills it, with whatever it is at.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Closes it as Ctrl-C does, and returns its last words.
    #[cfg(unix)]
    pub(crate) fn interrupt(mut self) -> String {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        assert!(self.process.wait().unwrap().success());
        rest
    }

    /// Sends a form with the session `id`, if there is one, as the page with the form would.
    #[track_caller]
    pub(crate) fn post(&self, path: &str, id: &str, form: &[(&str, &str)]) -> Reply {
        self.post_from(path, id, form, &[])
    }

    /// The same, with more headers.
    #[track_caller]
    pub(crate) fn post_from(
        &self,
        path: &str,
        id: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Reply {
        // Of those without a session, only a login needs one first: its page gives it.
        if id.is_empty() && path == "/login" {
            let page = self.send("GET", path, "", &[], headers);
            let Some(id) = page.id() else { return page };
            return self.post_from(path, &id, form, headers);
        }
        let token = self.token(id);
        let mut fields: Vec<(&str, &str)> = token.iter().map(|token| (FIELD, &**token)).collect();
        fields.extend(form);
        self.send("POST", path, id, &fields, headers)
    }

    /// The token that the pages of the session `id` have in their forms, if there is such a session.
    #[track_caller]
    pub(crate) fn token(&self, id: &str) -> Option<String> {
        if let Some(token) = self.tokens.lock().unwrap().get(id) {
            return Some(token.clone());
        }
        if id.is_empty() {
            return None;
        }
        // The form is in the page of each session, also of one that was no more than looked up.
        let token = self.get("/", id).fields(FIELD).next().map(str::to_owned)?;
        self.tokens.lock().unwrap().insert(id.to_owned(), token.clone());
        Some(token)
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str, id: &str) -> Reply {
        self.send("GET", path, id, &[], &[])
    }

    /// Sends what no page of the shop would.
    #[track_caller]
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        id: &str,
        form: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Reply {
        send(self.port, method, path, id, form, headers).unwrap()
    }

    /// What `/api/session` says of the session `id`.
    #[track_caller]
    pub(crate) fn session(&self, id: &str) -> Value {
        let reply = self.get("/api/session", id);
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.set_cookie(), None, "reading gives no cookie");
        serde_json::from_str(&reply.body).unwrap()
    }

    /// Who is logged in by the session `id`.
    #[track_caller]
    pub(crate) fn user(&self, id: &str) -> Option<String> {
        self.session(id)["user"].as_str().map(str::to_owned)
    }

    #[track_caller]
    pub(crate) fn basket(&self, id: &str) -> Vec<String> {
        serde_json::from_value(self.session(id)["basket"].clone()).unwrap()
    }

    /// Makes a session and returns its id.
    #[track_caller]
    pub(crate) fn visitor(&self) -> String {
        self.post("/visit", "", &[]).id().expect("the first write makes a session")
    }

    #[track_caller]
    pub(crate) fn login(&self, id: &str, user: &str) -> String {
        self.post("/login", id, &[("user", user)]).id().expect("a login gives a new id")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // It may be closed already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.lines().filter_map(move |line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    #[track_caller]
    pub(crate) fn set_cookie(&self) -> Option<&str> {
        let mut cookies = self.headers("set-cookie");
        let first = cookies.next();
        assert_eq!(cookies.next(), None, "at most one cookie");
        first
    }

    /// The id that the response gives, if it gives one; a removal gives none.
    #[track_caller]
    pub(crate) fn id(&self) -> Option<String> {
        let (pair, _) = self.set_cookie()?.split_once(';')?;
        let id = pair.strip_prefix("session=").expect("the cookie of the session");
        (!id.is_empty()).then(|| id.to_owned())
    }

    /// The values of all fields or buttons of this name.
    pub(crate) fn fields<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let name = format!(r#"name="{name}" value=""#);
        let parts: Vec<_> = self.body.split(&name).skip(1).collect();
        parts.into_iter().filter_map(|part| part.split('"').next())
    }

    /// Where the browser is sent.
    pub(crate) fn location(&self) -> Option<&str> {
        self.headers("location").next()
    }

    #[track_caller]
    pub(crate) fn removes_cookie(&self) -> bool {
        self.set_cookie().is_some_and(|cookie| cookie.starts_with("session=;"))
    }
}

/// The field of a form that has its token.
pub(crate) const FIELD: &str = "csrf_token";

/// Sends one request over a connection of its own.
pub(crate) fn send(
    port: u16,
    method: &str,
    path: &str,
    id: &str,
    form: &[(&str, &str)],
    headers: &[(&str, &str)],
) -> io::Result<Reply> {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let form: Vec<String> =
        form.iter().map(|(name, value)| format!("{name}={}", percent(value))).collect();
    let form = form.join("&");
    // As a browser does: what has no body says nothing of one.
    let kind = match method {
        "POST" => format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            form.len()
        ),
        _ => String::new(),
    };
    let cookie = if id.is_empty() { String::new() } else { format!("Cookie: session={id}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         {cookie}{headers}{kind}\r\n{form}"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    // A shop that hangs fails the test instead of hanging it.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let cut_off = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut_off)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Reply { status: status.ok_or_else(cut_off)?, head: head.to_owned(), body: body.to_owned() })
}

fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
