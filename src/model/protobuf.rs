//! Protobuf's wire format, as far as an ONNX file has to be looked at without its schema: fields one after the other
//! (<https://protobuf.dev/programming-guides/encoding/>).

/// Wire type of strings and messages.
const LENGTH_DELIMITED: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'a> {
    pub(super) number: u64,
    pub(super) value: Value<'a>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number of variable length.
    Varint(u64),
    /// A string, bytes, a message, or numbers in a row.
    Content(&'a [u8]),
    /// Four or eight bytes, or a group, which nobody here wants to know.
    Skipped,
}

impl<'a> Field<'a> {
    /// The bytes of a string or message.
    pub(super) fn content(&self) -> Option<&'a [u8]> {
        match self.value {
            Value::Content(content) => Some(content),
            _ => None,
        }
    }
}

/// The first field of a message and what follows it; `None` when the message does not begin with a whole field.
pub(super) fn next_field(bytes: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (tag, rest) = varint(bytes)?;
    let number = tag >> 3;
    let (value, rest) = match tag & 7 {
        0 => {
            let (value, rest) = varint(rest)?;
            (Value::Varint(value), rest)
        }
        1 => (Value::Skipped, rest.get(8..)?),
        LENGTH_DELIMITED => {
            let (len, rest) = varint(rest)?;
            let (content, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            (Value::Content(content), rest)
        }
        START_GROUP => (Value::Skipped, behind_group(rest)?),
        5 => (Value::Skipped, rest.get(4..)?),
        _ => return None,
    };
    (number > 0).then_some((Field { number, value }, rest))
}

/// What follows a group, of which `bytes` are the content and the rest; groups may lie in groups.
fn behind_group(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut depth = 1usize;
    while depth > 0 {
        let (tag, rest) = varint(bytes)?;
        (depth, bytes) = match tag & 7 {
            START_GROUP => (depth + 1, rest),
            END_GROUP => (depth - 1, rest),
            _ => (depth, next_field(bytes)?.1),
        };
    }
    Some(bytes)
}

/// The fields of a message, up to the first that is not whole.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    std::iter::from_fn(move || {
        let (field, rest) = next_field(bytes)?;
        bytes = rest;
        Some(field)
    })
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

/// Appends a string or message.
pub(super) fn put(bytes: &mut Vec<u8>, number: u64, content: &[u8]) {
    put_varint(bytes, number << 3 | LENGTH_DELIMITED);
    put_varint(bytes, content.len() as u64);
    bytes.extend_from_slice(content);
}

/// Appends a number, without the tag of a field.
pub(super) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
