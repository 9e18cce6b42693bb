//! Writing JSON straight into a byte buffer.

use serde::Serialize;

/// Appends `value` as JSON. Values here are strings, numbers and `serde_json::Value`s, which always serialise;
/// should one not, `null` takes its place so that the line stays JSON.
pub(crate) fn push<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

/// Appends a number in decimal.
pub(crate) fn push_number(out: &mut Vec<u8>, number: u64) {
    push(out, &number);
}

/// Appends text as it is (for the constant parts of a line).
pub(crate) fn push_raw(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
