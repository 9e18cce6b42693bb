# The first process in the box. It is number 1 there: nothing in the box can end or stop it, and everything else ends
# with it. It takes the job from its standard input (a socket, both ways), puts the files in place, closes the kernel's
# doors (a system call filter), runs the code in a child with limits, ends whatever the child left behind, and hands back
# what came of it. Nothing it says is believed without a look: it shares the box with the code.
import ctypes
import json
import os
import resource
import signal
import stat
import struct
import sys
import time

WORK = "/box"
MAX_DEPTH = 6
MAX_LOOKED_AT = 20000
DUMPABLE, SECCOMP, FILTER_MODE = 4, 22, 2


def read_exactly(control, count):
    parts = []
    while count:
        part = os.read(control, min(count, 1 << 20))
        if not part:
            raise SystemExit("the job was cut short")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def write_all(control, data):
    view = memoryview(data)
    while view:
        view = view[os.write(control, view):]


def read_message(control):
    (length,) = struct.unpack("<I", read_exactly(control, 4))
    return json.loads(read_exactly(control, length))


def write_message(control, message):
    data = json.dumps(message).encode()
    write_all(control, struct.pack("<I", len(data)) + data)


def take_inputs(control, inputs):
    for one in inputs:
        path = os.path.join(WORK, one["path"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as file:
            left = one["bytes"]
            while left:
                part = os.read(control, min(left, 1 << 20))
                if not part:
                    raise SystemExit("an input was cut short")
                file.write(part)
                left -= len(part)


def step_back(nice):
    # Whoever talks to Mira comes first; and if memory runs out, it is the box that goes.
    for path, value in (("/proc/self/autogroup", str(nice)), ("/proc/self/oom_score_adj", "1000")):
        try:
            with open(path, "w") as file:
                file.write(value)
        except OSError:
            pass
    os.setpriority(os.PRIO_PROCESS, 0, nice)


class Step(ctypes.Structure):
    _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint)]


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.POINTER(Step))]


def close_doors(steps):
    libc = ctypes.CDLL(None, use_errno=True)
    array = (Step * len(steps))(*[Step(*step) for step in steps])
    program = Program(len(steps), array)
    zero = ctypes.c_ulong(0)
    if libc.prctl(SECCOMP, ctypes.c_ulong(FILTER_MODE), ctypes.byref(program), zero, zero) != 0:
        raise SystemExit("the system call filter was refused: " + os.strerror(ctypes.get_errno()))
    # The memory of this process is nobody's business.
    libc.prctl(DUMPABLE, zero, zero, zero, zero)
    return libc


def limit(limits):
    cpu = limits["cpu_seconds"]
    for what, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_NPROC, limits["processes"], limits["processes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["descriptors"], limits["descriptors"]),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
    ):
        resource.setrlimit(what, (soft, hard))


def show(error):
    import traceback

    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != "code.py":
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace)


class Figures:
    """Notices which figures the code saves itself; the others are saved for it."""

    def find_spec(self, name, path=None, target=None):
        if name != "matplotlib.figure":
            return None
        import importlib.util

        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            save = module.Figure.savefig

            def savefig(figure, *args, **kwargs):
                figure.kept_by_code = True
                return save(figure, *args, **kwargs)

            savefig.__doc__ = save.__doc__
            module.Figure.savefig = savefig

        spec.loader.exec_module = exec_module
        return spec


def save_figures():
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    number = 0
    for known in pyplot.get_fignums():
        figure = pyplot.figure(known)
        if getattr(figure, "kept_by_code", False):
            continue
        number += 1
        while os.path.lexists(f"figure-{number}.png"):
            number += 1
        figure.savefig(f"figure-{number}.png", dpi=120, bbox_inches="tight")


def run(code):
    import ast
    import linecache
    import types
    import warnings

    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.stderr.reconfigure(line_buffering=True, errors="backslashreplace")
    sys.argv = ["code.py"]
    sys.path.insert(0, WORK)
    sys.meta_path.insert(0, Figures())
    # A figure that is shown is saved at the end.
    warnings.filterwarnings("ignore", message=".*non-interactive.*")
    linecache.cache["code.py"] = (len(code), None, code.splitlines(True), "code.py")
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    status = 0
    try:
        tree = ast.parse(code, "code.py")
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "code.py", "exec"), main.__dict__)
        if last is not None:
            sys.displayhook(eval(compile(ast.Expression(last.value), "code.py", "eval"), main.__dict__))
    except SystemExit as leaving:
        status = leaving.code
    except BaseException as error:
        show(error)
        status = 1
    try:
        save_figures()
    except Exception as error:
        show(error)
    sys.exit(status)


def looked_at(folder, depth=0, seen=None):
    """Regular files below the folder; links are not followed, hidden names are the code's own business."""
    seen = [0] if seen is None else seen
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        seen[0] += 1
        if seen[0] > MAX_LOOKED_AT:
            return
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if depth < MAX_DEPTH:
                yield from looked_at(entry.path, depth + 1, seen)
            continue
        found = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            yield entry.path, (found.st_ino, found.st_size, found.st_mtime_ns)


def made(before, limits):
    """What is new or changed, oldest first: (path, size, open file); and how much there was beyond the limits."""
    found = [(path, what) for path, what in looked_at(WORK) if before.get(path) != what]
    found.sort(key=lambda one: (one[1][2], one[0]))
    kept, total, left = [], 0, 0
    for path, (_, size, _) in found:
        if len(kept) >= limits["files_out"] or total + size > limits["files_out_bytes"]:
            left += 1
            continue
        try:
            os.chmod(path, 0o600)
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            left += 1
            continue
        total += size
        kept.append((path, size, file))
    return kept, left


def hand_over(control, size, file):
    while size:
        part = os.read(file, min(size, 1 << 20))
        if not part:
            raise SystemExit("a file changed while it was read")
        write_all(control, part)
        size -= len(part)


def alone():
    """Ends everything else in the box and waits until it is gone."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)
        except ChildProcessError:
            return


def let_go():
    """Closes what whoever started Mira left open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:
                pass


def supervise():
    let_go()
    control = os.dup(0)
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    write_all(control, b"R")
    job = read_message(control)
    take_inputs(control, job["inputs"])
    before = dict(looked_at(WORK))
    step_back(job["nice"])
    libc = close_doors(job["filter"])
    child = os.fork()
    if child == 0:
        os.close(control)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        libc.prctl(DUMPABLE, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
        limit(job["limits"])
        run(job["code"])
    while True:
        # Orphans are this process's to bury.
        ended, status, usage = os.wait4(-1, 0)
        if ended == child:
            break
    alone()
    for stream in (1, 2):
        os.close(stream)
    kept, left = made(before, job["limits"])
    write_message(
        control,
        {
            "code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
            "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
            "cpu_ms": int((usage.ru_utime + usage.ru_stime) * 1000),
            "left_out": left,
            "files": [
                {"name": os.fsencode(os.path.relpath(path, WORK)).decode("utf-8", "replace"), "bytes": size}
                for path, size, _ in kept
            ],
        },
    )
    for _, size, file in kept:
        hand_over(control, size, file)


supervise()
