"""A private httpd: own directory, own port on loopback, gone without a trace afterwards.

It runs as one process (`-X`), or as parent and children; bare or under callgrind, which counts the
instructions between two calls of `Server.instructions`.
"""

import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

import clients

MODULES = pathlib.Path(os.environ.get("HTTPD_MODULES", "/usr/lib/apache2/modules"))
HTTPD = os.environ.get("HTTPD", "apache2")
FIRST_PORT = int(os.environ.get("BENCH_PORT", "29000"))
PORTS = 1000
PAGE = b"<html><body>" + b"one page of the usual kind. " * 36 + b"</body></html>\n"

# What httpd calls for an ErrorDocument, and else for nothing that is measured.
MARKED_FUNCTION = "ap_internal_redirect"

# Never as root: httpd would change its user on the way, and callgrind could then not write its counts.
USER = "www-data" if os.geteuid() == 0 else None

# As Debian ships them.
MPM = {
    "event": {"StartServers": 2, "MinSpareThreads": 25, "MaxSpareThreads": 75, "ThreadLimit": 64,
              "ThreadsPerChild": 25, "MaxRequestWorkers": 150},
    "worker": {"StartServers": 2, "MinSpareThreads": 25, "MaxSpareThreads": 75, "ThreadLimit": 64,
               "ThreadsPerChild": 25, "MaxRequestWorkers": 150},
    "prefork": {"StartServers": 5, "MinSpareServers": 5, "MaxSpareServers": 10,
                "MaxRequestWorkers": 150},
}


class Failed(Exception):
    """A server did not do what a measurement needs; says what its log says."""


def free_port():
    """Returns the first port of our range that nobody listens on."""
    for port in range(FIRST_PORT, FIRST_PORT + PORTS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise Failed(f"no free port from {FIRST_PORT} on")


class Server:
    """A server with these directives, and with `module` loaded unless it is None."""

    def __init__(self, module, directives="", mpm="event", sizes=None, single=True, callgrind=False):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="qos-bench-"))
        self.port = free_port()
        self.single = single
        self.callgrind = callgrind
        self.process = None
        self.dumps = 0
        self.configure(module, directives, mpm, {**MPM[mpm], **(sizes or {})})

    def configure(self, module, directives, mpm, sizes):
        if USER:
            shutil.chown(self.directory, USER, USER)
        page = self.directory / "htdocs" / "index.html"
        page.parent.mkdir()
        page.write_bytes(PAGE)
        lines = [
            f"ServerRoot {self.directory}",
            f"PidFile {self.directory}/pid",
            f"DefaultRuntimeDir {self.directory}",
            f"Listen 127.0.0.1:{self.port}",
            "ServerName bench.invalid",
            f"LoadModule mpm_{mpm}_module {MODULES}/mod_mpm_{mpm}.so",
            f"LoadModule authz_core_module {MODULES}/mod_authz_core.so",
            f"ErrorLog {self.directory}/error.log",
            f"DocumentRoot {self.directory}/htdocs",
            "Timeout 60",
            "KeepAliveTimeout 60",
            "MaxKeepAliveRequests 0",
            "ErrorDocument 405 /index.html",
        ]
        lines += [f"{name} {value}" for name, value in sizes.items()]
        if module is not None:
            lines += [f"LoadModule qos_module {module}", directives]
        (self.directory / "httpd.conf").write_text("\n".join(lines) + "\n")

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, patience=60):
        command = [HTTPD, "-X" if self.single else "-DFOREGROUND", "-f",
                   str(self.directory / "httpd.conf")]
        if self.callgrind:
            command = ["valgrind", "--tool=callgrind", "--vgdb=no", "--dump-line=no",
                       f"--callgrind-out-file={self.directory}/count",
                       f"--dump-before={MARKED_FUNCTION}"] + command
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True,
                                        user=USER, group=USER, extra_groups=[] if USER else None)
        while time.monotonic() < self.started_at + patience:
            if self.process.poll() is not None:
                raise Failed(f"httpd ended at its start: {self.log()}")
            try:
                if clients.ask_once(self.port):
                    self.answered_after = time.monotonic() - self.started_at
                    break
            except OSError:
                time.sleep(0.001)
        else:
            raise Failed(f"httpd does not answer: {self.log()}")
        if self.callgrind:
            self.marking_cost = statistics.median([self.count() for _ in range(13)][2:])

    def stop(self):
        """Ends the processes that were started here, and removes what they left."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                # Its own process group, so these are its own children and nobody else.
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self):
        path = self.directory / "error.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else "(no log)"

    def instructions(self):
        """Returns the instructions executed since the last call, or the start.

        Callgrind writes and clears its count when httpd comes by MARKED_FUNCTION, which a PUT makes it do:
        so no debugger is needed, nor the right to use one. What that itself costs is taken off.
        """
        return self.count() - self.marking_cost

    def count(self):
        clients.ask_once(self.port, clients.MARKER, clients.MARKING_REQUEST)
        self.dumps += 1
        path = self.directory / f"count.{self.dumps}"
        for line in path.read_text().splitlines():
            if line.startswith("totals:"):
                path.unlink()
                return int(line.split()[1])
        raise Failed(f"no totals in {path}")

    def children(self):
        """Returns the pids of the children, oldest first; of the only process for -X."""
        if self.single:
            return [self.process.pid]
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(int(pid) for pid in path.read_text().split())

    def cpu_seconds(self):
        """Returns the CPU time that all threads of the children have used."""
        spent = 0
        for pid in self.children():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                spent += int((task / "schedstat").read_text().split()[0])
        return spent / 1e9
