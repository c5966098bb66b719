//! Tests that the tables in the documentation agree with the lists in the code. `make tables` writes the tables.
//!
//! The page decides the order of the rows, the code their content. Only rows between the two comments below are generated.

use authkv_base::error::{Error, Row};
use authkv_config::Config;
use authkv_metrics::list;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- The rows of these tables are made from the code: `make tables` -->";
const END: &str = "<!-- The end of the rows that are made -->";

/// Rows by name.
type Rows = BTreeMap<String, String>;

fn errors() -> Rows {
    let row = |(row, meaning): &(Row, &str)| {
        let (name, code, api, v1) = (row.name, row.code, row.api_status, row.v1_status);
        let row = format!("| `{name}` | {code} | {api} | {v1} | {meaning} |");
        (name.to_owned(), row)
    };
    Error::ROWS.iter().map(row).collect()
}

fn settings() -> Rows {
    let mut rows = Rows::new();
    for setting in Config::reference() {
        let (name, default) = (setting.name, cell_of_default(setting.default));
        let allowed = plain(&setting.allowed.replace("a whole number from ", ""));
        let text = match setting.text {
            "" => plain(setting.meaning),
            text => text.to_owned(),
        };
        let when = setting.takes_effect.word();
        let row = format!("| `{name}` | {default} | {allowed} | {when} | {text} |");
        rows.insert(name.to_owned(), row);
    }
    rows
}

fn metrics() -> Rows {
    let row = |metric: &&list::Metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`"));
        let labels = labels.collect::<Vec<_>>().join(", ");
        let (name, kind, help) = (metric.name, metric.kind.name(), metric.help);
        let row = format!("| `{name}` | {kind} | {labels} | {help} |");
        (name.to_owned(), row)
    };
    list::ALL.iter().map(row).collect()
}

/// A default in angle brackets is a description.
fn cell_of_default(default: &str) -> String {
    let described = default
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    match described {
        Some(text) => text.to_owned(),
        None if default.parse::<u64>().is_ok() => default.to_owned(),
        None => format!("`{default}`"),
    }
}

/// Escapes text for Markdown.
fn plain(text: &str) -> String {
    text.replace('*', "\\*")
}

/// Each page: its path, its text, and what the text should be.
fn pages() -> Vec<(PathBuf, String, String)> {
    let page = |path: &str, rows| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&path).unwrap();
        let should_be = with_rows(&text, rows);
        (path, text, should_be)
    };
    vec![
        page("documentation/api.md", errors()),
        page("documentation/how-to-run.md", settings()),
        page("documentation/metrics.md", metrics()),
    ]
}

/// The page with generated rows. Panics if a row has an unknown name, or a name has no row or two.
fn with_rows(page: &str, mut rows: Rows) -> String {
    let mut is_made = false;
    let mut lines = String::new();
    for line in page.lines() {
        is_made = (is_made || line == BEGIN) && line != END;
        let cell = line.strip_prefix("| `").filter(|_| is_made);
        match cell.and_then(|cell| cell.split('`').next()) {
            Some(name) => {
                let row = rows.remove(name);
                lines += &row.unwrap_or_else(|| panic!("{name} is nothing, or has two rows"));
            }
            None => lines += line,
        }
        lines.push('\n');
    }
    let missing: Vec<_> = rows.keys().collect();
    assert!(
        missing.is_empty(),
        "add a line `| `NAME` |` to a table for each of {missing:?}, then `make tables`"
    );
    lines
}

#[test]
fn the_tables_say_what_the_code_says() {
    for (path, text, should_be) in pages() {
        assert!(
            text == should_be,
            "{}: run `make tables`, and read what it has changed",
            path.display()
        );
    }
}

#[test]
#[ignore = "writes the tables: `make tables`"]
fn write_the_tables() {
    for (path, _, should_be) in pages() {
        std::fs::write(path, should_be).unwrap();
    }
}
