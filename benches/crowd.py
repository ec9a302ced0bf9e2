"""A crowd: so many connections a second, each of an address never seen before, whatever the server does.

Run as a process of its own, `crowd.py <port> <rate> <seconds> <first address as a number>`, so that it
disturbs nobody's clock. Prints how many connections were begun, answered, refused or broken, and left over.
"""

import select
import socket
import sys
import time

import clients

# More open ones than this mean that the server has stopped to answer.
MAX_OPEN = 800


def main(port, rate, seconds, first):
    sources = clients.addresses(first)
    poll = select.epoll()
    open_ones = {}
    counts = {"begun": 0, "answered": 0, "broken": 0, "skipped": 0}
    start = time.monotonic()
    while (passed := time.monotonic() - start) < seconds:
        # What is due by now, at most some at a time: a burst would measure itself.
        due = min(int(passed * rate) - counts["begun"] - counts["skipped"], 20)
        for _ in range(due):
            if len(open_ones) >= MAX_OPEN:
                counts["skipped"] += 1
                continue
            begin(port, next(sources), poll, open_ones)
            counts["begun"] += 1
        collect(poll, open_ones, counts, 0.001)
    deadline = time.monotonic() + 1
    while open_ones and time.monotonic() < deadline:
        collect(poll, open_ones, counts, 0.05)
    counts["left"] = len(open_ones)
    print("the crowd's connections: " + ", ".join(f"{count} {word}" for word, count in counts.items()))


def begin(port, source, poll, open_ones):
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.IPPROTO_IP, clients.IP_BIND_ADDRESS_NO_PORT, 1)
    client.bind((source, 0))
    client.connect_ex(("127.0.0.1", port))
    poll.register(client.fileno(), select.EPOLLOUT)
    open_ones[client.fileno()] = client, False


def collect(poll, open_ones, counts, patience):
    for descriptor, events in poll.poll(patience):
        client, is_answered = open_ones[descriptor]
        try:
            if events & select.EPOLLOUT and not events & select.EPOLLERR:
                client.send(clients.LAST_REQUEST)
                poll.modify(descriptor, select.EPOLLIN)
                continue
            if client.recv(65536):
                open_ones[descriptor] = client, True
                continue
            ended = "answered" if is_answered else "broken"
        except OSError:
            ended = "broken"
        counts[ended] += 1
        del open_ones[descriptor]
        client.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
