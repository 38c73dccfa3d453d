//! The system calls that a worker may make.
//!
//! Three filters, of which the strictest answer counts:
//!
//! 1. What is not on [`ALLOWED`] fails with `EPERM`. Not death: V8, Rust's library and the C library ask for optional things
//!    that differ between their versions and kernels (a look into `/sys` for the number of processors, a name for a
//!    mapping), and go on without.
//! 2. What is on [`HOSTILE`] ends the process with `SIGSYS`. None of the three ever asks for those, so whoever does is
//!    not them, and shall not have a second try.
//! 3. `clone3` fails with `ENOSYS`: it keeps its flags in memory, where a filter cannot look. The C library then uses `clone`,
//!    whose flags are in a register.
//!
//! What was made for another instruction set ends the process as well: the first thing that each filter checks.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};

/// The filters, for all threads of this process and those to come.
#[derive(Debug)]
pub(super) struct Filters {
    /// The one that forbids what it takes to add another.
    last: BpfProgram,
}

impl Filters {
    /// Puts up those that V8 does not notice when it starts.
    pub(super) fn begin() -> Result<Filters, seccompiler::Error> {
        let [no_clone3, hostile, last] = programs(std::process::id())?;
        apply_filter_all_threads(&no_clone3)?;
        apply_filter_all_threads(&hostile)?;
        Ok(Filters { last })
    }

    /// Puts up the last.
    pub(super) fn finish(self) -> Result<(), seccompiler::Error> {
        apply_filter_all_threads(&self.last)
    }
}

/// The filters for the process `pid`, in the order in which they can be added.
fn programs(pid: u32) -> Result<[BpfProgram; 3], seccompiler::Error> {
    let errno = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let no_clone3 = filter(
        BTreeMap::from([(libc::SYS_clone3, vec![])]),
        SeccompAction::Allow,
        errno(libc::ENOSYS),
    )?;
    let mut hostile: BTreeMap<i64, Vec<SeccompRule>> =
        HOSTILE.iter().map(|&call| (call, vec![])).collect();
    // A process instead of a thread.
    hostile.insert(libc::SYS_clone, vec![rule(&[masked(0, flag(libc::CLONE_THREAD), 0)])?]);
    // A signal to another process.
    for call in SIGNALS {
        let not_own = SeccompCmpOp::Ne;
        let target = SeccompCondition::new(0, SeccompCmpArgLen::Dword, not_own, u64::from(pid))?;
        hostile.insert(call, vec![SeccompRule::new(vec![target])?]);
    }
    let hostile = filter(hostile, SeccompAction::Allow, SeccompAction::KillProcess)?;
    let mut allowed: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|&call| (call, vec![])).collect();
    for (call, rules) in conditional(pid) {
        let rules = rules.iter().map(|conditions| rule(conditions)).collect::<Result<_, _>>()?;
        allowed.insert(call, rules);
    }
    let allowed = filter(allowed, errno(libc::EPERM), SeccompAction::Allow)?;
    Ok([no_clone3, hostile, allowed])
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, otherwise, matched, architecture)?.try_into()?)
}

/// Calls that depend on their arguments; one of the rules has to hold, with all of its conditions.
fn conditional(pid: u32) -> Vec<(i64, Vec<Vec<Condition>>)> {
    let any_of = |index: u8, values: &[u64]| {
        values.iter().map(|&value| vec![masked(index, ALL_BITS, value)]).collect()
    };
    let one = |conditions: &[Condition]| vec![conditions.to_vec()];
    vec![
        // A thread of this process, in its name spaces.
        (libc::SYS_clone, one(&[masked(0, THREAD | NAME_SPACES, THREAD)])),
        // Private memory alone, which is what the limit on memory counts.
        (libc::SYS_mmap, one(&[masked(3, flag(libc::MAP_SHARED | libc::MAP_GROWSDOWN), 0)])),
        // `abort` sends itself a signal.
        (libc::SYS_tgkill, one(&[masked(0, PID_BITS, u64::from(pid))])),
        (libc::SYS_kill, one(&[masked(0, PID_BITS, u64::from(pid))])),
        (libc::SYS_prctl, any_of(0, &[flag(libc::PR_SET_NAME), flag(libc::PR_SET_VMA)])),
        // To ask for one's own limits, not to set them.
        (libc::SYS_prlimit64, one(&[masked(0, ALL_BITS, 0), masked(2, ALL_BITS, 0)])),
        // To the socket's other end, not to an address.
        (libc::SYS_sendto, one(&[masked(4, ALL_BITS, 0)])),
        (libc::SYS_ioctl, any_of(1, &[libc::FIONBIO])),
        (
            libc::SYS_fcntl,
            any_of(
                1,
                &[
                    flag(libc::F_GETFD),
                    flag(libc::F_SETFD),
                    flag(libc::F_GETFL),
                    flag(libc::F_SETFL),
                    flag(libc::F_DUPFD_CLOEXEC),
                ],
            ),
        ),
    ]
}

