//! What engine tests stand on: a server made of lines of configuration, and requests made of maps.

use crate::client::address::{Address, PrefixBits};
use crate::client::countries::Countries;
use crate::client::identity::Peer;
use crate::context::{
    Aspect, BodyLength, Connection, DscpFailure, Exchange, KeepAlive, Kept, Known, Moment,
    RequestView,
};
use crate::directive::{Arguments, Place};
use crate::log_event::{Level, LogSink};
use crate::phases::{self, Rules};
use crate::rules::{self, Bound, Facts, LocationSettings, Policy, Settings};
use crate::store::Store;
use crate::store::children::Child;
use crate::store::clients::Secret;
use crate::store::layout::{Layout, PrivateMemory, ServerLimits};
use crate::store::loans::Purse;
use crate::time::{Millis, Seconds, Tick};
use crate::values::Capacity;
use crate::verdict::{Answer, Verdict};
use core::ffi::CStr;
use core::net::IpAddr;
use std::collections::HashMap;
use std::sync::Arc;

pub const LIMITS: ServerLimits = ServerLimits { children: 2, threads: 20, idle_per_thread: 0 };

/// The words of a line, as httpd's reader sees them: double quotes hold words together.
pub fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_quoted, mut is_inside) = (false, false);
    for letter in line.chars() {
        match letter {
            '"' => {
                is_quoted = !is_quoted;
                if !is_inside {
                    words.push(String::new());
                    is_inside = true;
                }
            }
            ' ' | '\t' if !is_quoted => is_inside = false,
            letter => {
                if !is_inside {
                    words.push(String::new());
                    is_inside = true;
                }
                words.last_mut().expect("a word").push(letter);
            }
        }
    }
    words
}

/// Sets one line of configuration.
pub fn set(
    settings: &mut Settings,
    location: &mut LocationSettings,
    place: Place,
    line: &str,
) -> Result<(), String> {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let name = *words.first().expect("a name");
    let index = rules::ABOUT.iter().position(|about| about.name() == name).expect(name);
    let arguments = Arguments {
        words: &words[1..],
        place,
        directory_exists: |path| path == "/var/tmp",
        load_countries,
    };
    rules::set(index, settings, location, &arguments)
}

/// Files of countries that tests know by name: 10.0.1.0/24 is CH, and the next ones DE, FR and -.
fn load_countries(path: &str) -> Result<Arc<Countries>, String> {
    let lines = |countries: &[&str]| -> String {
        let line = |(n, country)| {
            let first = u32::from(std::net::Ipv4Addr::new(10, 0, n, 0));
            format!("\"{first}\",\"{}\",\"{country}\"\n", first + 255)
        };
        (1u8..).zip(countries).map(line).collect()
    };
    let content = match path {
        "countries.csv" => lines(&["CH", "DE", "FR", "-"]).into_bytes(),
        "bad.csv" => lines(&["CH", "nowhere"]).into_bytes(),
        "countries.mmdb" => {
            let network = |high: u128| high << 96;
            let networks = [(network(0x2001_0db8), 32, "CH"), (network(0x2001_0db9), 32, "DE")];
            crate::client::countries::mmdb_writer::write_mmdb(24, &networks)
        }
        _ => return Err(format!("'{path}': no such file")),
    };
    let countries = Countries::read(&content).map_err(|problem| format!("'{path}': {problem}"))?;
    Ok(Arc::new(countries))
}

/// The settings that lines of a base server make.
pub fn settings(configuration: &str) -> Settings {
    let mut settings = Settings::default();
    for line in configuration.lines().map(str::trim).filter(|line| !line.is_empty()) {
        set(&mut settings, &mut Default::default(), Place::BaseServer, line).expect(line);
    }
    settings
}

/// The error of one line in a base server; fails when it is taken.
#[track_caller]
pub fn refused(line: &str) -> String {
    match set(&mut Settings::default(), &mut Default::default(), Place::BaseServer, line) {
        Ok(()) => panic!("{line:?} was taken"),
        Err(error) => error,
    }
}

