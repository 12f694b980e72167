# SPDX-License-Identifier: MIT
"""Web services that behave in one way each, in a network of the test's own.

In that network only what the test starts listens, on any port; names mean what the test says, and
whom the system trusts is the test's to say, too.
"""
import ctypes
import fcntl
import http.server
import os
import pathlib
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading

SKIPPED = 77  # what Meson takes for it
TRUSTED = pathlib.Path("/etc/ssl/certs")


def enter_a_network():
    """Gives this process, and what it starts, a network with a loopback alone, and mounts that
    nobody else sees."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000 | 0x00020000) != 0:  # CLONE_NEWNET, CLONE_NEWNS
        print("skipped: no network namespace: " + os.strerror(ctypes.get_errno()))
        sys.exit(SKIPPED)
    private = subprocess.run(
        ["mount", "--make-rprivate", "/"], capture_output=True, text=True)
    if private.returncode != 0:
        # As in a chroot: what is mounted there would be mounted for all.
        print("skipped: no mounts of our own: " + private.stderr.strip())
        sys.exit(SKIPPED)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", b"lo", 0x1 | 0x40))  # up, running


def name_hosts(place, hosts):
    """Makes each name of @hosts mean its address, and no other name anything."""
    path = place / "hosts"
    path.write_text("127.0.0.1 localhost\n" + "".join(
        "%s %s\n" % (address, name) for name, address in hosts.items()))
    subprocess.run(["mount", "--bind", str(path), "/etc/hosts"], check=True)


def trust(certificate):
    """Makes @certificate the only one that the system trusts."""
    subprocess.run(["mount", "-t", "tmpfs", "none", str(TRUSTED)], check=True)
    (TRUSTED / "ca-certificates.crt").write_text(certificate.read_text())


def unmount(path):
    subprocess.run(["umount", str(path)], check=True)


def make_certificate(place, *names):
    """A certificate for the hosts @names, signed by nobody else: it and its key."""
    certificate, key = place / (names[0] + ".crt"), place / (names[0] + ".key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=" + names[0], "-addext",
         "subjectAltName=" + ",".join("DNS:" + name for name in names),
         "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key


def server_context(certificate, protocols=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*map(str, certificate))
    context.set_alpn_protocols(list(protocols))
    return context


class Service:
    """A web service that behaves in one way: the name of a method below."""

    def __init__(self, port, way, address="127.0.0.1", certificate=None):
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.asked.append((self.path, dict(self.headers)))
                getattr(service, way)(self)

            def log_message(self, *args):
                pass

        self.asked = []
        self.over = threading.Event()
        self.left = threading.Event()  # a client closed its connection before it had its answer
        self.server = http.server.ThreadingHTTPServer((address, port), Handler)
        self.server.daemon_threads = True
        if certificate:
            self.server.socket = server_context(certificate).wrap_socket(
                self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def answer(self, handler, status, body):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def healthy(self, handler):
        port = handler.server.server_address[1]
        self.answer(handler, 200, b'{"from": "%d"}' % port)

    def broken(self, handler):
        self.answer(handler, 500, b"broken")

    def slow(self, handler):
        while not self.over.is_set():
            if select.select([handler.connection], [], [], 0.05)[0]:
                self.left.set()
                break
        handler.close_connection = True

    def half(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True


class Http2:
    """As much of HTTP/2 as it takes to answer each request with "two"."""

    def __init__(self, port, certificate):
        self.n_asked = 0
        context = server_context(certificate, ("h2",))
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener = context.wrap_socket(self.listener, server_side=True)
        threading.Thread(target=self.serve, daemon=True).start()

    def stop(self):
        self.listener.close()

    def serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        def send(kind, flags, stream, payload=b""):
            connection.sendall(struct.pack(">I", len(payload))[1:] +
                               struct.pack(">BBI", kind, flags, stream) + payload)

        with connection, connection.makefile("rb") as file:
            assert file.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            send(4, 0, 0)  # SETTINGS
            while True:
                head = file.read(9)
                if len(head) < 9:
                    return
                size, kind, flags, stream = (int.from_bytes(head[:3], "big"), head[3], head[4],
                                             int.from_bytes(head[5:], "big"))
                file.read(size)
                if kind == 4 and not flags & 1:
                    send(4, 1, 0)  # SETTINGS, heard
                elif kind == 1:  # HEADERS: whatever is asked for
                    self.n_asked += 1
                    send(1, 4, stream, b"\x88")  # :status 200
                    send(0, 1, stream, b"two")
