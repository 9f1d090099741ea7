/** Blue and orange are told apart by who sees red and green as one; losses are dark as well as red. */
export const STYLE = `
:root { --paper: #fbfaf7; --card: #fff; --ink: #1d2530; --soft: #5b6673; --rule: #dfe2e6; --plain: #b8500a; --plumbline: #1763b6;
  --good: #7fb2e5; --late: #e8b04a; --lost: #b3202a; --mail: #c9ced5; --ping: #2f7d4f; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #12161c; --card: #1a2028; --ink: #e8ecf1; --soft: #9aa6b4; --rule: #2c343f; --plain: #f2995a; --plumbline: #6bb0f5;
    --good: #3f78b3; --late: #d39b35; --lost: #ff6b6b; --mail: #4a5563; --ping: #63c08a; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 40px 20px 60px; }
h1 { font-size: 2.1rem; line-height: 1.15; margin: .2em 0 .35em; letter-spacing: -.015em; }
h2 { font-size: 1.15rem; margin: 0 0 .2em; }
h3 { font-size: .95rem; margin: 12px 0 0; color: var(--soft); font-weight: 600; }
.kicker, figcaption p, footer { color: var(--soft); }
.kicker { margin: 0; font-size: .9rem; }
.lead { font-size: 1.1rem; max-width: 62ch; margin: 0; }
figcaption p { margin: 0; max-width: 75ch; font-size: .95rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); gap: 16px; margin: 28px 0; }
.card, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 18px 20px; }
.card { border-top: 4px solid var(--plain); }
.card.plumbline { border-top-color: var(--plumbline); }
.card dl { margin: 10px 0 0; display: grid; gap: 10px; }
.card dl div { display: flex; flex-direction: column-reverse; }
.card dt { color: var(--soft); font-size: .9rem; }
.card dd { margin: 0; font-size: 1.45rem; font-weight: 650; line-height: 1.2; font-variant-numeric: tabular-nums; }
figure { margin: 0 0 20px; }
svg { display: block; width: 100%; min-width: 640px; height: auto; margin-top: 8px; }
.scroll { overflow-x: auto; }
.scroll:focus-visible { outline: 2px solid var(--plumbline); outline-offset: 2px; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { fill: var(--soft); font-size: 12px; }
.value { fill: var(--ink); font-size: 12px; font-weight: 600; }
.row { fill: var(--soft); font-size: 11.5px; }
.lost-text { fill: var(--lost); }
rect.good { fill: var(--good); } rect.late { fill: var(--late); } rect.lost { fill: var(--lost); } rect.mail { fill: var(--mail); }
rect.plumbline-mark { fill: var(--plumbline); }
rect.operational { fill: var(--good); } rect.degraded { fill: var(--late); } rect.unknown { fill: var(--soft); }
rect.partial { fill: var(--plain); } rect.major { fill: var(--lost); } rect.maintenance { fill: var(--mail); }
rect.none { fill: var(--rule); } rect.page { fill: var(--plumbline); } rect.noise { fill: var(--soft); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.plain { stroke: var(--plain); } .line.plumbline { stroke: var(--plumbline); } .line.ping { stroke: var(--ping); stroke-width: 3; stroke-dasharray: 2 4; }
.area.plain { fill: var(--plain); opacity: .16; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 8px 0 0; padding: 0; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: 7px; }
.swatch { width: 14px; height: 10px; border-radius: 2px; background: var(--soft); }
.swatch.good { background: var(--good); } .swatch.late { background: var(--late); } .swatch.lost { background: var(--lost); }
.swatch.mail { background: var(--mail); } .swatch.plain { background: var(--plain); } .swatch.ping { background: var(--ping); }
.swatch.plumbline, .swatch.plumbline-mark, .swatch.page { background: var(--plumbline); }
.swatch.operational { background: var(--good); } .swatch.degraded { background: var(--late); } .swatch.partial { background: var(--plain); }
.swatch.major { background: var(--lost); }
table { border-collapse: collapse; width: 100%; margin: 12px 0 20px; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 650; padding: 6px 0; }
th, td { text-align: right; padding: 5px 10px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child { text-align: left; }
table.words td:last-child { text-align: left; white-space: normal; min-width: 34ch; }
thead th { color: var(--soft); font-weight: 600; }
tr.bad td:nth-child(6) { color: var(--lost); font-weight: 700; }
.diary { list-style: none; padding: 0; margin: 8px 0; font-size: .95rem; }
.diary li { padding: 3px 0; }
.diary time { display: inline-block; min-width: 11.5em; color: var(--soft); font-variant-numeric: tabular-nums; }
footer { font-size: .9rem; margin-top: 28px; }
code { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .92em; }
@media print { figure, .card { break-inside: avoid; } }
`;
