"""Tests on another kernel, and with control groups of version 2: in an emulated machine that has this host's files.

    python -m bench.kernel [--image FILE.deb] [--user 1000] [--seconds 3000] [PYTEST ARGUMENTS]

Without an image, the newest kernel of this Debian's packages is downloaded. The machine is emulated in software
(QEMU), so everything takes ten times as long, and has no network. Default arguments: the conformance suite and the
tests of control groups, on bubblewrap. What is written there is gone at the end. Needs, from Debian:
qemu-system-x86, kmod, cpio, busybox-static.
"""

import argparse
import lzma
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent

PROGRAMS = ("qemu-system-x86_64", "depmod", "cpio", "busybox", "dpkg-deb")
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""What the guest needs to see the host's files; what its kernel has built in is not listed by depmod."""

TESTS = ("tests/agent_env/test_cgroup.py", "tests/conformance")


def unpack(image: Path | None, folder: Path) -> Path:
    """A kernel package's files, below ``folder``."""
    if image is None:
        known = subprocess.run(
            ["apt-cache", "depends", "--important", "linux-image-amd64"], capture_output=True, text=True, check=True
        ).stdout
        name = next(word for word in known.split() if word.startswith("linux-image-") and word[12].isdigit())
        subprocess.run(["apt-get", "download", name], check=True, cwd=folder, capture_output=True)
        image = next(folder.glob("*.deb"))
    subprocess.run(["dpkg-deb", "--extract", str(image), str(folder / "image")], check=True)
    return folder / "image"


def modules(image: Path) -> Iterator[bytes]:
    """The wanted modules and what they need, in the order to load them."""
    base = next(path for path in (image / "lib/modules", image / "usr/lib/modules") if path.is_dir())
    version = next(base.iterdir()).name
    if not (image / "lib").exists():
        (image / "lib").symlink_to("usr/lib")
    subprocess.run(["depmod", "-b", str(image), version], check=True)
    lines = (base / version / "modules.dep").read_text().splitlines()
    needs = {path: rest.split() for path, _, rest in (line.partition(":") for line in lines)}
    yield from (_read(base / version / path) for path in _ordered(needs))


def _ordered(needs: Mapping[str, Sequence[str]]) -> list[str]:
    found: list[str] = []
    for path in needs:
        if Path(path).name.partition(".")[0].replace("-", "_") in MODULES:
            found += [needed for needed in (*reversed(needs[path]), path) if needed not in found]
    return found


def _read(module: Path) -> bytes:
    content = module.read_bytes()
    return lzma.decompress(content) if module.suffix == ".xz" else content


def make_initramfs(image: Path, settings: Mapping[str, str], folder: Path) -> Path:
    """The archive that the guest starts from."""
    root = folder / "initramfs"
    for name in ("modules", "proc", "sys", "dev", "host", "over", "root"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "busybox")
    shutil.copy(HERE / "init.sh", root / "init")
    (root / "init").chmod(0o755)
    shutil.copy(HERE / "guest.sh", root / "guest.sh")
    (root / "settings").write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()))
    for number, content in enumerate(modules(image)):
        (root / "modules" / f"{number:02}.ko").write_bytes(content)
    names = "\n".join(str(path.relative_to(root)) for path in root.rglob("*")).encode()
    packed = subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc"], input=names, cwd=root, capture_output=True, check=True
    )
    target = folder / "initramfs.cpio"
    target.write_bytes(packed.stdout)
    return target


def boot(kernel: Path, initramfs: Path, seconds: int) -> Iterator[str]:
    """The guest's lines, until it switches itself off."""
    command = [
        "qemu-system-x86_64",
        "-accel",
        "tcg",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "5G",
        "-nographic",
        "-no-reboot",
    ]
    command += ["-kernel", str(kernel), "-initrd", str(initramfs), "-append", "console=ttyS0 quiet panic=-1"]
    command += ["-net", "none", "-virtfs"]
    command += ["local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"]
    with subprocess.Popen(
        ["timeout", str(seconds), *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as machine:
        assert machine.stdout is not None
        yield from machine.stdout


def main() -> int:
    """See the module; the exit status is pytest's, 3 where groups were left behind, 2 where it never came to an end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a kernel as a Debian package")
    parser.add_argument("--user", type=int, default=0, help="number of the user who runs the tests")
    parser.add_argument("--seconds", type=int, default=3000, help="the longest that the machine may run")
    options, arguments = parser.parse_known_args()
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if missing:
        sys.exit(f"no {', '.join(missing)}: apt-get install qemu-system-x86 kmod cpio busybox-static")
    with tempfile.TemporaryDirectory(prefix="repodojo-kernel-") as name:
        folder = Path(name)
        image = unpack(options.image, folder)
        settings = {"CHECKOUT": str(CHECKOUT), "USER_ID": str(options.user), "REST": shlex.join(arguments or TESTS)}
        initramfs = make_initramfs(image, settings, folder)
        status, left = 2, 0
        for line in boot(next((image / "boot").glob("vmlinuz*")), initramfs, options.seconds):
            print(line, end="", flush=True)
            status = int(line.split()[1]) if line.startswith("STATUS ") else status
            left += line.startswith("LEFT ")
    print(f"{left} control groups left behind")
    return status or (3 if left else 0)


if __name__ == "__main__":
    sys.exit(main())
