//! A private httpd: its own directory, ports and processes, all gone when the test is over.

use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::client::Client;
use super::config::{Plan, module_under_test, program};
use super::log::{AccessLine, ErrorLog, Line, Mark};
use super::process::{self, Pid, Usage};
use super::{Mpm, PATIENCE, poll, tls};

/// Lines at warn or above that httpd writes in good health, too.
const HARMLESS: &[&str] = &[
    // A child that still serves a connection when the server stops or restarts by force.
    "still did not exit, sending a SIGTERM",
    // An old child of a graceful restart holds its scoreboard slot until its last client is gone.
    "AH00485: scoreboard is full",
    "AH03490: scoreboard is full",
    // An event child that ends closes its list of sockets before its threads have stopped using it.
    "AH03092: process_lingering_close: apr_pollset_add failure",
    "AH03093: process_socket: apr_pollset_add failure",
    // All workers are busy: some tests want just that.
    "AH00161: server reached MaxRequestWorkers",
    "AH00484: server reached MaxRequestWorkers",
    "AH00286: server reached MaxRequestWorkers",
    "AH10159: server is within MinSpareThreads",
    "AH00288: scoreboard is full",
];

/// A server that is being described.
#[derive(Clone)]
pub struct Builder {
    plan: Plan,
    ports: usize,
    files: Vec<(String, Vec<u8>)>,
    environment: Vec<(String, String)>,
}

impl Builder {
    /// Adds directives, one or more lines.
    pub fn with(mut self, directives: &str) -> Builder {
        self.plan.directives.push_str(directives);
        self.plan.directives.push('\n');
        self
    }

    /// Loads more of httpd's own modules.
    pub fn modules(mut self, names: &[&str]) -> Builder {
        self.plan.modules.extend(names.iter().map(|name| (*name).to_owned()));
        self
    }

    /// Tests another shared object than the usual one.
    pub fn module_file(mut self, path: PathBuf) -> Builder {
        self.plan.module = path;
        self
    }

    /// Listens on so many ports, which the directives name `@PORT0@`, `@PORT1@` ..
    pub fn ports(mut self, count: usize) -> Builder {
        self.ports = count;
        self
    }

    /// Puts a file into the document root.
    pub fn file(mut self, name: &str, content: Vec<u8>) -> Builder {
        self.files.push((name.to_owned(), content));
        self
    }

    pub fn environment(mut self, name: &str, value: &str) -> Builder {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Children at most and threads in each; prefork has their product as children.
    pub fn size(mut self, children: usize, threads: usize) -> Builder {
        self.plan.children = children;
        self.plan.threads = threads;
        self
    }

    pub fn max_connections_per_child(mut self, count: usize) -> Builder {
        self.plan.max_connections_per_child = count;
        self
    }

    /// Speaks TLS on all ports, with a certificate that nobody trusts.
    pub fn tls(mut self) -> Builder {
        self.plan.tls = true;
        self.modules(&["socache_shmcb", "ssl"])
    }

    /// Starts the server and returns when it takes connections.
    #[track_caller]
    pub fn start(self) -> Httpd {
        for _ in 0..5 {
            match self.clone().try_start() {
                Ok(httpd) => return httpd,
                Err(text) if text.contains("Address already in use") => {}
                Err(text) => panic!("httpd did not start:\n{text}"),
            }
        }
        panic!("httpd found no free port five times in a row");
    }

    fn try_start(self) -> Result<Httpd, String> {
        let root = Root::make(&self);
        let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        let ports: Vec<u16> = (0..self.ports).map(|_| free_port().0).collect();
        let conf = root.0.join("httpd.conf");
        fs::write(&conf, self.plan.text(&root.0, &ports, has_ipv6)).expect("conf is written");
        let output = File::create(root.0.join("stderr")).expect("a file for stderr");
        let mut command = Command::new(program());
        command.arg("-f").arg(&conf).arg("-DFOREGROUND").envs(self.environment.clone());
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle"));
        command.stderr(output).process_group(0);
        // SAFETY: prctl is async-signal-safe and changes only the new process. It ends the server
        // with the test's thread, however that ends.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            });
        }
        let process =
            command.spawn().map_err(|error| format!("{}: {error}", program().display()))?;
        let log = ErrorLog::new(&root.0);
        let mut httpd = Httpd {
            process,
            root,
            log,
            ports,
            builder: self,
            has_ipv6,
            expected: Mutex::new(Vec::new()),
            is_stopped: false,
        };
        let is_up = poll(PATIENCE, || {
            if httpd.process.try_wait().is_ok_and(|status| status.is_some()) {
                return Some(false);
            }
            httpd.is_up_since(0).then_some(true)
        });
        if is_up == Some(true) {
            return Ok(httpd);
        }
        let text = format!("{}\n{}", httpd.stderr(), httpd.log.tail(40));
        // What went wrong at start is the caller's subject, not the log check's.
        httpd.end_processes();
        httpd.is_stopped = true;
        Err(text)
    }

