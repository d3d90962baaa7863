//! The report as one page of HTML: no script, nothing from elsewhere. `maud` escapes what comes from evidence.

use maud::{DOCTYPE, PreEscaped, html};

use super::facts::Section;
use crate::judging::{Verdict, outcome};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
    h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}.accepted{color:#056b2e}.refused,.FAIL{color:#b00020}\
    table{border-collapse:collapse;width:100%}td{border-top:1px solid #ddd;padding:.25rem .75rem .25rem 0;vertical-align:top}\
    td:last-child{font-family:ui-monospace,monospace;font-size:.85em;overflow-wrap:anywhere}.warning{background:#fff3cd;padding:.5rem}";

/// The page.
pub fn render(source: &str, verdict: &Verdict, sections: &[Section]) -> String {
    let report = verdict.report();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Coffer: " (report.verdict) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 class=(report.verdict) { (report.reason) }
                p { "Evidence in " code { (source) } ", judged as of " (report.at) "." }
                @if let Some(warning) = verdict.warning() {
                    p class="warning" { (warning) }
                }
                @for section in sections {
                    h2 { (section.title) }
                    table {
                        @for (name, value) in &section.rows {
                            tr { td { (name) } td { (value) } }
                        }
                    }
                }
                h2 { "checks" }
                table {
                    @for check in report.checks {
                        tr {
                            td class=(outcome(check)) { (outcome(check)) }
                            td { (check.name) }
                            td { (check.reason) }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}
