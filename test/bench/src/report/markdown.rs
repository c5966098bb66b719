//! The page in Markdown.

use super::Report;
use crate::figures::Figure;
use crate::works::{Compared, Outcome};
use std::collections::BTreeSet;
use std::fmt::Write;

/// What was measured on what, the goals, and a section for each work.
pub fn page(report: &Report) -> String {
    let machine = &report.machine;
    let versions: Vec<_> = machine
        .versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let mut text = format!(
        "# Measured by `make bench`\n\n\
         authkv {}{} on {}, {} cores, Linux {}, which also send the requests. {}.\n\n\
         Medians of {} rounds; in a round each is driven for {} s in turn, and a ratio is that of the figures of one \
         round. Every request of ours has an RS256 token, those of the others have none. CPU is the time of all the \
         server's processes, user and system.\n\n",
        machine.commit.as_deref().unwrap_or("of no commit"),
        machine.against.as_ref().map_or(String::new(), |commit| format!(" against {commit}")),
        machine.cpu,
        machine.cores,
        machine.kernel,
        versions.join(", "),
        report.rounds,
        report.seconds,
    );
    for note in &report.notes {
        let _ = writeln!(text, "{note}\n");
    }
    text.push_str(&goals(report));
    text.extend(report.works.iter().map(section));
    text
}

/// Those of all works, in one table.
fn goals(report: &Report) -> String {
    let rows = report.works.iter().flat_map(|work| {
        let with_goals = work.comparisons.iter().filter(|one| one.goal.is_some());
        with_goals.map(|compared| format!("| {} {}", work.id, row(compared)))
    });
    let rows: String = rows.collect();
    match rows.is_empty() {
        true => rows,
        false => format!(
            "## Goals\n\n| work | compared | ratio | of the rounds | goal | reached |\n|---|---|---:|---|---|---|\n{rows}\n"
        ),
    }
}

fn section(outcome: &Outcome) -> String {
    let mut text = format!("## {}\n\n", outcome.title);
    let compares = |figure: &Figure| outcome.comparisons.iter().any(|one| one.figure == *figure);
    let all = outcome
        .contenders
        .iter()
        .flat_map(|contender| contender.medians.keys());
    let columns: BTreeSet<&Figure> = all
        .filter(|figure| match figure {
            Figure::Thread(_) | Figure::Bytes => compares(figure),
            _ => true,
        })
        .collect();
    let head: String = columns
        .iter()
        .map(|figure| format!(" {figure} |"))
        .collect();
    let _ = writeln!(text, "| |{head}\n|---|{}", "---:|".repeat(columns.len()));
    for contender in &outcome.contenders {
        let cells: String = columns
            .iter()
            .map(|figure| match contender.medians.get(figure) {
                Some(value) => format!(" {} |", figure.show(*value)),
                None => " – |".to_owned(),
            })
            .collect();
        let _ = writeln!(text, "| {} |{cells}", contender.name);
    }
    for contender in &outcome.contenders {
        if let Some(failure) = &contender.failure {
            let _ = writeln!(text, "\nDoes not count: {}: {failure}", contender.name);
        }
    }
    let others: String = outcome
        .comparisons
        .iter()
        .filter(|one| one.goal.is_none())
        .map(row)
        .collect();
    if !others.is_empty() {
        let _ = write!(
            text,
            "\n| compared, without a goal | ratio | of the rounds | | |\n|---|---:|---|---|---|\n{others}"
        );
    }
    text.push('\n');
    text
}

fn row(compared: &Compared) -> String {
    let against = match &compared.base {
        Some(base) => format!(" / {base}"),
        None => String::new(),
    };
    let reached = match compared.reached {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    };
    format!(
        "| {}: {}{against} | {:.2} | {:.2}–{:.2} | {} | {reached} |\n",
        compared.figure,
        compared.contender,
        compared.ratio.median,
        compared.ratio.min,
        compared.ratio.max,
        compared.goal.as_deref().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn the_page_says_what_was_measured_and_what_is_missing() {
        let page = example().markdown();
        for part in [
            "Left out: etcd",
            "| read | req/s: authkv / other | 2.50 | 2.00–3.00 | ≥ 3 | **no** |",
            "| | req/s | CPU µs/req |",
            "| authkv | 50,000 | 20.0 |",
            "| lost & found | – | – |",
            "Does not count: lost & found: of 7 requests",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }
}
