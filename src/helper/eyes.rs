//! What the helper does each second: it looks at the server, and acts by its hands.

use super::files::Files;
use super::program::Program;
use super::syslog::Outbox;
use super::{Helper, tell};
use crate::httpd::{scoreboard, server::Server};
use crate::shm::child;
use crate::shm::segment::Shared;
use qos_engine::client::address::Address;
use qos_engine::context::Moment;
use qos_engine::phases::watch::{self, Hands};
use qos_engine::rules::Policy;

/// The watch of one configuration.
pub struct Eyes {
    shared: &'static Shared,
    /// Of all servers, the base server's first.
    policies: Vec<&'static Policy>,
    server: Server,
    hands: Tools,
}

struct Tools {
    server: Server,
    files: Option<Files>,
    program: Option<Program>,
    syslog: Outbox,
    /// It was told that nobody reads syslog.
    is_told_of_syslog: bool,
}

impl Eyes {
    /// Begins to watch for a configuration.
    pub fn open(helper: &Helper, shared: &'static Shared) -> Option<Eyes> {
        let server = helper.server;
        let mut policies: Vec<&'static Policy> = Vec::new();
        for config in server.and_following().filter_map(Server::config) {
            if let Some(policy) = config.policy.get()
                && !policies.iter().any(|known| core::ptr::eq(*known, policy))
            {
                policies.push(policy);
            }
        }
        let base = policies.first()?;
        let rules = &base.busy_watch;
        // Who acts on nobody starts nothing that might.
        let program = rules.program.as_ref().filter(|_| !base.server.is_log_only);
        let hands = Tools {
            server,
            files: rules.directory.as_ref().map(|(path, kept)| Files::new(path, *kept)),
            program: program.map(|path| Program::new(path)),
            syslog: Outbox::default(),
            is_told_of_syslog: false,
        };
        Some(Eyes { shared, policies, server, hands })
    }

    /// Looks once.
    pub fn look(&mut self) {
        let Eyes { shared, policies, server, hands } = self;
        if let Some(program) = &mut hands.program {
            program.tend(*server);
        }
        let Some(policy) = policies.first() else { return };
        let workers = scoreboard::workers(policy.server.max_clients);
        let child = child::this();
        let moment = Moment { now: shared.now(), store: &shared.store, child: &child };
        watch::watch(policies, &moment, &workers, hands, server);
        hands.send();
    }

    /// Leaves nothing behind.
    pub fn close(&mut self) {
        self.hands.send();
        if let Some(program) = &mut self.hands.program {
            program.end();
        }
    }
}

impl Hands for Tools {
    fn save(&mut self, picture: &str) -> Option<String> {
        let path = match self.files.as_ref()?.save(picture) {
            Ok(path) => path,
            Err(error) => {
                tell(self.server, format_args!("the picture cannot be saved: {error}"));
                return None;
            }
        };
        if let Some(program) = &mut self.program {
            program.start(&path, self.server);
        }
        Some(path)
    }

    fn report(&mut self, address: Address) {
        self.syslog.add(&format!("Apache DOS Attempt: {address}"));
    }
}

impl Tools {
    fn send(&mut self) {
        if let Err(error) = self.syslog.send()
            && !self.is_told_of_syslog
        {
            self.is_told_of_syslog = true;
            tell(self.server, format_args!("syslog takes nothing: {error}"));
        }
    }
}
