//! Where a data set's files are: where the user says, where projects keep them, in
//! the user's cache, or on the network.

use super::download::{Remote, download};
use super::{Provenance, Request};
use crate::error::{Error, Result};
use etcetera::BaseStrategy;
use std::path::{Path, PathBuf};

/// Where files may lie that a model names.
#[derive(Clone, Default, Debug)]
pub struct Places {
    /// The folder that the user says; nothing else is tried then.
    pub directory: Option<PathBuf>,
    /// The folder of the model file.
    pub model: Option<PathBuf>,
}

impl Places {
    /// Beside a model in this folder, and wherever else files are looked for.
    #[cfg(test)]
    pub fn beside(folder: &Path) -> Places {
        Places {
            directory: None,
            model: Some(folder.to_path_buf()),
        }
    }

    /// The file or folder of that name: beside the model, in the working directory, in
    /// `$NNC_DATA` or in `./data`, whichever has it first.
    pub(super) fn find(&self, name: &str) -> Result<PathBuf> {
        let places = match &self.directory {
            Some(given) => vec![given.join(name)],
            None => {
                let shared = std::env::var_os("NNC_DATA").map(PathBuf::from);
                let folders = [
                    self.model.clone(),
                    Some(PathBuf::new()),
                    shared,
                    Some("data".into()),
                ];
                let mut places: Vec<PathBuf> = folders
                    .into_iter()
                    .flatten()
                    .map(|folder| folder.join(name))
                    .collect();
                places.dedup();
                places
            }
        };
        match places.iter().find(|place| place.exists()) {
            Some(place) => Ok(place.clone()),
            None => {
                let tried: Vec<String> = places
                    .iter()
                    .map(|p| format!("`{}`", p.display()))
                    .collect();
                Err(Error::NoData(format!(
                    "there is no {}",
                    tried.join(" and no ")
                )))
            }
        }
    }
}

/// A data set that consists of files.
pub(super) struct FileSet {
    /// Name of its folder.
    pub name: &'static str,
    /// What its folder must hold, for people.
    pub expected: &'static str,
    /// Whether a folder has any of its files; what else it lacks is then an error.
    pub is_in: fn(&Path) -> bool,
    /// Who offers the files.
    pub remote: Remote,
}

/// What a search comes to.
pub(super) enum Found {
    /// The folder with its files, and how they got there.
    Folder(PathBuf, Provenance),
    /// Why there are none.
    Nowhere(String),
}

/// Looks into the places in order of how explicitly they were named. Files that are
/// there and damaged are an error, not a reason to look elsewhere.
pub(super) fn find(set: &FileSet, request: &mut Request<'_>) -> Result<Found> {
    let there = |place: PathBuf| Ok(Found::Folder(place.clone(), Provenance::Files(place)));
    if let Some(given) = &request.places.directory {
        let mut places = [given.join(set.name), given.clone()].into_iter();
        return match places.find(|place| (set.is_in)(place)) {
            Some(place) => there(place),
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
        Some(place) => there(place),
        None => from_cache(set, request),
    }
}

fn from_cache(set: &FileSet, request: &mut Request<'_>) -> Result<Found> {
    let cache = match etcetera::choose_base_strategy() {
        Ok(strategy) => strategy.cache_dir().join("nnc").join(set.name),
        Err(error) => return Ok(Found::Nowhere(format!("there is no cache: {error}"))),
    };
    if set.remote.is_complete(&cache) {
        return Ok(Found::Folder(cache.clone(), Provenance::Files(cache)));
    }
    if request.offline {
        let reason = "it is not on this machine, and downloads are forbidden";
        return Ok(Found::Nowhere(reason.into()));
    }
    match download(&set.remote, &cache, request.progress) {
        Err(reason) => Ok(Found::Nowhere(reason)),
        Ok(mirror) => {
            let provenance = Provenance::Downloaded {
                from: mirror.to_string(),
                to: cache.clone(),
            };
            Ok(Found::Folder(cache, provenance))
        }
    }
}