/// Brings a policy into force.
pub fn bind(policy: &mut Policy, store: &Store<'_>, generation: u32) {
    store.clients.columns().retire(generation);
    let bound = Bound { store, generation, server: 1, is_used: &|_| true, is_set_early: &|_| true };
    policy.bind(&bound).expect("room");
}

/// A server made of lines of configuration, with a clock that is set by hand.
pub struct World {
    pub memory: PrivateMemory,
    pub policy: Policy,
    pub lines: Vec<String>,
    pub now: Tick,
    pub child: Child,
}

impl World {
    pub fn new(configuration: &str) -> World {
        let memory = PrivateMemory::new(Layout::new(LIMITS, 640));
        let mut policy = Policy::resolve(
            &settings(configuration),
            Capacity { max_clients: 40, connections: 40 },
        );
        bind(&mut policy, &World::store(&memory), 1);
        World::store(&memory).clients.remember(policy.remembered());
        let child = World::store(&memory).children.enter(7);
        World { memory, policy, lines: Vec::new(), now: Tick::from_millis(1000), child }
    }

    /// A graceful restart with another configuration.
    pub fn restart(&mut self, configuration: &str, generation: u32) {
        let capacity = Capacity { max_clients: 40, connections: 40 };
        let mut policy = Policy::resolve(&settings(configuration), capacity);
        bind(&mut policy, &World::store(&self.memory), generation);
        self.policy = policy;
    }

    pub fn store(memory: &PrivateMemory) -> Store<'_> {
        memory.store(Secret([1, 2]), PrefixBits::DEFAULT)
    }

    pub fn wait(&mut self, millis: u64) {
        self.now = Tick(self.now.0 + (millis * 16 / 1000) as u32);
    }

    pub fn with<T>(&mut self, then: impl FnOnce(&Policy, &Moment<'_>, &mut dyn LogSink) -> T) -> T {
        let store = World::store(&self.memory);
        let moment = Moment { now: self.now, store: &store, child: &self.child };
        then(&self.policy, &moment, &mut Sink(&mut self.lines))
    }

    /// A connection, or None when it is refused (what it took is given back).
    pub fn connect(&mut self, address: &str) -> Option<Connection> {
        self.connect_late(address, None)
    }

    /// The same, of a client that has left after it waited for so long.
    pub fn connect_late(&mut self, address: &str, left: Option<Millis>) -> Option<Connection> {
        let peer = Peer(Address::from(address.parse::<IpAddr>().expect(address)));
        self.with(|policy, moment, sink| {
            if phases::arrive(policy, moment, peer, &address, &|| left, sink) == Verdict::Close {
                return None;
            }
            let (connection, verdict) = phases::connect(policy, moment, peer, &address, 1, sink);
            if verdict == Verdict::Close {
                phases::disconnect(policy, moment, &connection, sink);
                return None;
            }
            Some(connection)
        })
    }

    /// Hands a request under way to a phase.
    pub fn exchange<T>(
        &mut self,
        connection: &Connection,
        view: &mut View,
        then: impl FnOnce(Rules<'_>, &mut Exchange<'_>) -> T,
    ) -> T {
        view.now = self.now;
        let mut known = view.known;
        let mut purse = core::mem::take(&mut view.purse);
        let result = self.with(|policy, moment, sink| {
            let mut exchange = Exchange {
                moment: *moment,
                connection,
                is_initial: true,
                known: &mut known,
                purse: &mut purse,
                request: view,
                sink,
            };
            then(Rules { policy, location: None }, &mut exchange)
        });
        view.known = known;
        view.purse = purse;
        result
    }

    /// A whole request, from its head to the log.
    pub fn request(&mut self, connection: &Connection, view: &mut View, status: u16) -> Answer {
        let (answer, facts) = self.begin(connection, view);
        self.end(connection, view, facts, answer, status);
        answer
    }

    /// A request up to its content.
    pub fn begin(&mut self, connection: &Connection, view: &mut View) -> (Answer, Facts) {
        let mut facts = Facts::default();
        let has_body = view.body != BodyLength::None;
        let answer = self.exchange(connection, view, |rules, exchange| {
            phases::read(rules, exchange, &mut facts);
            if phases::wants_read_late(rules) {
                phases::read_late(rules, exchange, &mut facts);
            }
            let prepared = if phases::wants_prepare(rules, || has_body) {
                phases::prepare(rules, exchange, &mut facts)
            } else {
                Answer::Pass
            };
            match prepared {
                Answer::Pass => phases::admit(rules, exchange, &mut facts),
                denied => denied,
            }
        });
        (answer, facts)
    }

    /// Its response and its end.
    pub fn end(
        &mut self,
        connection: &Connection,
        view: &mut View,
        mut facts: Facts,
        answer: Answer,
        status: u16,
    ) {
        view.status = match answer {
            Answer::Deny(status) => status,
            Answer::Pass => status,
        };
        self.exchange(connection, view, |rules, exchange| {
            if phases::wants_response(rules) {
                phases::respond(rules, exchange, &mut facts, answer == Answer::Pass);
            }
            phases::finish(rules, exchange, &mut facts, false);
            phases::release(rules, exchange, &mut facts);
        });
    }

    pub fn close(&mut self, connection: Connection) {
        self.with(|policy, moment, sink| phases::disconnect(policy, moment, &connection, sink));
    }

    /// The lines written since the last call, those for debugging left out.
    pub fn told(&mut self) -> Vec<String> {
        self.lines.drain(..).filter(|line| !line.starts_with("mod_qos()")).collect()
    }
}