/// Some bits of an argument, and what they have to be.
#[derive(Clone, Copy)]
struct Condition {
    argument: u8,
    mask: u64,
    value: u64,
}

fn masked(argument: u8, mask: u64, value: u64) -> Condition {
    Condition { argument, mask, value }
}

fn rule(conditions: &[Condition]) -> Result<SeccompRule, seccompiler::Error> {
    let conditions = conditions.iter().map(|&Condition { argument, mask, value }| {
        let masked = SeccompCmpOp::MaskedEq(mask);
        SeccompCondition::new(argument, SeccompCmpArgLen::Qword, masked, value)
    });
    Ok(SeccompRule::new(conditions.collect::<Result<_, _>>()?)?)
}

/// A flag of C's, as the kernel finds it in a register.
const fn flag(bits: i32) -> u64 {
    bits.unsigned_abs() as u64
}

/// What V8, Rust's library and the C library need once they have started.
const ALLOWED: &[i64] = &[
    // The socket to the host, and the pipe for V8's last words.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_ppoll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_pkey_mprotect,
    // Threads.
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    // V8's locks ask for these, and complain aloud without.
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Signals to itself.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
    // What machine this is, and what was used of it.
    libc::SYS_uname,
    libc::SYS_sysinfo,
    libc::SYS_getrusage,
];

