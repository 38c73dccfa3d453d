//! The system calls that a worker may make.
//!
//! - What is not on [`ALLOWED`] fails with `EPERM`. Not death: V8, Rust's library and the C library ask for optional things
//!   that differ between their versions and kernels (a look into `/sys` for the number of processors, a name for a
//!   mapping), and go on without.
//! - What is on [`HOSTILE`] ends the process with `SIGSYS`. None of the three ever asks for those, so whoever does is
//!   not them, and shall not have a second try.
//! - `clone3` fails with `ENOSYS`: it keeps its flags in memory, where a filter cannot look. The C library then uses `clone`,
//!   whose flags are in a register.
//!
//! What was made for another instruction set ends the process as well: that is checked first.
//!
//! One program says all of that, and finds a call's answer by halves. The kernel compiles it in each worker, and runs it for each call that
//! there is, to know which are always allowed: three programs that compared a call with all of a list took 0.45 ms, and this one 0.1.

use std::collections::BTreeMap;

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS,
};
use seccompiler::{BpfProgram, apply_filter_all_threads, sock_filter};

/// The filter, for all threads of this process and those to come.
#[derive(Debug)]
pub(super) struct Filter(BpfProgram);

impl Filter {
    /// Of this process.
    pub(super) fn new() -> Filter {
        Filter(program(&calls(std::process::id())))
    }

    /// From here on it holds.
    pub(super) fn put_up(&self) -> Result<(), seccompiler::Error> {
        apply_filter_all_threads(&self.0)
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Allow,
    Refuse(i32),
    Kill,
}

/// What becomes of a call with certain arguments: the answer of the first case all of whose conditions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Call {
    cases: Vec<(Vec<Condition>, Answer)>,
    otherwise: Answer,
}

impl From<Answer> for Call {
    fn from(otherwise: Answer) -> Call {
        Call { cases: Vec::new(), otherwise }
    }
}

/// All calls of the process `pid` that are not just refused.
fn calls(pid: u32) -> BTreeMap<u32, Call> {
    let of = |calls: &[i64], answer: Answer| -> Vec<(i64, Call)> {
        calls.iter().map(|&call| (call, Call::from(answer))).collect()
    };
    let no_clone3 = of(&[libc::SYS_clone3], Answer::Refuse(libc::ENOSYS));
    let all = of(ALLOWED, Answer::Allow).into_iter().chain(of(HOSTILE, Answer::Kill));
    let all = all.chain(no_clone3).chain(conditional(pid));
    all.filter_map(|(call, answer)| Some((u32::try_from(call).ok()?, answer))).collect()
}

/// As the kernel runs it.
fn program(calls: &BTreeMap<u32, Call>) -> BpfProgram {
    // From which number on each answer holds, until the next.
    let mut ranges: Vec<(u32, Call)> = vec![(0, REFUSED.into())];
    let mut add = |from: u32, call: Call| match ranges.last_mut() {
        Some((start, last)) if *start == from => *last = call,
        _ => ranges.push((from, call)),
    };
    for (&number, call) in calls {
        add(number, call.clone());
        add(number + 1, REFUSED.into());
    }
    ranges.dedup_by(|next, before| next.1 == before.1);
    let mut program = Backwards::default();
    let found = program.search(&ranges);
    let foreign = program.answer(Answer::Kill);
    program.skip_to(found);
    let number = program.load(NUMBER_OFFSET);
    program.branch(BPF_JEQ, ARCHITECTURE, number, foreign);
    program.load(ARCHITECTURE_OFFSET);
    program.steps.reverse();
    program.steps
}

/// A program that is made from its end to its beginning, for it jumps forwards alone: where a jump leads is there before the jump.
#[derive(Default)]
struct Backwards {
    steps: BpfProgram,
    /// Where the first of the steps is that give an answer.
    answers: BTreeMap<Answer, Place>,
}

/// Of a step: how many come after it.
type Place = usize;

impl Backwards {
    /// Finds the range in which the number is that was loaded.
    fn search(&mut self, ranges: &[(u32, Call)]) -> Place {
        if let [(_, call)] = ranges {
            return self.decide(call);
        }
        let (lower, upper) = ranges.split_at(ranges.len() / 2);
        let from = upper.first().map_or(0, |&(from, _)| from);
        let upper = self.search(upper);
        let lower = self.search(lower);
        self.branch(BPF_JGE, from, upper, lower)
    }

    /// Looks at the arguments.
    fn decide(&mut self, call: &Call) -> Place {
        let mut otherwise = self.answer(call.otherwise);
        for (conditions, then) in call.cases.iter().rev() {
            let then = self.answer(*then);
            let halves = conditions.iter().rev().flat_map(|condition| condition.halves()).flatten();
            otherwise = halves.fold(then, |holds, half| self.check(&half, holds, otherwise));
        }
        otherwise
    }

