//! Ways out of the box. Each prints what it reached; a test holds when that is nothing, and where it can, also looks from
//! outside.

use crate::support::{boxed, run, said, variables};
use mira_box::{Exit, Limits};
use std::{
    fs,
    io::{ErrorKind, Read},
    net::TcpListener,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixListener},
    },
    time::Duration,
};

/// Runs code that must print `expected`.
async fn check(code: &str, expected: &str) {
    let Some(ended) = run(code).await else { return };
    assert_eq!(said(&ended), expected);
}

#[tokio::test]
async fn reads_no_home_folder_and_no_file_of_the_machine() {
    let Some(boxed) = boxed(Limits::default()).await else {
        return;
    };
    // A secret as it lies in the data directory, readable by everybody.
    let secret = boxed.dir.path().join("token");
    fs::write(&secret, "secret").unwrap();
    let code = format!(
        "import glob, os\nreached = []\nfor path in ('{}', '/etc/passwd', '/etc/shadow', '/etc/hostname', '/root', '/home', '/var', '/boot', \
         '/proc/1/root/etc/passwd', '/proc/self/root/etc/passwd', '/usr/../etc/passwd', '/box/../etc/passwd'):\n\
         \x20   try:\n        os.listdir(path) if os.path.isdir(path) else open(path).read()\n        reached.append(path)\n\
         \x20   except OSError:\n        pass\nprint(reached, os.path.expanduser('~'))",
        secret.display()
    );
    assert_eq!(said(&boxed.run(&code).await), "[] /box");
}

#[tokio::test]
async fn sees_no_environment() {
    let Some(ended) = run(
        "import os\nprint(sorted(os.environ))\nfor path in ('/proc/self/environ', '/proc/1/environ'):\n    try:\n        \
         print(sorted(part.split('=')[0] for part in open(path).read().split('\\0') if part))\n    except OSError as error:\n        print(error.strerror)",
    )
    .await
    else {
        return;
    };
    let lines: Vec<&str> = said(&ended).lines().collect();
    for (name, _) in variables() {
        let ours = ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "TMPDIR", "TZ", "USER"].contains(&name.as_str());
        assert!(
            ours || !ended.stdout.contains(&format!("'{name}'")),
            "{name} is inside: {ended:?}"
        );
    }
    assert_eq!((lines[0], lines[2]), (lines[1], "Permission denied"), "{ended:?}");
}

#[tokio::test]
async fn sees_no_other_process() {
    check(
        "import os\nprint(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()) == [1, os.getpid()])\n\
         print(os.path.exists('/proc/self/cwd/../../proc/1/cwd/etc/passwd'))",
        "True\nFalse",
    )
    .await;
}

#[tokio::test]
async fn reaches_no_network_and_no_name_server() {
    check(
        "import socket\nreached = []\nfor family, address in ((socket.AF_INET, ('1.1.1.1', 443)), (socket.AF_INET6, ('2606:4700:4700::1111', 443))):\n\
         \x20   for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):\n        try:\n            \
         s = socket.socket(family, kind)\n            s.connect(address)\n            reached.append(address)\n        except OSError:\n            pass\n\
         try:\n    reached.append(socket.getaddrinfo('example.org', 443))\nexcept OSError:\n    pass\n\
         for family in (16, 17, 38, 40):\n    try:\n        socket.socket(family, socket.SOCK_RAW)\n        reached.append(family)\n    except OSError:\n        pass\n\
         print(reached)",
        "[]",
    )
    .await;
}

