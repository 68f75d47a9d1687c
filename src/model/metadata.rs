//! The model spec put into an ONNX file that somebody else wrote.
//!
//! Only the outermost layer of the file is parsed: a model is a protobuf message whose repeated field 14
//! (`metadata_props`) holds key-value pairs (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>). Every other byte
//! stays as it is, weights included.

use super::spec::{METADATA_KEY, ModelSpec};

/// `metadata_props` in `ModelProto`.
const METADATA_PROPS: u64 = 14;
/// Wire type of strings and messages.
const LENGTH_DELIMITED: u64 = 2;

/// The bytes of `model` with `spec` inside, in place of one that was there; `None` when they are not a whole
/// protobuf message.
#[must_use]
pub fn with_spec(model: &[u8], spec: &ModelSpec) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(model.len() + 4096);
    let mut rest = model;
    while !rest.is_empty() {
        let (field, after) = next_field(rest)?;
        if !field.is_spec() {
            bytes.extend_from_slice(&rest[..rest.len() - after.len()]);
        }
        rest = after;
    }
    let mut entry = Vec::new();
    put(&mut entry, 1, METADATA_KEY.as_bytes());
    put(&mut entry, 2, spec.to_json().as_bytes());
    put(&mut bytes, METADATA_PROPS, &entry);
    Some(bytes)
}

/// A field of a message: its number, and its content where it is length-delimited.
struct Field<'a> {
    number: u64,
    content: Option<&'a [u8]>,
}

impl Field<'_> {
    fn is_spec(&self) -> bool {
        let Some(entry) = self.content.filter(|_| self.number == METADATA_PROPS) else { return false };
        next_field(entry).is_some_and(|(key, _)| key.number == 1 && key.content == Some(METADATA_KEY.as_bytes()))
    }
}

/// The first field of a message and what follows it.
fn next_field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let number = tag >> 3;
    let (content, rest) = match tag & 7 {
        0 => (None, varint(rest)?.1),
        1 => (None, rest.get(8..)?),
        LENGTH_DELIMITED => {
            let (len, rest) = varint(rest)?;
            let (content, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Some(content), rest)
        }
        5 => (None, rest.get(4..)?),
        _ => return None,
    };
    (number > 0).then_some((Field { number, content }, rest))
}

/// A number of at most 64 bits, seven in each byte, the lowest first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn put(bytes: &mut Vec<u8>, number: u64, content: &[u8]) {
    put_varint(bytes, number << 3 | LENGTH_DELIMITED);
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(dataset: &str) -> ModelSpec {
        let json = format!(
            r#"{{"version":1,"role":"classifier","input":{{"channels":1,"height":2,"width":2}},"classes":["a","b"],
            "provenance":{{"architecture":"x","dataset":"{dataset}","config":{{}},"seed":0,"crate_version":"0"}}}}"#
        );
        ModelSpec::from_json(&json).unwrap()
    }

    /// A message with a number, a fixed32, a fixed64 and another entry of metadata.
    fn message() -> Vec<u8> {
        let mut bytes = vec![0x08, 0x96, 0x01, 0x15, 1, 2, 3, 4, 0x19, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut entry = Vec::new();
        put(&mut entry, 1, b"author");
        put(&mut entry, 2, b"somebody");
        put(&mut bytes, METADATA_PROPS, &entry);
        bytes
    }

    #[test]
    fn everything_else_stays_and_an_old_spec_goes() {
        let first = with_spec(&message(), &spec("first")).unwrap();
        assert!(first.starts_with(&message()));
        let second = with_spec(&first, &spec("second")).unwrap();
        assert_eq!(second, with_spec(&message(), &spec("second")).unwrap());
    }

    #[test]
    fn what_is_cut_off_is_no_message() {
        let bytes = message();
        assert!(with_spec(&bytes[..bytes.len() - 1], &spec("x")).is_none());
        assert!(with_spec(&[0xff; 12], &spec("x")).is_none());
        assert!(with_spec(b"\x00", &spec("x")).is_none());
    }
}