    fn check(&mut self, half: &Half, holds: Place, fails: Place) -> Place {
        self.branch(BPF_JEQ, half.value, holds, fails);
        if half.mask != u32::MAX {
            self.push(BPF_ALU | BPF_AND | BPF_K, half.mask, 0, 0);
        }
        self.load(half.offset)
    }

    fn branch(&mut self, comparison: u32, with: u32, yes: Place, no: Place) -> Place {
        let (yes, no) = (self.near(yes), self.near(no));
        let over = |place| u8::try_from(self.steps.len() - place - 1).unwrap_or(u8::MAX);
        let (yes, no) = (over(yes), over(no));
        self.push(BPF_JMP | BPF_K | comparison, with, yes, no)
    }

    fn answer(&mut self, answer: Answer) -> Place {
        if let Some(&place) = self.answers.get(&answer)
            && self.is_near(place)
        {
            return place;
        }
        let value = match answer {
            Answer::Allow => SECCOMP_RET_ALLOW,
            Answer::Refuse(code) => SECCOMP_RET_ERRNO | code.unsigned_abs(),
            Answer::Kill => SECCOMP_RET_KILL_PROCESS,
        };
        let place = self.push(BPF_RET | BPF_K, value, 0, 0);
        self.answers.insert(answer, place);
        place
    }

    /// What leads there, from where a branch reaches it.
    fn near(&mut self, place: Place) -> Place {
        if self.is_near(place) { place } else { self.skip(place) }
    }

    /// Whether a branch reaches it that comes next but one at the most.
    fn is_near(&self, place: Place) -> bool {
        self.steps.len() - place < usize::from(u8::MAX)
    }

    /// Has what comes before go on there.
    fn skip_to(&mut self, place: Place) {
        if place + 1 < self.steps.len() {
            self.skip(place);
        }
    }

    fn skip(&mut self, place: Place) -> Place {
        let over = u32::try_from(self.steps.len() - place - 1).unwrap_or(u32::MAX);
        self.push(BPF_JMP | BPF_JA, over, 0, 0)
    }

    /// Loads 32 bits of the kernel's `seccomp_data`.
    fn load(&mut self, offset: u32) -> Place {
        self.push(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0)
    }

    fn push(&mut self, code: u32, k: u32, jt: u8, jf: u8) -> Place {
        // All codes fit.
        self.steps.push(sock_filter { code: (code & 0xffff) as u16, jt, jf, k });
        self.steps.len() - 1
    }
}

