//! How a protobuf message describes itself to whoever has not its .proto file: a FileDescriptorSet, of which
//! only what our messages need is written (`google/protobuf/descriptor.proto`).

use prost::Message;

/// What a field holds; the numbers are `FieldDescriptorProto.Type`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Int64 = 3,
    Fixed32 = 7,
    Text = 9,
    Message = 11,
    Bytes = 12,
    Uint32 = 13,
    Uint64 = 4,
    Int32 = 5,
}

/// A file of one package, as protoc would describe it.
pub(super) fn file(
    name: &str,
    package: &str,
    dependencies: &[&str],
    messages: Vec<MessageType>,
) -> File {
    File {
        name: name.to_owned(),
        package: package.to_owned(),
        dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        messages,
        syntax: "proto3".to_owned(),
    }
}

/// A message of these fields: name, number, kind, and for a message its full name with a dot before it.
pub(super) fn message(name: &str, fields: &[(&str, i32, Kind, &str)]) -> MessageType {
    let fields = fields.iter().map(|&(name, number, kind, type_name)| Field {
        name: name.to_owned(),
        number,
        label: OPTIONAL,
        kind: kind as i32,
        type_name: Some(type_name.to_owned()).filter(|name| !name.is_empty()),
    });
    MessageType { name: name.to_owned(), fields: fields.collect() }
}

/// The set, in bytes; a file comes after those it depends on.
pub(super) fn set(files: Vec<File>) -> Vec<u8> {
    FileSet { files }.encode_to_vec()
}

/// `FieldDescriptorProto.Label`.
const OPTIONAL: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(string, repeated, tag = "3")]
    dependencies: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<MessageType>,
    #[prost(string, tag = "12")]
    syntax: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MessageType {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    kind: i32,
    #[prost(string, optional, tag = "6")]
    type_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_a_message_as_protoc_does() {
        let described =
            set(vec![file("a", "p", &[], vec![message("M", &[("f", 1, Kind::Bytes, "")])])]);
        // protoc --descriptor_set_out of: syntax = "proto3"; package p; message M { bytes f = 1; }
        // but for the JSON names, which readers make from the names.
        let want = [
            0x0a, 0x1e, // file: 30 bytes
            0x0a, 0x01, b'a', // name
            0x12, 0x01, b'p', // package
            0x22, 0x0e, // message: 14 bytes
            0x0a, 0x01, b'M', // name
            0x12, 0x09, // field: 9 bytes
            0x0a, 0x01, b'f', // name
            0x18, 0x01, // number
            0x20, 0x01, // optional
            0x28, 0x0c, // bytes
            0x62, 0x06, b'p', b'r', b'o', b't', b'o', b'3', // syntax
        ];
        assert_eq!(described, want);
    }
}
