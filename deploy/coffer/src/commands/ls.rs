//! `coffer ls`: the machines and their state.

use serde::Serialize;

use crate::output::Output;
use crate::state::{Home, Record};

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `running`, `stopped`, or `unfinished` for a launch that was interrupted.
    state: &'static str,
    #[serde(flatten)]
    record: Option<Record>,
}

pub fn main(output: Output) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for home in Home::all()? {
        let record = home.record()?;
        let state = match (&record, home.process()) {
            (None, _) => "unfinished",
            (Some(_), Some(_)) => "running",
            (Some(_), None) => "stopped",
        };
        rows.push(Row { name: home.name.clone(), state, record });
    }
    let mut text = format!("{:20} {:10} {:26} CONTEXT", "NAME", "STATE", "API");
    for Row { name, state, record } in &rows {
        let (api, context) = record.as_ref().map_or(("", ""), |record| (&record.api, &record.context));
        text.push_str(format!("\n{name:20} {state:10} {api:26} {context}").trim_end());
    }
    output.print(&text, &rows)
}
