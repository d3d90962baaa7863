//! `coffer image measure`: the registers of machines that boot an image.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use coffer_image_builder::identity::hex;
use coffer_image_builder::measure::firmware::{Order, mrtd};
use coffer_image_builder::measure::{Registers, registers};
use serde::Serialize;

use crate::output::Output;

/// What a program gets.
#[derive(Debug, Serialize)]
struct Report {
    /// By the way of loading.
    registers: BTreeMap<String, Registers>,
    /// By the order in which pages are added; empty without a firmware.
    mrtd: BTreeMap<&'static str, String>,
}

pub fn main(file: &Path, firmware: Option<&Path>, output: Output) -> anyhow::Result<ExitCode> {
    let mrtd = firmware.map(mrtd_of).transpose()?.unwrap_or_default();
    let report = Report { registers: registers(&super::read(file)?)?, mrtd };
    output.print(&describe(&report), &report)?;
    Ok(ExitCode::SUCCESS)
}

/// MRTD of a firmware, for each order of adding its pages.
pub fn mrtd_of(firmware: &Path) -> anyhow::Result<BTreeMap<&'static str, String>> {
    let bytes = super::read(firmware)?;
    let measured = Order::ALL.into_iter().map(|order| Ok((order.name(), hex(&mrtd(&bytes, order)?))));
    measured.collect::<anyhow::Result<_>>().with_context(|| firmware.display().to_string())
}

fn describe(report: &Report) -> String {
    let registers = report.registers.iter();
    let rtmrs =
        registers.flat_map(|(way, it)| [(way.as_str(), "RTMR1", &it.rtmr1), (way, "RTMR2", &it.rtmr2)]);
    let mrtd = report.mrtd.iter().map(|(order, value)| (*order, "MRTD", value));
    let lines = mrtd.chain(rtmrs).map(|(way, name, value)| format!("{way:22}  {name:5}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}
