# SPDX-License-Identifier: MIT
"""A second implementation of the wire, written from proto/PROTOCOL.md alone.

It shares no line with the C code, so that what both agree on is the document. It is
also what the hostile tests are made of: each step can be done wrongly.
"""
import os
import socket
import struct

import msgpack

REQ = b"\0SP\0\0\x30\0\0"
REP = b"\0SP\0\0\x31\0\0"


def connect(address, timeout=10.0):
    """A connected socket, nothing sent yet, and whether frames carry the ipc byte."""
    scheme, rest = address.split("://", 1)
    if scheme == "ipc":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(rest)  # without a timeout: that would not wait while the queue is full
        sock.settimeout(timeout)
        return sock, True
    host, port = rest.rsplit(":", 1)
    sock = socket.create_connection((host, int(port)), timeout)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock, False


def receive(sock, size):
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise ConnectionError("closed by the peer after %d of %d bytes" % (len(data), size))
        data += piece
    return data


class Refused(Exception):
    def __init__(self, reply):
        super().__init__("%s: %s" % (reply.get("code"), reply.get("msg")))
        self.code = reply.get("code")
        self.reply = reply


class Client:
    """One connection. Requests are answered in any order; call() waits for its own."""

    def __init__(self, address, greet=True, timeout=10.0):
        self.sock, self.ipc = connect(address, timeout)
        self.next_id = 0x80000000 | int.from_bytes(os.urandom(2), "big")
        self.waiting = {}
        if greet:
            self.sock.sendall(REQ)
            got = receive(self.sock, 8)
            assert got == REP, "greeting %r" % got

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send_frame(self, body):
        head = b"\x01" if self.ipc else b""
        self.sock.sendall(head + struct.pack(">Q", len(body)) + body)

    def receive_frame(self):
        if self.ipc:
            assert receive(self.sock, 1) == b"\x01"
        (size,) = struct.unpack(">Q", receive(self.sock, 8))
        return receive(self.sock, size)

    def ask(self, request):
        """Sends a request and returns its id, without waiting."""
        self.next_id = 0x80000000 | (self.next_id + 1)
        self.send_frame(struct.pack(">I", self.next_id) + msgpack.packb(request))
        return self.next_id

    def reply(self, wanted):
        while wanted not in self.waiting:
            frame = self.receive_frame()
            (got,) = struct.unpack(">I", frame[:4])
            self.waiting[got] = msgpack.unpackb(
                frame[4:], strict_map_key=False, unicode_errors="surrogateescape")
        return self.waiting.pop(wanted)

    def call(self, op, **fields):
        reply = self.reply(self.ask(dict(v=1, op=op, **fields)))
        if not reply.get("ok"):
            raise Refused(reply)
        return reply

    def hello(self, key_file=None, name="wire.py"):
        """On ipc the uid is enough; elsewhere the challenge is signed with the key file."""
        if key_file is None:
            return self.call("hello", name=name, version="0")
        try:
            return self.call("hello", name=name, version="0")
        except Refused as refused:
            if refused.code != "hello":
                raise
            challenge = refused.reply
        import nacl.signing

        key = nacl.signing.SigningKey(seed_of(key_file))
        nonce = os.urandom(32)
        agent = challenge["name"]
        agent = agent.encode() if isinstance(agent, str) else agent
        signed = (b"sloth-hello-1\0" + agent + b"\0" + challenge["boot"]
                  + challenge["nonce"] + nonce)
        return self.call("hello", name=name, version="0", key=bytes(key.verify_key),
                         nonce=nonce, sig=key.sign(signed).signature)

    def submit(self, text, job=None, file="e2e.lua", wait_ms=0, after=0, **task):
        job = job or os.urandom(16)
        task = dict(name=task.pop("name", "e2e"),
                    chunk=dict(text=text, file=file, line=1), **task)
        return job, self.call("submit", job=job, task=task, wait_ms=wait_ms, after=after)

    def finish(self, job, after=0, timeout_ms=60000):
        """Pulls until the job is over: its state, and its events.

        Those that a reader has acknowledged before may be gone; from the first that is still
        there on, none may be missing.
        """
        events = []
        while True:
            reply = self.call("next", job=job, after=after, wait_ms=10000, max_bytes=1 << 20)
            for first, count, data in reply["events"]:
                for number, event in enumerate(batch(data), first):
                    if number > after:
                        assert number == after + 1 or not events, \
                            "event %d after %d" % (number, after)
                        events.append(event)
                        after = number
            if not reply.get("more") and reply["state"] not in ("accepted", "running"):
                return reply["state"], events


def batch(data):
    unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="surrogateescape",
                                max_buffer_size=1 << 26)
    unpacker.feed(data)
    return list(unpacker)


def seed_of(key_file):
    """The 32-byte seed in a secret key file."""
    import base64

    for line in open(key_file):
        words = line.split()
        for word in words:
            try:
                raw = base64.b64decode(word + "==", validate=False)
            except ValueError:
                continue
            if len(raw) in (32, 64):
                return raw[:32]
    raise ValueError("no key in " + key_file)
