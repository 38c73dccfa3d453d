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

use codemode_host_protocol::{Budget, LimitExceeded};
use parking_lot::Mutex;

use crate::meter::Meter;

/// Watches the memory of one isolate, and ends what it runs when that goes over the limit.
pub(crate) struct HeapGuard {
    limit_bytes: usize,
    exceeded: AtomicBool,
    /// The heap as the collector last saw it.
    heap: AtomicUsize,
    heap_peak: AtomicUsize,
    /// Bytes in array buffers now.
    buffers: AtomicUsize,
    buffers_peak: AtomicUsize,
    buffer_limit: AtomicUsize,
    /// Those of them that the tenant's meter counts: not what is left of cells that have ended.
    metered_buffers: AtomicUsize,
    /// Why an array buffer was refused last.
    refused: Mutex<Option<LimitExceeded>>,
    /// The tenant's limit that the heap went over, with those of the other cells.
    tenant_exceeded: OnceLock<LimitExceeded>,
    /// Whether a cell runs. Of what is done for the next one nobody keeps account.
    active: AtomicBool,
    /// What the tenant's cells use. An isolate has one tenant.
    meter: OnceLock<Arc<Meter>>,
    isolate: OnceLock<v8::IsolateHandle>,
}

/// The most memory that a cell had.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    pub(crate) heap_bytes: usize,
    pub(crate) buffer_bytes: usize,
}