#[tokio::test]
async fn reaches_no_service_of_the_machine() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    check(
        &format!("import urllib.request\ntry:\n    urllib.request.urlopen('http://127.0.0.1:{port}', timeout=2)\n    print('reached')\nexcept OSError as error:\n    print('no')"),
        "no",
    )
    .await;
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn reaches_no_abstract_socket() {
    let name = format!("mira-box-test-{}", std::process::id());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    check(
        &format!("import socket\ns = socket.socket(socket.AF_UNIX)\ntry:\n    s.connect('\\0{name}')\n    print('reached')\nexcept OSError as error:\n    print('no')"),
        "no",
    )
    .await;
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test]
async fn signals_nothing_outside() {
    // Stands for Mira: a process of the same user.
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    check(
        &format!(
            "import os, signal\nreached = []\nfor pid in ({}, {}, -{0}):\n    try:\n        os.kill(pid, signal.SIGKILL)\n        reached.append(pid)\n\
             \x20   except OSError:\n        pass\nfor number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGINT):\n    os.kill(1, number)\nprint(reached)",
            child.id(),
            std::process::id()
        ),
        "[]",
    )
    .await;
    assert!(child.try_wait().unwrap().is_none(), "it lives");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn traces_nothing() {
    check(
        "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nreached = []\nfor request, pid in ((0, 0), (16, 1), (0x4206, 1)):\n\
         \x20   if libc.ptrace(request, pid, 0, 0) != -1:\n        reached.append((request, pid))\n\
         for path in ('/proc/1/mem', '/proc/1/maps', '/proc/1/fd/0', '/proc/1/cwd'):\n    try:\n        open(path, 'rb').read(1)\n        reached.append(path)\n\
         \x20   except OSError:\n        pass\nprint(reached)",
        "[]",
    )
    .await;
}

#[tokio::test]
async fn writes_nothing_into_the_system() {
    check(
        "import os\nreached = []\nfor path in ('/usr/x', '/usr/bin/x', '/usr/lib/python3/x', '/bin/sh', '/etc/x', '/etc/passwd', '/x', '/lib/x'):\n\
         \x20   for mode in ('w', 'a', 'x'):\n        try:\n            open(path, mode)\n            reached.append(path)\n        except OSError:\n            pass\n\
         for doing in (lambda: os.unlink('/usr/bin/env'), lambda: os.rename('/usr', '/box/usr'), lambda: os.chmod('/usr/bin/env', 0o777),\n\
         \x20       lambda: os.mkdir('/new'), lambda: os.link('/usr/bin/env', '/box/env')):\n    try:\n        doing()\n        reached.append('changed')\n\
         \x20   except OSError:\n        pass\nprint(reached)",
        "[]",
    )
    .await;
}

#[tokio::test]
async fn makes_no_devices_and_mounts_nothing() {
    check(
        "import ctypes, os, stat\nreached = []\nfor kind, device in ((stat.S_IFBLK, os.makedev(254, 0)), (stat.S_IFBLK, os.makedev(8, 0)), (stat.S_IFCHR, os.makedev(1, 1))):\n\
         \x20   try:\n        os.mknod('/box/device', kind | 0o666, device)\n        open('/box/device', 'rb').read(1)\n        reached.append(device)\n\
         \x20   except OSError:\n        pass\nfor name in ('vda', 'sda', 'nvme0n1', 'mem', 'kmsg', 'kvm', 'fuse'):\n    if os.path.exists('/dev/' + name):\n        reached.append(name)\n\
         libc = ctypes.CDLL(None, use_errno=True)\nfor kind in (b'proc', b'tmpfs', b'sysfs', b'overlay'):\n    if libc.mount(b'none', b'/box/.tmp', kind, 0, None) == 0:\n        reached.append(kind)\n\
         if libc.umount2(b'/usr', 2) == 0:\n    reached.append('umount')\nif libc.chroot(b'/box') == 0:\n    reached.append('chroot')\nprint(reached)",
        "[]",
    )
    .await;
}

#[tokio::test]
async fn gains_nothing_by_setuid_programs() {
    check(
        "import os, stat, subprocess\nfound = []\nfor folder in ('/usr/bin', '/usr/sbin', '/usr/lib'):\n    for name in os.listdir(folder):\n\
         \x20       path = os.path.join(folder, name)\n        if os.path.isfile(path) and os.stat(path).st_mode & stat.S_ISUID:\n            found.append(path)\n\
         gained = [path for path in found if b'uid=0' in subprocess.run([path, '-c', 'id'], capture_output=True, stdin=subprocess.DEVNULL, timeout=10).stdout]\n\
         open('/box/id', 'wb').write(open('/usr/bin/id', 'rb').read())\ntry:\n    os.chmod('/box/id', 0o6755)\nexcept OSError:\n    pass\n\
         print(gained, subprocess.run(['/box/id', '-u'], capture_output=True, text=True).stdout.strip())",
        "[] 1000",
    )
    .await;
}

#[tokio::test]
async fn makes_no_namespaces_of_its_own() {
    check(
        "import ctypes, os, subprocess\nlibc = ctypes.CDLL(None, use_errno=True)\nreached = []\nfor bit in (7, 17, 25, 26, 27, 28, 29, 30):\n\
         \x20   if libc.unshare(1 << bit) == 0:\n        reached.append(bit)\nfor name in os.listdir('/proc/self/ns'):\n\
         \x20   if libc.setns(os.open('/proc/1/ns/' + name, os.O_RDONLY) if os.access('/proc/1/ns/' + name, os.R_OK) else -1, 0) == 0:\n        reached.append(name)\n\
         if subprocess.run(['unshare', '--user', '--map-root-user', 'true'], capture_output=True).returncode == 0:\n    reached.append('unshare')\nprint(reached)",
        "[]",
    )
    .await;
}

#[tokio::test]
async fn writes_no_kernel_settings_and_no_cgroups() {
    check(
        "import os\nreached = [path for path in ('/sys', '/sys/fs/cgroup', '/cgroup') if os.path.exists(path)]\n\
         for path in ('/proc/sys/kernel/core_pattern', '/proc/sys/kernel/hostname', '/proc/sys/vm/drop_caches', '/proc/sys/user/max_user_namespaces',\n\
         \x20       '/proc/sysrq-trigger', '/proc/self/uid_map', '/proc/self/gid_map', '/proc/1/oom_score_adj', '/proc/irq/default_smp_affinity'):\n\
         \x20   try:\n        with open(path, 'w') as file:\n            file.write('1')\n        reached.append(path)\n    except OSError:\n        pass\n\
         try:\n    with open('/proc/self/oom_score_adj', 'w') as file:\n        file.write('-1000')\n    reached.append('oom')\nexcept OSError:\n    pass\nprint(reached)",
        "[]",
    )
    .await;
}

#[tokio::test]
async fn hands_out_no_links_and_no_names_that_are_paths() {
    let Some(boxed) = boxed(Limits::default()).await else {
        return;
    };
    let ended = boxed
        .run(
        "import os\nos.symlink('/etc/passwd', 'link.txt')\nos.symlink('/proc/1/environ', 'environ.txt')\nos.symlink('/', 'root')\nos.mkfifo('pipe.txt')\n\
         for name in ('b\\\\..\\\\evil.txt', '..evil', 'a\\n\\x1b[2Jb.txt', '\\u202egnp.exe', b'\\xff\\xfe.bin', '-rf', 'x' * 255):\n    open(name, 'w').write('x')\n\
         os.makedirs('a/..b/c')\nopen('a/..b/c/deep.txt', 'w').write('x')\nopen('a/..c', 'w').write('x')",
    )
    .await;
    assert_eq!((ended.exit, ended.stderr.as_str()), (Exit::Code(0), ""));
    let mut names: Vec<&str> = ended.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    let long = "x".repeat(200);
    assert_eq!(
        names,
        [
            "-rf",
            "_gnp.exe",
            "a__[2Jb.txt",
            "b_.._evil.txt",
            &long,
            "\u{fffd}\u{fffd}.bin"
        ]
    );
    for file in &ended.files {
        let mut bytes = Vec::new();
        fs::File::open(&file.path).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"x", "{file:?}");
        assert!(fs::symlink_metadata(&file.path).unwrap().is_file());
    }
}

