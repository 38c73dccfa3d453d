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

/// Asks for large pages under much memory that is about to be written to for the first time: with small ones 60 MB are 15,000 faults, which
/// take longer than what is written. What is less than [`LEAST_BYTES`] is left as it is.
pub(crate) fn in_large_pages(fresh: &mut [u8]) {
    #[cfg(target_os = "linux")]
    if let Some(pages) = whole_pages(fresh) {
        // SAFETY: the pages are within the slice, which is borrowed for writing, and the advice changes no byte. A kernel without large
        // pages refuses it.
        unsafe {
            libc::madvise(pages.as_mut_ptr().cast(), pages.len(), libc::MADV_HUGEPAGE);
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = fresh;
}

/// The whole pages in it, if they are worth it.
#[cfg(target_os = "linux")]
fn whole_pages(slice: &mut [u8]) -> Option<&mut [u8]> {
    let page = rustix::param::page_size();
    let before = slice.as_ptr().align_offset(page);
    let inside = slice.get_mut(before..)?;
    let len = inside.len() / page * page;
    (len >= LEAST_BYTES).then(|| &mut inside[..len])
}

/// From here on the C library gives each block a mapping of its own, which ends with it; below, the advice would hold for whoever has
/// the memory next.
#[cfg(target_os = "linux")]
const LEAST_BYTES: usize = 32 << 20;

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
    fn whole_pages_of_much_memory_are_large() {
        let page = rustix::param::page_size();
        assert!(whole_pages(&mut []).is_none());
        assert!(whole_pages(&mut vec![0_u8; LEAST_BYTES - 1]).is_none());
        let mut much = vec![0_u8; LEAST_BYTES + 3 * page + 1];
        for skipped in [0, 1, page - 1, page] {
            let slice = &mut much[skipped..];
            let range = slice.as_ptr_range();
            let pages = whole_pages(slice).unwrap().as_ptr_range();
            assert_eq!((pages.start.addr() % page, pages.end.addr() % page), (0, 0));
            assert!(range.start <= pages.start && pages.end <= range.end);
            assert!(pages.start.addr() - range.start.addr() < page);
            assert!(range.end.addr() - pages.end.addr() < page);
        }
        in_large_pages(&mut much);
        assert!(much.iter().all(|&byte| byte == 0));
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
