//! Slots as safetensors files under their paths: weights to be used, and
//! checkpoints from which training goes on as if it had never stopped.

use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::program::{Element, SlotBinding, SlotKind};
use crate::workspace::Workspace;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs;
use std::path::Path;

/// Where a training run stands.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    /// The run's seed.
    pub seed: u64,
    /// Samples per step; another one would visit other batches.
    pub batch: usize,
    /// Samples in the training split.
    pub samples: usize,
    /// Epochs that are complete.
    pub epochs: usize,
    /// Steps made in the epoch after those.
    pub steps_into_epoch: usize,
    /// Steps made in all.
    pub step: u64,
    /// How the validation went, where that decides when to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
}

/// How the validation went so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Judged {
    /// What it is judged by.
    pub metric: String,
    /// Whether greater values of it are better.
    pub greatest: bool,
    /// Complete epochs before the first that was judged.
    pub before: usize,
    /// Complete epochs, up to the last that was judged.
    pub epochs: usize,
    /// The best of them; none while no value was finite.
    pub best: Option<Best>,
}

/// The best validation.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Best {
    /// After which epoch, from 1.
    pub epoch: usize,
    /// The value that it is judged by.
    pub value: f32,
}

/// Saves parameters and states, with remarks that readers may show.
pub fn save_weights(workspace: &Workspace, path: &Path, remarks: &str) -> Result<()> {
    save(workspace, path, is_weight, None, ("nnc", remarks))
}

/// Fills parameters and states; names, shapes and types must all fit.
pub fn load_weights(workspace: &mut Workspace, path: &Path) -> Result<()> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let tensors = parse(path, &bytes)?;
    load(workspace, path, &tensors, is_weight, None)
}

/// Fills some slots with tensors of a file under other names: pairs of the name there and
/// the slot's path.
pub fn fill_weights(
    workspace: &mut Workspace,
    path: &Path,
    fills: &[(String, String)],
) -> Result<()> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let tensors = parse(path, &bytes)?;
    let mut faults = Vec::new();
    for (name, slot_path) in fills {
        let slots = &workspace.table().slots;
        let Some(index) = slots.iter().position(|slot| slot.path == *slot_path) else {
            panic!("runtime: there is no slot {slot_path}");
        };
        let slot = SlotBinding {
            path: name.clone(),
            ..slots[index].clone()
        };
        match (fault(&slot, &tensors), tensors.tensor(name)) {
            (None, Ok(tensor)) => workspace
                .slot_bytes_mut(index)
                .copy_from_slice(tensor.data()),
            (fault, _) => faults.extend(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::BadCheckpoint {
            path: path.to_path_buf(),
            faults,
        }),
    }
}

/// The names and shapes of the tensors in a file, in the order of their names.
pub fn saved_tensors(path: &Path) -> Result<Vec<(String, Vec<usize>)>> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let tensors = parse(path, &bytes)?;
    let mut saved: Vec<(String, Vec<usize>)> = tensors
        .iter()
        .map(|(name, tensor)| (name.to_owned(), tensor.shape().to_vec()))
        .collect();
    saved.sort();
    Ok(saved)
}

/// Saves every slot, the position, and where it is played, how the play stands.
pub fn save_checkpoint(
    workspace: &Workspace,
    played: Option<&[u8]>,
    path: &Path,
    position: &Position,
) -> Result<()> {
    let position = match serde_json::to_string(position) {
        Ok(text) => text,
        Err(error) => panic!("runtime: a position is plain numbers, yet {error}"),
    };
    save(workspace, path, |_| true, played, (POSITION, &position))
}

/// Fills every slot and `played`, and returns the position.
pub fn load_checkpoint(
    workspace: &mut Workspace,
    played: Option<&mut [u8]>,
    path: &Path,
) -> Result<Position> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    let position = read_position(path, &bytes)?;
    load(workspace, path, &parse(path, &bytes)?, |_| true, played)?;
    Ok(position)
}

/// The position alone, for a look before anything is compiled.
pub fn position(path: &Path) -> Result<Position> {
    read_position(path, &fs::read(path).map_err(Error::io("read", path))?)
}

/// The metadata entry that makes a file a checkpoint.
const POSITION: &str = "nnc.position";

fn is_weight(slot: &SlotBinding) -> bool {
    matches!(slot.kind, SlotKind::Param | SlotKind::State)
}

