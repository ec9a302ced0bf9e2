"""Clients that are slow on purpose, from many addresses, and a good one beside them.

The slow ones have a process of their own, so that they do not slow the good one down.
"""

import multiprocessing
import select
import socket
import threading
import time

HEADERS = b"GET / HTTP/1.1\r\nHost: bench.invalid\r\nX-a: "
BODY = b"POST / HTTP/1.1\r\nHost: bench.invalid\r\nContent-Length: 100000\r\n\r\n"
READING = b"GET /large HTTP/1.1\r\nHost: bench.invalid\r\n\r\n"
# What each kind sends first. Then an octet a second; who reads slowly takes an octet a second.
KINDS = {"headers": HEADERS, "body": BODY, "reading": READING}
LARGE = 8_000_000


class Slow:
    """A connection that is opened again as soon as it is closed."""

    def __init__(self, poll, by_number, port, source, first):
        self.poll, self.by_number, self.port, self.source, self.first = (
            poll, by_number, port, source, first)
        self.open()

    def open(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.bind((self.source, 0))
        self.socket.connect_ex(("127.0.0.1", self.port))
        self.has_begun = False
        self.by_number[self.socket.fileno()] = self
        self.poll.register(self.socket, select.EPOLLOUT)

    def again(self):
        self.by_number.pop(self.socket.fileno(), None)
        self.socket.close()
        self.open()

    def on_event(self, event):
        try:
            if event & (select.EPOLLERR | select.EPOLLHUP):
                self.again()
            elif not self.has_begun:
                self.socket.send(self.first)
                self.has_begun = True
                # Errors are told of always; who reads slowly wants to know of nothing else.
                self.poll.modify(self.socket, 0 if self.first is READING else select.EPOLLIN)
            elif not self.socket.recv(4096):
                self.again()
        except OSError:
            self.again()

    def trickle(self):
        try:
            if self.has_begun and self.first is READING:
                self.socket.recv(1)
            elif self.has_begun:
                self.socket.send(b"a")
        except BlockingIOError:
            pass
        except OSError:
            self.again()


def attack(port, kind, addresses, each):
    poll, by_number = select.epoll(), {}
    slow = [Slow(poll, by_number, port, f"127.1.{n // 250}.{n % 250 + 1}", KINDS[kind])
            for n in range(addresses) for _ in range(each)]
    next_octet = time.monotonic() + 1
    while True:
        for number, event in poll.poll(max(0.0, next_octet - time.monotonic())):
            if number in by_number:
                by_number[number].on_event(event)
        if time.monotonic() >= next_octet:
            next_octet += 1
            for connection in slow:
                connection.trickle()


class Attack:
    """Slow clients, for as long as the block lasts."""

    def __init__(self, port, kind, addresses=100, each=4):
        self.process = multiprocessing.Process(
            target=attack, args=(port, kind, addresses, each), daemon=True)

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.join()


class GoodClient:
    """Somebody who asks for a page five times a second, whatever became of the last time."""

    def __init__(self, port, source="127.0.0.9", patience=2.0, pause=0.2):
        self.port, self.source, self.patience, self.pause = port, source, patience, pause
        self.answers = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.began_at = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()

    def run(self):
        asking = []
        at = time.monotonic()
        while not self.is_over.is_set():
            asking.append(threading.Thread(target=self.ask))
            asking[-1].start()
            at += self.pause
            time.sleep(max(0.0, at - time.monotonic()))
        for thread in asking:
            thread.join()

    def ask(self):
        began_at = time.monotonic()
        is_served = False
        try:
            with socket.socket() as client:
                client.settimeout(self.patience)
                client.bind((self.source, 0))
                client.connect(("127.0.0.1", self.port))
                client.sendall(b"GET /index.html HTTP/1.1\r\nHost: good.invalid\r\nConnection: close\r\n\r\n")
                end = began_at + self.patience
                client.settimeout(max(0.01, end - time.monotonic()))
                is_served = client.recv(4096).startswith(b"HTTP/1.1 200")
        except OSError:
            pass
        self.answers.append((began_at - self.began_at, is_served))

    def availability(self, after):
        """Returns the share of requests, begun so many seconds after the first, that were served."""
        counted = [is_served for began_at, is_served in self.answers if began_at >= after]
        return sum(counted) / max(1, len(counted))