/// What only somebody who wants out asks for.
const HOSTILE: &[i64] = &[
    // Other programs and processes.
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_pidfd_getfd,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    // The network.
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    // Memory with a name, which others could map or execute.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_semget,
    libc::SYS_mq_open,
    // Where the world is.
    libc::SYS_chroot,
    libc::SYS_pivot_root,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    // Who it is.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
    libc::SYS_personality,
    // Parts of the kernel that have been ways into it before.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_fanotify_init,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// What sends a signal to a process, which is the first argument.
const SIGNALS: [i64; 2] = [libc::SYS_kill, libc::SYS_tgkill];

/// What makes `clone` start a thread.
const THREAD: u64 = flag(libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND);

const NAME_SPACES: u64 = flag(
    libc::CLONE_NEWNS
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP,
);

const ALL_BITS: u64 = u64::MAX;

/// A process's number is an `int`; what is above it in the register means nothing.
const PID_BITS: u64 = 0xffff_ffff;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PID: u32 = 4321;

    #[derive(Debug, PartialEq, Eq)]
    enum Answer {
        Allow,
        Refuse(i32),
        Kill,
    }

    /// What the filters say of a call.
    fn ask(call: i64, arguments: [u64; 6]) -> Answer {
        ask_as(
            call,
            arguments,
            if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e },
        )
    }

    fn ask_as(call: i64, arguments: [u64; 6], architecture: u32) -> Answer {
        let mut data = Vec::new();
        data.extend(u32::try_from(call).unwrap().to_le_bytes());
        data.extend(architecture.to_le_bytes());
        data.extend(0u64.to_le_bytes());
        for argument in arguments {
            data.extend(argument.to_le_bytes());
        }
        let answers = programs(PID).unwrap().map(|program| run(&program, &data));
        // As the kernel has it: the lowest action counts, as a signed number; among equals the newest filter.
        let strictest = |a: &u32| (a & 0xffff_0000).cast_signed();
        let answer = answers.into_iter().rev().min_by_key(strictest).unwrap();
        match answer & 0xffff_0000 {
            0x7fff_0000 => Answer::Allow,
            0x0005_0000 => Answer::Refuse((answer & 0xffff).cast_signed()),
            0x8000_0000 => Answer::Kill,
            other => panic!("action {other:x}"),
        }
    }

    /// The part of the kernel's BPF machine that filters of system calls use.
    fn run(program: &BpfProgram, data: &[u8]) -> u32 {
        let mut at = 0;
        let mut a = 0u32;
        loop {
            let op = &program[at];
            at += 1;
            let mut jump = |yes: bool| at += usize::from(if yes { op.jt } else { op.jf });
            match op.code {
                0x20 => {
                    let from = op.k as usize;
                    a = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
                }
                0x54 => a &= op.k,
                0x05 => at += op.k as usize,
                0x15 => jump(a == op.k),
                0x25 => jump(a > op.k),
                0x35 => jump(a >= op.k),
                0x06 => return op.k,
                code => panic!("operation {code:x}"),
            }
        }
    }

    #[test]
    fn every_call_is_allowed_refused_or_deadly_as_the_lists_say() {
        let conditional: Vec<i64> = conditional(PID).into_iter().map(|(call, _)| call).collect();
        // Numbers of today, some of tomorrow, and those with the bit of the x32 instruction set.
        for call in (0..1000).chain(0x4000_0000..0x4000_0400) {
            if conditional.contains(&call) {
                continue;
            }
            let expected = if call == libc::SYS_clone3 {
                Answer::Refuse(libc::ENOSYS)
            } else if ALLOWED.contains(&call) {
                Answer::Allow
            } else if HOSTILE.contains(&call) {
                Answer::Kill
            } else {
                Answer::Refuse(libc::EPERM)
            };
            assert_eq!(ask(call, [0; 6]), expected, "call {call}");
        }
    }

    #[test]
    fn no_call_is_on_two_lists() {
        let conditional = conditional(PID).into_iter().map(|(call, _)| call);
        let mut all: Vec<i64> = ALLOWED.iter().chain(HOSTILE).copied().chain(conditional).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn calls_of_another_instruction_set_are_deadly() {
        const I386: u32 = 0x4000_0003;
        for call in 0..500 {
            assert_eq!(ask_as(call, [0; 6], I386), Answer::Kill, "call {call}");
        }
    }

    #[test]
    fn arguments_count_where_they_can_hurt() {
        let refused = || Answer::Refuse(libc::EPERM);
        let thread = flag(
            libc::CLONE_VM
                | libc::CLONE_FS
                | libc::CLONE_FILES
                | libc::CLONE_SYSVSEM
                | libc::CLONE_SIGHAND
                | libc::CLONE_THREAD
                | libc::CLONE_SETTLS
                | libc::CLONE_PARENT_SETTID
                | libc::CLONE_CHILD_CLEARTID,
        );
        let private = flag(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let own = u64::from(PID);
        let cases = [
            ("a thread", libc::SYS_clone, [thread, 0, 0, 0, 0, 0], Answer::Allow),
            ("a fork", libc::SYS_clone, [flag(libc::SIGCHLD), 0, 0, 0, 0, 0], Answer::Kill),
            (
                "a vfork",
                libc::SYS_clone,
                [flag(libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD), 0, 0, 0, 0, 0],
                Answer::Kill,
            ),
            (
                "a thread in a new name space",
                libc::SYS_clone,
                [thread | flag(libc::CLONE_NEWUSER), 0, 0, 0, 0, 0],
                refused(),
            ),
            ("private memory", libc::SYS_mmap, [0, 4096, 3, private, 0, 0], Answer::Allow),
            (
                "shared memory",
                libc::SYS_mmap,
                [0, 4096, 3, flag(libc::MAP_SHARED | libc::MAP_ANONYMOUS), 0, 0],
                refused(),
            ),
            (
                "a stack that grows",
                libc::SYS_mmap,
                [0, 4096, 3, private | flag(libc::MAP_GROWSDOWN), 0, 0],
                refused(),
            ),
            ("abort", libc::SYS_tgkill, [own, own + 1, 6, 0, 0, 0], Answer::Allow),
            ("its own end", libc::SYS_kill, [own, 9, 0, 0, 0, 0], Answer::Allow),
            ("a signal to a thread", libc::SYS_tgkill, [1, 1, 9, 0, 0, 0], Answer::Kill),
            ("a signal to another", libc::SYS_kill, [1, 9, 0, 0, 0, 0], Answer::Kill),
            ("to its group", libc::SYS_kill, [0, 9, 0, 0, 0, 0], Answer::Kill),
            ("to all", libc::SYS_kill, [u64::MAX, 9, 0, 0, 0, 0], Answer::Kill),
            ("own limits", libc::SYS_prlimit64, [0, 3, 0, 1, 0, 0], Answer::Allow),
            ("setting own limits", libc::SYS_prlimit64, [0, 3, 1, 0, 0, 0], refused()),
            ("another's limits", libc::SYS_prlimit64, [1, 3, 0, 1, 0, 0], refused()),
            ("send", libc::SYS_sendto, [0, 1, 1, 0, 0, 0], Answer::Allow),
            ("send to an address", libc::SYS_sendto, [0, 1, 1, 0, 1, 16], refused()),
            ("a thread's name", libc::SYS_prctl, [15, 1, 0, 0, 0, 0], Answer::Allow),
            ("dumpable", libc::SYS_prctl, [4, 1, 0, 0, 0, 0], refused()),
            ("outlive the host", libc::SYS_prctl, [1, 0, 0, 0, 0, 0], refused()),
            ("typing for the user", libc::SYS_ioctl, [0, libc::TIOCSTI, 1, 0, 0, 0], refused()),
            ("the owner of a socket", libc::SYS_fcntl, [0, 8, 1, 0, 0, 0], refused()),
        ];
        for (what, call, arguments, expected) in cases {
            assert_eq!(ask(call, arguments), expected, "{what}");
        }
    }
}
