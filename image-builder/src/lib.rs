//! From built files to a bootable image: pure functions over bytes, no host tool, no clock, no random number.
//!
//! The order is [`initramfs`] (cpio) → [`uki`] (PE file with systemd-stub's sections) → [`esp`] (FAT) → [`disk`] (GPT) → [`format`]
//! (qcow2, VHD, GCP); [`manifest`] says what came out, and [`measure`] what a trust domain shows that boots it. [`mod@inspect`] and [`mod@diff`] go the other way.
//! [`elf`] drops what a shipped kernel does not need; [`identity`] derives every hash and identifier from contents, so that
//! the same input gives the same bytes anywhere.
#![forbid(unsafe_code)]

pub mod authenticode;
pub mod diff;
pub mod disk;
pub mod elf;
pub mod error;
pub mod esp;
pub mod format;
pub mod identity;
pub mod initramfs;
pub mod inspect;
pub mod manifest;
pub mod measure;
pub mod sample;
pub mod sbom;
pub mod uki;

#[cfg(test)]
mod tests;

pub use error::Error;

/// What goes into one image. All fields are file contents, not paths.
#[derive(Debug, Clone, Copy)]
pub struct Ingredients<'a> {
    /// The UEFI application that starts the kernel (`coffer-stub`).
    pub stub: &'a [u8],
    /// The kernel ELF as it is to be shipped (see [`elf::strip`]).
    pub kernel: &'a [u8],
    /// The program that becomes `/init` of the initramfs.
    pub init: &'a [u8],
    /// The built-in command line, without the image hash.
    pub command_line: &'a str,
    /// Version of the release, for `.osrel` and `.uname`.
    pub version: &'a str,
}

/// The outputs of one build.
#[derive(Debug)]
pub struct Image {
    /// Identifies kernel, initramfs and command line ([`identity::image_hash`]).
    pub hash: String,
    /// The initramfs (cpio, newc), as it stands in the UKI.
    pub initramfs: Vec<u8>,
    /// The whole command line: the built-in one followed by `coffer.image=HASH`.
    pub command_line: String,
    /// The unified kernel image, `coffer.efi`.
    pub uki: Vec<u8>,
    /// The GPT disk, `coffer.raw`.
    pub disk: Vec<u8>,
}

/// Builds every output from `ingredients`.
///
/// # Errors
/// Names the ingredient that cannot be used, or the output that it does not fit into.
pub fn build(ingredients: &Ingredients) -> Result<Image, Error> {
    let initramfs = initramfs::build(ingredients.init)?;
    let hash = identity::image_hash(ingredients.kernel, &initramfs, ingredients.command_line);
    let command_line = identity::command_line(ingredients.command_line, &hash);
    let uki = uki::build(&uki::Contents {
        stub: ingredients.stub,
        kernel: ingredients.kernel,
        initramfs: &initramfs,
        command_line: &command_line,
        version: ingredients.version,
    })?;
    let disk = disk::build(&uki)?;
    Ok(Image { hash, initramfs, command_line, uki, disk })
}