fn save(
    workspace: &Workspace,
    path: &Path,
    wanted: impl Fn(&SlotBinding) -> bool,
    played: Option<&[u8]>,
    (key, value): (&str, &str),
) -> Result<()> {
    let slots = workspace.table().slots.iter().enumerate();
    let views = slots.filter(|(_, slot)| wanted(slot)).map(|(index, slot)| {
        let bytes = workspace.slot_bytes(index);
        match TensorView::new(dtype(slot.element), slot.shape.clone(), bytes) {
            Ok(view) => (slot.path.as_str(), view),
            Err(error) => panic!("runtime: slot {}: {error}", slot.path),
        }
    });
    let played = played.map(|bytes| (PLAYED, plain_bytes(bytes)));
    let views = views.chain(played);
    // One entry only: the order of several would not be the same every time.
    let metadata = HashMap::from([(key.to_string(), value.to_string())]);
    let bytes = match safetensors::serialize(views, Some(metadata)) {
        Ok(bytes) => bytes,
        Err(error) => panic!("runtime: cannot serialize the slots: {error}"),
    };
    write_atomically(path, &bytes)
}

/// The tensor that says how the play stands: bytes that mean nothing to others.
const PLAYED: &str = "nnc.played";

fn plain_bytes(bytes: &[u8]) -> TensorView<'_> {
    match TensorView::new(Dtype::U8, vec![bytes.len()], bytes) {
        Ok(view) => view,
        Err(error) => panic!("runtime: {} bytes: {error}", bytes.len()),
    }
}

fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<SafeTensors<'a>> {
    SafeTensors::deserialize(bytes)
        .map_err(|error| Error::bad_file(path, format!("expected safetensors, but {error}")))
}

fn read_position(path: &Path, bytes: &[u8]) -> Result<Position> {
    let not_one = |fault: String| Error::bad_file(path, fault);
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| not_one(format!("expected safetensors, but {error}")))?;
    let entry = header.metadata().as_ref().and_then(|m| m.get(POSITION));
    let text = entry.ok_or_else(|| {
        not_one("expected a checkpoint, but it holds weights alone, from which training cannot be resumed".into())
    })?;
    serde_json::from_str(text).map_err(|e| not_one(format!("its position is unreadable: {e}")))
}

fn load(
    workspace: &mut Workspace,
    path: &Path,
    tensors: &SafeTensors<'_>,
    wanted: impl Fn(&SlotBinding) -> bool,
    played: Option<&mut [u8]>,
) -> Result<()> {
    let slots: Vec<SlotBinding> = workspace.table().slots.clone();
    let slots = || slots.iter().enumerate().filter(|(_, slot)| wanted(slot));
    let mut faults: Vec<String> = slots()
        .filter_map(|(_, slot)| fault(slot, tensors))
        .collect();
    let mut names = tensors.names();
    names.sort_unstable();
    names.retain(|name| slots().all(|(_, slot)| slot.path != *name));
    let saved = tensors.tensor(PLAYED).ok().map(|tensor| tensor.data());
    if let Some(played) = &played {
        names.retain(|name| *name != PLAYED);
        if saved.is_none_or(|saved| saved.len() != played.len()) {
            faults.push(format!("`{PLAYED}` is missing or of another environment"));
        }
    }
    faults.extend(
        names
            .iter()
            .map(|name| format!("`{name}` is in the file alone")),
    );
    if !faults.is_empty() {
        return Err(Error::BadCheckpoint {
            path: path.to_path_buf(),
            faults,
        });
    }
    for (index, slot) in slots() {
        if let Ok(tensor) = tensors.tensor(&slot.path) {
            workspace
                .slot_bytes_mut(index)
                .copy_from_slice(tensor.data());
        }
    }
    if let (Some(played), Some(saved)) = (played, saved) {
        played.copy_from_slice(saved);
    }
    Ok(())
}

/// Why a slot cannot be filled from the file.
fn fault(slot: &SlotBinding, tensors: &SafeTensors<'_>) -> Option<String> {
    let Ok(tensor) = tensors.tensor(&slot.path) else {
        return Some(format!("`{}` {:?} is missing", slot.path, slot.shape));
    };
    let expected = dtype(slot.element);
    if tensor.dtype() == expected && tensor.shape() == slot.shape {
        return None;
    }
    Some(format!(
        "`{}` is {} {:?} in the file, {expected} {:?} in the model",
        slot.path,
        tensor.dtype(),
        tensor.shape(),
        slot.shape
    ))
}

