//! Ways to use up what others need. Each is stopped at its limit, and the box after it works.

use crate::support::{Boxed, boxed, said};
use mira_box::{Ended, Exit, Limits};
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Limits that are reached soon.
fn tight() -> Limits {
    Limits {
        // Far more than any of them needs: others may be busy, and the box steps back for them.
        wall: Duration::from_mins(2),
        cpu_seconds: 60,
        memory_bytes: 256 * MIB,
        disk_bytes: 32 * MIB,
        file_bytes: 16 * MIB,
        files: 3000,
        processes: 24,
        ..Limits::default()
    }
}

/// Runs the bomb, then checks that a box can be had as before.
async fn defused(limits: Limits, code: &str) -> Option<Ended> {
    let boxed: Boxed = boxed(limits).await?;
    let ended = boxed.run(code).await;
    assert_eq!(said(&boxed.run("1 + 1").await), "2");
    Some(ended)
}

#[tokio::test]
async fn a_fork_bomb_runs_out_of_processes() {
    let code = "import os, time\nmade = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            while True:\n                try:\n                    os.fork()\n                except OSError:\n                    time.sleep(1)\n        made += 1\nexcept OSError:\n    print(made < 24)\n    time.sleep(0.5)\n    print(sum(name.isdigit() for name in os.listdir('/proc')) <= 24)";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(said(&ended), "True\nTrue");
}

#[tokio::test]
async fn a_memory_bomb_gets_no_more() {
    let Some(ended) = defused(tight(), "x = []\nwhile True:\n    x.append(bytearray(10_000_000))").await else {
        return;
    };
    assert_eq!(ended.exit, Exit::Code(1));
    assert!(ended.stderr.contains("MemoryError"), "{ended:?}");
}

#[tokio::test]
async fn many_processes_together_get_no_more_memory_than_one() {
    let code = "import os, time\nfor n in range(8):\n    if os.fork() == 0:\n        x = bytearray(b'x' * 80_000_000)\n        time.sleep(600)\ntime.sleep(600)";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(ended.exit, Exit::Memory, "{ended:?}");
}

#[tokio::test]
async fn memory_that_belongs_to_nobody_cannot_be_had() {
    let code = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nprint(libc.shmget(0, 1 << 26, 0o1600), libc.memfd_create(b'x', 0))\n\
        try:\n    with open('/dev/shm/x', 'wb') as file:\n        for n in range(100):\n            file.write(bytes(1 << 20))\n    print('wrote 100 MiB')\nexcept OSError as error:\n    print(error.strerror)";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(said(&ended), "-1 -1\nFile too large");
}

#[tokio::test]
async fn memory_in_buffers_of_sockets_ends_the_run() {
    let code = "import os, socket, time\nfor n in range(20):\n    if os.fork() == 0:\n        kept = []\n        for m in range(60):\n            \
        pair = socket.socketpair()\n            for one in pair:\n                one.setblocking(False)\n                try:\n                    \
        while True:\n                        one.send(bytes(4096))\n                except OSError:\n                    pass\n            \
        kept.append(pair)\n        time.sleep(600)\ntime.sleep(600)";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(ended.exit, Exit::Memory, "{ended:?}");
}

#[tokio::test]
async fn a_disk_bomb_fills_its_own_folder_only() {
    let code = "written = 0\ntry:\n    for n in range(100):\n        with open(f'/tmp/{n}', 'wb') as file:\n            for part in range(8):\n                written += file.write(bytes(1 << 20))\nexcept OSError as error:\n    print(error.strerror, written <= 32 << 20)\n\
        try:\n    with open('/box/one', 'wb') as file:\n        for part in range(100):\n            file.write(b'')\n            file.truncate(17 << 20)\nexcept OSError as error:\n    print(error.strerror)";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(said(&ended), "No space left on device True\nFile too large");
}

#[tokio::test]
async fn many_small_files_end_the_run() {
    let code = "import os\nfor n in range(10_000_000):\n    open(f'/tmp/{n}', 'w').close()";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(ended.exit, Exit::Files, "{ended:?}");
    let code = "import os\nfor n in range(10_000_000):\n    os.mkdir('d')\n    os.chdir('d')";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(ended.exit, Exit::Files, "{ended:?}");
}

#[tokio::test]
async fn endless_output_ends_the_run() {
    let limits = Limits {
        output_bytes: 10_000,
        ..tight()
    };
    let Some(ended) = defused(limits, "while True:\n    print('x' * 99)").await else {
        return;
    };
    assert_eq!((ended.exit, ended.truncated), (Exit::Output, true));
    assert_eq!(ended.stdout.len() + ended.stderr.len(), 10_000);
    assert_eq!(ended.stdout, format!("{}\n", "x".repeat(99)).repeat(100));
}

#[tokio::test]
async fn an_endless_loop_runs_out_of_time() {
    let limits = Limits {
        cpu_seconds: 1,
        ..tight()
    };
    let Some(ended) = defused(limits, "print('begun')\nwhile True:\n    pass").await else {
        return;
    };
    assert_eq!(
        (ended.exit, ended.stdout.as_str()),
        (Exit::CpuTime, "begun\n"),
        "{ended:?}"
    );
    // One that does not listen to the warning.
    let code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass";
    let Some(ended) = defused(limits, code).await else {
        return;
    };
    assert_eq!(ended.exit, Exit::CpuTime, "{ended:?}");
}

#[tokio::test]
async fn waiting_for_nothing_runs_out_of_time() {
    let limits = Limits {
        wall: Duration::from_secs(10),
        ..tight()
    };
    let Some(ended) = defused(limits, "import time\nprint('begun')\ntime.sleep(1000)").await else {
        return;
    };
    assert_eq!(
        (ended.exit, ended.stdout.as_str()),
        (Exit::WallTime, "begun\n"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn limits_cannot_be_raised() {
    let code = "import resource\nraised = []\nfor name in ('CPU', 'AS', 'NPROC', 'FSIZE', 'NOFILE', 'CORE', 'MEMLOCK'):\n    what = getattr(resource, 'RLIMIT_' + name)\n\
        \x20   soft, hard = resource.getrlimit(what)\n    try:\n        resource.setrlimit(what, (hard + 1, hard + 1))\n        raised.append(name)\n    except (OSError, ValueError):\n        pass\n\
        import os\ntry:\n    os.nice(-5)\n    raised.append('nice')\nexcept OSError:\n    pass\nprint(raised)";
    let Some(ended) = defused(tight(), code).await else {
        return;
    };
    assert_eq!(said(&ended), "[]");
}
