//! The boot stub's logic, free of firmware: [`sections`] finds the parts of the UKI in its own loaded image, [`kernel`] plans
//! and fills the kernel's memory, [`e820`] and [`boot_params`] say to the kernel what the firmware said.
//!
//! `main.rs` is the UEFI application around it.
#![no_std]
#![forbid(unsafe_code)]

pub mod boot_params;
pub mod command_line;
pub mod e820;
pub mod kernel;
pub mod sections;
