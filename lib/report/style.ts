/** How the report looks. */
export const style = `
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c1917; background: #fafaf9; }
body { max-width: 76rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0 0.5rem; }
header p, section > p { color: #57534e; margin: 0 0 0.75rem; } section > div + p { margin: 0.75rem 0 0; font-size: 0.85rem; }
section { background: #fff; border: 1px solid #e7e5e4; border-radius: 0.6rem; padding: 1rem 1.25rem; margin: 1rem 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 1rem; }
.facts div { display: grid; } .facts b { font-size: 1.35rem; } .facts span { color: #57534e; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.u-legend { font-size: 0.8rem; } .u-legend th { font-weight: 400; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: 0.2rem 0.6rem; text-align: right; font-variant-numeric: tabular-nums; }
th { font-weight: 600; } th[scope=row] { text-align: left; } .classes tr + tr, .wide + table tr + tr { border-top: 1px solid #f0efee; }
.classes { width: 100%; max-width: 60rem; } .classes td { white-space: nowrap; }
.matrix td, .matrix th[scope=col] { min-width: 2rem; text-align: center; padding: 0.25rem; border: 1px solid #f0efee; }
.matrix.long th[scope=col] { vertical-align: bottom; } .matrix.long th span { writing-mode: vertical-rl; rotate: 180deg; }
meter { width: 5rem; vertical-align: middle; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.25rem 1rem; }
figure { margin: 0; } figure > div { display: grid; grid-template-columns: 1fr 1fr; gap: 0.25rem; }
figure img { width: 100%; display: block; image-rendering: pixelated; background: #000; }
figure span { position: relative; display: block; } .veil { position: absolute; inset: 0; height: 100%; opacity: 0.75; background: none !important; }
figcaption { color: #1c1917; font-size: 0.85rem; margin-top: 0.25rem; } figcaption small { display: block; color: #78716c; overflow-wrap: anywhere; }
summary { cursor: pointer; } summary h2 { display: inline; margin: 0; }
pre { overflow-x: auto; font-size: 0.8rem; margin: 0.5rem 0 0; }
`;
