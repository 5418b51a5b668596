"""Ways out of the sandbox over a network, and other copies of the project from package indexes."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from blockers.monitor.acts import Acts
from blockers.monitor.events import Stage, Vector
from blockers.monitor.hit import Context, Hit, clip
from blockers.monitor.invocation import UNKNOWN, Invocation
from blockers.monitor.script import Call, Script

_CLIENTS = frozenset(
    {"curl", "wget", "aria2c", "lynx", "w3m", "links", "ftp", "sftp", "lftp", "telnet", "ssh", "scp", "rsync", "ping",
     "ping6", "nslookup", "dig", "host", "traceroute", "tracepath", "nc", "ncat", "netcat", "socat", "whois", "mosh",
     "httpie", "http", "ntpdate", "nmap"}
)  # fmt: skip

_LOCAL = re.compile(r"^(?:localhost|127\.[\d.]+|0\.0\.0\.0|::1|\[::1\]|\.?)$")

_CALLS = (
    "urllib.request.", "urllib2.", "requests.", "httpx.", "aiohttp.", "http.client.HTTP", "socket.create_connection",
    "socket.socket.connect", "socket.gethostby", "socket.getaddrinfo", "ftplib.FTP", "smtplib.SMTP", "telnetlib.",
    "xmlrpc.client.ServerProxy", "asyncio.open_connection", "paramiko.", "urllib3.", "websockets.", "poplib.",
    "pycurl.",
)  # fmt: skip

_PROXY = re.compile(r"^(?:https?|all|ftp)_proxy=\S", re.IGNORECASE)
_URL = re.compile(r"(?:https?|ftp|rsync|git)://([^/\s'\"]+)")

_INSTALLERS = {
    "pip": ("install", "download", "wheel", "index"), "pip3": ("install", "download", "wheel", "index"),
    "uv": ("install", "download", "add", "run"), "pipx": ("install", "run"), "easy_install": (),
    "conda": ("install", "create"), "mamba": ("install",), "poetry": ("add",), "pdm": ("add",),
    "apt": ("install", "download", "source"), "apt-get": ("install", "download", "source"),
}  # fmt: skip


def network_hits(acts: Acts, context: Context) -> Iterator[Hit]:
    """Hits in commands and in Python that is run."""
    written = {change.path: change.new or "" for change in acts.changes}
    for command in acts.commands:
        installer = _installer(command)
        if installer:
            if _fetches_project(installer, context, written):
                yield Hit(Vector.PACKAGE_INDEX, Stage.FETCH, clip(command.text))
        elif _goes_out(command):
            yield Hit(Vector.NETWORK, Stage.FETCH, clip(command.text))
    for script in acts.scripts:
        yield from (
            Hit(Vector.NETWORK, Stage.FETCH, clip(f"{call.name}({call.arguments})"))
            for call in script.calls()
            if _call_goes_out(script, call)
        )
    for code in acts.foreign:
        if any(not _LOCAL.match(_host(host)) for host in _URL.findall(code)):
            yield Hit(Vector.NETWORK, Stage.FETCH, clip(code))


def _goes_out(command: Invocation) -> bool:
    if any(redirect.target.startswith(("/dev/tcp/", "/dev/udp/")) for redirect in command.redirects):
        return not any(
            _LOCAL.match(redirect.target.split("/")[3]) for redirect in command.redirects if "/dev/" in redirect.target
        )
    if command.name in ("export", "declare"):
        return any(_PROXY.match(word) for word in command.arguments)
    if command.name == "getent":
        return command.plain[:1] in (("hosts",), ("ahosts",)) and not all(map(_is_local, command.plain[1:]))
    if command.name == "openssl":
        return command.plain[:1] == ("s_client",)
    if command.name not in _CLIENTS or command.has("--version", "--help") or command.has("--unix-socket"):
        return False
    return any(not _is_local(word) for word in command.plain) and not any(
        _is_local(word) and _looks_like_host(word) for word in command.plain
    )


def _looks_like_host(word: str) -> bool:
    return "://" in word or "localhost" in word or word.startswith(("127.", "0.0.0.0", "[::1]", "::1"))


def _is_local(word: str) -> bool:
    return bool(_LOCAL.match(_host(word)))


def _host(word: str) -> str:
    """The host of a URL, of ``user@host:path`` or of ``host:port``."""
    if "://" not in word:
        word = "//" + word.rpartition("@")[2]
    try:
        return urlsplit(word).hostname or ""
    except ValueError:
        return word


def _call_goes_out(script: Script, call: Call) -> bool:
    if not call.name.startswith(_CALLS):
        return False
    if call.name.startswith(("requests.", "httpx.", "urllib.request.")) and call.name.endswith(
        ("Exception", "Request")
    ):
        return False
    hosts = [str(part[0] if isinstance(part, list) and part else part) for part in call.arguments if part is not None]
    hosts = [host for host in hosts if "." in host or "://" in host or ":" in host]
    if not hosts and call.name.startswith(("requests.", "httpx.", "urllib.request.", "aiohttp.")):
        hosts = [text for text in script.strings() if _URL.match(text)]
    if not hosts and None in call.arguments[-1:]:  # only the running script knows where to
        return not any(_LOCAL.match(_host(text)) for text in script.strings() if text)
    return any(not _is_local(host) for host in hosts)


def _installer(command: Invocation) -> list[str]:
    """The words from an installer's name on, or none."""
    words = list(command.words)
    if command.name.startswith("python") and "-m" in words and words.index("-m") + 1 < len(words):
        words = words[words.index("-m") + 1 :]
    name = words[0].rpartition("/")[2] if words else ""
    name = "pip" if name.startswith("pip3.") else name
    verbs = _INSTALLERS.get(name)
    if verbs is None or (verbs and not any(verb in words[1:4] for verb in verbs)):
        return []
    return [name, *words[1:]]


def _fetches_project(words: list[str], context: Context, written: dict[str, str]) -> bool:
    """Whether an installer is asked for the project itself, by name, URL or a list; the work tree is no other copy."""
    for place, word in enumerate(words[1:], 1):
        if word.startswith(("git+", "hg+", "http://", "https://")) and words[place - 1] not in (
            "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--proxy",
        ):  # fmt: skip
            return True
        if words[place - 1] in ("-r", "--requirement"):
            listed = written.get(word, "") + written.get(word.removeprefix("./"), "")
            if any(_names_project(line, context) for line in listed.splitlines()):
                return True
        elif not word.startswith("-") and _names_project(word, context):
            return words[place - 1] not in ("--target", "-t", "-d", "--dest")
    return False


def _names_project(word: str, context: Context) -> bool:
    name = re.split(r"[=<>!~@\[; ]", word.strip(), maxsplit=1)[0].lower().replace("_", "-")
    name = name.removeprefix("python3-").removeprefix("python-")
    return UNKNOWN not in name and name in context.project
