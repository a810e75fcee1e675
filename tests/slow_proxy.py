"""A proxy in front of a server that answers some requests late, or passes them on late."""

import http.server
import threading
import time
import urllib.error
import urllib.request


class SlowProxy:
    """Passes HTTP requests on; those whose path ends in one of ``slow`` are passed on at once and answered late.

    Args:
        target: the server's address.
        seconds: how late.
        times: how many requests of each path are late; the next ones are not.
    """

    def __init__(self, target: str, seconds: float, times: int) -> None:
        self.slow: tuple[str, ...] = ()
        self.seen: list[str] = []
        left: dict[str, int] = {}
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
                asked = urllib.request.Request(f"{target}{self.path}", body, dict(self.headers), method=self.command)
                try:
                    with urllib.request.urlopen(asked, timeout=60) as answer:
                        status, said = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    status, said = error.code, error.read()
                path = self.path.partition("?")[0]
                proxy.seen.append(path)
                if path.endswith(proxy.slow or ("nothing",)) and left.setdefault(path, times) > 0:
                    left[path] -= 1
                    time.sleep(seconds)
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(said)))
                    self.end_headers()
                    self.wfile.write(said)
                except OSError:
                    return  # the client did not wait

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _pass_on

            def log_message(self, format: str, *arguments: object) -> None:
                """What a proxy says is of no interest."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
