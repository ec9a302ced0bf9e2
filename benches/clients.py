"""Clients of many addresses: 127.0.0.0/8 has sixteen million of them."""

import itertools
import socket
import time

IP_BIND_ADDRESS_NO_PORT = 24
KNOWN = "127.0.0.1"
MARKER = "127.0.0.2"
REQUEST = b"GET /index.html HTTP/1.1\r\nHost: bench.invalid\r\n\r\n"
LAST_REQUEST = b"GET /index.html HTTP/1.1\r\nHost: bench.invalid\r\nConnection: close\r\n\r\n"
MARKING_REQUEST = b"PUT / HTTP/1.1\r\nHost: bench.invalid\r\nConnection: close\r\n\r\n"
BAD_REQUEST = b"GET /missing HTTP/1.1\r\nHost: bench.invalid\r\nConnection: close\r\n\r\n"


def addresses(first=0x7F010001):
    """Yields addresses, each one once."""
    for number in itertools.count(first):
        yield socket.inet_ntoa(number.to_bytes(4, "big"))


def connect(port, source=KNOWN, timeout=60):
    client = socket.socket()
    client.settimeout(timeout)
    # The kernel then chooses a port per pair of addresses, not one for all.
    client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.bind((source, 0))
    client.connect(("127.0.0.1", port))
    return client


def ask_once(port, source=KNOWN, request=LAST_REQUEST, timeout=60):
    """One connection with one request; returns the answer, empty when the connection was refused."""
    with connect(port, source, timeout) as client:
        answer = b""
        try:
            client.sendall(request)
            while data := client.recv(65536):
                answer += data
        except ConnectionError:
            pass
        return answer


def ask_again(client):
    """One more request on a kept connection; returns the answer's head."""
    client.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = client.recv(65536)
        if not data:
            raise ConnectionError("closed in the middle of an answer")
        answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(int(line[15:]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:"))
    rest = length - len(body)
    while rest > 0:
        data = client.recv(65536)
        if not data:
            raise ConnectionError("closed in the middle of an answer")
        rest -= len(data)
    return head


def settle():
    """Lets the server finish with connections that the client has seen closed."""
    time.sleep(0.2)
