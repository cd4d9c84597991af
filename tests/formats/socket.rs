//! Messages of the Unix socket against bytes written by hand, cut and damaged.

use proptest::prelude::*;
use qsegment::formats::reader::ParseError;
use qsegment::formats::socket::{
    FrameHeader, Kind, PREFIX_LEN, Prefix, Request, Silent, emit_hello,
};

#[rustfmt::skip]
const FRAME: [u8; FrameHeader::LEN] = [
    b'Q', b'S', b'E', b'G', 1, 0, 2, 0,             // version 1, kind 2: frame
    156, 0, 0, 0, 18, 0, 0, 0,                      // header 156, payload 18
    0x29, 0, 0, 0, 0, 0, 0, 0,                      // sequence 41
    2, 0, 0, 0, 0, 0, 0, 0,                         // skipped 2
    0, 0xca, 0x9a, 0x3b, 0, 0, 0, 0,                // frame_start 1.0 s
    0, 0xab, 0x90, 0x41, 0, 0, 0, 0,                // tensor_at_host 1.1 s
    0, 0xe4, 0x0b, 0x54, 2, 0, 0, 0,                // received 10.0 s
    0xc0, 0x0b, 0x15, 0x54, 2, 0, 0, 0,             // mask_ready 10.0006 s
    0x40, 0x26, 0x1b, 0x54, 2, 0, 0, 0,             // sent 10.001 s
    0x80, 0x96, 0x98, 0, 0, 0, 0, 0,                // exposure 10 ms
    3, 0, 0, 0,                                     // flags: live, temperature
    38, 0, 0, 0,                                    // frame_count
    3, 0, 0, 0,                                     // lag_frames
    0x60, 0xea, 0, 0,                               // dnn_run_time 60 000 us
    0x88, 0x13, 0, 0,                               // dsp_run_time 5000 us
    0, 0, 0, 0x40,                                  // analogue_gain 2.0
    0xfb, 0xff, 0xff, 0xff,                         // temperature -5 C
    0, 0, 0x80, 0x3e,                               // vessel_fraction 0.25
    128, 0, 0, 0,                                   // threshold
    3, 0, 0, 0, 2, 0, 0, 0,                         // mask 3 x 2
    2, 0, 0, 0, 2, 0, 0, 0,                         // picture 2 x 2
    6, 0, 0, 0, 12, 0, 0, 0,                        // 6 and 12 bytes
    0xfc, 1, 0, 0, 2, 0, 0, 0,                      // window at (508, 2)
    0xe0, 0x0b, 0, 0, 0xde, 0x0b, 0, 0,             // of 3040 x 3038
];

fn frame() -> FrameHeader {
    FrameHeader {
        sequence: 41,
        skipped: 2,
        frame_start_ns: 1_000_000_000,
        tensor_at_host_ns: 1_100_000_000,
        received_ns: 10_000_000_000,
        mask_ready_ns: 10_000_600_000,
        sent_ns: 10_001_000_000,
        exposure_ns: 10_000_000,
        live: true,
        frame_count: 38,
        lag_frames: 3,
        dnn_run_time_us: 60_000,
        dsp_run_time_us: 5000,
        analogue_gain: 2.0,
        temperature_celsius: Some(-5),
        vessel_fraction: 0.25,
        threshold: 128,
        mask_size: [3, 2],
        picture_size: [2, 2],
        probability_len: 6,
        picture_len: 12,
        window: Some([508, 2, 3040, 3038]),
    }
}

#[test]
fn a_frame_is_the_bytes_of_the_table() {
    let mut emitted = Vec::new();
    frame().emit(&mut emitted);
    assert_eq!(emitted, FRAME);
    assert_eq!(FrameHeader::parse(&FRAME), Ok(frame()));
    let prefix = Prefix { kind: Kind::Frame, header_len: 156, payload_len: 18 };
    assert_eq!(Prefix::parse(&FRAME), Ok(prefix));
}

