/**
 * The status page's style sheet: text first, the brass bob of the start page, and one colour and form for each state.
 * Contrast of text is at least 4.5:1 and of signs 3:1, in both schemes; everything fits 360 px; nothing moves.
 */
export const STATUS_STYLE = `
:root {
  --paper: #fbfaf7; --raised: #ffffff; --ink: #1d1c1a; --quiet: #5d5a53; --line: #dedad0; --accent: #855200;
  --good: #2c6e49; --maintenance: #35608f; --degraded: #8a5a00; --partial: #b3470f; --major: #a3201a; --unknown: #6a675f;
  --soft: #c9c4b7; --mark: #ffffff;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #171614; --raised: #1f1e1b; --ink: #ece9e2; --quiet: #a8a399; --line: #37342f; --accent: #e2b463;
    --good: #7fc79c; --maintenance: #8fb8e6; --degraded: #e8bd62; --partial: #f0975c; --major: #ff9a8f; --unknown: #b3aea2;
    --soft: #55514a; --mark: #171614;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2rem) 3rem; max-width: 52rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  overflow-wrap: break-word;
}
a { color: var(--accent); text-underline-offset: 0.2em; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--accent); outline-offset: 3px; border-radius: 2px; }
p { margin: 0.25rem 0; max-width: 44rem; }
h1, h2, h3 { line-height: 1.2; font-weight: 600; text-wrap: balance; }
h1 { margin: 0.25rem 0 0.75rem; font-size: clamp(1.5rem, 5vw, 2.1rem); letter-spacing: -0.015em; }
h2 { margin: 2.75rem 0 0.9rem; font-size: 1.1rem; }
h3 { margin: 0 0 0.25rem; font-size: 1rem; }
ul, ol { margin: 0; padding: 0; list-style: none; }
dl, dd { margin: 0; }
.quiet, footer { color: var(--quiet); }
.hidden, .skip:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip:focus { position: absolute; top: 0.5rem; left: 0.5rem; padding: 0.5rem 0.75rem; background: var(--raised); z-index: 1; }
header { display: flex; gap: 0.9rem; align-items: flex-end; min-height: 5.5rem; padding-bottom: 1.25rem; }
header svg { flex: none; align-self: stretch; height: 6.5rem; width: 1.5rem; margin-bottom: -1rem; overflow: visible; }
header path { stroke: var(--quiet); stroke-width: 1; fill: none; }
header .bob { fill: var(--accent); stroke: none; }
.whose { margin: 0; font-weight: 600; }
.whose a { display: inline-block; min-height: 1.5rem; text-decoration: none; }
.whose a:hover { text-decoration: underline; }
.whose span { font-weight: 400; color: var(--quiet); }
.sandbox, .copy { max-width: none; margin: 0 0 1rem; padding: 0.6rem 1rem; border: 1px dashed var(--quiet); border-radius: 4px; }

.icon { flex: none; width: 1.25em; height: 1.25em; fill: currentColor; vertical-align: -0.25em; }
.icon .mark { fill: none; stroke: var(--mark); stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.icon .hollow { fill: none; stroke: currentColor; stroke-width: 2; stroke-dasharray: 3 2; }
.icon .ink { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; }
.operational { color: var(--good); }
.under_maintenance { color: var(--maintenance); }
.degraded_performance { color: var(--degraded); }
.unknown { color: var(--unknown); }
.partial_outage { color: var(--partial); }
.major_outage { color: var(--major); }

.banner { padding: 1.25rem clamp(1rem, 3vw, 1.5rem) 1rem; border: 1px solid var(--line); border-left: 6px solid currentColor; border-radius: 4px; background: var(--raised); }
.banner.unknown { border-left-style: dashed; }
.banner h1 { display: flex; gap: 0.6rem; align-items: flex-start; margin: 0 0 0.5rem; }
.banner h1 .icon { margin-top: 0.05em; width: 1.1em; height: 1.1em; }
.banner h1 span, .banner p:not(.quiet) { color: var(--ink); }

.components { border-top: 1px solid var(--line); }
.component { padding: 1.1rem 0 1rem; border-bottom: 1px solid var(--line); }
.component h3 { display: flex; gap: 0.6rem; align-items: baseline; }
.component h3 .icon { align-self: center; }
.component .word { margin-left: auto; padding-left: 0.5rem; text-align: right; font-weight: 500; white-space: nowrap; }
.component > p { font-size: 0.94rem; }
.component .why, .note { padding-left: 0.75rem; border-left: 3px solid var(--soft); }
details { margin-top: 0.6rem; }
summary { display: grid; grid-template-columns: 1fr auto; gap: 0.3rem 1rem; min-height: 1.5rem; cursor: pointer; list-style: none; font-size: 0.88rem; color: var(--quiet); }
summary::-webkit-details-marker { display: none; }
.open-days { color: var(--accent); text-decoration: underline; text-underline-offset: 0.2em; white-space: nowrap; }
.strip { grid-column: 1 / -1; display: block; width: 100%; height: 2.5rem; }
.strip rect, .swatch { fill: var(--soft); }
.strip .full { fill: var(--good); }
.strip .counting { fill: none; stroke: var(--good); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.strip .slight { fill: var(--degraded); }
.strip .some { fill: var(--partial); }
.strip .heavy { fill: var(--major); }
.strip .struck { fill: var(--ink); }

.days { position: relative; display: grid; grid-template-columns: repeat(auto-fill, minmax(2.25rem, 1fr)); gap: 0.3rem; margin: 0.75rem 0 0; padding-bottom: 2rem; }
.day { display: block; padding: 0.2rem 0 0.1rem; min-height: 1.75rem; border-bottom: 4px solid var(--soft); text-align: center; font-size: 0.85rem; color: var(--ink); text-decoration: none; font-variant-numeric: tabular-nums; }
.day:hover { background: var(--line); }
.day.full { border-color: var(--good); }
.day.counting { border-color: var(--good); border-bottom-style: double; }
.day.slight { border-color: var(--degraded); border-bottom-width: 5px; border-bottom-style: dashed; }
.day.some { border-color: var(--partial); border-bottom-width: 6px; border-bottom-style: dashed; }
.day.heavy { border-color: var(--major); border-bottom-width: 8px; border-bottom-style: dashed; }
.day.none { border-bottom-style: dotted; }
.day.struck { font-weight: 700; text-decoration: underline; }
.tip { position: absolute; left: 0; bottom: 0; clip-path: inset(100%); white-space: nowrap; color: var(--ink); }
.day:hover .tip, .day:focus .tip { clip-path: none; }
.formula { font-size: 0.88rem; color: var(--quiet); }
.legend { display: flex; flex-wrap: wrap; gap: 0.35rem 1.25rem; margin-top: 0.9rem; font-size: 0.88rem; color: var(--quiet); }
.legend li { display: flex; gap: 0.45rem; align-items: flex-end; }
.swatch { display: inline-block; width: 0.5rem; height: 1.1rem; margin-bottom: 0.2rem; background: var(--soft); }
.swatch.full { background: var(--good); }
.swatch.counting { background: none; border: 1.5px solid var(--good); }
.swatch.slight { background: var(--degraded); height: 0.95rem; }
.swatch.some { background: var(--partial); height: 0.75rem; }
.swatch.heavy { background: var(--major); height: 0.5rem; }
.swatch.none { height: 0.15rem; }
.swatch.struck { width: 0.7rem; height: 0.6rem; background: var(--ink); clip-path: polygon(50% 0, 100% 100%, 0 100%); }

.incident { padding: 0 0 0 1rem; border-left: 4px solid var(--degraded); }
.incident + .incident { margin-top: 1.5rem; }
.incident.impact-1 { border-color: var(--major); }
.incident.impact-2 { border-color: var(--partial); }
.next { font-weight: 500; }
.onwards { margin-top: 1.5rem; }
.facts, .figures { display: flex; flex-wrap: wrap; gap: 0.6rem 2.25rem; margin: 0.75rem 0; }
.facts dt, .figures dt { color: var(--quiet); font-size: 0.88rem; }
.facts dd { font-weight: 500; }
.figures dd:first-of-type { font-size: 1.6rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.figures .quiet { font-size: 0.88rem; }
.updates li { margin-top: 0.9rem; }
.updates time { color: var(--quiet); }
.past li { padding: 0.5rem 0; border-bottom: 1px solid var(--line); }
.past .quiet { display: block; font-size: 0.88rem; }
.past a { display: inline-block; min-height: 1.5rem; }
.past + p, .quiet + p a { margin-top: 0.9rem; }

.history > li { padding: 1rem 0; border-bottom: 1px solid var(--line); }
.history > li:target { background: var(--raised); box-shadow: -6px 0 0 var(--accent); padding-left: 0.75rem; }
.history h2 { margin: 0 0 0.35rem; font-size: 1rem; }
.shares { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 0.1rem 2rem; font-size: 0.94rem; }
.shares div { display: flex; justify-content: space-between; gap: 1rem; }
.shares dt { color: var(--quiet); }
.shares dd { font-variant-numeric: tabular-nums; text-align: right; }
.history .past li { border: 0; padding-bottom: 0; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: 0.9rem; }
@media (max-width: 30rem) {
  .component h3 { flex-wrap: wrap; }
  .component .word { flex-basis: 100%; margin-left: 0; padding-left: 1.85rem; text-align: left; }
  summary { grid-template-columns: 1fr; }
}
`;
