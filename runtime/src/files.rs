//! Files that are there whole or not at all.

use crate::error::{Error, Result};
use std::io::{self, Write};
use std::path::Path;

/// Writes beside the place, then renames.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".nnc-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Temporary files are private by default; the result is an ordinary file.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder
        .tempfile_in(directory)
        .map_err(|error| Error::io("create", path)(plain(&error)))?;
    // Through the file itself: its wrapper's errors name the temporary file.
    let written = file.as_file_mut().write_all(bytes);
    written.map_err(Error::io("write", path))?;
    file.persist(path)
        .map_err(|error| Error::io("create", path)(error.error))?;
    Ok(())
}

/// An error without the name of the temporary file, which tells nobody anything.
pub fn plain(error: &io::Error) -> io::Error {
    let text = error.to_string();
    match text.split_once(" at path ") {
        Some((reason, _)) => io::Error::new(error.kind(), reason),
        None => io::Error::new(error.kind(), text),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_name_the_file_that_was_to_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("weights.safetensors");
        let message = write_atomically(&path, b"").unwrap_err().to_string();
        assert!(message.contains("weights.safetensors"), "{message}");
        assert!(!message.contains(".nnc-"), "{message}");
    }

    #[test]
    fn reasons_without_a_kind_are_kept() {
        let reason = io::Error::other("Too many open files (os error 24)");
        let error = io::Error::other(format!("{reason} at path \"/tmp/.nnc-x7\""));
        assert_eq!(plain(&error).to_string(), reason.to_string());
        assert_eq!(plain(&reason).to_string(), reason.to_string());
    }
}