struct Sink<'a>(&'a mut Vec<String>);

impl LogSink for Sink<'_> {
    fn write(&mut self, _: Level, line: &str) {
        self.0.push(line.to_owned());
    }
}

/// A request made of maps. Names are kept in lower case.
pub struct View {
    pub variables: HashMap<String, Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub response_headers: Vec<(String, Vec<u8>)>,
    pub aspects: HashMap<Aspect, Vec<u8>>,
    pub status: u16,
    pub is_tls: bool,
    pub known: Known,
    pub purse: Purse,
    pub now: Tick,
    /// Milliseconds it was held up for.
    pub paused: u32,
    pub body: BodyLength,
    pub arrived_at: u64,
    pub is_subrequest: bool,
    pub has_random_data: bool,
    pub told_once: Vec<u16>,
    /// What was asked of its connection; this server keeps none longer than five seconds.
    pub kept: KeepAlive,
    pub waits: Option<Seconds>,
    pub dscp: Option<u8>,
}

impl Default for View {
    fn default() -> View {
        View {
            variables: HashMap::new(),
            headers: Vec::new(),
            response_headers: Vec::new(),
            aspects: HashMap::new(),
            status: 200,
            is_tls: false,
            known: Known::default(),
            purse: Purse::default(),
            now: Tick(1),
            paused: 0,
            body: BodyLength::None,
            arrived_at: 1_000_000,
            is_subrequest: false,
            has_random_data: true,
            told_once: Vec::new(),
            kept: KeepAlive::default(),
            waits: None,
            dscp: None,
        }
    }
}

fn lower(name: &CStr) -> String {
    name.to_str().expect("name").to_ascii_lowercase()
}

fn look<'a>(list: &'a [(String, Vec<u8>)], name: &CStr) -> Option<&'a [u8]> {
    let name = lower(name);
    list.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_slice())
}

impl View {
    /// A request with one variable.
    pub fn with(name: &str, value: &str) -> View {
        View::default().and(name, value)
    }

    /// One variable more.
    pub fn and(mut self, name: &str, value: &str) -> View {
        self.variables.insert(name.to_ascii_lowercase(), value.as_bytes().to_vec());
        self
    }