impl HeapGuard {
    pub(crate) fn new(limit_bytes: usize) -> HeapGuard {
        HeapGuard {
            limit_bytes: limit_bytes.max(MIN_HEAP_BYTES),
            exceeded: AtomicBool::new(false),
            heap: AtomicUsize::new(0),
            heap_peak: AtomicUsize::new(0),
            buffers: AtomicUsize::new(0),
            buffers_peak: AtomicUsize::new(0),
            buffer_limit: AtomicUsize::new(usize::MAX),
            metered_buffers: AtomicUsize::new(0),
            refused: Mutex::new(None),
            tenant_exceeded: OnceLock::new(),
            active: AtomicBool::new(false),
            meter: OnceLock::new(),
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
            .set_code_range_size_in_bytes(CODE_RANGE_BYTES)
            .array_buffer_allocator(allocator.make_shared());
        let mut isolate = v8::Isolate::new(params);
        let _ = self.isolate.set(isolate.thread_safe_handle());
        // The allocator holds the guard for as long as the isolate lives, so the pointer stays good.
        let guard = Arc::as_ptr(self).cast_mut().cast();
        isolate.add_near_heap_limit_callback(near_heap_limit, guard);
        isolate.add_gc_epilogue_callback(collected, guard, v8::GCType::kGCTypeAll);
        isolate
    }

    /// A cell begins.
    pub(crate) fn begin(&self, meter: Arc<Meter>, buffer_limit: usize) {
        let _ = self.meter.set(meter);
        self.buffer_limit.store(buffer_limit, Ordering::Relaxed);
        self.heap_peak.store(0, Ordering::Relaxed);
        self.buffers_peak.store(0, Ordering::Relaxed);
        *self.refused.lock() = None;
        self.active.store(true, Ordering::Relaxed);
    }

    /// The cell has ended: what it leaves is no part of what its tenant's cells use.
    pub(crate) fn end(&self) -> Peak {
        self.heap_is(0);
        self.active.store(false, Ordering::Relaxed);
        // The next realm is made with what its scripts need.
        self.buffer_limit.store(usize::MAX, Ordering::Relaxed);
        let metered = self.metered_buffers.swap(0, Ordering::Relaxed);
        if let Some(meter) = self.meter.get() {
            meter.give_buffer(metered);
        }
        Peak {
            heap_bytes: self.heap_peak.load(Ordering::Relaxed),
            buffer_bytes: self.buffers_peak.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// What the cells of the isolate's tenant use, once there is one.
    pub(crate) fn meter(&self) -> Arc<Meter> {
        self.meter.get().cloned().unwrap_or_default()
    }

    /// Which limit the heap went over: that of the cell, or that of its tenant.
    pub(crate) fn exceeded(&self) -> Option<LimitExceeded> {
        if self.exceeded.load(Ordering::Relaxed) {
            let used = self.heap_peak.load(Ordering::Relaxed).max(self.limit_bytes);
            let limit = self.limit_bytes as u64;
            return Some(LimitExceeded::of_cell(Budget::Heap, limit, used as u64));
        }
        self.tenant_exceeded.get().copied()
    }

    /// Why an array buffer was refused, if one was.
    pub(crate) fn buffer_refused(&self) -> Option<LimitExceeded> {
        *self.refused.lock()
    }

    /// Whether the isolate is not worth another cell.
    pub(crate) fn spent(&self, isolate: &mut v8::Isolate) -> bool {
        self.exceeded().is_some()
            || isolate.get_heap_statistics().used_heap_size() + self.buffers.load(Ordering::Relaxed)
                > MAX_KEPT_HEAP_BYTES.min(self.limit_bytes / 4)
    }

    fn reserve(&self, bytes: usize) -> Result<(), LimitExceeded> {
        let limit = self.buffer_limit.load(Ordering::Relaxed);
        let reserved = self.buffers.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            now.checked_add(bytes).filter(|&sum| sum <= limit)
        });
        let before = reserved.map_err(|now| {
            let used = now.saturating_add(bytes) as u64;
            LimitExceeded::of_cell(Budget::ArrayBuffers, limit as u64, used)
        })?;
        if self.active.load(Ordering::Relaxed)
            && let Some(meter) = self.meter.get()
        {
            if let Err(limit) = meter.take_buffer(bytes) {
                self.buffers.fetch_sub(bytes, Ordering::Relaxed);
                return Err(limit);
            }
            self.metered_buffers.fetch_add(bytes, Ordering::Relaxed);
        }
        self.buffers_peak.fetch_max(before + bytes, Ordering::Relaxed);
        Ok(())
    }

    fn release(&self, bytes: usize) {
        self.buffers.fetch_sub(bytes, Ordering::Relaxed);
        // What was left by a cell that ended is not counted any more.
        let metered = self
            .metered_buffers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_sub(bytes))
            })
            .unwrap_or_default();
        if let Some(meter) = self.meter.get() {
            meter.give_buffer(metered.min(bytes));
        }
    }

    /// The heap has `bytes` now. Ends what runs if that is too much for the tenant.
    fn heap_is(&self, bytes: usize) {
        if !self.active.load(Ordering::Relaxed) {
            return;
        }
        let old = self.heap.swap(bytes, Ordering::Relaxed);
        self.heap_peak.fetch_max(bytes, Ordering::Relaxed);
        let Some(meter) = self.meter.get() else { return };
        if let Err(limit) = meter.heap_changed(old, bytes) {
            let _ = self.tenant_exceeded.set(limit);
            if let Some(isolate) = self.isolate.get() {
                isolate.terminate_execution();
            }
        }
    }

    fn allocate(&self, len: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
        let Ok(layout) = Layout::from_size_align(len.max(1), BUFFER_ALIGN) else {
            return std::ptr::null_mut();
        };
        if let Err(limit) = self.reserve(len) {
            *self.refused.lock() = Some(limit);
            return std::ptr::null_mut();
        }
        // SAFETY: the layout's size is not zero.
        let data = unsafe { allocate(layout) };
        if data.is_null() {
            self.release(len);
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
    guard.release(len);
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
    // V8 asks here too before it gives an array buffer up that was refused, with a heap that has room: it throws then.
    if guard.refused.lock().is_some() && guard.heap.load(Ordering::Relaxed) < current / 4 * 3 {
        return current;
    }
    guard.exceeded.store(true, Ordering::Relaxed);
    if let Some(isolate) = guard.isolate.get() {
        isolate.terminate_execution();
    }
    current.saturating_add(HEAP_OVERSHOOT_BYTES)
}

/// Notes how large the heap is after a collection.
unsafe extern "C" fn collected(
    mut isolate: v8::UnsafeRawIsolatePtr,
    _: v8::GCType,
    _: v8::GCCallbackFlags,
    guard: *mut c_void,
) {
    // SAFETY: the pointer is the `HeapGuard` that the isolate's allocator keeps alive.
    let guard = unsafe { &*guard.cast::<HeapGuard>() };
    // SAFETY: V8 calls this on the isolate's own thread and hands over that isolate, which lives; nobody else looks at it
    // meanwhile, and counters are all that is read of it.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut(&mut isolate) };
    guard.heap_is(isolate.get_heap_statistics().used_heap_size());
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

/// Address space for compiled code, of which V8 would reserve four times as much: the least that it lets one have. A kernel's limit
/// on data counts it in full.
pub(crate) const CODE_RANGE_BYTES: usize = 64 << 20;
