//! What an operator gets wrong ends in one line that names the thing and the next step, with the right
//! exit code and nothing half-written.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const FAILED: i32 = 1;
const UNAVAILABLE: i32 = 69;
const CONFIGURATION: i32 = 78;

/// Runs the built binary in `dir` with the repository's configuration, so that one of this machine's
/// makes no difference.
fn qsegment(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .current_dir(dir)
        .env("QSEGMENT_LOG", "warn")
        .args(["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/config.toml")])
        .args(args)
        .output()
        .unwrap()
}

/// Exit code, one line on standard error with all of `words`, nothing on standard output.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "one line wanted:\n{said}");
    assert!(said.starts_with("qsegment: "), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in: {said}");
    }
    for noise in ["Error {", "Some(", "panicked", "backtrace", "\\n"] {
        assert!(!said.contains(noise), "`{noise}` in: {said}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

/// No file lies in the folder, and the folder need not be there at all.
fn assert_empty(folder: &Path) {
    if let Ok(entries) = folder.read_dir() {
        let left: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// `segment FILE -o out` on a file of these bytes is refused, and `out` stays empty.
fn segment_refuses(name: &str, bytes: &[u8], words: &[&str]) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(name), bytes).unwrap();
    let output = qsegment(dir.path(), &["segment", name, "-o", "out"]);
    assert_refused(&output, FAILED, &[&[name], words].concat());
    assert_empty(&dir.path().join("out"));
    // The same file as a scene is refused before anything starts.
    let output = qsegment(
        dir.path(),
        &["run", "--frames", "3", "--no-web", "--scene", name, "--report", "r"],
    );
    assert_refused(&output, FAILED, &[&[name], words].concat());
    assert_empty(&dir.path().join("r"));
}

/// `--network FILE` with these bytes is refused by both commands that take one.
fn network_refuses(bytes: &[u8], words: &[&str]) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("bad.onnx"), bytes).unwrap();
    for args in [
        &["run", "--frames", "3", "--no-web", "--network", "bad.onnx", "--report", "out"][..],
        &["segment", "any.png", "--network", "bad.onnx", "-o", "out"],
    ] {
        let output = qsegment(dir.path(), args);
        assert_refused(&output, FAILED, &[&["bad.onnx"], words].concat());
        assert_empty(&dir.path().join("out"));
    }
}

#[test]
fn refuses_an_empty_file() {
    segment_refuses("eye.png", b"", &["empty", "give a picture"]);
}

#[test]
fn refuses_a_picture_without_pixels() {
    segment_refuses("eye.png", &png_header(0, 0), &["give"]);
    segment_refuses("eye.ppm", b"P6\n0 0\n255\n", &["give"]);
}

#[test]
fn refuses_a_picture_over_the_limit_before_decoding_it() {
    segment_refuses("eye.png", &png_header(40_000, 40_000), &["40000x40000", "reduce it"]);
}

#[test]
fn refuses_text_that_is_called_a_picture() {
    segment_refuses(
        "notes.png",
        b"Left eye, two minutes after dilation.\n",
        &["give one of", "PNG"],
    );
}

#[test]
fn refuses_a_picture_that_breaks_off() {
    let picture = png_header(64, 64);
    segment_refuses("eye.png", &picture, &["not a readable picture"]);
}

#[test]
fn refuses_a_missing_picture_by_name() {
    let dir = TempDir::new().unwrap();
    let output = qsegment(dir.path(), &["segment", "no/such.png", "-o", "out"]);
    assert_refused(&output, FAILED, &["no/such.png", "check the path"]);
    assert_empty(&dir.path().join("out"));
}

#[test]
fn refuses_a_folder_without_pictures() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("eyes")).unwrap();
    fs::write(dir.path().join("eyes/readme.txt"), b"none yet").unwrap();
    let output = qsegment(dir.path(), &["segment", "eyes", "-o", "out"]);
    assert_refused(&output, FAILED, &["eyes", "holds no picture", "put"]);
    assert_empty(&dir.path().join("out"));
    let output = qsegment(dir.path(), &["run", "--frames", "3", "--no-web", "--scene", "eyes"]);
    assert_refused(&output, FAILED, &["eyes"]);
}

