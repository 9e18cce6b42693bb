//! The system calls that code in the box may not make, as the program the kernel checks each call with (classic BPF, see
//! `Documentation/userspace-api/seccomp_filter.rst` of the kernel). It is given to the runner, which installs it before
//! any code of the model's runs; children inherit it and nobody can take it off.
//!
//! The namespaces keep the code away from everything that is not its own; the filter keeps it away from those parts of
//! the kernel that hold no counts against a process (memory files, System V memory), reach past namespaces (keys, tracing,
//! vsock), or have been doors out before (io_uring, bpf, user namespaces).

use libc::c_long;

/// One instruction: code, jump if true, jump if false, value.
pub(crate) type Step = (u16, u8, u8, u32);

const LOAD: u16 = 0x20;
const IF_EQUAL: u16 = 0x15;
const IF_ANY_BIT: u16 = 0x45;
const RETURN: u16 = 0x06;
#[cfg(target_arch = "x86_64")]
const IF_AT_LEAST: u16 = 0x35;

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const FAIL_WITH: u32 = 0x0005_0000;

/// Where `struct seccomp_data` has things.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;

/// Flags of `clone` that make a namespace: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET.
const NEW_NAMESPACE: u32 = 0x7E02_0000;
/// Puts characters into the input of a terminal.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541C;

#[cfg(target_arch = "x86_64")]
const THIS_ARCHITECTURE: Option<u32> = Some(0xC000_003E);
#[cfg(target_arch = "aarch64")]
const THIS_ARCHITECTURE: Option<u32> = Some(0xC000_00B7);
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const THIS_ARCHITECTURE: Option<u32> = None;

/// Calls that are said not to exist: programs then do without.
const UNKNOWN: &[c_long] = &[
    // Its flags lie in memory, where a filter cannot look; the C library falls back to `clone`.
    libc::SYS_clone3,
    // Files in memory that count against no limit.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
];

/// Calls that are refused.
const REFUSED: &[c_long] = &[
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_mount_setattr,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Memory and queues that stay when no process holds them.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_semget,
    libc::SYS_msgget,
    libc::SYS_mq_open,
    // The kernel itself.
    libc::SYS_bpf,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_personality,
    libc::SYS_vhangup,
    libc::SYS_fanotify_init,
    // Files by number instead of by path.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // Memory of other nodes.
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

/// The filter for this processor; `None` where none was written for it.
pub(crate) fn program() -> Option<Vec<Step>> {
    let architecture = THIS_ARCHITECTURE?;
    let mut steps = vec![
        (LOAD, 0, 0, ARCHITECTURE),
        (IF_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ];
    // The x32 calls have numbers of their own.
    #[cfg(target_arch = "x86_64")]
    steps.extend([(IF_AT_LEAST, 0, 1, 0x4000_0000), (RETURN, 0, 0, fail(libc::EPERM))]);
    for (calls, error) in [(UNKNOWN, libc::ENOSYS), (REFUSED, libc::EPERM)] {
        for call in calls {
            steps.extend([(IF_EQUAL, 0, 1, number(*call)), (RETURN, 0, 0, fail(error))]);
        }
    }
    steps.extend([
        (IF_EQUAL, 0, 4, number(libc::SYS_clone)),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (IF_ANY_BIT, 0, 1, NEW_NAMESPACE),
        (RETURN, 0, 0, fail(libc::EPERM)),
        (RETURN, 0, 0, ALLOW),
    ]);
    // Sockets within the box only; there is no network, and some families (vsock, netlink) know no namespaces.
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        steps.extend([
            (IF_EQUAL, 0, 4, number(call)),
            (LOAD, 0, 0, FIRST_ARGUMENT),
            (IF_EQUAL, 1, 0, libc::AF_UNIX.unsigned_abs()),
            (RETURN, 0, 0, fail(libc::EAFNOSUPPORT)),
            (RETURN, 0, 0, ALLOW),
        ]);
    }
    steps.extend([
        (IF_EQUAL, 0, 5, number(libc::SYS_ioctl)),
        (LOAD, 0, 0, SECOND_ARGUMENT),
        (IF_EQUAL, 1, 0, TIOCSTI),
        (IF_EQUAL, 0, 1, TIOCLINUX),
        (RETURN, 0, 0, fail(libc::EPERM)),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ALLOW),
    ]);
    Some(steps)
}

fn fail(error: i32) -> u32 {
    FAIL_WITH | error.unsigned_abs()
}

/// All numbers of system calls are small.
fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn answer(architecture: u32, call: c_long, arguments: [u32; 2]) -> u32 {
        let steps = program().unwrap();
        let (mut at, mut value) = (0, 0);
        loop {
            let (code, yes, no, k) = steps[at];
            at += 1;
            let held = match code {
                LOAD => {
                    value = match k {
                        NUMBER => number(call),
                        ARCHITECTURE => architecture,
                        FIRST_ARGUMENT => arguments[0],
                        SECOND_ARGUMENT => arguments[1],
                        other => panic!("loads {other}"),
                    };
                    continue;
                }
                RETURN => return k,
                IF_EQUAL => value == k,
                IF_ANY_BIT => value & k != 0,
                0x35 => value >= k,
                other => panic!("unknown code {other:#x}"),
            };
            at += usize::from(if held { yes } else { no });
        }
    }

    #[test]
    fn each_call_gets_its_answer() {
        let here = THIS_ARCHITECTURE.unwrap();
        let check = |call, arguments, expected| assert_eq!(answer(here, call, arguments), expected, "{call}");
        for call in [
            libc::SYS_read,
            libc::SYS_openat,
            libc::SYS_execve,
            libc::SYS_wait4,
            libc::SYS_futex,
        ] {
            check(call, [0, 0], ALLOW);
        }
        for call in UNKNOWN {
            check(*call, [0, 0], fail(libc::ENOSYS));
        }
        for call in REFUSED {
            check(*call, [0, 0], fail(libc::EPERM));
        }
        // A thread, a process, and each kind of namespace.
        check(libc::SYS_clone, [0x003d_0f00, 0], ALLOW);
        check(libc::SYS_clone, [17, 0], ALLOW);
        for bit in [17, 25, 26, 27, 28, 29, 30] {
            check(libc::SYS_clone, [(1 << bit) + 17, 0], fail(libc::EPERM));
        }
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            check(call, [1, 0], ALLOW);
            for family in [0, 2, 10, 16, 17, 38, 40] {
                check(call, [family, 0], fail(libc::EAFNOSUPPORT));
            }
        }
        check(libc::SYS_ioctl, [0, 0x5401], ALLOW);
        check(libc::SYS_ioctl, [0, TIOCSTI], fail(libc::EPERM));
        check(libc::SYS_ioctl, [0, TIOCLINUX], fail(libc::EPERM));
        assert_eq!(answer(0x4000_0003, libc::SYS_read, [0, 0]), KILL_PROCESS);
    }
}
