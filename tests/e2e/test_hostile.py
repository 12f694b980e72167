# SPDX-License-Identifier: MIT
"""Peers that mean harm, or just hang up: the agent stays up, small and quick."""
import os
import socket
import struct
import time
import unittest

import msgpack
from house import Case, n_fds, rss_kib, wait_for
from wire import REQ, Client, Refused, connect

N = 2000


class HangUps(Case):
    def ping_ms(self, client, n=200):
        """The median round trip of a stat."""
        took = []
        for _ in range(n):
            began = time.perf_counter()
            client.call("stat")
            took.append(time.perf_counter() - began)
        return sorted(took)[n // 2] * 1000

    def settle(self, agent, fds, what):
        wait_for(lambda: n_fds(agent.pid) <= fds, "descriptors are back after " + what)

    def assault(self, agent):
        with agent.client() as client:
            client.call("stat")
        fds = n_fds(agent.pid)
        with agent.client() as client:
            before_ms = self.ping_ms(client)
        # The first round warms up pools and heaps; what the second adds would be a leak.
        self.requests_without_reading(agent, N // 10)
        self.half_greetings(agent, N // 10)
        self.settle(agent, fds, "the warm-up")
        rss = rss_kib(agent.pid)

        self.requests_without_reading(agent, N)
        self.half_greetings(agent, N)
        self.settle(agent, fds, "%d clients" % (2 * N))
        with agent.client() as client:
            stat = client.call("stat")
            self.assertEqual(stat["connections"], 1, stat)
            after_ms = self.ping_ms(client)
        grown = rss_kib(agent.pid) - rss
        self.assertLess(grown, 4096, "RSS grew by %d KiB" % grown)
        # Not a measurement: a wedged or leaking agent is slower by orders of magnitude.
        self.assertLess(after_ms, before_ms * 5 + 5)

    def requests_without_reading(self, agent, n):
        body = msgpack.packb(dict(v=1, op="stat"))
        for i in range(n):
            sock, ipc = connect(agent.address)
            head = b"\x01" if ipc else b""
            data = REQ
            for k in range(8):
                data += head + struct.pack(">QI", 4 + len(body), 0x80000000 | k) + body
            try:
                sock.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass
            if i % 2 and not ipc:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

    def half_greetings(self, agent, n):
        for i in range(n):
            sock, _ = connect(agent.address)
            try:
                sock.sendall([b"", b"\0SP", b"GET / HTTP/1.0\r\n\r\n"][i % 3])
            except (BrokenPipeError, ConnectionResetError):
                pass
            sock.close()

    def test_over_tcp(self):
        self.assault(self.agent())

    def test_over_ipc(self):
        self.assault(self.agent(listen="ipc://%s/agent.sock" % self.place))


class Garbage(Case):
    """Each row is sent on a connection of its own, with hello said and without."""

    ID = struct.pack(">I", 0x80000001)

    def rows(self):
        ok = msgpack.packb(dict(v=1, op="stat"))
        yield "no body at all", b""
        yield "an id alone", self.ID
        yield "half an id", b"\x80\0"
        yield "random bytes", self.ID + bytes((i * 37 + 11) % 256 for i in range(3000))
        yield "not a map", self.ID + msgpack.packb([1, 2, 3])
        yield "trailing bytes", self.ID + ok + b"\x00"
        yield "truncated msgpack", self.ID + ok[:-1]
        yield "a 40-byte bomb", self.ID + (b"\xdd\xff\xff\xff\xff" * 8)[:40]
        yield "a map bomb", self.ID + b"\xdf\xff\xff\xff\xff" + b"\xdd\xff\xff\xff\xff" * 6
        yield "a string of 4 GiB", self.ID + b"\x82\xa1v\x01\xa2op\xdb\xff\xff\xff\xffstat"
        yield "a deep nest", self.ID + b"\x91" * 3000 + b"\xc0"
        yield "an unknown op", self.ID + msgpack.packb(dict(v=1, op="reboot"))
        yield "another version", self.ID + msgpack.packb(dict(v=2, op="stat"))
        yield "no version", self.ID + msgpack.packb(dict(op="stat"))
        yield "an op that is a number", self.ID + msgpack.packb(dict(v=1, op=7))
        yield "a short job id", self.ID + msgpack.packb(dict(v=1, op="next", job=b"abc"))
        yield "a task that is none", self.ID + msgpack.packb(
            dict(v=1, op="submit", job=os.urandom(16), task="rm -rf"))
        yield "bytecode", self.ID + msgpack.packb(
            dict(v=1, op="submit", job=os.urandom(16), task=dict(
                name="x", chunk=dict(text=b"\x1bLua\x54\0", file="x", line=1))))

    def test_each_gets_a_typed_refusal_or_a_closed_pipe(self):
        agent = self.agent()
        with agent.client() as client:
            client.call("stat")
        rss = rss_kib(agent.pid)
        for welcome in (False, True):
            for name, body in self.rows():
                with self.subTest(name, welcome=welcome):
                    client = agent.client(hello=welcome)
                    client.send_frame(body)
                    try:
                        frame = client.receive_frame()
                        reply = msgpack.unpackb(frame[4:])
                        self.assertFalse(reply["ok"], reply)
                        self.assertRegex(reply["code"], r"^[a-z_]+$")
                        self.assertTrue(reply["msg"])
                        if not welcome:
                            self.assertIn(reply["code"], ("hello", "protocol", "unknown_op",
                                                          "too_large", "invalid"))
                    except ConnectionError:
                        pass
                    client.close()
        with agent.client() as client:
            self.assertEqual(client.submit("function() return true end", wait_ms=0)[1]["ok"],
                             True)
        self.assertLess(rss_kib(agent.pid) - rss, 4096)

    def test_a_frame_header_reserves_nothing(self):
        agent = self.agent()
        with agent.client() as client:
            client.call("stat")
        rss = rss_kib(agent.pid)
        conns = []
        for _ in range(50):
            client = agent.client()
            client.sock.sendall(struct.pack(">Q", 15 << 20) + b"\x80")
            conns.append(client)
        with agent.client() as client:
            client.call("stat")
        self.assertLess(rss_kib(agent.pid) - rss, 16384)
        for client in conns:
            client.close()

    def test_an_absurd_length_closes_the_pipe(self):
        agent = self.agent()
        for size in (1 << 63, (1 << 64) - 1, 1 << 40):
            client = agent.client()
            client.sock.sendall(struct.pack(">Q", size))
            with self.assertRaises(ConnectionError):
                client.receive_frame()

    def test_a_wrong_key_is_denied_and_the_pipe_closed(self):
        import nacl.signing

        agent = self.agent()
        other = self.place / "other.key"
        import base64
        other.write_text(base64.b64encode(bytes(nacl.signing.SigningKey.generate())).decode())
        client = agent.client(hello=False)
        with self.assertRaises(Refused) as refused:
            client.hello(other)
        self.assertEqual(refused.exception.code, "denied")
        with self.assertRaises(ConnectionError):
            client.receive_frame()

    def test_a_replayed_signature_is_denied(self):
        """The challenge of one connection is worth nothing on another."""
        agent = self.agent()
        first = agent.client(hello=False)
        second = agent.client(hello=False)
        sent = []
        plain = first.call

        def record(op, **fields):
            sent.append(fields)
            return plain(op, **fields)

        first.call = record
        first.hello(agent.key)
        with self.assertRaises(Refused):
            second.call("hello", **sent[0])
        with self.assertRaises(Refused) as refused:
            second.call("hello", **sent[1])
        self.assertEqual(refused.exception.code, "denied")

    def test_nothing_but_hello_is_heard_before_hello(self):
        agent = self.agent()
        for op in ("stat", "jobs", "submit", "next", "cancel", "forget", "reboot"):
            with agent.client(hello=False) as client:
                with self.assertRaises(Refused) as refused:
                    client.call(op, job=b"x" * 16, task={})
                self.assertEqual(refused.exception.code, "hello")


if __name__ == "__main__":
    unittest.main(verbosity=2)