fn dtype(element: Element) -> Dtype {
    match element {
        Element::F32 => Dtype::F32,
        Element::I32 => Dtype::I32,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::program::SlotTable;

    fn workspace(shapes: &[(&str, SlotKind, &[usize])]) -> Workspace {
        let mut bytes = 0;
        let slots = shapes
            .iter()
            .map(|&(path, kind, shape)| {
                let offset = bytes;
                bytes += (shape.iter().product::<usize>() * 4).next_multiple_of(64);
                SlotBinding {
                    path: path.into(),
                    kind,
                    element: Element::F32,
                    shape: shape.to_vec(),
                    offset,
                }
            })
            .collect();
        Workspace::new(SlotTable { slots, bytes }).unwrap()
    }

    fn net() -> Workspace {
        workspace(&[
            ("net/w", SlotKind::Param, &[2, 3]),
            ("net/mean", SlotKind::State, &[3]),
            ("adam/m:net/w", SlotKind::Optimizer, &[2, 3]),
            ("total/0", SlotKind::Total, &[]),
        ])
    }

    fn fill(workspace: &mut Workspace) {
        for index in 0..4 {
            for (i, value) in workspace.slot_mut::<f32>(index).iter_mut().enumerate() {
                *value = index as f32 + i as f32 / 8.0;
            }
        }
    }

    #[test]
    fn weights_come_back_and_only_they() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        let mut saved = net();
        fill(&mut saved);
        save_weights(&saved, &path, "a test").unwrap();
        let mut loaded = net();
        load_weights(&mut loaded, &path).unwrap();
        assert_eq!(loaded.slot::<f32>(0), saved.slot::<f32>(0));
        assert_eq!(loaded.slot::<f32>(1), saved.slot::<f32>(1));
        assert_eq!(loaded.slot::<f32>(2), [0.0; 6]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_checkpoint_holds_everything() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("checkpoint.safetensors");
        let mut saved = net();
        fill(&mut saved);
        let position = Position {
            seed: u64::MAX,
            step: 77,
            ..Position::default()
        };
        save_checkpoint(&saved, None, &path, &position).unwrap();
        let bytes = fs::read(&path).unwrap();
        save_checkpoint(&saved, None, &path, &position).unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
        let mut loaded = net();
        assert_eq!(load_checkpoint(&mut loaded, None, &path).unwrap(), position);
        for index in 0..4 {
            assert_eq!(loaded.slot::<f32>(index), saved.slot::<f32>(index));
        }
    }

    #[test]
    fn what_does_not_fit_is_listed_and_nothing_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights.safetensors");
        let mut saved = net();
        fill(&mut saved);
        save_weights(&saved, &path, "").unwrap();
        let mut other = workspace(&[
            ("net/w", SlotKind::Param, &[3, 2]),
            ("net/mean", SlotKind::State, &[3]),
            ("net/b", SlotKind::Param, &[3]),
        ]);
        let message = load_weights(&mut other, &path).unwrap_err().to_string();
        assert!(message.ends_with(
            "does not fit the model:\n  - `net/w` is F32 [2, 3] in the file, F32 [3, 2] in the model\
             \n  - `net/b` [3] is missing"
        ), "{message}");
        assert_eq!(other.slot::<f32>(1), [0.0; 3]);
        let mut smaller = workspace(&[("net/w", SlotKind::Param, &[2, 3])]);
        let message = load_weights(&mut smaller, &path).unwrap_err().to_string();
        assert!(
            message.contains("`net/mean` is in the file alone"),
            "{message}"
        );
    }

    #[test]
    fn other_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.safetensors");
        let message = load_weights(&mut net(), &path).unwrap_err().to_string();
        assert!(message.starts_with("cannot read `"), "{message}");
        for garbage in [&b""[..], b"hello, this is no tensor", &[0xff; 64]] {
            fs::write(&path, garbage).unwrap();
            let message = load_weights(&mut net(), &path).unwrap_err().to_string();
            assert!(message.contains("expected safetensors, but "), "{message}");
            assert!(load_checkpoint(&mut net(), None, &path).is_err());
        }
        save_weights(&net(), &path, "").unwrap();
        let message = position(&path).unwrap_err().to_string();
        assert!(message.contains("it holds weights alone"), "{message}");
    }
}
