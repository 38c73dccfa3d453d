//! A copy of this process. One of the four modules with `unsafe` code.
#![allow(unsafe_code)]

use std::ptr;

use rustix::{io::Errno, process::Pid};

/// Copies this process, which must have one thread. Returns the copy's number here, and `None` in the copy.
///
/// The copy's parent is the parent of this process: its thread that started this one, which waits for the copy, and whose end is the
/// copy's death if that asks for it.
///
/// # Errors
/// When the system does not let it: `EAGAIN` where there may be no more processes.
pub(super) fn fork_sibling() -> Result<Option<Pid>, Errno> {
    // Where the C library keeps the number of this thread, and what it has the kernel clear at the thread's end. Kernels built
    // without `CHECKPOINT_RESTORE` do not tell. The copy then has this thread's number there, which is as good as its own for
    // telling it from those that it starts.
    let mut tid: *mut libc::c_int = ptr::null_mut();
    // SAFETY: the kernel writes one address to where the argument points, or fails.
    let told = unsafe { libc::prctl(libc::PR_GET_TID_ADDRESS, &raw mut tid) } == 0
        // Others have something else there: musl a lock.
        && cfg!(target_env = "gnu");
    let mut flags = libc::CLONE_PARENT | libc::SIGCHLD;
    if told && !tid.is_null() {
        flags |= libc::CLONE_CHILD_SETTID | libc::CLONE_CHILD_CLEARTID;
    }
    // SAFETY: without `CLONE_VM` the copy has memory of its own, and without a stack it goes on where it is. As there is one thread,
    // nothing in that memory is half done by another: no lock is held, and no list torn. What the C library's own `fork` does
    // beyond that is for locks and arenas of other threads, handlers that nobody has registered here, and the number that the
    // kernel writes to `tid`, which is memory of the copy's own main thread.
    let pid = unsafe { clone(flags, tid) };
    match pid {
        -1 => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)),
        pid => Ok(Pid::from_raw(pid.try_into().unwrap_or_default())),
    }
}

/// Takes address space of a random size, and leaves it: what is mapped from here on, such as V8's room for code and the stacks of threads, lies
/// elsewhere than in other copies of the same process.
pub(super) fn move_mappings() {
    let mut random = [0; 4];
    if rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty()) != Ok(4) {
        return;
    }
    // Up to a terabyte, of the 128 that there are, in steps of a page of 4 KiB.
    let bytes = (u32::from_ne_bytes(random) as usize >> 4).max(1) << 12;
    // SAFETY: the kernel chooses where, and nothing is there yet. Nobody can read or write it. That it cannot be had, by a limit on address
    // space, is no harm.
    unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
    }
}

/// The arguments come in an order of the processor's own.
///
/// # Safety
/// As for `clone(2)`.
unsafe fn clone(flags: libc::c_int, child_tid: *mut libc::c_int) -> libc::c_long {
    let none = ptr::null_mut::<libc::c_void>();
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's.
    return unsafe { libc::syscall(libc::SYS_clone, flags, none, none, child_tid, none) };
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: the caller's.
    return unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, child_tid) };
}