#[tokio::test]
async fn leaves_no_daemon_behind() {
    let marker = format!("mira-box-daemon-{}", std::process::id());
    let Some(ended) = run(&format!(
        "import os, time, signal\nfor n in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        for number in range(1, 32):\n            \
         if number not in (9, 17, 19):\n                signal.signal(number, signal.SIG_IGN)\n        if os.fork() == 0:\n            \
         os.execv('/bin/sh', ['{marker}', '-c', 'while :; do sleep 1; done'])\n        os._exit(0)\ntime.sleep(0.3)\nprint('ended')"
    ))
    .await
    else {
        return;
    };
    assert_eq!(said(&ended), "ended");
    assert_eq!(alive(&marker), 0, "a daemon lives");
}

/// How many processes are called so.
fn alive(name: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter(|entry| {
            let path = entry.as_ref().unwrap().path().join("cmdline");
            fs::read_to_string(path).is_ok_and(|line| line.starts_with(name))
        })
        .count()
}

async fn until(what: impl Fn() -> bool) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while !what() {
        ticks.tick().await;
    }
}

#[tokio::test]
async fn dies_with_whoever_made_it() {
    const MARKER: &str = "MIRA_BOX_TEST_MARKER";
    let given = variables().find_map(|(name, value)| (name == MARKER).then_some(value));
    if let Some(marker) = given {
        // The process that is killed.
        let code = format!("import os\nos.execv('/bin/sh', [{marker:?}, '-c', 'while :; do sleep 1; done'])");
        run(&code).await;
        return;
    }
    if boxed(Limits::default()).await.is_none() {
        return;
    }
    let marker = format!("mira-box-orphan-{}", std::process::id());
    let mut mira = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "escape::dies_with_whoever_made_it"])
        .env(MARKER, &marker)
        .spawn()
        .unwrap();
    until(|| alive(&marker) == 1).await;
    mira.kill().unwrap();
    mira.wait().unwrap();
    until(|| alive(&marker) == 0).await;
}