    /// What `apachectl -t` says to this configuration.
    pub fn check(self) -> Check {
        let root = Root::make(&self);
        let conf = root.0.join("httpd.conf");
        let ports: Vec<u16> = (0..self.ports).map(|index| 1 + index as u16).collect();
        fs::write(&conf, self.plan.text(&root.0, &ports, true)).expect("conf is written");
        let output = Command::new(program())
            .arg("-t")
            .arg("-f")
            .arg(&conf)
            .envs(self.environment.clone())
            .output();
        let output = output.expect("httpd runs");
        Check {
            is_ok: output.status.success(),
            text: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The verdict of `apachectl -t`.
#[derive(Debug)]
pub struct Check {
    pub is_ok: bool,
    pub text: String,
}

/// A running server. When it goes out of scope it is stopped, its directory removed, and its error
/// log judged: a crash, a panic or a warning that the test did not announce fails the test.
pub struct Httpd {
    process: Child,
    root: Root,
    log: ErrorLog,
    ports: Vec<u16>,
    builder: Builder,
    has_ipv6: bool,
    expected: Mutex<Vec<Expected>>,
    is_stopped: bool,
}

enum Expected {
    Event(u16),
    Text(String),
}

impl Httpd {
    pub fn on(mpm: Mpm) -> Builder {
        Builder {
            plan: Plan {
                mpm,
                module: module_under_test(),
                modules: Vec::new(),
                directives: String::new(),
                log_level: "info".to_owned(),
                children: 2,
                threads: 16,
                max_connections_per_child: 0,
                tls: false,
            },
            ports: 1,
            files: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// What `apachectl -t` says to these directives.
    pub fn check(directives: &str) -> Check {
        Httpd::on(Mpm::Event).with(directives).check()
    }

    pub fn root(&self) -> &Path {
        &self.root.0
    }

    pub fn pid(&self) -> Pid {
        self.process.id() as Pid
    }

    /// The ports that the directives name `@PORT0@`, `@PORT1@` ..
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// A client that nobody has seen yet. Who asks the server again and again for its counts is one
    /// each time: its last connection may still be closing, and a limit of one would refuse the next.
    pub fn newcomer(&self) -> Client {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.client(&format!("127.99.{}.{}", number / 250 % 250, number % 250 + 1))
    }

    /// A client of the first port. It speaks IPv6 when its own address is one.
    pub fn client(&self, source: &str) -> Client {
        self.client_of_port(0, source)
    }

    pub fn client_of_port(&self, index: usize, source: &str) -> Client {
        let server: IpAddr = if source.contains(':') {
            Ipv6Addr::LOCALHOST.into()
        } else {
            Ipv4Addr::LOCALHOST.into()
        };
        Client::new(source, SocketAddr::new(server, self.ports[index]))
    }

    /// Whether the server listens on ::1, too.
    pub fn has_ipv6(&self) -> bool {
        self.has_ipv6
    }

    // ---- the log

    pub fn mark(&self) -> Mark {
        self.log.mark()
    }

    /// All lines of an event since the start.
    pub fn events(&self, number: u16) -> Vec<Line> {
        self.events_since(0, number)
    }

    pub fn events_since(&self, mark: Mark, number: u16) -> Vec<Line> {
        self.log.since(mark).into_iter().filter(|line| line.event == Some(number)).collect()
    }

    /// Waits until an event was logged so many times, and returns all its lines.
    #[track_caller]
    pub fn wait_for_events(&self, number: u16, count: usize) -> Vec<Line> {
        self.wait_for_events_since(0, number, count)
    }

    #[track_caller]
    pub fn wait_for_events_since(&self, mark: Mark, number: u16, count: usize) -> Vec<Line> {
        let enough = || Some(self.events_since(mark, number)).filter(|lines| lines.len() >= count);
        poll(PATIENCE, enough).unwrap_or_else(|| {
            panic!(
                "event {number:03} was logged {} times, not {count}",
                self.events_since(mark, number).len()
            )
        })
    }

    /// Waits for a line that holds a text.
    #[track_caller]
    pub fn wait_for_text(&self, mark: Mark, text: &str) -> Line {
        let found = || self.log.since(mark).into_iter().find(|line| line.raw.contains(text));
        poll(PATIENCE, found).unwrap_or_else(|| panic!("the log does not say: {text}"))
    }

    /// Announces an event at warn or above: the log check lets it pass.
    pub fn expect(&self, number: u16) -> &Httpd {
        self.expected.lock().expect("no test panics here").push(Expected::Event(number));
        self
    }

    /// Announces a line at warn or above, or of a died child, by a part of its text.
    pub fn expect_text(&self, text: &str) -> &Httpd {
        self.expected.lock().expect("no test panics here").push(Expected::Text(text.to_owned()));
        self
    }

    pub fn access_log(&self) -> Vec<AccessLine> {
        AccessLine::read(self.root())
    }

    /// Waits until a path was logged so many times, and returns its lines.
    #[track_caller]
    pub fn wait_for_access(&self, path: &str, count: usize) -> Vec<AccessLine> {
        let of_path = || -> Vec<AccessLine> {
            self.access_log().into_iter().filter(|line| line.path() == path).collect()
        };
        poll(PATIENCE, || Some(of_path()).filter(|lines| lines.len() >= count))
            .unwrap_or_else(|| panic!("{path} was logged {} times, not {count}", of_path().len()))
    }

    /// Waits until a file in the server's directory, such as a test's own log, holds this text.
    #[track_caller]
    pub fn wait_for_file(&self, name: &str, text: &str) {
        let read = || fs::read_to_string(self.root.0.join(name)).unwrap_or_default();
        if poll(PATIENCE, || (read() == text).then_some(())).is_none() {
            assert_eq!(read(), text, "{name} holds something else");
        }
    }

    // ---- restarts

    /// Replaces the test's own directives; they hold from the next restart on.
    pub fn rewrite(&mut self, directives: &str) {
        self.builder.plan.directives = format!("{directives}\n");
        let text = self.builder.plan.text(&self.root.0, &self.ports, self.has_ipv6);
        fs::write(self.root.0.join("httpd.conf"), text).expect("conf is written");
    }

    /// Restarts gracefully (USR1) and waits for the new generation.
    #[track_caller]
    pub fn reload(&self) {
        self.restart(libc::SIGUSR1);
    }

    /// Restarts by force (HUP) and waits for the new generation.
    #[track_caller]
    pub fn hard_restart(&self) {
        self.wait_until_at_rest();
        self.restart(libc::SIGHUP);
    }

    /// Waits until no thread is just about to be done with a connection. An event child that is told to end
    /// in that moment may crash without any module's help (httpd 2.4.71 without any of ours did in 19 of
    /// 5,763 hard restarts): it closes the sockets that its threads have just freed.
    fn wait_until_at_rest(&self) {
        poll(Duration::from_secs(2), || {
            let children = self.children();
            let is_busy = children.into_iter().any(process::has_running_threads);
            (!is_busy).then_some(())
        });
    }

    #[track_caller]
    fn restart(&self, number: i32) {
        let mark = self.mark();
        assert!(process::signal(self.pid(), number), "the server is gone");
        let is_up = poll(PATIENCE * 2, || self.is_up_since(mark).then_some(())).is_some();
        assert!(is_up, "no new generation after signal {number}");
    }

    fn is_up_since(&self, mark: Mark) -> bool {
        self.log.since(mark).iter().any(|line| line.text.contains("resuming normal operations"))
    }

    // ---- processes

    pub fn children(&self) -> Vec<Pid> {
        process::children_of(self.pid())
    }

    /// Kills a child in the hardest way. httpd's log says nothing about one, and warns of many.
    pub fn kill_child(&self, pid: Pid) {
        self.expect_text("children are killed successively");
        process::signal(pid, libc::SIGKILL);
    }

    /// Waits until the parent has seen that a child is dead.
    #[track_caller]
    pub fn wait_until_reaped(&self, pid: Pid) {
        let is_reaped = || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(());
        assert!(poll(PATIENCE, is_reaped).is_some(), "the parent leaves {pid} a zombie");
    }

    /// Sends a signal to one child.
    pub fn signal_child(&self, pid: Pid, number: i32) {
        process::signal(pid, number);
    }

    /// What the parent holds.
    pub fn usage(&self) -> Usage {
        process::usage(self.pid())
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.root.0.join("stderr")).unwrap_or_default()
    }

    /// Stops the server once it has closed the connections that the test has closed.
    fn end_processes(&mut self) {
        let pid = self.pid();
        poll(Duration::from_secs(2), || (!has_open_connections(&self.ports)).then_some(()));
        self.wait_until_at_rest();
        process::signal(pid, libc::SIGTERM);
        let ended = poll(Duration::from_secs(10), || self.process.try_wait().ok().flatten());
        process::signal(-pid, libc::SIGKILL);
        if ended.is_none() {
            let _ = self.process.wait();
        }
    }

    /// Lines that the test should have announced, or that no test can.
    fn unexpected(&self) -> Vec<String> {
        let expected = self.expected.lock().expect("no test panics here");
        let is_expected = |line: &Line| {
            expected.iter().any(|expected| match expected {
                Expected::Event(number) => line.event == Some(*number),
                Expected::Text(text) => line.raw.contains(text),
            })
        };
        let is_crash = |line: &Line| {
            let marks = ["exit signal", "panic", "Segmentation", "Assertion"];
            marks.iter().any(|mark| line.raw.contains(mark))
        };
        let is_harmless = |line: &Line| HARMLESS.iter().any(|text| line.raw.contains(text));
        let bad = |line: &Line| (line.is_warning() && !is_harmless(line)) || is_crash(line);
        let lines = self.log.since(0);
        let logged = lines.iter().filter(|line| bad(line) && !is_expected(line));
        let stderr = self.stderr();
        // stderr gets what is said before the log is open, and what libraries print.
        let is_announced = |text: &str| {
            let is_in = |expected: &Expected| matches!(expected, Expected::Text(part) if text.contains(part));
            expected.iter().any(is_in)
        };
        let is_said = |line: &&str| !line.trim().is_empty() && !is_announced(line);
        let printed = stderr.lines().filter(is_said).map(str::to_owned);
        logged.map(|line| line.raw.clone()).chain(printed).collect()
    }
}

impl Drop for Httpd {
    fn drop(&mut self) {
        if self.is_stopped {
            return;
        }
        let status = self.process.try_wait().ok().flatten();
        self.end_processes();
        if std::thread::panicking() {
            eprintln!("---- the server's log ends with\n{}\n----", self.log.tail(40));
            eprintln!("{}", self.stderr());
            return;
        }
        assert!(status.is_none(), "httpd's parent had died: {status:?}\n{}", self.log.tail(40));
        let unexpected = self.unexpected();
        assert!(unexpected.is_empty(), "unexpected in the log:\n{}", unexpected.join("\n"));
    }
}

/// Whether a connection to one of the ports is open on the server's side. What waits for the
/// network only (TIME_WAIT, FIN_WAIT2, LAST_ACK) belongs to no process any more.
fn has_open_connections(ports: &[u16]) -> bool {
    const ESTABLISHED: &str = "01";
    const CLOSE_WAIT: &str = "08";
    // Of the thread, since it may live in a network namespace of its own.
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"].iter().any(|table| {
        let text = fs::read_to_string(table).unwrap_or_default();
        text.lines().skip(1).any(|line| {
            let mut words = line.split_whitespace();
            let local = words.nth(1).and_then(|local| local.rsplit_once(':'));
            let port = local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok());
            let state = words.nth(1).unwrap_or_default();
            port.is_some_and(|port| ports.contains(&port))
                && (state == ESTABLISHED || state == CLOSE_WAIT)
        })
    })
}

/// A directory that is removed at the end.
struct Root(PathBuf);

impl Root {
    fn make(builder: &Builder) -> Root {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("mod_qos_rs.{}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = Root(std::env::temp_dir().join(name));
        let htdocs = root.0.join("htdocs");
        fs::create_dir_all(root.0.join("run")).expect("the temporary directory is writable");
        fs::create_dir_all(&htdocs).expect("the temporary directory is writable");
        // The children run as another user.
        for directory in [&root.0, &htdocs, &root.0.join("run")] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("own files");
        }
        let index = ("index.html".to_owned(), b"it works\n".to_vec());
        for (name, content) in std::iter::once(&index).chain(&builder.files) {
            let file = htdocs.join(name);
            if let Some(directory) = file.parent() {
                fs::create_dir_all(directory).expect("the temporary directory is writable");
            }
            fs::write(file, content).expect("the temporary directory is writable");
        }
        if builder.plan.tls {
            tls::write_certificate(&root.0);
        }
        root
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A port that was free a moment ago, and the listener that proved it. The range lies below the
/// one from which the kernel gives ports to clients, so that no client of a test takes it first;
/// MOD_QOS_TEST_PORTS=<first>-<last> names another.
pub fn free_port() -> (u16, TcpListener) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::env::var("MOD_QOS_TEST_PORTS").unwrap_or_else(|_| "21000-26999".to_owned());
    let parsed = range.split_once('-').and_then(|(first, last)| {
        Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
    });
    let (first, last) = parsed.unwrap_or_else(|| panic!("MOD_QOS_TEST_PORTS={range}: no range"));
    let count = u32::from(last - first) + 1;
    // Test processes that run side by side start at different places.
    let offset = std::process::id().wrapping_mul(97);
    for _ in 0..count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(offset) % count;
        let port = first + step as u16;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return (port, listener);
        }
    }
    panic!("no free port in {range}");
}
