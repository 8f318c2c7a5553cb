/** How the report looks. */
export const style = `
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #1c1917; background: #fafaf9; }
body { max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 0 0 0.5rem; }
header p, section > p { color: #57534e; margin: 0 0 0.75rem; }
section { background: #fff; border: 1px solid #e7e5e4; border-radius: 0.6rem; padding: 1rem 1.25rem; margin: 1rem 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; }
.facts div { display: grid; } .facts b { font-size: 1.35rem; } .facts span { color: #57534e; }
.charts { display: flex; flex-wrap: wrap; gap: 0.5rem; } .u-title { font-size: 0.95rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: 0.2rem 0.6rem; text-align: right; font-variant-numeric: tabular-nums; }
th { font-weight: 600; } th[scope=row] { text-align: left; } tr + tr { border-top: 1px solid #f0efee; }
.matrix td, .matrix th[scope=col] { min-width: 1.8rem; text-align: center; padding: 0.25rem; border: 1px solid #f0efee; }
meter { width: 5rem; vertical-align: middle; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: 13rem; } figure > div { display: flex; gap: 0.25rem; } figure img { width: 6.3rem; display: block; image-rendering: pixelated; }
figure span { position: relative; } .veil { position: absolute; inset: 0; height: 100%; opacity: 0.75; }
figcaption { color: #44403c; font-size: 0.85rem; } pre { overflow-x: auto; font-size: 0.8rem; margin: 0; }
`;