#[test]
fn one_bad_picture_does_not_stop_the_others() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("bad.png"), b"").unwrap();
    image::RgbImage::new(20, 10).save(dir.path().join("good.png")).unwrap();
    let output = qsegment(
        dir.path(),
        &["segment", "bad.png", "good.png", "--input-size", "48x48", "-o", "out"],
    );
    assert_eq!(output.status.code(), Some(FAILED));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("bad.png"), "{said}");
    let mut left: Vec<_> =
        dir.path().join("out").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["good_mask.png", "good_overlay.png", "good_probability.png", "summary.csv"]);
}

#[test]
fn summary_of_an_earlier_run_does_not_outlive_one_that_fails() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("bad.png"), b"").unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    fs::write(dir.path().join("out/summary.csv"), b"of yesterday").unwrap();
    let output = qsegment(dir.path(), &["segment", "bad.png", "-o", "out"]);
    assert_refused(&output, FAILED, &["bad.png"]);
    assert_empty(&dir.path().join("out"));
}

#[test]
fn file_names_that_are_not_utf_8_stand_in_the_json() {
    use std::os::unix::ffi::OsStrExt;
    let dir = TempDir::new().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    image::RgbImage::new(20, 10).save(dir.path().join(name)).unwrap();
    let output =
        qsegment(dir.path(), &["segment", ".", "--input-size", "48x48", "-o", "out", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["pictures"].as_array().unwrap().len(), 1);

    let buffer = "run --no-web --pace max --frames 9 --input-size 48x48 --dump-metadata a.bin";
    let done = qsegment(dir.path(), &buffer.split(' ').collect::<Vec<_>>());
    assert!(done.status.success(), "{done:?}");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.bin");
    fs::rename(dir.path().join("a.bin"), dir.path().join(name)).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .current_dir(dir.path())
        .args(["inspect".as_ref(), name, "--json".as_ref()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["kind"], "metadata buffer");
}

/// A folder whose second picture cannot be shown ends the source after five seconds of its schedule.
#[test]
fn source_that_ends_in_an_error_leaves_its_report() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("scene")).unwrap();
    image::RgbImage::new(48, 48).save(dir.path().join("scene/a.png")).unwrap();
    // Its header is whole, which is all that is read of it beforehand.
    let mut cut = fs::read(dir.path().join("scene/a.png")).unwrap();
    cut.truncate(50);
    fs::write(dir.path().join("scene/b.png"), cut).unwrap();
    let args = "run --no-web --pace max --frames 400 --input-size 48x48 --scene scene --report out";
    let output = qsegment(dir.path(), &args.split(' ').collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(UNAVAILABLE), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("b.png"), "{said}");
    let report = fs::read(dir.path().join("out/report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert!(report["counters"]["paired"].as_u64().unwrap() > 50, "{report}");
    assert!(report["source"]["last_error"].as_str().unwrap().contains("b.png"), "{report}");
}

#[test]
fn never_replaces_a_picture_by_a_result() {
    let dir = TempDir::new().unwrap();
    image::RgbImage::new(20, 10).save(dir.path().join("a.png")).unwrap();
    image::RgbImage::new(20, 10).save(dir.path().join("a_mask.png")).unwrap();
    let before = fs::read(dir.path().join("a_mask.png")).unwrap();
    let output = qsegment(dir.path(), &["segment", "a.png", "a_mask.png", "-o", "."]);
    assert_refused(&output, FAILED, &["a_mask.png", "another folder"]);
    assert_eq!(fs::read(dir.path().join("a_mask.png")).unwrap(), before);
    let output = qsegment(dir.path(), &["segment", ".", "-o", "."]);
    assert_refused(&output, FAILED, &["among the pictures of .", "another folder"]);
}

#[test]
fn refuses_an_output_folder_under_a_file() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    image::RgbImage::new(20, 10).save(dir.path().join("a.png")).unwrap();
    let output =
        qsegment(dir.path(), &["segment", "a.png", "--input-size", "48x48", "-o", "file/out"]);
    assert_refused(&output, FAILED, &["file/out", "give a folder"]);
}

#[test]
fn refuses_a_network_that_breaks_off() {
    let whole = include_bytes!("fixtures/qsegment-320.onnx");
    network_refuses(&whole[..whole.len() / 2], &[]);
    network_refuses(&whole[..40], &[]);
}

#[test]
fn refuses_a_network_with_an_unknown_operator_by_its_name() {
    network_refuses(&onnx_with_operator("LayerNormalization"), &["LayerNormalization"]);
}

#[test]
fn refuses_a_network_that_is_something_else() {
    network_refuses(b"", &["an empty file"]);
    network_refuses(b"weights, biases\n", &["text", "MCTQ"]);
    network_refuses(b"PK\x03\x04....", &["zip", "MCTQ"]);
    network_refuses(b"9464....", &["rpk", "MCTQ"]);
}

#[test]
fn refuses_an_input_size_the_network_cannot_have() {
    let dir = TempDir::new().unwrap();
    let output = qsegment(dir.path(), &["run", "--frames", "3", "--no-web", "--input-size", "3x3"]);
    assert_refused(&output, FAILED, &["3x3"]);
    // The network could, the sensor's line counters could not.
    let args = ["run", "--frames", "3", "--no-web", "--input-size", "1280x1280"];
    assert_refused(&qsegment(dir.path(), &args), FAILED, &["1280"]);
}

#[test]
fn refuses_a_port_in_use_and_names_it() {
    let dir = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        qsegment(dir.path(), &["run", "--frames", "3", "--listen", &address, "--report", "out"]);
    assert_refused(&output, FAILED, &[&address, "--listen"]);
    assert_empty(&dir.path().join("out"));
}

#[test]
fn refuses_an_address_that_others_can_reach() {
    let dir = TempDir::new().unwrap();
    let output = qsegment(dir.path(), &["run", "--frames", "3", "--listen", "0.0.0.0:8500"]);
    let words = ["web.listen: 0.0.0.0:8500", "`qsegment token FILE`", "ssh -L 8500:127.0.0.1:8500"];
    assert_refused(&output, CONFIGURATION, &words);
    fs::write(dir.path().join("my.toml"), "[web]\nlisten = \"[::]:80\"\n").unwrap();
    let output = qsegment(dir.path(), &["config", "check", "my.toml"]);
    assert_refused(&output, CONFIGURATION, &["my.toml: web.listen: [::]:80", "web.token_file"]);
}

#[test]
fn refuses_a_token_that_others_can_read_or_that_is_not_there() {
    let dir = TempDir::new().unwrap();
    let run = ["run", "--frames", "3", "--listen", "0.0.0.0:0", "--token-file", "token"];
    let output = qsegment(dir.path(), &run);
    let words = ["web.token_file: token is not there", "`qsegment token token` makes it"];
    assert_refused(&output, CONFIGURATION, &words);
    assert_eq!(qsegment(dir.path(), &["token", "token"]).status.code(), Some(0));
    let output = qsegment(dir.path(), &["token", "token"]);
    assert_refused(&output, FAILED, &["token is there already"]);
    fs::set_permissions(dir.path().join("token"), fs::Permissions::from_mode(0o644)).unwrap();
    let output = qsegment(dir.path(), &run);
    assert_refused(&output, CONFIGURATION, &["token has mode 0644", "`chmod 600 token`"]);
}

/// A path under a file: not even root can write there.
#[test]
fn refuses_a_report_folder_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), b"").unwrap();
    for folder in ["file", "file/report"] {
        let output =
            qsegment(dir.path(), &["run", "--frames", "3", "--no-web", "--report", folder]);
        assert_refused(&output, FAILED, &[folder, "choose another with --report"]);
    }
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), b"");
}

