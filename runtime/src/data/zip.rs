//! Zip archives, as far as NumPy writes them: files stored or deflated, one directory at the end.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// The files of an archive without `.npy` at the end of their names, by its directory at the end (PKWARE's APPNOTE, section 4.3).
pub(super) fn entries(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>, String> {
    const END: &[u8] = b"PK\x05\x06";
    const END_BYTES: usize = 22;
    const ENTRY_BYTES: usize = 46;
    const LOCAL_BYTES: usize = 30;
    let damaged = || "the archive's directory is damaged or cut off".to_owned();
    let u16_at = |at: usize| {
        let bytes = archive.get(at..at + 2).ok_or_else(damaged)?;
        Ok::<usize, String>(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
    };
    let u32_at = |at: usize| Ok::<usize, String>(u16_at(at)? | u16_at(at + 2)? << 16);
    let starts = 0..archive.len().saturating_sub(END_BYTES - 1);
    let end = starts
        .rev()
        .find(|&at| archive[at..].starts_with(END))
        .ok_or_else(damaged)?;
    let (count, mut at) = (u16_at(end + 10)?, u32_at(end + 16)?);
    let mut files = Vec::new();
    for _ in 0..count {
        let (method, packed, size) = (u16_at(at + 10)?, u32_at(at + 20)?, u32_at(at + 24)?);
        let (name_bytes, extra, comment) = (u16_at(at + 28)?, u16_at(at + 30)?, u16_at(at + 32)?);
        let local = u32_at(at + 42)?;
        let name = archive
            .get(at + ENTRY_BYTES..at + ENTRY_BYTES + name_bytes)
            .ok_or_else(damaged)?;
        let name = String::from_utf8_lossy(name)
            .trim_end_matches(".npy")
            .to_owned();
        let start = local + LOCAL_BYTES + u16_at(local + 26)? + u16_at(local + 28)?;
        let content = archive.get(start..start + packed).ok_or_else(damaged)?;
        let content = match method {
            0 => content.to_vec(),
            8 => {
                let mut unpacked = Vec::new();
                let mut decoder = DeflateDecoder::new(content).take(size as u64);
                decoder
                    .read_to_end(&mut unpacked)
                    .map_err(|error| error.to_string())?;
                unpacked
            }
            other => return Err(format!("`{name}` is packed by an unknown method, {other}")),
        };
        if content.len() != size {
            return Err(format!(
                "expected {size} bytes of `{name}`, found {}",
                content.len()
            ));
        }
        files.push((name, content));
        at += ENTRY_BYTES + name_bytes + extra + comment;
    }
    Ok(files)
}
