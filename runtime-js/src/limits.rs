//! Heap and array buffers, bounded from outside the isolate. The one place with `unsafe` code.
#![allow(unsafe_code)]

use std::{
    alloc::Layout,
    ffi::c_void,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Watches the memory of one isolate, and ends what it runs when that goes over the limit.
pub(crate) struct HeapGuard {
    limit_bytes: usize,
    exceeded: AtomicBool,
    /// Bytes in array buffers now.
    buffers: AtomicUsize,
    buffer_refused: AtomicBool,
    isolate: OnceLock<v8::IsolateHandle>,
}

impl HeapGuard {
    pub(crate) fn new(limit_bytes: usize) -> HeapGuard {
        HeapGuard {
            limit_bytes: limit_bytes.max(MIN_HEAP_BYTES),
            exceeded: AtomicBool::new(false),
            buffers: AtomicUsize::new(0),
            buffer_refused: AtomicBool::new(false),
            isolate: OnceLock::new(),
        }
    }

    /// An isolate that this guard watches.
    pub(crate) fn new_isolate(self: &Arc<HeapGuard>) -> v8::OwnedIsolate {
        let handle = Arc::into_raw(Arc::clone(self));
        // SAFETY: `handle` came from `Arc::into_raw` and is given back by the table's `drop`, which V8 calls once,
        // when the last user of the allocator is gone. `HeapGuard` is `Send + Sync`.
        let allocator = unsafe { v8::new_rust_allocator(handle, &ALLOCATOR) };
        let params = v8::CreateParams::default()
            .heap_limits(0, self.limit_bytes)
            .array_buffer_allocator(allocator.make_shared());
        let mut isolate = v8::Isolate::new(params);
        let _ = self.isolate.set(isolate.thread_safe_handle());
        // The allocator holds the guard for as long as the isolate lives, so the pointer stays good.
        isolate.add_near_heap_limit_callback(near_heap_limit, Arc::as_ptr(self).cast_mut().cast());
        isolate
    }

    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Whether the heap went over its limit.
    pub(crate) fn exceeded(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Whether an array buffer was refused for want of room.
    pub(crate) fn buffer_refused(&self) -> bool {
        self.buffer_refused.load(Ordering::Relaxed)
    }

    /// Whether the isolate is not worth another cell.
    pub(crate) fn spent(&self, isolate: &mut v8::Isolate) -> bool {
        self.buffer_refused.store(false, Ordering::Relaxed);
        self.exceeded()
            || isolate.get_heap_statistics().used_heap_size() + self.buffers.load(Ordering::Relaxed)
                > MAX_KEPT_HEAP_BYTES.min(self.limit_bytes / 4)
    }

    fn reserve(&self, bytes: usize) -> bool {
        let reserved = self.buffers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            now.checked_add(bytes).filter(|&sum| sum <= self.limit_bytes)
        });
        if reserved.is_err() {
            self.buffer_refused.store(true, Ordering::Relaxed);
        }
        reserved.is_ok()
    }

    fn allocate(&self, len: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
        let Ok(layout) = Layout::from_size_align(len.max(1), BUFFER_ALIGN) else {
            return std::ptr::null_mut();
        };
        if !self.reserve(len) {
            return std::ptr::null_mut();
        }
        // SAFETY: the layout's size is not zero.
        let data = unsafe { allocate(layout) };
        if data.is_null() {
            self.buffers.fetch_sub(len, Ordering::Relaxed);
        }
        data.cast()
    }
}

unsafe extern "C" fn allocate(guard: &HeapGuard, len: usize) -> *mut c_void {
    guard.allocate(len, std::alloc::alloc_zeroed)
}

unsafe extern "C" fn allocate_uninitialized(guard: &HeapGuard, len: usize) -> *mut c_void {
    guard.allocate(len, std::alloc::alloc)
}

unsafe extern "C" fn free(guard: &HeapGuard, data: *mut c_void, len: usize) {
    guard.buffers.fetch_sub(len, Ordering::Relaxed);
    if let Ok(layout) = Layout::from_size_align(len.max(1), BUFFER_ALIGN) {
        // SAFETY: V8 frees what `allocate` gave it, with the length it asked for.
        unsafe { std::alloc::dealloc(data.cast(), layout) };
    }
}

unsafe extern "C" fn drop_guard(guard: *const HeapGuard) {
    // SAFETY: the pointer that `new_isolate` made with `Arc::into_raw`; V8 gives it back once.
    drop(unsafe { Arc::from_raw(guard) });
}

/// Ends what runs, and gives V8 the room to get there: without it, V8 would end the process.
unsafe extern "C" fn near_heap_limit(guard: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: the pointer is the `HeapGuard` that the isolate's allocator keeps alive.
    let guard = unsafe { &*guard.cast::<HeapGuard>() };
    guard.exceeded.store(true, Ordering::Relaxed);
    if let Some(isolate) = guard.isolate.get() {
        isolate.terminate_execution();
    }
    current.saturating_add(HEAP_OVERSHOOT_BYTES)
}

static ALLOCATOR: v8::RustAllocatorVtable<HeapGuard> =
    v8::RustAllocatorVtable { allocate, allocate_uninitialized, free, drop: drop_guard };

/// V8 does not start in less.
const MIN_HEAP_BYTES: usize = 4 << 20;

/// What a C allocator aligns to.
const BUFFER_ALIGN: usize = 16;

/// One built-in allocation can be of this order (`Array(3e7).fill(1.1)` takes 240 MB, `JSON.stringify` of a large
/// array 1.2 GB), and V8 interrupts a cell only between such steps.
const HEAP_OVERSHOOT_BYTES: usize = 8 << 30;

/// An isolate that holds more than this after a cell is not kept for the next.
const MAX_KEPT_HEAP_BYTES: usize = 32 << 20;
