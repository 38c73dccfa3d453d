//! Memory by way of the system: what is free and still the process's is given back, and much is taken in large pages.
//!
//! Isolates live on threads of their own, and the GNU C library has a heap for each few threads. When an isolate has ended, the 1.2 MB
//! that its thread's heap held for it are free, for whoever has the same heap next, but remain the process's: something small
//! lies above them. So the library is asked to look for whole pages.
#![allow(unsafe_code)]

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

/// Gives back what is free once no thread has asked for it for a moment: those that end together ask for it together, and who
/// starts again at once shall find the memory where it was. For threads that have nothing else to do: one of those that ask
/// waits for that moment.
pub(crate) fn give_back_in_a_moment() {
    ASKED.fetch_add(1, Ordering::SeqCst);
    if IS_AWAITED.swap(true, Ordering::SeqCst) {
        return;
    }
    loop {
        let asked = ASKED.load(Ordering::SeqCst);
        thread::sleep(MOMENT);
        if ASKED.load(Ordering::SeqCst) == asked {
            break;
        }
    }
    // Before what is free is looked for: whoever asks from here on waits for a moment of their own.
    IS_AWAITED.store(false, Ordering::SeqCst);
    give_back();
}

/// Gives back what is free: a millisecond for some ten megabytes.
pub(crate) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer. It takes the locks of the library's heaps as `malloc` does, and touches only what is free in them.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Asks for large pages under memory that is about to be written to for the first time: with small ones 60 MB are 15,000 faults, which take
/// longer than what is written.
pub(crate) fn in_large_pages<T>(fresh: &mut [T]) {
    #[cfg(target_os = "linux")]
    {
        let page = rustix::param::page_size();
        let (start, len) = (fresh.as_mut_ptr().cast::<u8>(), size_of_val(fresh));
        let before = start.align_offset(page);
        let len = len.saturating_sub(before) / page * page;
        if len < LARGE_PAGE_BYTES {
            return;
        }
        // SAFETY: `before + len` bytes are within the slice, which is borrowed for writing, and the advice changes none of them. A kernel
        // without large pages refuses it.
        unsafe {
            libc::madvise(start.add(before).cast(), len, libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = fresh;
}

/// The smallest on common processors.
#[cfg(target_os = "linux")]
const LARGE_PAGE_BYTES: usize = 2 << 20;

/// How often it was asked for.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Whether a thread waits for the moment.
static IS_AWAITED: AtomicBool = AtomicBool::new(false);

const MOMENT: Duration = Duration::from_millis(100);

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs::File, os::unix::fs::FileExt as _};

    use super::*;

    #[test]
    fn what_lies_between_things_in_use_is_given_back() {
        if std::env::var_os(crate::tests::LOCKED).is_some() {
            // No file tells of pages there.
            return;
        }
        let pieces: Vec<Vec<u8>> = (0..512).map(|_| vec![1; 64 << 10]).collect();
        let (kept, freed): (Vec<_>, Vec<_>) =
            pieces.into_iter().enumerate().partition(|(index, _)| index % 16 == 0);
        let addresses: Vec<usize> = freed.iter().map(|(_, piece)| piece.as_ptr().addr()).collect();
        assert_eq!(present(&addresses), 480);
        drop(freed);
        give_back();
        // Other tests may have taken some already.
        let left = present(&addresses);
        assert!(left < 120, "{left} pages are still there");
        drop(kept);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn advice_is_for_what_is_there_alone() {
        for len in [0, 1, 4095, 4096, LARGE_PAGE_BYTES, LARGE_PAGE_BYTES + 4096 + 1, 5 << 20] {
            let mut bytes = vec![7; len];
            in_large_pages(&mut bytes);
            assert!(bytes.iter().all(|&byte| byte == 7));
            let mut room: Vec<u64> = Vec::with_capacity(len);
            in_large_pages(room.spare_capacity_mut());
        }
    }

    /// How many of these addresses have a page. The kernel keeps a word for each page of the process, the highest bit of which tells.
    fn present(addresses: &[usize]) -> usize {
        let map = File::open("/proc/self/pagemap").unwrap();
        let has_page = |address: usize| {
            let mut word = [0; 8];
            let page = (address + rustix::param::page_size()) / rustix::param::page_size();
            map.read_exact_at(&mut word, page as u64 * 8).unwrap();
            u64::from_ne_bytes(word) >> 63 == 1
        };
        addresses.iter().filter(|&&address| has_page(address)).count()
    }
}