#[test]
fn hello_silence_and_requests_are_their_bytes() {
    let mut emitted = Vec::new();
    emit_hello(b"{}", &mut emitted);
    assert_eq!(emitted, *b"QSEG\x01\0\x01\0\x10\0\0\0\x02\0\0\0{}");
    emitted.clear();
    Silent { silent_ns: 1_500_000_000 }.emit(&mut emitted);
    assert_eq!(emitted, *b"QSEG\x01\0\x03\0\x18\0\0\0\0\0\0\0\x00\x2f\x68\x59\0\0\0\0");
    assert_eq!(Silent::parse(&emitted), Ok(Silent { silent_ns: 1_500_000_000 }));
    for (bytes, probability, picture) in [
        (b"QSEG\x01\0\0\0", false, false),
        (b"QSEG\x01\0\x01\0", true, false),
        (b"QSEG\x01\0\x02\0", false, true),
        (b"QSEG\x01\0\x03\0", true, true),
    ] {
        let request = Request { probability, picture };
        assert_eq!((Request::parse(bytes), request.emit()), (Ok(request), *bytes));
    }
}

#[test]
fn a_later_daemon_may_add_kinds_and_fields() {
    let unknown = b"QSEG\x01\0\x09\0\x14\0\0\0\x07\0\0\0";
    let prefix = Prefix { kind: Kind::Other(9), header_len: 20, payload_len: 7 };
    assert_eq!(Prefix::parse(unknown), Ok(prefix));
    let mut longer = FRAME.to_vec();
    longer[8] = 164;
    longer.extend([0xff; 8]);
    assert_eq!(FrameHeader::parse(&longer), Ok(frame()));
}

#[test]
fn an_earlier_daemon_says_nothing_of_the_window_and_a_later_one_may_not_know() {
    let mut shorter = FRAME[..140].to_vec();
    shorter[8] = 140;
    let unknown = FrameHeader { window: None, ..frame() };
    assert_eq!(FrameHeader::parse(&shorter), Ok(unknown));
    let mut emitted = Vec::new();
    unknown.emit(&mut emitted);
    assert_eq!((emitted.len(), &emitted[140..]), (156, &[0; 16][..]));
    assert_eq!(FrameHeader::parse(&emitted), Ok(unknown));
}

#[test]
fn refuses_what_is_no_message_by_field_and_place() {
    let damaged = |at: usize, byte: u8| {
        let mut bytes = FRAME;
        bytes[at] = byte;
        FrameHeader::parse(&bytes).unwrap_err().to_string()
    };
    assert_eq!(damaged(0, b'X'), "magic at byte 0x0000: got 1195725656, want \"QSEG\", 0x47455351");
    assert_eq!(damaged(4, 2), "version at byte 0x0004: got 2, want 1");
    let len = "a length of at most 64 MiB, of a header 16 or more";
    assert_eq!(damaged(8, 15), format!("header at byte 0x0008: got 15, want {len}"));
    assert_eq!(damaged(15, 5), format!("payload at byte 0x000c: got 83886098, want {len}"));
    assert_eq!(
        damaged(12, 19),
        "payload at byte 0x000c: got 19, want probability_len + picture_len"
    );
    assert_eq!(damaged(85, 1), "frame_count at byte 0x0054: got 294, want 0 to 255");
    assert_eq!(
        damaged(116, 4),
        "probability_len at byte 0x0084: got 6, want 0 or mask_width x mask_height"
    );
    assert_eq!(
        damaged(128, 9),
        "picture_len at byte 0x0088: got 12, want 0 or 3 x picture_width x picture_height"
    );
    assert_eq!(
        Request::parse(b"QSEG\x01\0\x04\0").unwrap_err().to_string(),
        "wants at byte 0x0006: got 4, want 1 (probability), 2 (picture), or their sum"
    );
    for len in 0..FrameHeader::LEN {
        let cut = FrameHeader::parse(&FRAME[..len]);
        assert!(matches!(cut, Err(ParseError::Truncated { .. })), "{len} bytes: {cut:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_is_emitted_again(
        at in 0..FRAME.len(), value: u8, rest in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let mut bytes = FRAME;
        bytes[at] = value;
        if let Ok(header) = FrameHeader::parse(&bytes) {
            let mut emitted = Vec::new();
            header.emit(&mut emitted);
            // Compared as bytes: a gain may be no number.
            let again = FrameHeader::parse(&emitted).unwrap();
            let mut twice = Vec::new();
            again.emit(&mut twice);
            prop_assert_eq!(emitted, twice);
        }
        drop((Prefix::parse(&rest), FrameHeader::parse(&rest), Silent::parse(&rest), Request::parse(&rest)));
        prop_assert!(Prefix::parse(&rest[..rest.len().min(PREFIX_LEN - 1)]).is_err());
    }
}
