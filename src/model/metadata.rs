//! The model spec put into an ONNX file that somebody else wrote.
//!
//! Only the outermost layer of the file is parsed: a model is a protobuf message whose repeated field 14
//! (`metadata_props`) holds key-value pairs (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>). Every other byte
//! stays as it is, weights included.

use super::protobuf::{Field, next_field, put};
use super::spec::{METADATA_KEY, ModelSpec};

/// `metadata_props` in `ModelProto`.
const METADATA_PROPS: u64 = 14;

/// The bytes of `model` with `spec` inside, in place of one that was there; `None` when they are not a whole
/// protobuf message.
#[must_use]
pub fn with_spec(model: &[u8], spec: &ModelSpec) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(model.len() + 4096);
    let mut rest = model;
    while !rest.is_empty() {
        let (field, after) = next_field(rest)?;
        if !is_spec(&field) {
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

fn is_spec(field: &Field<'_>) -> bool {
    let Some(entry) = field.content().filter(|_| field.number == METADATA_PROPS) else { return false };
    next_field(entry).is_some_and(|(key, _)| key.number == 1 && key.content() == Some(METADATA_KEY.as_bytes()))
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
