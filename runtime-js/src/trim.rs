//! Memory that is free and still the process's, given back to the system.
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
pub(crate) fn in_a_moment() {
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
    now();
}

/// Gives back what is free: a millisecond for some ten megabytes.
pub(crate) fn now() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointer. It takes the locks of the library's heaps as `malloc` does, and touches only what is free in them.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// How often it was asked for.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Whether a thread waits for the moment.
static IS_AWAITED: AtomicBool = AtomicBool::new(false);

const MOMENT: Duration = Duration::from_millis(100);

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs::File, os::unix::fs::FileExt as _};

    use super::now;

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
        now();
        // Other tests may have taken some already.
        let left = present(&addresses);
        assert!(left < 120, "{left} pages are still there");
        drop(kept);
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
