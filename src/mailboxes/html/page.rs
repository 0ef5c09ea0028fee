//! Puts the page together: one document that loads nothing.

use openssl::{base64, sha::sha256};

use super::{
    collect::Collected,
    data, tables,
    text::{escape, time},
};

/// The page of a log with this name.
pub(super) fn html(collected: &mut Collected, log: &str) -> String {
    let data = data::json(collected);
    let (from, to) = collected.whole_span();
    let (from, to) = (time(from), time(to));
    let log = escape(log);
    let (style, script) = (STYLE, SCRIPT);
    // Text of the log that got into the page as markup, by an error, could neither run nor load anything.
    let policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src '{}'; script-src '{}'",
        hash(style),
        hash(script)
    );
    let (summary, tables) = (tables::summary(collected), tables::html(collected));
    let version = env!("CARGO_PKG_VERSION");
    let lines = collected.lines;
    format!(
        "{BEGINNING}
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<meta name=\"generator\" content=\"nuncio {version}\">
<title>Mailboxes: {log}</title>
<style>{style}</style>
</head>
<body>
<header>
<div>
<h1>Mailboxes</h1>
<p>{log}, {lines} mailbox lines, {from} to {to} UTC</p>
</div>
<button type=\"button\" id=\"theme\" hidden>Theme: system</button>
</header>
<main>
<ul id=\"summary\">
{summary}</ul>
<noscript><p>The charts need JavaScript. All of their figures are in the tables.</p></noscript>
<section id=\"charts\" aria-label=\"Charts\" hidden></section>
<section id=\"tables\" aria-label=\"Tables\">
<h2>Tables</h2>
{tables}</section>
</main>
<script type=\"application/json\" id=\"data\">{data}</script>
<script>{script}</script>
</body>
</html>
"
    )
}

/// The hash of an element for the content security policy (CSP level 2, section 4.2.5).
fn hash(text: &str) -> String {
    format!("sha256-{}", base64::encode_block(&sha256(text.as_bytes())))
}

/// The first bytes of every page.
pub(super) const BEGINNING: &str = "<!DOCTYPE html>
<!-- made by nuncio mailboxes -->";

const STYLE: &str = include_str!("page.css");

/// The parts are one script.
const SCRIPT: &str = concat!(
    "\"use strict\";\n",
    include_str!("data.js"),
    include_str!("scale.js"),
    include_str!("chart.js"),
    include_str!("page.js"),
    include_str!("control.js"),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn page(lines: &str, log: &str) -> String {
        let mut collected = Collected::default();
        lines.lines().for_each(|line| collected.add_line(line.as_bytes()));
        html(&mut collected, log)
    }

    #[test]
    fn the_page_loads_nothing_and_has_the_figures_of_the_log() {
        let page = page(include_str!("../yesterday.log"), "nuncio.log");
        for element in ["<link", "<img", "<iframe", " src=", " href=", "@import", "url("] {
            assert!(!page.contains(element), "{element}");
        }
        for text in
            ["a.example &gt; c.example", "2026-11-21 09:00:50", "Mailboxes were full 2 times.", "nuncio.log"]
        {
            assert!(page.contains(text), "no {text} in {page}");
        }
    }

    #[test]
    fn text_of_a_log_is_text_in_the_page() {
        let evil = "</script><script>alert(1)</script><img/onerror=alert(1)>";
        let line = format!(
            "2026-11-21T09:00:00Z INFO  nuncio::mailbox mailbox actor={evil} depth=9 deepest=\"{evil} > x:9\" \
             peak=9 capacity=9 wait_p99={evil} refused=1\n2026-11-21T09:00:10Z INFO  nuncio::mailbox mailbox \
             idle=<b>,{evil} since=5m"
        );
        let page = page(&line, evil);
        assert_eq!(page.matches("<script").count(), 2, "{page}");
        assert_eq!(page.matches("</script").count(), 2);
        assert!(!page.contains("<img") && !page.contains("<b>"), "{page}");
    }

    #[test]
    fn the_scripts_are_no_markup() {
        assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
        assert!(!STYLE.contains("</style"));
    }
}
