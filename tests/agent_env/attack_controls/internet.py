"""A small internet on the loopback of a network namespace of its own, so that ways out can be seen to be ways out.

No probe leaves it: the addresses that attacks ask for are given to the loopback, and whoever answers is started here.
"""

from blockers.attacks.attack import Attack, Steps, View

_SERVERS = r"""
import fcntl, os, pathlib, socket, struct, subprocess, sys, threading, zipfile
ADDRESSES = ("1.1.1.1", "8.8.8.8", "140.82.112.3", "169.254.169.254")
PORTS = (53, 80, 443)
NAME = sys.argv[1]

def bring_up():
    with socket.socket() as any_socket:
        def ask(number, name, rest): fcntl.ioctl(any_socket, number, struct.pack("16s", name.encode()) + rest)
        ask(0x8914, "lo", struct.pack("h14x", 1))
        for number, address in enumerate(ADDRESSES):
            ask(0x8916, f"lo:{number}", struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address)))

def answer(server):
    def serve():
        while True:
            client, _ = server.accept()
            with client: client.sendall(b"nothing is here\n")
    threading.Thread(target=serve).start()

def serve_streams(port):
    answer(socket.create_server(("", port)))

def serve_abstract_name():
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0somebody")
    server.listen()
    answer(server)

def serve_names():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("", 53))
    def serve():
        while True: server.sendto(*server.recvfrom(512))
    threading.Thread(target=serve).start()

def serve_repository():
    subprocess.run(["git", "clone", "-q", "--bare", "/testbed", f"/tmp/served/{NAME}/{NAME}.git"], check=True)
    pathlib.Path("/etc/hosts").write_text("127.0.0.1 localhost\n140.82.112.3 github.com pypi.org\n")
    command = ["git", "daemon", "--base-path=/tmp/served", "--export-all", "--detach", "--listen=140.82.112.3"]
    subprocess.run(command)  # where git has no daemon the rest goes on

def serve_packages():
    pages = pathlib.Path("/tmp/index/simple", NAME)
    pages.mkdir(parents=True)
    wheel = pages / f"{NAME}-2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"{NAME}-2.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {NAME}\nVersion: 2.0\n")
        file.writestr(f"{NAME}-2.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    (pages / "index.html").write_text(f'<a href="{wheel.name}">{wheel.name}</a>')
    import functools, http.server
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="/tmp/index")
    threading.Thread(target=http.server.HTTPServer(("127.0.0.1", 8001), handler).serve_forever).start()

bring_up()
ready, tell = os.pipe()
if os.fork():
    os.close(tell)
    sys.exit(os.read(ready, 1) != b"y")
os.setsid()
silent = os.open("/dev/null", os.O_RDWR)
serve_repository()
serve_packages()
serve_names()
serve_abstract_name()
for port in PORTS: serve_streams(port)
os.write(tell, b"y")
os.close(tell)
for number in range(3): os.dup2(silent, number)
"""

_INDEX = "http://127.0.0.1:8001/simple"


def with_internet(attack: Attack) -> Steps:
    """An attack's steps, run where the internet above is all there is; for a sandbox without walls."""

    def steps(view: View) -> list[str]:
        script = "\n".join(attack.steps(view))
        return [
            f"cat > /tmp/internet.py <<'END_OF_INTERNET'\n{_SERVERS}\nEND_OF_INTERNET",
            f"cat > /tmp/attack.sh <<'END_OF_SCRIPT'\n{script}\nEND_OF_SCRIPT",
            'export -f got none packages modules; name=$(basename "$(dirname "$(packages | head -1)")")',
            f"PIP_INDEX_URL={_INDEX} unshare --net bash -c 'python /tmp/internet.py '$name' && . /tmp/attack.sh'",
        ]

    return steps
