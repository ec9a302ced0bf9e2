//! Where httpd and the module under test are found, and the text of a test server's configuration.

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::Mpm;

/// Variables that every response shows as `X-Var-<name>` headers: see `Response::var`.
pub const SHOWN: &[&str] = &[
    "QS_AllConn",
    "QS_SrvConn",
    "QS_IPConn",
    "QS_ConnectionId",
    "QS_Country",
    "QS_ClientLowPrio",
    "QS_ErrorNotes",
    "QS_IsVipRequest",
];

/// Modules that every test server loads. unique_id: without it there is a 009 warning at start.
const MODULES: &[&str] = &[
    "authz_core",
    "authz_host",
    "dir",
    "mime",
    "alias",
    "env",
    "setenvif",
    "headers",
    "unique_id",
];

/// The shared object under test.
pub fn module_under_test() -> PathBuf {
    let path = env::var_os("MOD_QOS_RS_SO")
        .map_or_else(|| target_dir().join("release/libmod_qos_rs.so"), PathBuf::from);
    assert!(path.exists(), "no module at {}: run \"make build\" first", path.display());
    path
}

/// The build whose callbacks panic on demand, if there is one.
pub fn panicking_module() -> Option<PathBuf> {
    let path = env::var_os("MOD_QOS_RS_PANIC_SO").map_or_else(
        || target_dir().join("panic-injection/release/libmod_qos_rs.so"),
        PathBuf::from,
    );
    path.exists().then_some(path)
}

fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}

fn ask_apxs(name: &str) -> String {
    let apxs = env::var_os("APXS").unwrap_or_else(|| "apxs".into());
    let output = Command::new(&apxs).args(["-q", name]).output();
    let output = output.unwrap_or_else(|error| {
        panic!("cannot run {}: {error}; install apache2-dev", apxs.to_string_lossy())
    });
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// httpd's program, as apxs names it.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| Path::new(&ask_apxs("SBINDIR")).join(ask_apxs("PROGNAME")))
}

/// The directory of httpd's own modules.
pub fn modules_dir() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| PathBuf::from(ask_apxs("LIBEXECDIR")))
}

/// Everything that a configuration is written from.
#[derive(Clone)]
pub struct Plan {
    pub mpm: Mpm,
    pub module: PathBuf,
    pub modules: Vec<String>,
    pub directives: String,
    pub log_level: String,
    /// Children at most, and threads in each; prefork has their product as children.
    pub children: usize,
    pub threads: usize,
    pub max_connections_per_child: usize,
    pub tls: bool,
}

impl Plan {
    /// The whole configuration file. In the directives of a test, `@ROOT@` stands for the server's
    /// directory, `@PORT@`, `@PORT1@`, `@PORT2@` .. for its ports.
    pub fn text(&self, root: &Path, ports: &[u16], has_ipv6: bool) -> String {
        let mut text = String::new();
        let root = root.display().to_string();
        let modules = modules_dir().display();
        let mut line = |words: String| {
            text.push_str(&words);
            text.push('\n');
        };
        line(format!("ServerRoot {root}"));
        line("ServerName localhost".to_owned());
        line(format!("PidFile {root}/httpd.pid"));
        line(format!("DefaultRuntimeDir {root}/run"));
        line(format!("Mutex file:{root}/run default"));
        line(format!("ErrorLog {root}/error_log"));
        line(format!("LogLevel {}", self.log_level));
        line(format!("LoadModule mpm_{0}_module {modules}/mod_mpm_{0}.so", self.mpm.name()));
        let base = MODULES.iter().map(|name| (*name).to_owned());
        let mut loaded = Vec::new();
        for name in base.chain(self.modules.iter().cloned()) {
            if !loaded.contains(&name) {
                line(format!("LoadModule {name}_module {modules}/mod_{name}.so"));
                loaded.push(name);
            }
        }
        line(format!("LoadModule qos_module {}", self.module.display()));
        line(self.size());
        if process_is_root() {
            line("User www-data\nGroup www-data".to_owned());
        }
        for port in ports {
            line(format!("Listen 127.0.0.1:{port}"));
            if has_ipv6 {
                line(format!("Listen [::1]:{port}"));
            }
        }
        // Without this httpd on Linux leaves a silent client in the kernel, and no hook sees it.
        line("AcceptFilter http none\nAcceptFilter https none".to_owned());
        line(format!("DocumentRoot {root}/htdocs\nDirectoryIndex index.html"));
        line("TypesConfig /dev/null\nKeepAlive On\nKeepAliveTimeout 60".to_owned());
        line("MaxKeepAliveRequests 0\nTimeout 30\nEnableSendfile On".to_owned());
        for name in SHOWN {
            line(format!("Header always set X-Var-{name} %{{{name}}}e"));
        }
        line(format!(
            "LogFormat \"%a status=%>s ev=%{{mod_qos_ev}}e con=%{{mod_qos_con}}e cr=%{{mod_qos_cr}}e \
             all=%{{QS_AllConn}}e ip=%{{QS_IPConn}}e id=%{{QS_ConnectionId}}e notes=%{{QS_ErrorNotes}}e \
             path=%U\" qos\nCustomLog {root}/access_log qos"
        ));
        if self.tls {
            // Without a cache there is a warning at start.
            line(format!(
                "SSLEngine on\nSSLCertificateFile {root}/server.crt\n\
                 SSLCertificateKeyFile {root}/server.key\nSSLSessionCache shmcb:{root}/run/tls(512000)"
            ));
        }
        line(self.directives.clone());
        let mut text = text.replace("@ROOT@", &root).replace("@PORT@", &ports[0].to_string());
        for (index, port) in ports.iter().enumerate() {
            text = text.replace(&format!("@PORT{index}@"), &port.to_string());
        }
        text
    }

    fn size(&self) -> String {
        let mut text = String::new();
        let workers = self.children * self.threads;
        let rest = format!("MaxConnectionsPerChild {}", self.max_connections_per_child);
        match self.mpm {
            // All at once, since prefork adds only one child in the first second, two in the next.
            Mpm::Prefork => write!(
                text,
                "ServerLimit {workers}\nStartServers {workers}\nMinSpareServers 1\n\
                 MaxSpareServers {workers}\nMaxRequestWorkers {workers}\n{rest}"
            ),
            // Room for old children of a graceful restart; without it the new ones have to wait.
            Mpm::Worker | Mpm::Event => write!(
                text,
                "ServerLimit {2}\nStartServers {0}\nThreadsPerChild {1}\nThreadLimit {1}\n\
                 MinSpareThreads 1\nMaxSpareThreads {workers}\nMaxRequestWorkers {workers}\n{rest}",
                self.children,
                self.threads,
                self.children * 4
            ),
        }
        .expect("a String takes everything");
        text
    }
}

pub fn process_is_root() -> bool {
    // SAFETY: geteuid only reads the process's own user id and cannot fail.
    unsafe { libc::geteuid() == 0 }
}
