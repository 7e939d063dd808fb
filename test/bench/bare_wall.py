"""A page with nothing but mpegts.js and one video element for each camera: no page of tiles can be live sooner."""
import contextlib
import http.server
import json
import threading

DOCUMENT = """<!doctype html>
<meta charset="utf-8">
<style>
body { margin: 0; display: grid; grid-template-columns: repeat(7, 1fr); background: #000; }
video { width: 100%; aspect-ratio: 16 / 9; }
</style>
<body>
<script src="GATEWAY/assets/mpegts.js"></script>
<script>
window.live = {};
mpegts.LoggingControl.enableAll = false;
for (const name of NAMES) {
  const video = document.body.appendChild(document.createElement('video'));
  video.muted = true;
  video.requestVideoFrameCallback(() => { window.live[name] = performance.now() / 1000; });
  const url = `GATEWAY/?cam=${name}&audio=none`.replace('http', 'ws');
  const player = mpegts.createPlayer({ type: 'flv', isLive: true, hasAudio: false, url }, { enableStashBuffer: false });
  player.attachMediaElement(video);
  player.load();
  player.play();
}
</script>
"""


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        body = self.server.document.encode() if self.path == "/" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@contextlib.contextmanager
def bare_wall(flv_port, names):
    """-> URL of a page that plays these cameras of a gateway; `window.live` is name -> seconds until its first picture."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.document = (DOCUMENT.replace("GATEWAY", f"http://127.0.0.1:{flv_port}")
                           .replace("NAMES", json.dumps(names)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
