//! Heap and array buffers, bounded from outside the isolate. One of the four modules with `unsafe` code.
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
///
/// Each array buffer knows whose it is. What several cells of an isolate hold of its heap is told apart by when it came: a cell is
/// charged with what there is more at the end of its turn than at the beginning. What others left behind and is collected
/// meanwhile is to its favour.
pub(crate) struct HeapGuard {
    limit_bytes: usize,
    exceeded: AtomicBool,
    /// Whether V8 was given more room than one cell may have.
    is_loose: AtomicBool,
    /// Whether the running cell's heap is about to be collected to see what of it is alive.
    is_judged: AtomicBool,
    /// The heap as the collector last saw it.
    heap: AtomicUsize,
    /// What of it is not the running cell's.
    heap_base: AtomicUsize,
    heap_peak: AtomicUsize,
    /// Bytes in array buffers now, whosever they are.
    buffers: AtomicUsize,
    /// Whose array buffers are made now.
    account: Mutex<Account>,
    /// Those of them that the tenant's meter counts: not what is left of cells that have ended.
    metered_buffers: AtomicUsize,
    /// Why an array buffer was refused last.
    refused: Mutex<Option<LimitExceeded>>,
    /// The tenant's limit that the heap went over, with those of the other cells.
    tenant_exceeded: Mutex<Option<LimitExceeded>>,
    /// Whether a cell runs. Of what is done for the next one nobody keeps account.
    active: AtomicBool,
    /// What the tenant's cells use. An isolate has one tenant.
    meter: OnceLock<Arc<Meter>>,
    isolate: OnceLock<v8::IsolateHandle>,
}

/// What a cell holds of its isolate's memory between its turns, and the most that it held.
#[derive(Clone, Debug, Default)]
pub(crate) struct Share {
    heap: usize,
    pub(crate) heap_peak: usize,
    buffers: Arc<Buffers>,
    /// Why an array buffer was refused last.
    refused: Option<LimitExceeded>,
}

impl Share {
    /// The most that the cell had in array buffers.
    pub(crate) fn buffers_peak(&self) -> usize {
        self.buffers.peak.load(Ordering::Relaxed)
    }
}

/// Bytes that a cell has in array buffers. Any thread may free one.
#[derive(Debug, Default)]
struct Buffers {
    now: AtomicUsize,
    peak: AtomicUsize,
}

/// Who pays for array buffers, and up to where.
struct Account {
    buffers: Arc<Buffers>,
    limit: usize,
}

impl Account {
    /// Between turns the isolate works for us.
    fn of_nobody() -> Account {
        Account { buffers: Arc::default(), limit: usize::MAX }
    }

    /// Makes room for `bytes`. How many there are with them.
    fn reserve(&self, bytes: usize) -> Result<usize, LimitExceeded> {
        let within = |now: usize| now.checked_add(bytes).filter(|&sum| sum <= self.limit);
        let reserved = self.buffers.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
        reserved.map(|before| before + bytes).map_err(|now| {
            let used = now.saturating_add(bytes) as u64;
            LimitExceeded::of_cell(Budget::ArrayBuffers, self.limit as u64, used)
        })
    }
}

/// Whether a cell has its isolate for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tenure {
    Alone,
    Shared,
}

