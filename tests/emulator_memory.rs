//! What the emulator allocates: nothing while it runs, and little for a hostile file.
#![expect(unsafe_code, reason = "the allocator trait is unsafe; it only counts and hands on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use qsegment::emulator::{Engine, Network};

#[test]
fn inference_allocates_nothing() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let network = Network::load(&std::fs::read(path).unwrap()).unwrap();
    // One whose rows end within a group of tiles, one whose rows do not.
    for (height, width) in [(16, 144), (128, 128)] {
        let network = network.with_input_size(height, width).unwrap();
        let mut engine = Engine::new(&network);
        let input = vec![100; network.input().len_bytes()];
        let mut output = vec![0; network.output().len_bytes()];
        let counted = count(|| engine.run(&input, &mut output));
        assert_eq!(counted.allocations, 0);
    }
}

/// The daemon as a whole is allowed 100 MB.
#[test]
fn buffers_of_the_shipped_network_are_small() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/model/network/accurate.onnx");
    let file = std::fs::read(path).unwrap();
    let loaded = count(|| drop(Network::load(&file).unwrap()));
    assert!(loaded.peak_bytes < 4_000_000, "loading took {} bytes", loaded.peak_bytes);
    let network = Network::load(&file).unwrap();
    let planned = count(|| drop(Engine::new(&network)));
    assert!(planned.peak_bytes < 20_000_000, "the engine took {} bytes", planned.peak_bytes);
}

/// Two bytes of file for each empty message, which decoded would take a hundred times as much.
#[test]
fn a_file_of_empty_messages_is_refused_before_it_is_decoded() {
    for field in [0x0a, 0x2a, 0x5a, 0x62] {
        // graph { node {} node {} ... }, then with initialisers, inputs, outputs.
        let graph = [field, 0].repeat(4_000_000);
        let mut file = vec![0x3a];
        prost::encode_length_delimiter(graph.len(), &mut file).unwrap();
        file.extend(graph);
        let counted = count(|| {
            let refusal = Network::load(&file).unwrap_err().to_string();
            assert!(refusal.contains("4000001 fields"), "{refusal}");
        });
        assert!(counted.peak_bytes < 10_000, "{} bytes", counted.peak_bytes);
    }
}

struct Counted {
    allocations: usize,
    peak_bytes: usize,
}

/// Runs `work` and counts what this thread allocates meanwhile.
fn count(work: impl FnOnce()) -> Counted {
    ALLOCATIONS.set(0);
    LIVE_BYTES.set(0);
    PEAK_BYTES.set(0);
    work();
    Counted {
        allocations: ALLOCATIONS.get(),
        peak_bytes: usize::try_from(PEAK_BYTES.get()).expect("never below its start"),
    }
}

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn grow(bytes: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    LIVE_BYTES.set(LIVE_BYTES.get() + bytes.cast_signed());
    PEAK_BYTES.set(PEAK_BYTES.get().max(LIVE_BYTES.get()));
}

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing, since the
// counters are constant-initialised and have no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise is the one `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.set(LIVE_BYTES.get() - layout.size().cast_signed());
        // SAFETY: as above; `pointer` came from `alloc`, so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
