//! Counts what a piece of code allocates on its own thread.
#![allow(
    unsafe_code,
    reason = "`GlobalAlloc` is an unsafe trait; every call is handed on unchanged"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// What was allocated between the beginning and the end of [`allocated`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Allocated {
    pub(crate) count: usize,
    /// Most bytes held at one time.
    pub(crate) peak_bytes: usize,
}

/// Runs `code` and counts its allocations. What it frees of earlier ones does not count.
pub(crate) fn allocated<T>(code: impl FnOnce() -> T) -> (T, Allocated) {
    COUNT.set(0);
    HELD.set(0);
    PEAK.set(0);
    let result = code();
    (result, Allocated { count: COUNT.get(), peak_bytes: PEAK.get() })
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counters are plain cells of the
// thread, which need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        HELD.set(HELD.get().saturating_add(layout.size()));
        PEAK.set(PEAK.get().max(HELD.get()));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.set(HELD.get().saturating_sub(layout.size()));
        // SAFETY: `pointer` came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}