impl HeapGuard {
    pub(crate) fn new(limit_bytes: usize) -> HeapGuard {
        HeapGuard {
            limit_bytes: limit_bytes.max(MIN_HEAP_BYTES),
            exceeded: AtomicBool::new(false),
            is_loose: AtomicBool::new(false),
            is_judged: AtomicBool::new(false),
            heap: AtomicUsize::new(0),
            heap_base: AtomicUsize::new(0),
            heap_peak: AtomicUsize::new(0),
            buffers: AtomicUsize::new(0),
            account: Mutex::new(Account::of_nobody()),
            metered_buffers: AtomicUsize::new(0),
            refused: Mutex::new(None),
            tenant_exceeded: Mutex::new(None),
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
        isolate.add_gc_prologue_callback(about_to_collect, guard, v8::GCType::kGCTypeAll);
        isolate.add_gc_epilogue_callback(collected, guard, v8::GCType::kGCTypeAll);
        isolate
    }

    /// A cell's turn begins, which may have so many bytes in array buffers.
    pub(crate) fn enter(
        &self,
        isolate: &mut v8::Isolate,
        meter: &Arc<Meter>,
        share: &Share,
        buffer_limit: usize,
        tenure: Tenure,
    ) {
        let heap_base = match tenure {
            Tenure::Alone => 0,
            Tenure::Shared => held(isolate).saturating_sub(share.heap),
        };
        let _ = self.meter.set(Arc::clone(meter));
        self.heap_base.store(heap_base, Ordering::Relaxed);
        self.heap_peak.store(share.heap_peak, Ordering::Relaxed);
        *self.account.lock() = Account { buffers: Arc::clone(&share.buffers), limit: buffer_limit };
        *self.refused.lock() = share.refused;
        self.active.store(true, Ordering::Relaxed);
    }

    /// The turn is over. What the cell holds is looked at where there are others to hold something too.
    pub(crate) fn leave(&self, isolate: &mut v8::Isolate, tenure: Tenure) -> Share {
        let heap = match tenure {
            Tenure::Alone => 0,
            Tenure::Shared => held(isolate),
        };
        let heap_base = self.heap_base.swap(usize::MAX, Ordering::Relaxed);
        let account = std::mem::replace(&mut *self.account.lock(), Account::of_nobody());
        Share {
            heap: heap.saturating_sub(heap_base),
            heap_peak: self.heap_peak.load(Ordering::Relaxed),
            buffers: account.buffers,
            refused: self.refused.lock().take(),
        }
    }

    /// What the one cell holds that had the isolate for itself until now.
    pub(crate) fn share_of_first(isolate: &mut v8::Isolate, share: &mut Share) {
        share.heap = held(isolate);
    }

    /// The last cell has ended: what is left is no part of what its tenant's cells use.
    pub(crate) fn end(&self) {
        self.heap_is(0);
        self.active.store(false, Ordering::Relaxed);
        let metered = self.metered_buffers.swap(0, Ordering::Relaxed);
        if let Some(meter) = self.meter.get() {
            meter.give_buffer(metered);
        }
    }

    /// Makes room again after a cell that went over a limit, for those that share its isolate.
    pub(crate) fn recover(&self, isolate: &mut v8::Isolate) {
        *self.tenant_exceeded.lock() = None;
        self.exceeded.store(false, Ordering::Relaxed);
        isolate.low_memory_notification();
    }

    pub(crate) fn limit_bytes(&self) -> usize {
        self.limit_bytes
    }

    /// Which limit the heap went over: that of the cell, or that of its tenant.
    pub(crate) fn exceeded(&self) -> Option<LimitExceeded> {
        if self.exceeded.load(Ordering::Relaxed) {
            let used = self.heap_peak.load(Ordering::Relaxed).max(self.limit_bytes);
            let limit = self.limit_bytes as u64;
            return Some(LimitExceeded::of_cell(Budget::Heap, limit, used as u64));
        }
        *self.tenant_exceeded.lock()
    }

    /// Why an array buffer was refused, if one was.
    pub(crate) fn buffer_refused(&self) -> Option<LimitExceeded> {
        *self.refused.lock()
    }

    /// Whether the isolate is not worth another cell.
    pub(crate) fn spent(&self, isolate: &mut v8::Isolate) -> bool {
        self.exceeded().is_some()
            || self.is_loose.load(Ordering::Relaxed)
            || self.held_bytes(isolate) > self.kept_bytes()
    }

    /// Whether the isolate holds about as much as one that is kept may.
    pub(crate) fn is_modest(&self, isolate: &mut v8::Isolate) -> bool {
        self.held_bytes(isolate) <= self.kept_bytes() * 2
    }

    /// Whether there is room for one more cell, as far as is known without looking.
    pub(crate) fn is_roomy(&self) -> bool {
        let held = self.heap.load(Ordering::Relaxed) + self.buffers.load(Ordering::Relaxed);
        held <= self.kept_bytes() && !self.is_loose.load(Ordering::Relaxed)
    }

    fn held_bytes(&self, isolate: &mut v8::Isolate) -> usize {
        held(isolate) + self.buffers.load(Ordering::Relaxed)
    }

    fn kept_bytes(&self) -> usize {
        MAX_KEPT_HEAP_BYTES.min(self.limit_bytes / 4)
    }

    /// Makes room for `bytes`. Whose they are.
    fn reserve(&self, bytes: usize) -> Result<Arc<Buffers>, LimitExceeded> {
        let account = self.account.lock();
        let sum = account.reserve(bytes)?;
        let owner = Arc::clone(&account.buffers);
        drop(account);
        if self.active.load(Ordering::Relaxed)
            && let Some(meter) = self.meter.get()
        {
            if let Err(limit) = meter.take_buffer(bytes) {
                owner.now.fetch_sub(bytes, Ordering::Relaxed);
                return Err(limit);
            }
            self.metered_buffers.fetch_add(bytes, Ordering::Relaxed);
        }
        owner.peak.fetch_max(sum, Ordering::Relaxed);
        self.buffers.fetch_add(bytes, Ordering::Relaxed);
        Ok(owner)
    }

    fn release(&self, owner: &Buffers, bytes: usize) {
        owner.now.fetch_sub(bytes, Ordering::Relaxed);
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

    /// The heap has `bytes` now. Ends what runs if that is too much, for the cell or for its tenant.
    fn heap_is(&self, bytes: usize) {
        if !self.active.load(Ordering::Relaxed) {
            return;
        }
        let old = self.heap.swap(bytes, Ordering::Relaxed);
        let own = bytes.saturating_sub(self.heap_base.load(Ordering::Relaxed));
        self.heap_peak.fetch_max(own, Ordering::Relaxed);
        if own > self.limit_bytes.saturating_add(self.limit_bytes / GARBAGE_SHARE)
            && self.is_loose.load(Ordering::Relaxed)
            && !self.is_judged.swap(true, Ordering::Relaxed)
            && let Some(isolate) = self.isolate.get()
        {
            // Much of it may be garbage, which V8 is in no hurry to collect with the room that it has.
            isolate.request_interrupt(judge, std::ptr::from_ref(self).cast_mut().cast());
        }
        let Some(meter) = self.meter.get() else { return };
        if let Err(limit) = meter.heap_changed(old, bytes) {
            self.tenant_exceeded.lock().get_or_insert(limit);
            self.terminate();
        }
    }

    /// Before a collection the heap has `bytes`, garbage and all. As long as V8 keeps the limit itself, a cell has much more than that
    /// in one case: V8 gives the first large object since the last collection all the room that it wants.
    fn heap_was(&self, bytes: usize) {
        if !self.active.load(Ordering::Relaxed) || self.is_loose.load(Ordering::Relaxed) {
            return;
        }
        let own = bytes.saturating_sub(self.heap_base.load(Ordering::Relaxed));
        if own > self.limit_bytes.saturating_add(YOUNG_BYTES) {
            self.heap_peak.fetch_max(own, Ordering::Relaxed);
            self.exceeded.store(true, Ordering::Relaxed);
            self.terminate();
        }
    }

    fn terminate(&self) {
        if let Some(isolate) = self.isolate.get() {
            isolate.terminate_execution();
        }
    }

    fn allocate(&self, len: usize, allocate: unsafe fn(Layout) -> *mut u8) -> *mut c_void {
        let Some(layout) = buffer_layout(len) else { return std::ptr::null_mut() };
        let owner = match self.reserve(len) {
            Ok(owner) => owner,
            Err(limit) => {
                *self.refused.lock() = Some(limit);
                return std::ptr::null_mut();
            }
        };
        // SAFETY: the layout's size is not zero: it has room for the owner.
        let start = unsafe { allocate(layout) };
        if start.is_null() {
            self.release(&owner, len);
            return std::ptr::null_mut();
        }
        // SAFETY: the allocation begins with `OWNER_BYTES` that are ours, aligned to more than a pointer needs. What V8 gets
        // lies behind them, within the allocation.
        unsafe {
            start.cast::<*const Buffers>().write(Arc::into_raw(owner));
            start.add(OWNER_BYTES).cast()
        }
    }
}

/// The room for an array buffer, and before it for whose it is.
fn buffer_layout(len: usize) -> Option<Layout> {
    Layout::from_size_align(len.checked_add(OWNER_BYTES)?, BUFFER_ALIGN).ok()
}

fn held(isolate: &mut v8::Isolate) -> usize {
    isolate.get_heap_statistics().used_heap_size()
}

unsafe extern "C" fn allocate(guard: &HeapGuard, len: usize) -> *mut c_void {
    guard.allocate(len, std::alloc::alloc_zeroed)
}

unsafe extern "C" fn allocate_uninitialized(guard: &HeapGuard, len: usize) -> *mut c_void {
    guard.allocate(len, std::alloc::alloc)
}

unsafe extern "C" fn free(guard: &HeapGuard, data: *mut c_void, len: usize) {
    let Some(layout) = buffer_layout(len) else { return };
    // SAFETY: V8 frees what `allocate` gave it, once, with the length it asked for: `OWNER_BYTES` before it the allocation begins, and
    // holds the pointer that `Arc::into_raw` gave.
    let owner = unsafe {
        let start = data.cast::<u8>().sub(OWNER_BYTES);
        let owner = Arc::from_raw(start.cast::<*const Buffers>().read());
        std::alloc::dealloc(start, layout);
        owner
    };
    guard.release(&owner, len);
}

unsafe extern "C" fn drop_guard(guard: *const HeapGuard) {
    // SAFETY: the pointer that `new_isolate` made with `Arc::into_raw`; V8 gives it back once.
    drop(unsafe { Arc::from_raw(guard) });
}

/// Ends what runs, unless it has the right to more; and gives V8 the room to get there: without it, V8 would end the process.
unsafe extern "C" fn near_heap_limit(guard: *mut c_void, current: usize, _initial: usize) -> usize {
    // SAFETY: the pointer is the `HeapGuard` that the isolate's allocator keeps alive.
    let guard = unsafe { &*guard.cast::<HeapGuard>() };
    // V8 asks here too before it gives an array buffer up that was refused, with a heap that has room: it throws then.
    if guard.refused.lock().is_some() && guard.heap.load(Ordering::Relaxed) < current / 4 * 3 {
        return current;
    }
    guard.is_loose.store(true, Ordering::Relaxed);
    let most = current.saturating_add(HEAP_OVERSHOOT_BYTES);
    // What others hold is not the running cell's fault. From here on each collection shows whether it has too much itself.
    let heap = guard.heap.load(Ordering::Relaxed);
    let base = guard.heap_base.load(Ordering::Relaxed);
    if base > 0 && heap.saturating_sub(base) < guard.limit_bytes {
        return most;
    }
    guard.exceeded.store(true, Ordering::Relaxed);
    guard.terminate();
    most
}

/// Ends what runs if it holds more than a cell may.
unsafe extern "C" fn judge(mut isolate: v8::UnsafeRawIsolatePtr, guard: *mut c_void) {
    // SAFETY: the pointer is the `HeapGuard` that the isolate's allocator keeps alive, and V8 calls this while the isolate lives.
    let guard = unsafe { &*guard.cast::<HeapGuard>() };
    // SAFETY: V8 calls this on the isolate's own thread and hands over that isolate; nobody else uses it meanwhile.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut(&mut isolate) };
    let base = guard.heap_base.load(Ordering::Relaxed);
    let has_too_much =
        |isolate: &mut v8::Isolate| held(isolate).saturating_sub(base) > guard.limit_bytes;
    // It may have been asked for in the turn of another cell.
    if has_too_much(isolate) {
        isolate.low_memory_notification();
        if has_too_much(isolate) {
            guard.exceeded.store(true, Ordering::Relaxed);
            guard.terminate();
        }
    }
    // Not before: the collection itself would ask for this again.
    guard.is_judged.store(false, Ordering::Relaxed);
}

/// Looks how large the heap has become since the last collection.
unsafe extern "C" fn about_to_collect(
    mut isolate: v8::UnsafeRawIsolatePtr,
    _: v8::GCType,
    _: v8::GCCallbackFlags,
    guard: *mut c_void,
) {
    // SAFETY: V8 calls this as it calls `collected`, with the same.
    let (guard, bytes) = unsafe { look(&mut isolate, guard) };
    guard.heap_was(bytes);
}

/// Notes how large the heap is after a collection.
unsafe extern "C" fn collected(
    mut isolate: v8::UnsafeRawIsolatePtr,
    _: v8::GCType,
    _: v8::GCCallbackFlags,
    guard: *mut c_void,
) {
    // SAFETY: V8 calls this on the isolate's own thread and hands over that isolate, which lives, with the `HeapGuard` that the
    // isolate's allocator keeps alive.
    let (guard, bytes) = unsafe { look(&mut isolate, guard) };
    guard.heap_is(bytes);
}

/// The guard, and how large the heap is.
///
/// # Safety
/// On the thread of this isolate, which lives, and whose guard this is.
unsafe fn look<'a>(
    isolate: &mut v8::UnsafeRawIsolatePtr,
    guard: *mut c_void,
) -> (&'a HeapGuard, usize) {
    // SAFETY: the caller's. It holds no longer than the callback.
    let guard = unsafe { &*guard.cast::<HeapGuard>() };
    // SAFETY: the caller's; nobody else looks at the isolate meanwhile, and counters are all that is read of it.
    let isolate = unsafe { v8::Isolate::ref_from_raw_isolate_ptr_mut(isolate) };
    (guard, held(isolate))
}

static ALLOCATOR: v8::RustAllocatorVtable<HeapGuard> =
    v8::RustAllocatorVtable { allocate, allocate_uninitialized, free, drop: drop_guard };

/// V8 does not start in less.
const MIN_HEAP_BYTES: usize = 4 << 20;

/// What a C allocator aligns to.
const BUFFER_ALIGN: usize = 16;

/// Before each array buffer lies whose it is. As much as keeps the buffer aligned.
const OWNER_BYTES: usize = BUFFER_ALIGN;

/// One built-in allocation can be of this order (`Array(3e7).fill(1.1)` takes 240 MB, `JSON.stringify` of a large
/// array 1.2 GB), and V8 interrupts a cell only between such steps.
const HEAP_OVERSHOOT_BYTES: usize = 8 << 30;

/// Where V8 has more room than one cell may have, so much more than its limit a cell's heap may be, as a share of that, before it
/// is collected to see what of it is alive. Each look costs a full collection, so there must be something in between.
const GARBAGE_SHARE: usize = 4;

/// What V8 has for objects that are young, on top of its limit.
const YOUNG_BYTES: usize = 32 << 20;

/// An isolate that holds more than this after a cell is not kept for the next.
const MAX_KEPT_HEAP_BYTES: usize = 32 << 20;

/// Address space for compiled code, of which V8 would reserve four times as much: the least that it lets one have. A kernel's limit
/// on data counts it in full.
pub(crate) const CODE_RANGE_BYTES: usize = 64 << 20;