#[test]
fn refuses_a_wrong_configuration_with_its_line() {
    let dir = TempDir::new().unwrap();
    for (text, words) in [
        ("[source]\nsceen = \"phantom\"\n", &["line 2", "source.sceen", "source.scene"][..]),
        ("[source]\n\npace = \"fast\"\n", &["line 3", "fast", "real"]),
        ("[web]\nhost_names = [\"http://pi\"]\n", &["web.host_names", "without http://"]),
        ("[source\n", &["line 1"]),
        (
            "[source]\ninference_window = [0, 0, 9000, 9000]\n",
            &["source.inference_window", "make it smaller"],
        ),
        ("[source]\nfaults = [\"gremlin\"]\n", &["gremlin"]),
    ] {
        fs::write(dir.path().join("my.toml"), text).unwrap();
        for args in [&["config", "check", "my.toml"][..], &["run", "--config", "my.toml"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_qsegment"))
                .current_dir(dir.path())
                .args(args)
                .output()
                .unwrap();
            assert_refused(&output, CONFIGURATION, &[&["my.toml"], words].concat());
        }
    }
    let output = Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .current_dir(dir.path())
        .args(["run", "--config", "none.toml"])
        .output()
        .unwrap();
    assert_refused(&output, CONFIGURATION, &["none.toml"]);
}

#[test]
fn inspect_says_what_a_file_is_that_it_cannot_show() {
    let dir = TempDir::new().unwrap();
    for (bytes, words) in [
        (&b""[..], "empty"),
        (&png_header(3, 3), "PNG"),
        (b"PK\x03\x04 zip", "cannot be packed: packerOut.zip: got"),
        (b"\x08\x08\x12\x40cut", "not an ONNX file, or cut short"),
        (b"just some words\n", "text"),
        (&[0xa5; 40_000], "embedded"),
    ] {
        fs::write(dir.path().join("thing.bin"), bytes).unwrap();
        let output = qsegment(dir.path(), &["inspect", "thing.bin"]);
        assert_refused(&output, FAILED, &["thing.bin", words]);
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let dir = TempDir::new().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_qsegment"))
        .current_dir(dir.path())
        .args(["config", "show"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b""[..]));
}

/// A PNG whose header says `width` x `height`, with correct check sums and no pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    fn chunk(kind: [u8; 4], data: &[u8], png: &mut Vec<u8>) {
        png.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        png.extend(kind);
        png.extend(data);
        let mut crc = u32::MAX;
        for &byte in kind.iter().chain(data) {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        png.extend((!crc).to_be_bytes());
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]); // 8 bits, RGB, deflate, adaptive filter, not interlaced
    chunk(*b"IHDR", &header, &mut png);
    chunk(*b"IDAT", &[], &mut png);
    png
}

