"""``make boot``: the shipped units under a real systemd, in a small Debian that is made for it.

Builds a Debian 12 with debootstrap, installs the program there by the commands of
``deploy/systemd/README.md``, boots it with qemu (software emulation, so some ten minutes) and
lets ``guest.py`` try what the README promises. In the middle the power is cut: qemu is killed
while the daemon works, and the machine is booted again. Exits 1 when a promise is broken.

Needs root, some 4 GB in the temporary folder, and Debian's packages and Python's to download.
The guest has no network.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import ROOT

TOOLS = ("debootstrap", "qemu-system-x86_64", "mkfs.ext4", "chroot")
PACKAGES = (
    "systemd", "systemd-sysv", "udev", "dbus", "python3", "python3-venv", "ca-certificates",
    "procps", "linux-image-cloud-amd64", "initramfs-tools",
)  # fmt: skip
HOME = "opt/paper-watcher"
INSTALL = """\
cd /opt/paper-watcher && python3 -m venv .venv
.venv/bin/pip install --quiet --require-hashes -r requirements.lock
.venv/bin/pip install --quiet --no-deps .
.venv/bin/pip install --quiet --target /opt/neighbours aiosmtpd
cp tests/tls/localhost.crt /usr/local/share/ca-certificates/ && update-ca-certificates
cp deploy/systemd/watcher* /etc/systemd/system/
cp tests/boot/units/* /etc/systemd/system/
systemctl enable neighbours.service trial.service
"""
CUT = "READY FOR THE CUT"
DONE = "DONE"
PATIENCE = 40 * 60
"""Seconds for one boot."""


def mirror() -> str:
    """The archive that this machine's own packages come from."""
    said = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    return said.splitlines()[0]


def run(*command: object, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(env or {})},
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command[:4]))} … failed:\n{done.stdout[-3000:]}")
    return done.stdout


def build(folder: Path, source: str) -> Path:
    """The guest's disk."""
    root, disk = folder / "root", folder / "disk.img"
    say("building a Debian 12")
    run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", root,
        source)  # fmt: skip
    say("installing the watcher by its README")
    (root / HOME).mkdir(parents=True)
    archived = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "HEAD"], check=True, stdout=subprocess.PIPE
    )
    subprocess.run(["tar", "x", "-C", str(root / HOME)], check=True, input=archived.stdout)
    wheels = root / "wheels"
    for wanted in ("requirements.lock", "requirements-build.lock", "requirements-dev.lock"):
        only = ["--no-deps", "aiosmtpd", "atpublic", "attrs"] if "dev" in wanted else ["-r", wanted]
        run(sys.executable, "-m", "pip", "download", "-q", "--python-version", "3.11",
            "--only-binary=:all:", "-d", wheels, *only)  # fmt: skip
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PATH": "/usr/sbin:/usr/bin:/bin"}
    run("mount", "--bind", "/proc", root / "proc")
    try:
        run("chroot", root, "bash", "-ec", INSTALL, env=offline)
    finally:
        run("umount", root / "proc")
    shutil.rmtree(wheels)
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw 0 1\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    (root / "var/log/journal").mkdir(exist_ok=True)
    say("writing the disk")
    run("truncate", "-s", "4G", disk)
    run("mkfs.ext4", "-q", "-F", "-d", root, disk)
    return disk


def boot(folder: Path, disk: Path, until: str) -> list[str]:
    """Switch on, and cut the power when the guest has said ``until``; all that it said."""
    kernel = next((folder / "root/boot").glob("vmlinuz-*"))
    initrd = next((folder / "root/boot").glob("initrd.img-*"))
    line = "console=ttyS0 root=/dev/vda rw loglevel=4 panic=-1 systemd.show_status=0"
    command = [
        "qemu-system-x86_64", "-machine", "accel=tcg", "-cpu", "max", "-m", "1536",
        "-nographic", "-nodefaults", "-no-reboot", "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", line, "-drive", f"file={disk},if=virtio,format=raw,cache=writethrough",
        "-device", "virtio-rng-pci", "-serial", "stdio",
    ]  # fmt: skip
    heard: list[str] = []
    ends = time.monotonic() + PATIENCE
    guest = subprocess.Popen(
        ["timeout", str(PATIENCE), *command], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert guest.stdout is not None
    try:
        for raw in guest.stdout:
            said = raw.decode("utf-8", "replace").strip()
            if said.startswith("trial: "):
                said = said.removeprefix("trial: ")
                heard.append(said)
                say(said)
                if said == until:
                    break
            if time.monotonic() > ends:
                break
    finally:
        run("pkill", "-9", "--parent", guest.pid)
        guest.wait()
    return heard


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.boot", description=__doc__)
    parser.add_argument("--mirror", help="where debootstrap takes Debian from")
    asked = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() or platform.machine() != "x86_64":
        raise SystemExit(f"this needs root on x86-64 and {', '.join(missing or TOOLS)}")
    with tempfile.TemporaryDirectory(prefix="paper-watcher-boot-") as name:
        folder = Path(name)
        disk = build(folder, asked.mirror or mirror())
        say("first boot")
        heard = boot(folder, disk, CUT)
        say("the power is cut; second boot")
        heard += boot(folder, disk, DONE)
    broken = [said for said in heard if not said.startswith(("ok: ", CUT, DONE))]
    whole = heard[-1:] == [DONE] and CUT in heard
    say(f"{len(heard) - 2} promises tried" if whole and not broken else "NOT as promised")
    return int(not whole or bool(broken))


if __name__ == "__main__":
    sys.exit(main())
