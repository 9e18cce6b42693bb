# Says of each thing the box promises whether it holds, seen from inside.
import ctypes
import errno
import json
import os
import resource
import socket
import subprocess
import threading


def refused(doing):
    try:
        doing()
    except OSError:
        return True
    return False


def unwritable(folder):
    path = os.path.join(folder, "proof")

    def write():
        with open(path, "x"):
            pass
        os.unlink(path)

    return refused(write)


def statuses():
    for process in os.listdir("/proc"):
        if process.isdigit():
            with open(f"/proc/{process}/status") as file:
                yield dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


def writes_here():
    for folder in ("/box", "/tmp", "/mnt/data", "/dev/shm"):
        path = os.path.join(folder, "proof")
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)
    return True


def starts_things():
    done = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join()
    return bool(done) and subprocess.run(["true"]).returncode == 0


def limits_hold():
    found = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] for name in EXPECTED["limits"]}
    return found == EXPECTED["limits"]


def work_is_limited():
    stat = os.statvfs("/box")
    return stat.f_blocks * stat.f_frsize <= EXPECTED["room"] + stat.f_frsize


def closed(family):
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as error:
        return error.errno == errno.EAFNOSUPPORT
    return False


def interfaces():
    with open("/proc/net/dev") as file:
        return [line.split(":")[0].strip() for line in file.read().splitlines()[2:]]


libc = ctypes.CDLL(None, use_errno=True)
NEW_USER = 0x10000000
CHECKS = {
    "it sees its own folders only": lambda: set(os.listdir("/")) <= set(EXPECTED["root"])
    and set(os.listdir("/etc")) <= set(EXPECTED["etc"]),
    "its environment is empty": lambda: set(os.environ) <= set(EXPECTED["environment"]),
    "it writes into its own folder": writes_here,
    "it writes nowhere else": lambda: all(
        unwritable(folder) for folder in ("/", "/dev", "/etc", "/mnt", "/usr", "/usr/bin", "/proc", "/proc/sys/kernel")
    ),
    "it sees no other process": lambda: {name for name in os.listdir("/proc") if name.isdigit()}
    == {"1", str(os.getpid())},
    "it has no network": lambda: interfaces() in ([], ["lo"]) and closed(socket.AF_INET) and closed(socket.AF_INET6),
    "it has no rights": lambda: all(
        int(status[name], 16) == 0 for status in statuses() for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")
    ),
    "it gets no rights": lambda: all(
        status["NoNewPrivs"] == "1" and status["Seccomp"] == "2" for status in statuses()
    ),
    "it makes no namespaces": lambda: libc.unshare(NEW_USER) == -1,
    "it has its limits": limits_hold,
    "its folder is limited": work_is_limited,
    "it has no open files but its own": lambda: set(os.listdir("/proc/self/fd")) <= {"0", "1", "2", "3"},
    "it can start threads and programs": starts_things,
}


def holds(check):
    try:
        return bool(check())
    except Exception:
        return False


spaces = {name: os.readlink("/proc/self/ns/" + name) for name in EXPECTED["namespaces"]}
failed = [name for name, check in CHECKS.items() if not holds(check)]
print(json.dumps({"failed": failed, "checks": len(CHECKS), "namespaces": spaces}))
