//! The chart: requests per second as horizontal bars, a group for each work, readable on light and dark pages.

use super::Report;
use crate::figures::Figure;
use crate::works::{Measured, Outcome, AGAINST, AUTHKV, HYPER, REDIS};

/// The works that are shown, if they were done.
const SHOWN: [&str; 3] = ["read", "write", "iproto"];
const WIDTH: u32 = 760;
const LEFT: u32 = 220;
const BAR: u32 = 300;
const ROW: u32 = 24;
const HEAD: u32 = 40;

const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.ours { fill: #1f7a4d }
.other { fill: #8c959f }
.floor { fill: #d0d7de }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ours { fill: #3fb977 }
  .other { fill: #6e7681 }
  .floor { fill: #3d444d }
}
";

/// Empty, but a picture, where nothing of it was measured.
pub fn svg(report: &Report) -> String {
    let works = report.works.iter().filter(|work| SHOWN.contains(&work.id));
    let (mut body, mut top) = (String::new(), 0);
    for work in works {
        body.push_str(&text(0, top + 22, "title", &work.title));
        top += HEAD;
        let most = rates(work).map(|(_, rate)| rate).fold(1.0, f64::max);
        for (contender, rate) in rates(work) {
            body.push_str(&bar(contender, rate, most, top));
            top += ROW;
        }
        top += ROW / 2;
    }
    body.push_str(&text(
        0,
        top + 22,
        "",
        "Requests per second, and the server's CPU time for each",
    ));
    top += HEAD;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" width=\"{WIDTH}\" height=\"{top}\" \
         role=\"img\" aria-label=\"Requests per second of authkv and others\">\n<style>\n{STYLE}</style>\n{body}</svg>\n"
    )
}

fn rates(work: &Outcome) -> impl Iterator<Item = (&Measured, f64)> {
    work.contenders
        .iter()
        .filter_map(|contender| Some((contender, *contender.medians.get(&Figure::Rate)?)))
}

fn bar(contender: &Measured, rate: f64, most: f64, top: u32) -> String {
    let class = match contender.name.as_str() {
        AUTHKV | AGAINST => "ours",
        HYPER | REDIS => "floor",
        _ => "other",
    };
    let width = (f64::from(BAR) * rate / most).max(1.0);
    let mut label = format!("{} req/s", Figure::Rate.show(rate));
    if let Some(cpu) = contender.medians.get(&Figure::Cpu) {
        label.push_str(&format!(", {} µs", Figure::Cpu.show(*cpu)));
    }
    format!(
        "{}<rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\"/>\n{}",
        text(0, top + 15, "", &contender.name),
        top + 2,
        ROW - 6,
        text(LEFT + width as u32 + 8, top + 15, "", &label),
    )
}

fn text(x: u32, y: u32, class: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_of_the_longest() {
        let svg = svg(&example());
        assert!(
            svg.contains("class=\"ours\" x=\"220\" y=\"42\" width=\"300.0\""),
            "{svg}"
        );
        assert!(svg.contains("width=\"120.0\""), "{svg}");
        assert!(svg.contains("20,000 req/s, 20.0 µs"), "{svg}");
        // One that failed has no bar.
        assert_eq!(svg.matches("<rect").count(), 2);
    }

    #[test]
    fn text_is_escaped() {
        assert!(text(0, 0, "", "a<b & c").contains("a&lt;b &amp; c"));
    }
}
