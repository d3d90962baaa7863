//! Layers: unpack them all, each verified on the way.

use std::fs;
use std::path::{Path, PathBuf};

use runtime_control::Event;
use runtime_image::{Image, remove_tree, unpack};

use crate::control::Control;
use crate::error::Error;

/// Everything of containers is under this folder.
pub const FOLDER: &str = "/run/coffer";

/// In how many steps a layer's progress is told.
const STEPS: u64 = 20;

/// Unpacks the image's layers; returns their directories, topmost first.
pub fn unpack(image: &Image, control: &mut Control) -> Result<Vec<PathBuf>, Error> {
    let folder = Path::new(FOLDER).join("layers");
    fs::create_dir_all(&folder).map_err(Error::system("create the folder of the layers"))?;
    let mut unpacked: Vec<PathBuf> = Vec::new();
    for (number, layer) in image.layers.iter().enumerate() {
        let into = folder.join(number.to_string());
        let what = format!("layer {}", layer.label());
        let total = layer.size;
        let mut last_step = None;
        let result = unpack::unpack(image, layer, &into, &unpacked, |done| {
            let step = done.saturating_mul(STEPS).checked_div(total);
            if step != last_step {
                last_step = step;
                // Progress is a courtesy: a host that does not listen is told so by the next phase.
                let _ = control.send(&Event::Progress { what: what.clone(), done, total });
            }
        });
        if let Err(error) = result {
            remove_tree(&folder).map_err(Error::system("remove the layers"))?;
            return Err(error.into());
        }
        unpacked.insert(0, into);
    }
    Ok(unpacked)
}