/// An ONNX model of one node: float [1,3,8,8] -> `operator` -> float [1,3,8,8]. Field numbers are those
/// of onnx.proto3.
fn onnx_with_operator(operator: &str) -> Vec<u8> {
    let node = [
        field(1, b"input"),            // NodeProto.input
        field(2, b"output"),           // NodeProto.output
        field(3, b"only"),             // NodeProto.name
        field(4, operator.as_bytes()), // NodeProto.op_type
    ]
    .concat();
    let graph = [
        field(1, &node),                   // GraphProto.node
        field(2, b"graph"),                // GraphProto.name
        field(11, &value_info(b"input")),  // GraphProto.input
        field(12, &value_info(b"output")), // GraphProto.output
    ]
    .concat();
    let opset = [field(1, b""), number(2, 20)].concat(); // domain "", version 20
    [number(1, 9), field(7, &graph), field(8, &opset)].concat() // ir_version, graph, opset_import
}

fn value_info(name: &[u8]) -> Vec<u8> {
    let shape = [1, 3, 8, 8].map(|size| field(1, &number(1, size))).concat();
    let tensor = [number(1, 1), field(2, &shape)].concat(); // elem_type FLOAT, shape
    [field(1, name), field(2, &field(1, &tensor))].concat()
}

/// A length-delimited protobuf field.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u64::try_from(bytes.len()).unwrap();
    [vec![number << 3 | 2], varint(len), bytes.to_vec()].concat()
}

/// A varint protobuf field.
fn number(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}
