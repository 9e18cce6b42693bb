//! What a file's streams unpack to, before a library unpacks them into memory: a few kilobytes can hold gigabytes.
//!
//! Pictures are not measured, because nothing unpacks them here. Streams packed twice or encrypted are not seen through;
//! whoever reads hostile files does so in a process with a limit to its memory.

use flate2::{Decompress, FlushDecompress, Status};

use crate::DocError;

/// How much is unpacked at a time.
const STEP_BYTES: usize = 64 * 1024;
/// How far before its data a stream's dictionary is looked at.
const DICTIONARY_BYTES: usize = 1024;
/// Packed data cannot grow more than this, so that small streams need no look.
const MOST_GROWTH: u64 = 1040;

/// Fails if one of the streams unpacks to more than `limit`.
pub fn check(bytes: &[u8], limit: u64) -> Result<(), DocError> {
    if (bytes.len() as u64).saturating_mul(MOST_GROWTH) <= limit {
        return Ok(());
    }
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| crate::decode::find(rest, b"stream")) {
        let keyword = at + found;
        at = keyword + b"stream".len();
        let before = bytes
            .get(keyword.saturating_sub(DICTIONARY_BYTES)..keyword)
            .unwrap_or_default();
        let data = bytes.get(at..).unwrap_or_default();
        let data = data.strip_prefix(b"\r").unwrap_or(data);
        let Some(data) = data.strip_prefix(b"\n") else {
            continue;
        };
        if is_packed(data) && !is_picture(before) {
            at += unpack(data, limit)?;
        }
    }
    Ok(())
}

/// Whether data begins like zlib's.
fn is_packed(data: &[u8]) -> bool {
    match data {
        [method, flags, ..] => method & 0x0f == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0,
        _ => false,
    }
}

fn is_picture(before: &[u8]) -> bool {
    let start = before.windows(3).rposition(|window| window == b"obj").unwrap_or(0);
    let dictionary = before.get(start..).unwrap_or_default();
    let image = |window: &[u8]| window == b"/Image";
    dictionary.windows(6).any(image) && !dictionary.windows(10).any(|window| window == b"/ImageMask")
}

/// How many bytes of `data` were packed.
fn unpack(data: &[u8], limit: u64) -> Result<usize, DocError> {
    let mut unpacker = Decompress::new(true);
    let mut piece = vec![0; STEP_BYTES];
    loop {
        let (read, written) = (unpacker.total_in(), unpacker.total_out());
        let rest = usize::try_from(read)
            .ok()
            .and_then(|read| data.get(read..))
            .unwrap_or_default();
        let status = unpacker.decompress(rest, &mut piece, FlushDecompress::None);
        if unpacker.total_out() > limit {
            return Err(DocError::TooLarge);
        }
        let is_stuck = unpacker.total_in() == read && unpacker.total_out() == written;
        if !matches!(status, Ok(Status::Ok)) || is_stuck {
            return Ok(usize::try_from(unpacker.total_in()).unwrap_or(0));
        }
    }
}
