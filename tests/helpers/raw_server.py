"""A server that sends any bytes whatever, in a thread of the test."""

import contextlib
import socketserver
import threading
import time


@contextlib.contextmanager
def serving(*answers):
    """A server that sends to each who asks the next answer (the last again and again), in pieces with a pause after each."""
    asked = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            asked.append(self.request.recv(65536).decode())
            answer = answers[min(len(asked), len(answers)) - 1]
            pieces, pause = ([answer], 0) if isinstance(answer, bytes) else answer
            with contextlib.suppress(OSError):  # the other side has had enough
                for piece in pieces:
                    self.request.sendall(piece)
                    time.sleep(pause)

    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/x.txt", asked
        server.shutdown()


def answer(body, *headers, status=b"200 OK"):
    return b"".join((b"HTTP/1.1 ", status, b"\r\n", *(h + b"\r\n" for h in headers), b"\r\n", body))


def lengthy(n):
    return b"Content-Length: %d" % n
