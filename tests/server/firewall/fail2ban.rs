//! fail2ban's server with our filters and jails, in the private network of its thread.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{Directory, contrib, run, tempfile};
use crate::harness::{Httpd, PATIENCE, poll, wait_until};

const JAILS: &str = "jail.d/mod_qos.conf";

/// How it has the kernel drop what comes from an address.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    /// As the jails have it.
    Nftables,
    /// As their comment says.
    Iptables,
}

/// A running server.
pub struct Fail2ban {
    directory: Directory,
    server: Child,
}

impl Fail2ban {
    pub fn start(httpd: &Httpd, action: Action) -> Fail2ban {
        let directory = tempfile(&format!("fail2ban.{}", httpd.port()));
        let etc = directory.0.join("etc");
        let copied = run("cp", &["-r", "/etc/fail2ban", &etc.display().to_string()]);
        assert!(copied.status.success(), "{copied:?}");
        // Debian's has one for sshd, whose log is not here.
        let _ = fs::remove_dir_all(etc.join("jail.d"));
        fs::create_dir_all(etc.join("jail.d")).expect("a directory");
        for file in ["filter.d/mod_qos.conf", "filter.d/apache-dos.conf", JAILS] {
            fs::copy(contrib("fail2ban").join(file), etc.join(file)).expect(file);
        }
        if let Action::Iptables = action {
            let jails = fs::read_to_string(etc.join(JAILS)).expect("jails");
            fs::write(etc.join(JAILS), with_iptables(&jails)).expect("jails");
        }
        let root = directory.0.display();
        let auth = directory.0.join("auth.log");
        fs::write(&auth, "").expect("a log");
        let own = format!(
            "[Definition]\nallowipv6 = auto\nlogtarget = {root}/log\nsocket = {root}/sock\n\
             pidfile = {root}/pid\ndbfile = None\n"
        );
        fs::write(etc.join("fail2ban.local"), own).expect("its configuration");
        let jail = format!(
            "[DEFAULT]\nbackend = polling\nusedns = no\nignoreself = false\n\
             [mod-qos]\nport = {}\nlogpath = {}\nbackend = polling\n\
             [apache-dos]\nport = {0}\nlogpath = {}\nbackend = polling\n",
            httpd.port(),
            httpd.root().join("error_log").display(),
            auth.display()
        );
        fs::write(etc.join("jail.local"), jail).expect("its jails");
        // jail.local is read before jail.d: what is local has to come last.
        fs::rename(etc.join("jail.local"), etc.join("jail.d/zz.local")).expect("renamed");
        let etc = etc.display().to_string();
        let checked = run("fail2ban-client", &["-c", &etc, "-t"]);
        assert!(checked.status.success(), "{checked:?}");
        let mut command = Command::new("fail2ban-server");
        command.args(["-f", "-c", &etc, "start"]).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().expect("fail2ban-server");
        let fail2ban = Fail2ban { directory, server };
        wait_until("fail2ban is there", PATIENCE, || {
            ["mod-qos", "apache-dos"].iter().all(|jail| fail2ban.ask(&["status", jail]).is_some())
        });
        fail2ban
    }

    /// The log of authentication that it reads.
    pub fn auth_log(&self) -> PathBuf {
        self.directory.0.join("auth.log")
    }

    pub fn ask(&self, words: &[&str]) -> Option<String> {
        let socket = self.directory.0.join("sock").display().to_string();
        let output = run("fail2ban-client", &[&["-s", &socket][..], words].concat());
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The addresses that a jail has banned.
    pub fn banned(&self, jail: &str) -> Vec<String> {
        let answer = self.ask(&["get", jail, "banip"]).unwrap_or_default();
        answer.split_whitespace().map(str::to_owned).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.0.join("log")).unwrap_or_default()
    }
}

/// Puts the action that the jails' comment names in the place of the one that they have.
fn with_iptables(jails: &str) -> String {
    let comment = jails.lines().find(|line| line.contains("banaction = iptables"));
    let (_, other) = comment.expect("a word on iptables").split_once("banaction = ").expect("it");
    let usual = "banaction = nftables-multiport[blocktype=drop]";
    assert!(jails.contains(usual));
    jails.replace(usual, &format!("banaction = {other}"))
}

impl Drop for Fail2ban {
    fn drop(&mut self) {
        let _ = self.ask(&["stop"]);
        if poll(Duration::from_secs(5), || self.server.try_wait().ok().flatten()).is_none() {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- fail2ban's log\n{}\n----", self.log());
        }
    }
}
