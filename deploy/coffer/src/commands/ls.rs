//! `coffer ls`: the machines and their state.

use serde::Serialize;

use crate::output::Output;
use crate::state::{Home, Record};

/// What a program gets of each machine.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Row {
    Launched {
        /// `running` or `stopped`.
        state: &'static str,
        #[serde(flatten)]
        record: Record,
    },
    /// A launch that goes on, or was interrupted.
    Unfinished { state: &'static str, name: String },
}

pub fn main(output: Output) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for home in Home::all()? {
        rows.push(match home.record()? {
            Some(record) => {
                let state = if home.process().is_some() { "running" } else { "stopped" };
                Row::Launched { state, record }
            }
            None => Row::Unfinished { state: "unfinished", name: home.name },
        });
    }
    let mut text = line("NAME", "STATE", "API", "CONTEXT");
    for row in &rows {
        text.push('\n');
        text.push_str(&match row {
            Row::Launched { state, record } => {
                let (api, context) = (record.api.as_deref(), record.context.as_deref());
                line(&record.name, state, api.unwrap_or("sealed"), context.unwrap_or_default())
            }
            Row::Unfinished { state, name } => line(name, state, "", ""),
        });
    }
    output.print(&text, &rows)
}

fn line(name: &str, state: &str, api: &str, context: &str) -> String {
    format!("{name:20} {state:10} {api:26} {context}").trim_end().to_owned()
}