    /// One request header more.
    pub fn and_header(mut self, name: &str, value: &str) -> View {
        self.headers.push((name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        self
    }

    /// The request's path, query and raw form.
    pub fn at(mut self, path: &str, query: Option<&str>) -> View {
        let raw = query.map_or(path.to_owned(), |query| format!("{path}?{query}"));
        for aspect in [Aspect::Path, Aspect::SentPath] {
            self.aspects.insert(aspect, path.as_bytes().to_vec());
        }
        self.aspects.insert(Aspect::RawUri, raw.into_bytes());
        if let Some(query) = query {
            for aspect in [Aspect::Query, Aspect::SentQuery] {
                self.aspects.insert(aspect, query.as_bytes().to_vec());
            }
        }
        self
    }

    /// A variable as text.
    pub fn text(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(&name.to_ascii_lowercase())?;
        Some(str::from_utf8(value).expect("text"))
    }

    /// The letters of `mod_qos_ev`, newest first.
    pub fn letters(&self) -> &str {
        str::from_utf8(self.known.letters.octets()).expect("letters")
    }
}

impl RequestView for View {
    fn variable(&self, name: &CStr) -> Option<&[u8]> {
        self.variables.get(&lower(name)).map(Vec::as_slice)
    }

    fn set_variable(&mut self, name: &CStr, value: &[u8]) {
        self.variables.insert(lower(name), value.to_vec());
    }

    fn remove_variable(&mut self, name: &CStr) {
        self.variables.remove(&lower(name));
    }

    fn each_variable(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.variables {
            tell(name.as_bytes(), value);
        }
    }

    fn header(&self, name: &CStr) -> Option<&[u8]> {
        look(&self.headers, name)
    }

    fn each_header(&self, tell: &mut dyn FnMut(&[u8], &[u8])) {
        for (name, value) in &self.headers {
            tell(name.as_bytes(), value);
        }
    }

    fn set_header(&mut self, name: &CStr, value: Option<&[u8]>) {
        let name = lower(name);
        self.headers.retain(|(found, _)| *found != name);
        self.headers.extend(value.map(|value| (name, value.to_vec())));
    }

    fn response_header(&self, name: &CStr) -> Option<&[u8]> {
        look(&self.response_headers, name)
    }

    fn content_type(&self) -> Option<&[u8]> {
        look(&self.response_headers, c"Content-Type")
    }

    fn remove_response_header(&mut self, name: &CStr) {
        let name = lower(name);
        self.response_headers.retain(|(found, _)| *found != name);
    }

    fn add_response_header(&mut self, name: &CStr, value: &[u8]) {
        self.response_headers.push((lower(name), value.to_vec()));
    }

    fn aspect(&self, aspect: Aspect) -> Option<&[u8]> {
        self.aspects.get(&aspect).map(Vec::as_slice)
    }

    fn is_tls(&self) -> bool {
        self.is_tls
    }

    fn status(&self) -> u16 {
        self.status
    }

    fn unique_id(&mut self) -> &str {
        "ID"
    }

    fn pause(&mut self, span: Millis) -> Tick {
        // Of all pauses together: one alone may be shorter than a tick.
        let ticks = |millis: u32| millis * 16 / 1000;
        let before = ticks(self.paused);
        self.paused += span.0;
        self.now = Tick(self.now.0 + ticks(self.paused) - before);
        self.now
    }

    fn body_length(&self) -> BodyLength {
        self.body
    }

    fn arrived_at(&self) -> u64 {
        self.arrived_at
    }

    fn is_subrequest(&self) -> bool {
        self.is_subrequest
    }

    fn fill_randomly(&mut self, octets: &mut [u8]) -> bool {
        octets.fill(7);
        self.has_random_data
    }

    fn is_first_time(&mut self, event: u16) -> bool {
        let is_first = !self.told_once.contains(&event);
        self.told_once.push(event);
        is_first
    }

    fn keep_alive(&mut self, wanted: KeepAlive) -> Kept {
        self.kept = wanted;
        if wanted.timeout > Some(5) { Kept::NotForSoLong } else { Kept::AsWanted }
    }

    fn wait_no_longer(&mut self, span: Seconds) {
        self.waits = Some(span);
    }

    fn set_dscp(&mut self, dscp: u8) -> Result<(), DscpFailure> {
        self.dscp = Some(dscp);
        Ok(())
    }
}
