//! Fetches a data set's files from the first mirror that has them: content checked,
//! written beside its place and renamed, so that a file is there whole or not at all.

use crate::error::Error;
use crate::files::write_atomically;
use flate2::read::MultiGzDecoder;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// Files that several servers offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote {
    /// Directories, each ending in `/`.
    pub mirrors: &'static [&'static str],
    /// What lies in each of them.
    pub files: &'static [RemoteFile],
}

/// A file and how to know that it is the right one.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteFile {
    /// Its name.
    pub name: &'static str,
    /// What the sum is of.
    pub content: Content,
    /// The sum.
    pub sha256: &'static str,
}

/// What a sum is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Content {
    /// The file.
    AsItIs,
    /// What it unpacks to: servers pack the same content into different bytes.
    Gunzipped,
}

impl Remote {
    /// Whether a directory has all the files.
    pub fn is_complete(&self, directory: &Path) -> bool {
        let mut files = self.files.iter();
        files.all(|file| directory.join(file.name).is_file())
    }
}

/// How far a download is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Which file.
    pub file: String,
    /// Bytes that have come.
    pub done: u64,
    /// Bytes in all, if the server said so.
    pub total: Option<u64>,
}

/// A machine without network must not keep its user waiting.
const CONNECT: Duration = Duration::from_secs(3);
/// A server that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(10);
/// No file here is near as large.
const LARGEST: u64 = 1 << 30;

/// Fetches the files that `directory` lacks and returns the mirror they came from;
/// the error is a reason for people.
pub(super) fn download(
    remote: &Remote,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<&'static str, String> {
    fs::create_dir_all(directory).map_err(|e| Error::io("create", directory)(e).to_string())?;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build()
        .into();
    let mut reasons = Vec::new();
    for mirror in remote.mirrors {
        match from_mirror(&agent, mirror, remote, directory, progress) {
            Ok(()) => return Ok(mirror),
            Err(reason) => reasons.push((mirror, reason)),
        }
    }
    Err(explain(&reasons))
}

/// One reason for all mirrors is said once: without a network they all fail alike.
fn explain(reasons: &[(&&str, String)]) -> String {
    let mut told = String::from("no mirror could be used: ");
    if reasons.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        told.extend(reasons.first().map(|(_, reason)| reason.as_str()));
        return told;
    }
    let each: Vec<String> = reasons
        .iter()
        .map(|(mirror, reason)| format!("{mirror}: {reason}"))
        .collect();
    told + &each.join("; ")
}

fn from_mirror(
    agent: &ureq::Agent,
    mirror: &str,
    remote: &Remote,
    directory: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), String> {
    for file in remote.files {
        let place = directory.join(file.name);
        if place.exists() {
            continue;
        }
        let address = format!("{mirror}{}", file.name);
        let bytes = fetch(agent, &address, file.name, progress)?;
        verify(&bytes, file).map_err(|fault| format!("{}: {fault}", file.name))?;
        write_atomically(&place, &bytes).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn fetch(
    agent: &ureq::Agent,
    address: &str,
    file: &str,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, String> {
    let response = agent.get(address).call().map_err(|e| e.to_string())?;
    let body = response.into_body();
    let total = body.content_length();
    let mut reader = body.into_reader().take(LARGEST);
    let mut bytes = Vec::new();
    let mut buffer = [0; 1 << 16];
    loop {
        let read = reader.read(&mut buffer).map_err(|e| e.to_string())?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&buffer[..read]);
        progress(Progress {
            file: file.to_string(),
            done: bytes.len() as u64,
            total,
        });
    }
}

fn verify(bytes: &[u8], file: &RemoteFile) -> Result<(), String> {
    let sum = file.sha256;
    let digest = match file.content {
        Content::AsItIs => Sha256::digest(bytes),
        Content::Gunzipped => {
            let mut content = Vec::new();
            MultiGzDecoder::new(bytes)
                .take(LARGEST)
                .read_to_end(&mut content)
                .map_err(|e| format!("what came is not the gzip file expected ({e})"))?;
            Sha256::digest(&content)
        }
    };
    let found: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == sum {
        return Ok(());
    }
    Err(format!(
        "expected content with SHA-256 {sum}, found {found}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;
    use std::net::TcpListener;

    /// SHA-256 of `hello`.
    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    const GREETING: &[RemoteFile] = &[RemoteFile {
        name: "greeting.gz",
        content: Content::Gunzipped,
        sha256: HELLO,
    }];

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// A server on this machine that answers so many requests with a body.
    fn serve(body: Vec<u8>, requests: usize) -> &'static str {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().take(requests) {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(&body).unwrap();
            }
        });
        address.leak()
    }

    #[test]
    fn the_first_mirror_with_the_right_content_is_used() {
        let wrong = serve(gzip(b"goodbye"), 1);
        let right = serve(gzip(b"hello"), 1);
        let remote = Remote {
            mirrors: vec!["http://127.0.0.1:1/", wrong, right].leak(),
            files: GREETING,
        };
        let directory = tempfile::tempdir().unwrap();
        let mut seen = 0;
        let from = download(&remote, directory.path(), &mut |p| seen = p.done).unwrap();
        assert_eq!(from, right);
        let stored = fs::read(directory.path().join("greeting.gz")).unwrap();
        assert_eq!(stored, gzip(b"hello"));
        assert_eq!(seen, stored.len() as u64);
        // What is there is not fetched again: nobody answers any more.
        let again = download(&remote, directory.path(), &mut |_| panic!("fetched again"));
        assert!(again.is_ok());
    }

    #[test]
    fn wrong_content_is_never_left_behind() {
        let remote = Remote {
            mirrors: vec![serve(gzip(b"goodbye"), 1), serve(b"<html>".to_vec(), 1)].leak(),
            files: GREETING,
        };
        let directory = tempfile::tempdir().unwrap();
        let reason = download(&remote, directory.path(), &mut |_| {}).unwrap_err();
        assert!(reason.contains(&format!("expected content with SHA-256 {HELLO}, found ")));
        assert!(reason.contains("not the gzip file expected"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
