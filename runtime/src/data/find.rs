//! Where a data set's files are: where the user says, where projects keep them, in
//! the user's cache, or on the network.

use super::download::{Remote, download};
use super::{Dataset, Provenance, Request};
use crate::error::{Error, Result};
use etcetera::BaseStrategy;
use std::path::{Path, PathBuf};

/// A data set that consists of files.
pub(super) struct FileSet {
    /// Name of its folder.
    pub name: &'static str,
    /// What its folder must hold, for people.
    pub expected: &'static str,
    /// Whether a folder has any of its files; what else it lacks is then an error.
    pub is_in: fn(&Path) -> bool,
    /// Reads the files of a folder.
    pub read: fn(&Path) -> Result<Dataset>,
    /// Who offers the files.
    pub remote: Remote,
}

/// What a search comes to.
pub(super) enum Found {
    /// The data.
    Data(Dataset),
    /// Why there are none.
    Nowhere(String),
}

/// Looks into the places in order of how explicitly they were named. Files that are
/// there and damaged are an error, not a reason to look elsewhere.
pub(super) fn find(set: &FileSet, request: &mut Request<'_>) -> Result<Found> {
    if let Some(given) = &request.directory {
        let mut places = [given.join(set.name), given.clone()].into_iter();
        return match places.find(|place| (set.is_in)(place)) {
            Some(place) => (set.read)(&place).map(Found::Data),
            None => Err(Error::NoData(format!(
                "there is no {} in `{}`: expected {}",
                set.name,
                given.display(),
                set.expected
            ))),
        };
    }
    let shared = std::env::var_os("NNC_DATA").map(|root| PathBuf::from(root).join(set.name));
    let own = PathBuf::from("data").join(set.name);
    let mut places = shared.into_iter().chain([own]);
    match places.find(|place| (set.is_in)(place)) {
        Some(place) => (set.read)(&place).map(Found::Data),
        None => from_cache(set, request),
    }
}

fn from_cache(set: &FileSet, request: &mut Request<'_>) -> Result<Found> {
    let cache = match etcetera::choose_base_strategy() {
        Ok(strategy) => strategy.cache_dir().join("nnc").join(set.name),
        Err(error) => return Ok(Found::Nowhere(format!("there is no cache: {error}"))),
    };
    if set.remote.is_complete(&cache) {
        return (set.read)(&cache).map(Found::Data);
    }
    if request.offline {
        let reason = "it is not on this machine, and downloads are forbidden";
        return Ok(Found::Nowhere(reason.into()));
    }
    match download(&set.remote, &cache, request.progress) {
        Err(reason) => Ok(Found::Nowhere(reason)),
        Ok(mirror) => {
            let mut dataset = (set.read)(&cache)?;
            dataset.provenance = Provenance::Downloaded {
                from: mirror.to_string(),
                to: cache,
            };
            Ok(Found::Data(dataset))
        }
    }
}
