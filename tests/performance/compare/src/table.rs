//! The results: a row for each benchmark, a column for each kernel, and the ratio.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::kernels::{COFFER, FAIR};

/// Rows in the order in which they were first set.
#[derive(Debug, Default)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: String,
    unit: String,
    cells: HashMap<&'static str, f64>,
}

impl Table {
    /// Sets a cell; `None` leaves it empty.
    pub fn set(&mut self, column: &'static str, name: &str, value: Option<f64>, unit: &str) {
        if !self.columns.contains(&column) {
            self.columns.push(column);
        }
        let index = self.rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            self.rows.push(Row { name: name.to_owned(), unit: String::new(), cells: HashMap::new() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[index];
        if let Some(value) = value {
            unit.clone_into(&mut row.unit);
            row.cells.insert(column, value);
        }
    }

    /// The table for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{:<20} {:>5}", "name", "unit");
        for column in &self.columns {
            // Writing to a string succeeds.
            let _ = write!(text, " {column:>18}");
        }
        text.push_str("  ratio\n");
        for row in &self.rows {
            let _ = write!(text, "{:<20} {:>5}", row.name, row.unit);
            for column in &self.columns {
                let _ = write!(text, " {:>18}", row.cell(column));
            }
            let _ = writeln!(text, "  {}", row.ratio());
        }
        text
    }

    /// The table for a document.
    pub fn markdown(&self) -> String {
        let mut text = format!("| benchmark | unit | {} | ratio |\n|---|---|", self.columns.join(" | "));
        text.push_str(&"--:|".repeat(self.columns.len() + 1));
        text.push('\n');
        for row in &self.rows {
            let cells: Vec<String> = self.columns.iter().map(|column| row.cell(column)).collect();
            let _ =
                writeln!(text, "| {} | {} | {} | {} |", row.name, row.unit, cells.join(" | "), row.ratio());
        }
        text
    }
}

impl Row {
    fn cell(&self, column: &str) -> String {
        match self.cells.get(column) {
            Some(value) if *value < 100.0 => format!("{value:.2}"),
            Some(value) => format!("{value:.0}"),
            None => "-".to_owned(),
        }
    }

    /// What Coffer costs, as a multiple of what Linux does: below 1 is better, for rates too.
    fn ratio(&self) -> String {
        let (Some(linux), Some(coffer)) = (self.cells.get(FAIR), self.cells.get(COFFER)) else {
            return "-".to_owned();
        };
        let is_rate = self.unit.ends_with("/s");
        format!("{:.2}", if is_rate { linux / coffer } else { coffer / linux })
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::kernels::{COFFER, FAIR};

    #[test]
    fn a_ratio_is_a_cost_for_times_and_for_rates() {
        let mut table = Table::default();
        for (column, time, rate) in [(FAIR, 100.0, 50.0), (COFFER, 150.0, 100.0)] {
            table.set(column, "time", Some(time), "ns");
            table.set(column, "rate", Some(rate), "MB/s");
        }
        table.set(COFFER, "missing", None, "no such call");
        let text = table.markdown();
        assert!(text.contains("| time | ns | 100 | 150 | 1.50 |"), "{text}");
        assert!(text.contains("| rate | MB/s | 50.00 | 100 | 0.50 |"), "{text}");
        assert!(text.contains("| missing |  | - | - | - |"), "{text}");
    }
}
