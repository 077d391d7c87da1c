//! The suite, its settings, and what it finds.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::Setup;
use super::carrier::{CONFIGURATIONS, Carrier};
use super::client::Protocol;
use super::scene::Scene;
use super::stories;
use super::story::{Feature, Story};

/// The suite and its settings.
#[derive(Clone, Debug)]
#[must_use]
pub struct Suite {
    without: Vec<(Feature, &'static str)>,
    skipped: Vec<Story>,
    time_limit: Duration,
}

impl Default for Suite {
    fn default() -> Self {
        Self { without: Vec::new(), skipped: Vec::new(), time_limit: Duration::from_secs(10) }
    }
}

impl Suite {
    /// Makes the suite with all its stories.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out what the framework does not have, and says why.
    pub fn without(mut self, feature: Feature, why: &'static str) -> Self {
        self.without.push((feature, why));
        self
    }

    /// Leaves a story out. It is for looking at the rest.
    pub fn skip(mut self, story: Story) -> Self {
        self.skipped.push(story);
        self
    }

    /// Sets how long to wait for a connection, a response or a message; 10 seconds if not set.
    pub const fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Tells an application all the stories.
    ///
    /// `start` starts the application in threads of its own, and returns the loopback address at
    /// which it listens. It is called once for each configuration, with other layers each time;
    /// the applications run on until the process ends.
    ///
    /// It blocks, and needs no runtime.
    ///
    /// # Panics
    ///
    /// If a story is broken; the message names each, and says what was seen. Also if this system
    /// gives the client no threads or sockets.
    pub fn run(&self, start: impl FnMut(Setup) -> SocketAddr) {
        if let Err(broken) = self.check(start) {
            panic!("{broken}");
        }
    }

    /// Tells an application all the stories, as [`run`](Self::run) does.
    ///
    /// # Errors
    ///
    /// The stories that are broken, of the first configuration in which there are any: what is
    /// broken with a cookie is mostly broken with a header, too.
    ///
    /// # Panics
    ///
    /// If this system gives the client no threads or sockets.
    pub fn check(&self, mut start: impl FnMut(Setup) -> SocketAddr) -> Result<Report, Broken> {
        let mut told = Vec::new();
        for carriers in CONFIGURATIONS {
            let scene = Scene::set(carriers, self.time_limit);
            let address = start(scene.setup());
            for protocol in [Protocol::Http1, Protocol::Http2] {
                let scene = scene.at(address, protocol, self.has(Feature::Sentences));
                let stories = Story::ALL.into_iter();
                let stories: Vec<_> =
                    stories.filter(|story| self.tells(*story, carriers[0], protocol)).collect();
                let violations = tell(&scene, &stories);
                if !violations.is_empty() {
                    return Err(Broken { on: scene.name(), violations });
                }
                told.extend(stories);
            }
        }
        let (told, skipped) = Story::ALL.into_iter().partition(|story| told.contains(story));
        Ok(Report { told, skipped, without: self.without.clone() })
    }

    fn tells(&self, story: Story, carrier: Carrier, protocol: Protocol) -> bool {
        let by_protocol = match protocol {
            Protocol::Http1 => true,
            Protocol::Http2 => {
                self.has(Feature::Http2) && story.needs() != Some(Feature::WebSocket)
            }
        };
        by_protocol
            && (carrier.is_cookie() || !story.is_of_cookies())
            && story.needs().is_none_or(|feature| self.has(feature))
            && !self.skipped.contains(&story)
    }

    fn has(&self, feature: Feature) -> bool {
        self.without.iter().all(|(without, _)| *without != feature)
    }
}

/// Tells the stories on a runtime of their own, whatever the caller is on.
fn tell(scene: &Scene, stories: &[Story]) -> Vec<Violation> {
    let tell = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("the system has what a client needs").block_on(async {
            let mut violations = Vec::new();
            for &story in stories {
                scene.reset();
                let told = stories::tell(scene, story).await;
                scene.reset();
                let Err(mut seen) = told else { continue };
                let lives = scene.visitor().get("/plain").await;
                if let Err(silence) = &lives {
                    seen += &format!("\nafter it, {silence}; so no other story was told");
                }
                violations.push(Violation { story, seen });
                if lives.is_err() {
                    break;
                }
            }
            violations
        })
    };
    std::thread::scope(|scope| match scope.spawn(tell).join() {
        Ok(violations) => violations,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Stories that came true.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The stories that hold.
    pub told: Vec<Story>,
    /// The stories that were left out.
    pub skipped: Vec<Story>,
    /// What the framework does not have, and why.
    pub without: Vec<(Feature, &'static str)>,
}

/// Stories that did not come true.
///
/// `Debug` is as readable as `Display`, for the sake of `unwrap`.
#[derive(Clone)]
pub struct Broken {
    /// The configuration.
    on: String,
    violations: Vec<Violation>,
}

#[derive(Clone)]
struct Violation {
    story: Story,
    seen: String,
}

impl Broken {
    /// Returns which stories are broken.
    #[must_use]
    pub fn stories(&self) -> Vec<Story> {
        self.violations.iter().map(|violation| violation.story).collect()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { on, violations } = self;
        write!(f, "the adapter breaks {} of the stories ({on}):", violations.len())?;
        for Violation { story, seen } in violations {
            write!(f, "\n{story:?}: {}", story.sentence())?;
            for line in seen.lines() {
                write!(f, "\n  {line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}
