#pragma once

namespace attention::cli {

/// The report's style sheet: light and dark, wide and narrow screens, paper.
inline constexpr const char* kPageStyle = R"css(
:root {
  --paper: #fbfbf9; --card: #ffffff; --ink: #1d2430; --soft: #5b6575; --line: #dfe3e8; --accent: #08519c;
  --proved: #1b6e3c; --proved-bg: #e3f3e8; --chance: #8a4b08; --chance-bg: #fdf0dd;
  --impossible: #6b2f8a; --impossible-bg: #f3e8f8; --measured: #45505f; --measured-bg: #eceff3;
  --differs: #a11722; --differs-bg: #fde6e7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14181f; --card: #1c222c; --ink: #e7ebf1; --soft: #a3aebd; --line: #333c4a; --accent: #8cbcf0;
    --proved: #9be0b4; --proved-bg: #17382a; --chance: #f5c98a; --chance-bg: #40301a;
    --impossible: #dbb5ef; --impossible-bg: #38244a; --measured: #c4ccd8; --measured-bg: #2a323e;
    --differs: #ffb3b8; --differs-bg: #4b1d22;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 17px/1.6 "Iowan Old Style", "Palatino Linotype", Palatino, "DejaVu Serif", Georgia, serif;
}
main, header.top, footer { max-width: 72rem; margin: 0 auto; padding: 0 1.5rem; }
header.top { padding-top: 3.5rem; padding-bottom: 1rem; }
h1, h2, h3, nav, table, figcaption, .tag, .facts, code, summary {
  font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
h1 { font-size: 2.3rem; line-height: 1.15; margin: 0 0 .6rem; letter-spacing: -.01em; }
h2 { font-size: 1.6rem; margin: 0 0 .4rem; }
h3 { font-size: 1.05rem; margin: 2.2rem 0 .6rem; }
p { max-width: 46rem; margin: .6rem 0; }
.lead { font-size: 1.15rem; color: var(--soft); max-width: 46rem; }
nav { font-size: .92rem; margin: 1.2rem 0 0; }
nav a { display: inline-block; margin: 0 1.1rem .3rem 0; }
a { color: var(--accent); text-underline-offset: .15em; }
section { border-top: 1px solid var(--line); padding: 2.4rem 0 1.2rem; }
.expected { border-left: 4px solid var(--accent); padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 28rem), 1fr)); gap: 1.2rem; margin: 1.2rem 0; }
figure.wide { grid-column: 1 / -1; }
figure { margin: 0; padding: .9rem; background: var(--card); border: 1px solid var(--line); border-radius: 10px; max-width: 100%; }
figure img { display: block; max-width: 100%; margin: 0 auto; height: auto; background: #ffffff; border-radius: 5px; }
figcaption { font-size: .86rem; line-height: 1.45; color: var(--soft); margin-top: .7rem; max-width: 40rem; }
.scroll { overflow-x: auto; margin: 1rem 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; line-height: 1.4; }
th, td { text-align: left; vertical-align: top; padding: .6rem .8rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); }
td:first-child { min-width: 11rem; }
tbody tr:last-child td { border-bottom: 0; }
td.group { font-weight: 600; }
.tag { display: inline-block; padding: .12rem .55rem; border-radius: 1rem; font-size: .8rem; }
.tag.proved { color: var(--proved); background: var(--proved-bg); }
.tag.chance { color: var(--chance); background: var(--chance-bg); }
.tag.impossible { color: var(--impossible); background: var(--impossible-bg); }
.tag.measured { color: var(--measured); background: var(--measured-bg); }
.tag.differs { color: var(--differs); background: var(--differs-bg); }
details { margin: .5rem 0; max-width: 46rem; }
summary { cursor: pointer; font-size: .95rem; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85em; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem 1rem; overflow-x: auto; }
footer { color: var(--soft); font-size: .88rem; padding-bottom: 3rem; border-top: 1px solid var(--line); padding-top: 1.2rem; }
@media (max-width: 40rem) { body { font-size: 16px; } h1 { font-size: 1.8rem; } main, header.top, footer { padding-left: 1rem; padding-right: 1rem; } }
@media print { body { background: #ffffff; color: #000000; } section { break-before: page; } figure, .scroll { break-inside: avoid; } }
)css";

}  // namespace attention::cli
