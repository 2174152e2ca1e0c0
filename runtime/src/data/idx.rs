//! The IDX format of the MNIST files: a magic number, big-endian extents, bytes.
//! Plain or gzipped. Nothing in a file is believed before it is checked.

use crate::error::{Error, Result};
use crate::memory::available_memory;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

/// An array of bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Idx {
    /// Extents, outermost first.
    pub extents: Vec<usize>,
    /// Row-major.
    pub bytes: Vec<u8>,
}

/// Reads a file of unsigned bytes of the given rank.
pub(super) fn read_idx(path: &Path, rank: usize) -> Result<Idx> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut magic = Vec::new();
    // Two bytes tell gzip from IDX; they are read again by whoever decodes.
    let outcome = (&mut reader).take(2).read_to_end(&mut magic);
    outcome.map_err(Error::io("read", path))?;
    let gzip = magic == GZIP_MAGIC;
    let whole = Cursor::new(magic).chain(reader);
    let parsed = if gzip {
        parse(MultiGzDecoder::new(whole), rank)
    } else {
        parse(whole, rank)
    };
    parsed.map_err(|fault| Error::bad_file(path, fault))
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Element type "unsigned byte" in an IDX header.
const UNSIGNED_BYTE: u8 = 0x08;

/// Reads all of `reader`, or says what was expected and what was found.
fn parse(mut reader: impl Read, rank: usize) -> Result<Idx, String> {
    let mut header = vec![0; 4 + 4 * rank];
    read_exactly(&mut reader, &mut header, "its header")?;
    let expected = [0, 0, UNSIGNED_BYTE, rank as u8];
    if header[..4] != expected {
        return Err(format!(
            "expected an IDX file of bytes with {rank} axes, which starts with {}, but found {}",
            hexadecimal(&expected),
            hexadecimal(&header[..4])
        ));
    }
    let extents: Vec<usize> = header[4..]
        .chunks_exact(4)
        .map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize)
        .collect();
    let size = extents
        .iter()
        .try_fold(1_usize, |product, &extent| product.checked_mul(extent))
        .filter(|&size| size as u64 <= available_memory())
        .ok_or_else(|| format!("its header claims {extents:?}, more than this machine can hold"))?;
    if extents.contains(&0) {
        return Err(format!("its header claims {extents:?}, which is empty"));
    }
    // Grows with what is really there, so that a lying header costs nothing.
    let mut bytes = Vec::with_capacity(size.min(LARGEST_ADVANCE));
    let outcome = reader.by_ref().take(size as u64).read_to_end(&mut bytes);
    outcome.map_err(|error| decoding(&error))?;
    if bytes.len() < size {
        return Err(format!(
            "expected {size} bytes after the header ({extents:?}), found only {}",
            bytes.len()
        ));
    }
    // Reading on checks the checksum of gzip, too.
    let more = std::io::copy(&mut reader, &mut std::io::sink()).map_err(|e| decoding(&e))?;
    if more > 0 {
        return Err(format!(
            "expected {size} bytes after the header ({extents:?}), found {more} more"
        ));
    }
    Ok(Idx { extents, bytes })
}

/// Memory set aside before a byte has been read.
const LARGEST_ADVANCE: usize = 64 << 20;

fn read_exactly(reader: &mut impl Read, out: &mut [u8], what: &str) -> Result<(), String> {
    reader.read_exact(out).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => format!("it ends within {what}"),
        _ => decoding(&error),
    })
}

fn decoding(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::UnexpectedEof => "its gzip stream is truncated".to_string(),
        _ => format!("it cannot be decoded: {error}"),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn idx(extents: &[u32], bytes: &[u8]) -> Vec<u8> {
        let mut file = vec![0, 0, 8, extents.len() as u8];
        file.extend(extents.iter().flat_map(|e| e.to_be_bytes()));
        file.extend(bytes);
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], rank: usize) -> Result<Idx, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        read_idx(file.path(), rank).map_err(|error| {
            let message = error.to_string();
            assert!(message.contains(&*file.path().to_string_lossy()));
            message
        })
    }

    #[test]
    fn plain_and_gzipped_files_are_the_same() {
        let file = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let expected = Idx {
            extents: vec![2, 3],
            bytes: vec![1, 2, 3, 4, 5, 6],
        };
        assert_eq!(read(&file, 2).unwrap(), expected);
        assert_eq!(read(&gzip(&file), 2).unwrap(), expected);
    }

    #[test]
    fn faults_are_named() {
        let file = idx(&[2, 3], &[1, 2, 3, 4, 5, 6]);
        let packed = gzip(&file);
        let mut corrupt = packed.clone();
        let crc = corrupt.len() - 6;
        corrupt[crc] ^= 1;
        let mut longer = file.clone();
        longer.push(7);
        for (bytes, fault) in [
            (&file[..0], "it ends within its header"),
            (&file[..9], "it ends within its header"),
            (
                &file[..14],
                "expected 6 bytes after the header ([2, 3]), found only 2",
            ),
            (
                &longer[..],
                "expected 6 bytes after the header ([2, 3]), found 1 more",
            ),
            (&packed[..packed.len() - 9], "truncated"),
            (&corrupt[..], "cannot be decoded"),
            (
                b"<html>404</html>",
                "which starts with 00 00 08 02, but found 3c 68 74 6d",
            ),
            (&idx(&[0, 3], &[]), "which is empty"),
            (
                &idx(&[u32::MAX, u32::MAX], &[]),
                "more than this machine can hold",
            ),
            (&idx(&[1 << 16, 1 << 10], &[1]), "expected 67108864 bytes"),
        ] {
            let message = read(bytes, 2).unwrap_err();
            assert!(message.contains(fault), "{message}\n  should say: {fault}");
        }
        assert!(
            read(&file, 3)
                .unwrap_err()
                .contains("00 00 08 03, but found 00 00 08 02")
        );
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), rank in 1_usize..4) {
            let _ = parse(Cursor::new(&bytes), rank);
            let _ = parse(MultiGzDecoder::new(Cursor::new(&bytes)), rank);
        }

        #[test]
        fn damaged_files_never_panic(position in 0_usize..200, value: u8, cut in 0_usize..200) {
            let mut file = gzip(&idx(&[5, 4, 3], &[9; 60]));
            let cut = cut.min(file.len());
            let position = position % file.len();
            file[position] = value;
            let _ = parse(MultiGzDecoder::new(Cursor::new(&file[..cut])), 3);
        }

        #[test]
        fn lying_headers_never_panic(extents in proptest::array::uniform3(any::<u32>())) {
            let parsed = parse(Cursor::new(idx(&extents, &[1, 2, 3])), 3);
            prop_assert_eq!(parsed.is_ok(), extents.iter().map(|&e| u128::from(e)).product::<u128>() == 3);
        }
    }
}
