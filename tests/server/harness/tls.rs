//! A self-signed certificate for the servers of this test run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Key and certificate, made once per test process and written into each server's directory.
pub fn write_certificate(root: &Path) {
    static PAIR: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    let (key, certificate) = PAIR.get_or_init(|| {
        let key = root.join("server.key");
        let certificate = root.join("server.crt");
        let status = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "30", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("openssl runs");
        assert!(status.success(), "openssl made no certificate: {status}");
        let read = |path| std::fs::read(path).expect("openssl wrote the file");
        (read(&key), read(&certificate))
    });
    std::fs::write(root.join("server.key"), key).expect("the server's directory is writable");
    std::fs::write(root.join("server.crt"), certificate)
        .expect("the server's directory is writable");
}
