//! Weights that an ONNX file keeps in another file.
//!
//! ONNX Runtime looks for that file in the folder in which the program was started, and says nothing. No hash of the
//! model covers it: what is hashed would not be what runs. So it is found here, before ONNX Runtime sees the model.

use super::protobuf::{Field, Value, fields};

/// Protobuf's own parsers go no deeper.
const DEEPEST: usize = 100;

/// Messages of `onnx.proto` (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>) that may hold a tensor at some depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
}

impl Message {
    /// The message in this field, if it may hold a tensor.
    fn inside(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::SparseTensor,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => Self::Tensor,
            _ => return None,
        })
    }
}

/// `external_data` and `data_location` in `TensorProto`.
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;

/// The file of the first tensor that lies outside the model, as the model names it.
#[must_use]
pub fn weights_outside(model: &[u8]) -> Option<String> {
    search(Message::Model, model, DEEPEST)
}

fn search(message: Message, bytes: &[u8], depth: usize) -> Option<String> {
    if depth == 0 {
        return None;
    }
    if message == Message::Tensor {
        return location(bytes);
    }
    fields(bytes).find_map(|field| search(message.inside(field.number)?, field.content()?, depth - 1))
}

/// Where a tensor's values are, if they are in another file.
fn location(tensor: &[u8]) -> Option<String> {
    let outside = |field: &Field<'_>| field.number == DATA_LOCATION && !matches!(field.value, Value::Varint(0));
    fields(tensor).find(outside)?;
    let entries = fields(tensor).filter(|field| field.number == EXTERNAL_DATA).filter_map(|field| field.content());
    let text = |entry, number| fields(entry).find(|field| field.number == number).and_then(|field| field.content());
    let path = entries.into_iter().find(|entry| text(entry, 1) == Some(b"location")).and_then(|entry| text(entry, 2));
    Some(String::from_utf8_lossy(path.unwrap_or_default()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::{put, put_varint};
    use super::*;

    fn wrapped(number: u64, content: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, number, content);
        bytes
    }

    /// A tensor whose values are here (0) or in `weights.bin` (1).
    fn tensor(location: u64) -> Vec<u8> {
        let entry = [wrapped(1, b"location"), wrapped(2, b"weights.bin")].concat();
        let mut bytes = [wrapped(8, b"name"), wrapped(13, &entry)].concat();
        put_varint(&mut bytes, DATA_LOCATION << 3);
        put_varint(&mut bytes, location);
        bytes
    }

    #[test]
    fn a_tensor_in_another_file_is_found_wherever_it_stands() {
        for way in [
            [7, 5].as_slice(),       // an initializer
            &[7, 1, 5, 5],           // a node's constant
            &[7, 1, 5, 10],          // one of several
            &[7, 1, 5, 6, 5],        // an initializer of a branch
            &[7, 1, 5, 11, 1, 5, 5], // a constant of a loop's body
            &[7, 15, 1],             // values of a sparse initializer
            &[7, 1, 5, 22, 2],       // indices of a sparse constant
            &[25, 7, 5, 5],          // a function's constant
            &[25, 11, 5],            // a function's default
            &[20, 2, 5],             // training
        ] {
            let model = |location| way.iter().rev().fold(tensor(location), |inside, &number| wrapped(number, &inside));
            assert_eq!(weights_outside(&model(1)).as_deref(), Some("weights.bin"), "{way:?}");
            assert_eq!(weights_outside(&model(0)), None, "{way:?}");
        }
    }

    #[test]
    fn a_group_in_front_hides_nothing() {
        let inside = wrapped(7, &wrapped(5, &tensor(1)));
        let tag = |number: u64, kind: u64| {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, number << 3 | kind);
            bytes
        };
        let group = [tag(99, 3), wrapped(1, b"text"), tag(98, 3), tag(98, 4), tag(99, 4)].concat();
        assert_eq!(weights_outside(&[&group[..], &inside].concat()).as_deref(), Some("weights.bin"));
        assert_eq!(weights_outside(&[tag(99, 3), inside].concat()), None, "a group without an end is no model");
    }

    #[test]
    fn what_is_no_model_has_no_weights_outside() {
        for bytes in [b"".as_slice(), b"this is a text, no model", &[0xff; 40]] {
            assert_eq!(weights_outside(bytes), None);
        }
        let deep = (0..200).fold(tensor(1), |inside, level| wrapped(if level % 3 == 0 { 6 } else { 5 }, &inside));
        assert_eq!(weights_outside(&deep), None);
    }
}