/// Calls that depend on their arguments.
fn conditional(pid: u32) -> Vec<(i64, Call)> {
    let allow = |conditions: &[Condition]| (conditions.to_vec(), Answer::Allow);
    let one =
        |conditions: &[Condition]| Call { cases: vec![allow(conditions)], otherwise: REFUSED };
    let any_of = |argument: u8, values: &[u64]| Call {
        cases: values.iter().map(|&value| allow(&[masked(argument, ALL_BITS, value)])).collect(),
        otherwise: REFUSED,
    };
    // A signal to another process is hostile; `abort` sends itself one.
    let to_itself = Call {
        cases: vec![allow(&[masked(0, PID_BITS, u64::from(pid))])],
        otherwise: Answer::Kill,
    };
    let thread = flag(libc::CLONE_THREAD);
    vec![
        // A thread of this process, in its name spaces. A process instead of a thread is hostile.
        (
            libc::SYS_clone,
            Call {
                cases: vec![
                    allow(&[masked(0, THREAD | NAME_SPACES, THREAD)]),
                    (vec![masked(0, thread, thread)], REFUSED),
                ],
                otherwise: Answer::Kill,
            },
        ),
        // Private memory alone, which is what the limit on memory counts.
        (libc::SYS_mmap, one(&[masked(3, flag(libc::MAP_SHARED | libc::MAP_GROWSDOWN), 0)])),
        (libc::SYS_tgkill, to_itself.clone()),
        (libc::SYS_kill, to_itself),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    argument: u8,
    mask: u64,
    value: u64,
}

/// The same for 32 of its bits, which is what a filter can look at.
struct Half {
    offset: u32,
    mask: u32,
    value: u32,
}

fn masked(argument: u8, mask: u64, value: u64) -> Condition {
    Condition { argument, mask, value }
}

impl Condition {
    /// Those that say something.
    fn halves(&self) -> [Option<Half>; 2] {
        let offset = ARGUMENTS_OFFSET + 8 * u32::from(self.argument);
        // The lower half comes first on all processors that there is a filter for.
        [(offset, 0), (offset + 4, 32)].map(|(offset, shift)| {
            let half = |bits: u64| (bits >> shift & 0xffff_ffff) as u32;
            let (mask, value) = (half(self.mask), half(self.value));
            (mask != 0).then_some(Half { offset, mask, value })
        })
    }
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

/// What is not on any list.
const REFUSED: Answer = Answer::Refuse(libc::EPERM);

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

/// Where the kernel's `seccomp_data` has what a filter looks at, in bytes.
const NUMBER_OFFSET: u32 = 0;
const ARCHITECTURE_OFFSET: u32 = 4;
const ARGUMENTS_OFFSET: u32 = 16;

/// The instruction set of this program: `AUDIT_ARCH` of `linux/audit.h`.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;

/// A process's number is an `int`; what is above it in the register means nothing.
const PID_BITS: u64 = 0xffff_ffff;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PID: u32 = 4321;

    /// The lowest of the bits that a filter sees by themselves.
    const HIGH: u64 = 1 << 32;

    /// What the filter says of a call.
    fn ask(call: i64, arguments: [u64; 6]) -> Answer {
        ask_as(call, arguments, ARCHITECTURE).0
    }

    /// And in how many steps.
    fn ask_as(call: i64, arguments: [u64; 6], architecture: u32) -> (Answer, usize) {
        let mut data = Vec::new();
        data.extend(u32::try_from(call).unwrap().to_le_bytes());
        data.extend(architecture.to_le_bytes());
        data.extend(0u64.to_le_bytes());
        for argument in arguments {
            data.extend(argument.to_le_bytes());
        }
        let (answer, steps) = run(&program(&calls(PID)), &data);
        let answer = match answer & 0xffff_0000 {
            0x7fff_0000 => Answer::Allow,
            0x0005_0000 => Answer::Refuse((answer & 0xffff).cast_signed()),
            0x8000_0000 => Answer::Kill,
            other => panic!("action {other:x}"),
        };
        (answer, steps)
    }

    /// The part of the kernel's BPF machine that filters of system calls use.
    fn run(program: &BpfProgram, data: &[u8]) -> (u32, usize) {
        let mut at = 0;
        let mut a = 0u32;
        for steps in 1.. {
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
                0x35 => jump(a >= op.k),
                0x06 => return (op.k, steps),
                code => panic!("operation {code:x}"),
            }
        }
        unreachable!("programs end")
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
    fn an_answer_is_found_in_few_steps() {
        let conditional: Vec<i64> = conditional(PID).into_iter().map(|(call, _)| call).collect();
        for call in (0..1000).filter(|call| !conditional.contains(call)) {
            let steps = ask_as(call, [0; 6], ARCHITECTURE).1;
            assert!(steps <= 16, "call {call}: {steps}");
        }
        // To compile it takes the kernel 0.3 µs a step.
        let steps = program(&calls(PID)).len();
        assert!(steps < 250, "{steps}");
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
            assert_eq!(ask_as(call, [0; 6], I386).0, Answer::Kill, "call {call}");
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
            // The kernel takes 32 bits of a process's number.
            (
                "its own end, in more bits",
                libc::SYS_kill,
                [own | HIGH, 9, 0, 0, 0, 0],
                Answer::Allow,
            ),
            ("own limits", libc::SYS_prlimit64, [0, 3, 0, 1, 0, 0], Answer::Allow),
            ("setting own limits", libc::SYS_prlimit64, [0, 3, 1, 0, 0, 0], refused()),
            ("another's limits", libc::SYS_prlimit64, [1, 3, 0, 1, 0, 0], refused()),
            ("limits of what is not 0", libc::SYS_prlimit64, [HIGH, 3, 0, 1, 0, 0], refused()),
            ("limits from high up", libc::SYS_prlimit64, [0, 3, HIGH, 0, 0, 0], refused()),
            ("send", libc::SYS_sendto, [0, 1, 1, 0, 0, 0], Answer::Allow),
            ("send to an address", libc::SYS_sendto, [0, 1, 1, 0, 1, 16], refused()),
            ("send to one high up", libc::SYS_sendto, [0, 1, 1, 0, HIGH, 16], refused()),
            ("a mapping's name", libc::SYS_prctl, [0x5356_4d41, 0, 0, 0, 0, 0], Answer::Allow),
            ("a wait for nothing", libc::SYS_ioctl, [0, libc::FIONBIO, 1, 0, 0, 0], Answer::Allow),
            (
                "the same in more bits",
                libc::SYS_ioctl,
                [0, libc::FIONBIO | HIGH, 1, 0, 0, 0],
                refused(),
            ),
            ("a second descriptor", libc::SYS_fcntl, [0, 1030, 3, 0, 0, 0], Answer::Allow),
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
